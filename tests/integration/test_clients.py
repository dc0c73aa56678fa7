# build: release
# alone: yes
# timeout: 200
"""Clients that are slow, silent, greedy or too many: they are cut or refused, and nobody else waits for them."""

import json
import os
import pathlib
import re
import resource
import select
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from support.attiod import Attiod, envelope, event, request, signed, until, wire
from support.clients import (Crowd, Pulse, config, connect, cpu_seconds, descriptors, memory, metric, read_to_end, run, say,
                             statuses)

SOURCE = pathlib.Path(os.environ["ATTIOD_SOURCE_DIR"])
QUIET = {"ATTIO_ENABLED": "false"}
ONE = envelope(event("record.updated", "14beef7a-99f7-4534-a87e-70b564330a4c", "97052eb9-e65e-443f-a297-f2d9a4a7f795",
                     "bf071e1f-6035-429d-b874-d83ea64ea13b"))
HEAD = b"POST /webhooks/attio HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
MIB = 1 << 20


class Clients(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def serve(self, environment=None, values=None, name="a", tls=None):
        directory = pathlib.Path(self.folder.name) / name
        directory.mkdir()
        a = Attiod(None, directory, {**QUIET, **(environment or {})}, arguments=config(directory, values or {}), tls=tls)
        self.addCleanup(lambda: self.assertEqual(a.stop(), 0))
        return a

    def serve_tls(self):
        certs = pathlib.Path(self.folder.name) / "certs"
        certs.mkdir()
        subprocess.run([SOURCE / "tests/support/certs.sh", certs], check=True)
        return self.serve({"ATTIOD_TLS_CERT": str(certs / "good.pem"), "ATTIOD_TLS_KEY": str(certs / "good.key")}, name="tls",
                          tls=ssl._create_unverified_context())

    def test_a_thousand_that_never_read_are_gone_within_10_s(self):
        a = self.serve()
        with Pulse(a.port) as pulse:
            # Replies are small: the kernel holds some hundred of them before one waits.
            crowd = Crowd("never reads", a.port, 1000, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 1400, reads=False)
            self.addCleanup(crowd.close)
            run([crowd], lambda: crowd.alive == 0, 20)
        print(f"gone after {min(crowd.gone or [0]):.1f} to {max(crowd.gone or [0]):.1f} s; {pulse}")
        self.assertEqual(len(crowd.gone), 1000)
        self.assertLess(max(crowd.gone), 10)
        self.assertLess(memory(a.child.pid, "VmHWM"), 200 * MIB)
        self.assertEqual(pulse.statuses, {200})
        self.assertLess(pulse.p99(), 0.05)

    def test_thousands_that_are_slow_are_gone_within_10_s(self):
        plain, tls = self.serve(), self.serve_tls()
        began = time.monotonic()
        # The pulses' own connections come and go on the public listeners, where the crowds are.
        with Pulse(plain.port) as public, Pulse(plain.internal, "/health") as internal, Pulse(tls.port, tls=True) as over_tls:
            crowds = [
                Crowd("headers", plain.port, 1000, HEAD, b"x"),
                Crowd("bodies", plain.port, 1000, HEAD + b"Content-Length: 1000\r\n\r\n", b"{"),
                Crowd("chunks", plain.port, 1000, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n"),
                Crowd("TLS hellos", tls.port, 1000, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x00"),
            ]
            print(f"all there after {time.monotonic() - began:.1f} s")
            for crowd in crowds:
                self.addCleanup(crowd.close)
            last = max(max(crowd.began.values()) for crowd in crowds)
            # The server's own count: a client that saw an end but holds its side open is not gone yet.
            held = {a: lambda a=a: metric(a.internal, "attiod_http_connections", a.tls) for a in (plain, tls)}
            run(crowds, lambda: all(c.alive == 0 for c in crowds) or time.monotonic() > last + 10, 30)
            for crowd in crowds:
                with self.subTest(crowd.name):
                    print(f"{crowd.name}: answers {crowd.answers}, gone after {min(crowd.gone or [0]):.1f} "
                          f"to {max(crowd.gone or [0]):.1f} s")
                    self.assertEqual(len(crowd.gone), 1000)
                    self.assertLess(max(crowd.gone), 10)
            for a in held:
                until(lambda a=a: held[a]() < 10, "the server has let go of all", max(0.1, last + 10 - time.monotonic()))
        for crowd in crowds[:3]:
            self.assertEqual(crowd.answers, {408}, crowd.name)
        for pulse in (public, internal, over_tls):
            print(pulse)
            self.assertEqual(pulse.statuses, {200})
            self.assertLess(pulse.p99(), 0.05)
        self.assertLess(memory(plain.child.pid, "VmHWM"), 200 * MIB)
        self.assertEqual(plain.deliver(ONE)[0], 200)

    def test_ten_thousand_idle_connections_are_held_and_cost_2_kib_each(self):
        many = 10000
        a = self.serve()
        warm = [connect(a.port) for _ in range(200)]
        self.exchange(warm)
        before = memory(a.child.pid)
        idle = [connect(a.port) for _ in range(many - len(warm))]
        self.addCleanup(lambda: [s.close() for s in warm + idle])
        self.exchange(idle)
        self.assertEqual(metric(a.internal, 'attiod_http_connections'), many + 1)  # and the one that asks
        each = (memory(a.child.pid) - before) / len(idle)
        with Pulse(a.port) as pulse:
            while pulse.asked.value < 200:
                self.exchange(idle[::100])
                self.assertEqual(a.deliver(ONE)[0], 200)
        print(f"{each:.0f} bytes each; {pulse}")
        self.assertLess(each, 2048)
        self.assertEqual(pulse.statuses, {200})
        self.assertLess(pulse.p99(), 0.25)
        self.exchange(idle[5::10])  # none was dropped

    def exchange(self, socks):
        """A request and its whole answer on each."""
        for s in socks:
            s.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        for s in socks:
            got = b""
            while not got.endswith(b"ok\n"):
                data = s.recv(4096)
                self.assertTrue(data, "the connection ended")
                got += data

    def test_without_descriptors_some_are_served_and_all_again_at_once(self):
        a = self.serve()
        kept = [connect(a.port) for _ in range(5)]
        self.exchange(kept)
        held = descriptors(a.child.pid)
        _, hard = resource.prlimit(a.child.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(a.child.pid, resource.RLIMIT_NOFILE, (held + 20, hard))
        crowd = [connect(a.port) for _ in range(200)]
        self.addCleanup(lambda: [s.close() for s in kept + crowd])
        for s in crowd:
            try:
                s.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            except OSError:
                pass
        served = []
        until(lambda: served.extend(s for s in select.select(crowd, [], [], 0)[0] if s not in served) or len(served) >= 15,
              "some are served")
        began, used = time.monotonic(), cpu_seconds(a.child.pid)
        asked = 0
        while time.monotonic() < began + 1.5:  # new ones all the time, and those that are in work as ever
            try:
                late = connect(a.port)
                late.settimeout(0)
                crowd.append(late)
            except OSError:
                pass
            self.exchange(kept)
            self.assertEqual(self.deliver_on(kept[0]), 200)
            asked += 1
        share = (cpu_seconds(a.child.pid) - used) / (time.monotonic() - began)
        answered = [s for s in crowd if self.answered(s)]
        print(f"{len(answered)} of {len(crowd)} served, {share * 100:.0f} % of a core, {asked} rounds of those connected before")
        self.assertGreaterEqual(len(answered), 15)
        self.assertLess(len(answered), len(crowd))
        self.assertLess(share, 0.6)
        self.assertIsNone(a.child.poll())
        resource.prlimit(a.child.pid, resource.RLIMIT_NOFILE, (hard, hard))
        self.assertEqual(request(a.port, "GET", "/healthz")[0], 200)
        fresh = [connect(a.port) for _ in range(200)]
        self.addCleanup(lambda: [s.close() for s in fresh])
        self.exchange(fresh)

    @staticmethod
    def answered(s):
        s.settimeout(0)
        try:
            return s.recv(4096).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    @staticmethod
    def deliver_on(s):
        s.sendall(wire(ONE, os.urandom(8).hex()))
        got = b""
        while b"}" not in got:
            got += s.recv(4096)
        return statuses(got)[0]

    def test_what_is_too_large_is_refused_before_it_is_read(self):
        a = self.serve()
        before = memory(a.child.pid)
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        kinds = {  # what is said at once, and then for ever
            "100 MB": (HEAD + b"Content-Length: 104857600\r\n\r\n", b"x" * 65536, 413),
            "10 GB claimed": (HEAD + b"Content-Length: 10000000000\r\n\r\n", b"x" * 65536, 413),
            "100 MB in chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", chunk, 413),
            "one chunk of 10 GB": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2540BE400\r\n", b"x" * 65536, 413),
            "20,000 fields": (HEAD, b"".join(b"X-%d: y\r\n" % i for i in range(20000)), 431),
            "a value of 1 MiB": (HEAD + b"X: ", b"y" * 65536, 431),
            "an endless name": (HEAD, b"y" * 65536, 431),
            "an endless target": (b"GET /", b"y" * 65536, 414),
            "endless chunk extensions": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"y" * 65536, 400),
            "endless trailers": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n", b"X: y\r\n" * 10000, 400),
            "empty lines": (b"", b"\r\n" * 1000, 431),
        }
        results = {}

        def attack(name, n, first, more):
            with connect(a.port) as s:
                sent, got = 0, b""
                try:
                    s.sendall(first)
                    while sent < 100 * MIB and not got:
                        sent += s.send(more)
                        if select.select([s], [], [], 0)[0]:
                            got = s.recv(4096)
                    got += read_to_end(s)
                except OSError:
                    pass
                results[name, n] = (statuses(got), sent)

        with Pulse(a.port) as pulse:
            while pulse.asked.value < 100:  # of fewer the slowest would decide
                threads = [threading.Thread(target=attack, args=(name, n, first, more))
                           for name, (first, more, _) in kinds.items() for n in range(8)]
                for t in threads:
                    t.start()
                for t in threads:
                    t.join()
            peak = memory(a.child.pid, "VmHWM") - before
        for (name, n), (got, sent) in results.items():
            with self.subTest(name, n=n):
                self.assertLessEqual(got, [kinds[name][2]])  # one answer, unless a reset overtook it
                self.assertLess(sent, 16 * MIB)
        for name, (_, _, status) in kinds.items():
            self.assertIn([status], [results[name, n][0] for n in range(8)], name)
        print(f"{peak / MIB:.1f} MiB more at most; {pulse}")
        self.assertLess(peak, 64 * MIB)
        self.assertEqual(pulse.statuses, {200})
        self.assertLess(pulse.p99(), 0.25)

    def test_expect_invites_a_body_that_may_come_and_no_other(self):
        a = self.serve()
        raw = json.dumps(ONE).encode()
        fields = "".join(f"{k}: {v}\r\n" for k, v in signed(raw).items()).encode()
        head = b"POST /webhooks/attio HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n" + fields
        with connect(a.port) as s:
            s.sendall(head + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(raw))
            self.assertEqual(s.recv(4096), b"HTTP/1.1 100 Continue\r\n\r\n")
            s.sendall(raw)
            self.assertEqual(statuses(read_to_end(s)), [200])
        self.assertEqual(statuses(say(a.port, head + b"Content-Length: 10000000000\r\n\r\n")), [413])
        self.assertEqual(statuses(say(a.port, head.replace(b"100-continue", b"magic") + b"Content-Length: 5\r\n\r\n")), [417])

    def test_five_hundred_pipelined_requests_are_answered_in_order(self):
        a = self.serve()
        raw = json.dumps(ONE).encode()
        forged = wire(ONE, "k").replace(b"Attio-Signature: ", b"Attio-Signature: 0")
        kinds = [(200, wire(ONE, "the-key")), (404, b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n"), (401, forged),
                 (200, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"), (405, b"GET /webhooks/attio HTTP/1.1\r\nHost: a\r\n\r\n")]
        expected = [kinds[i * i % 7 % 5] for i in range(500)]
        before = memory(a.child.pid)
        with connect(a.port) as s:
            s.sendall(b"".join(one for _, one in expected[:-1]))
            s.sendall(expected[-1][1].replace(b"Host: ", b"Connection: close\r\nHost: ", 1))
            got = read_to_end(s)
        self.assertEqual(statuses(got), [status for status, _ in expected])
        self.assertEqual(got.count(b'{"accepted":1,"duplicate":0}'), 1)
        self.assertLess(memory(a.child.pid, "VmHWM") - before, 4 * MIB)
        self.assertGreater(len(raw), 0)
