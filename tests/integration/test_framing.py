# timeout: 120
"""Every case of the public listener's contract on a real socket: framing, sizes, methods, signatures, JSON.

What is malformed is answered once and the connection closed: what follows it, a signed delivery that would be accepted, must
not be read. Each case is sent in one piece and byte by byte.
"""

import concurrent.futures
import json
import os
import tempfile
import unittest

from support.attiod import SECRET, Attiod, connect as open_database, envelope, event, request, signed, wire
from support.clients import connect, read_to_end, say, statuses

ONE = envelope(event("record.updated", "14beef7a-99f7-4534-a87e-70b564330a4c", "97052eb9-e65e-443f-a297-f2d9a4a7f795",
                     "bf071e1f-6035-429d-b874-d83ea64ea13b"))
BODY = json.dumps(ONE).encode()
FIELDS = b"Host: a\r\n" + "".join(f"{k}: {v}\r\n" for k, v in signed(BODY).items()).encode()
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n"


def post(more, body=b"", line=b"POST /webhooks/attio HTTP/1.1", fields=FIELDS):
    return line + b"\r\n" + fields + more + b"\r\n" + body


def get(more=b"Host: a\r\n", target=b"/healthz", method=b"GET", version=b"HTTP/1.1"):
    return method + b" " + target + b" " + version + b"\r\n" + more + b"\r\n"


# name: (raw, status), all of them closed afterwards
REFUSED = {
    # two lengths, signs, overflow
    "length and coding": (post(LENGTH + CHUNKED, CHUNKS), 400),
    "coding and length": (post(CHUNKED + LENGTH, CHUNKS), 400),
    "two lengths": (post(LENGTH + b"Content-Length: 3\r\n", BODY), 400),
    "two equal lengths": (post(LENGTH + LENGTH, BODY), 400),
    "a list of lengths": (post(LENGTH.replace(b"\r\n", b", 3\r\n"), BODY), 400),
    "length with a plus": (post(LENGTH.replace(b": ", b": +"), BODY), 400),
    "negative length": (post(b"Content-Length: -1\r\n", BODY), 400),
    "length in hex": (post(b"Content-Length: 0x10\r\n", BODY), 400),
    "empty length": (post(b"Content-Length:\r\n", BODY), 400),
    "length of 2^63": (post(b"Content-Length: 9223372036854775808\r\n", BODY), 400),
    "length of 2^64 + 5": (post(b"Content-Length: 18446744073709551621\r\n", BODY), 400),
    # codings
    "coding gzip": (post(b"Transfer-Encoding: gzip\r\n", BODY), 400),
    "gzip, chunked": (post(b"Transfer-Encoding: gzip, chunked\r\n", CHUNKS), 400),
    "chunked, identity": (post(b"Transfer-Encoding: chunked, identity\r\n", CHUNKS), 400),
    "chunked twice": (post(CHUNKED + CHUNKED, CHUNKS), 400),
    "xchunked": (post(b"Transfer-Encoding: xchunked\r\n", CHUNKS), 400),
    "chunked behind a vertical tab": (post(b"Transfer-Encoding: \x0bchunked\r\n", CHUNKS), 400),
    "coding in HTTP/1.0": (post(CHUNKED, CHUNKS, b"POST /webhooks/attio HTTP/1.0"), 400),
    # bad chunks
    "no hex": (post(CHUNKED, b"zz\r\n"), 400),
    "size 0x5": (post(CHUNKED, b"0x5\r\nhello\r\n0\r\n\r\n"), 400),
    "size with a sign": (post(CHUNKED, b"+5\r\nhello\r\n0\r\n\r\n"), 400),
    "blank before the size": (post(CHUNKED, b" 5\r\nhello\r\n0\r\n\r\n"), 400),
    "blank behind the size": (post(CHUNKED, b"5 \r\nhello\r\n0\r\n\r\n"), 400),
    "size of 2^64": (post(CHUNKED, b"10000000000000000\r\n"), 400),
    "size of 2^64 - 1": (post(CHUNKED, b"ffffffffffffffff\r\n"), 413),
    "size ended by LF": (post(CHUNKED, b"5\nhello\r\n0\r\n\r\n"), 400),
    "data longer than its size": (post(CHUNKED, b"5\r\nhelloX\r\n0\r\n\r\n"), 400),
    "data ended by LF": (post(CHUNKED, b"5\r\nhello\n0\r\n\r\n"), 400),
    "extension with LF": (post(CHUNKED, b"5;a\nb\r\nhello\r\n0\r\n\r\n"), 400),
    "end ended by LF": (post(CHUNKED, b"5\r\nhello\r\n0\r\n\n"), 400),
    "a length among the trailers": (post(CHUNKED, b"5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n"), 400),
    "trailer folded": (post(CHUNKED, b"5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n"), 400),
    # fields
    "folded": (post(b"X: a\r\n b\r\n" + LENGTH, BODY), 400),
    "length folded": (post(b"Content-Length:\r\n %d\r\n" % len(BODY), BODY), 400),
    "blank before the colon": (post(LENGTH.replace(b":", b" :"), BODY), 400),
    "tab before the colon": (post(LENGTH.replace(b":", b"\t:"), BODY), 400),
    "no colon": (post(b"abc\r\n" + LENGTH, BODY), 400),
    "no name": (post(b": abc\r\n" + LENGTH, BODY), 400),
    "blank in front of the first field": (post(LENGTH, BODY, fields=b" " + FIELDS), 400),
    "NUL in a value": (post(b"X: a\0b\r\n" + LENGTH, BODY), 400),
    "NUL in a name": (post(b"X\0: a\r\n" + LENGTH, BODY), 400),
    "bare CR in a value": (post(b"X: a\rb\r\n" + LENGTH, BODY), 400),
    "CR CR LF": (post(b"X: a\r\r\n" + LENGTH, BODY), 400),
    "bare LF": (post(b"X: a\nY: b\r\n" + LENGTH, BODY), 400),
    "bare LF ends the head": (post(LENGTH, BODY).replace(b"\r\n\r\n", b"\r\n\n", 1), 400),
    "control character": (post(b"X: a\x01\r\n" + LENGTH, BODY), 400),
    # Host
    "no Host": (get(b""), 400),
    "two Hosts": (get(b"Host: a\r\nHost: a\r\n"), 400),
    "two Hosts that differ": (get(b"Host: a\r\nHost: b\r\n"), 400),
    "blank in Host": (get(b"Host: a b\r\n"), 400),
    "list in Host": (get(b"Host: a,b\r\n"), 400),
    "empty Host": (get(b"Host:\r\n"), 400),
    # request line
    "HTTP/0.9": (b"GET /healthz\r\n\r\n", 400),
    "HTTP/1.2": (get(version=b"HTTP/1.2"), 505),
    "HTTP/2.0": (get(version=b"HTTP/2.0"), 505),
    "HTTP/1.1 in small letters": (get(version=b"http/1.1"), 400),
    "blank behind the version": (get(version=b"HTTP/1.1 "), 400),
    "two blanks": (get(target=b" /healthz"), 400),
    "tab": (b"GET\t/healthz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "NUL in the target": (get(target=b"/healthz\0"), 400),
    "bytes past ASCII in the target": (get(target=b"/h\xc3\xa9"), 400),
    "fragment": (get(target=b"/healthz#x"), 400),
    "another host in the target": (get(target=b"http://b/healthz"), 400),
    "bare LF behind the line": (get().replace(b"\r\n", b"\n", 1), 400),
    "two empty lines in front": (b"\r\n\r\n" + get(), 400),
    "a TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100, 400),
    # methods
    "CONNECT": (get(method=b"CONNECT", target=b"a:80"), 400),
    "unknown method": (get(method=b"BREW"), 501),
    "method in small letters": (get(method=b"get"), 501),
    # sizes
    "target too long": (get(target=b"/" + b"x" * 8192), 414),
    "head too large": (get(b"Host: a\r\nX: " + b"y" * 32768 + b"\r\n"), 431),
    "101 fields": (get(b"Host: a\r\n" + b"X: y\r\n" * 100), 431),
    "a byte too much": (post(b"Content-Length: 1048577\r\n"), 413),
    "a byte too much in chunks": (post(CHUNKED, b"100001\r\n"), 413),
    "a body where none belongs": (get(b"Host: a\r\nContent-Length: 1\r\n") + b"x", 413),
    "another expectation": (post(b"Expect: magic\r\n" + LENGTH, BODY), 417),
    "invited, too large": (post(b"Expect: 100-continue\r\nContent-Length: 1048577\r\n"), 413),
}

# what is right, or wrong in a way that leaves no doubt where it ends: name: (raw, status), and the connection lives
UNDERSTOOD = {
    "length": (post(LENGTH, BODY), 200),
    "one chunk": (post(CHUNKED, CHUNKS), 200),
    "a chunk a byte, extensions, trailers": (post(CHUNKED, b"".join(b"1;x=\"y\"\r\n%c\r\n" % b for b in BODY) +
                                                  b"0\r\nX-Sum: 1\r\n\r\n"), 200),
    "exactly 1 MiB": (post(b"Content-Length: 1048576\r\n", b"x" * 1048576), 401),
    "an empty line in front": (b"\r\n" + get(), 200),
    "HEAD": (get(method=b"HEAD"), 200),
    "absolute form": (get(target=b"http://a/healthz"), 200),
    "a query": (get(target=b"/healthz?x=y"), 200),
    "100 fields": (get(b"Host: a\r\n" + b"X: y\r\n" * 99), 200),
    "a slot": (post(LENGTH, BODY, b"POST /webhooks/attio/b HTTP/1.1"), 200),
    "nowhere": (get(target=b"/nowhere"), 404),
    "the internal listener's": (get(target=b"/api/v1/events"), 404),
    "metrics": (get(target=b"/metrics"), 404),
    "GET on the webhook": (get(target=b"/webhooks/attio"), 405),
    "PUT": (post(LENGTH, BODY, b"PUT /webhooks/attio HTTP/1.1"), 405),
    "DELETE": (get(method=b"DELETE"), 405),
    "PATCH": (get(method=b"PATCH"), 405),
    "OPTIONS *": (get(method=b"OPTIONS", target=b"*"), 404),
    "TRACE": (get(method=b"TRACE"), 405),
    "a method of others": (get(method=b"PROPFIND"), 405),
    "not JSON": (post(LENGTH, BODY, fields=FIELDS.replace(b"application/json", b"text/plain")), 415),
    "no content type": (post(LENGTH, BODY, fields=FIELDS.replace(b"Content-Type: application/json\r\n", b"")), 415),
    "JSON with a charset": (post(LENGTH, BODY, fields=FIELDS.replace(b"json", b"json; charset=utf-8")), 200),
}

GOOD = signed(BODY)["Attio-Signature"]
OTHER = signed(BODY, "of somebody else")["Attio-Signature"]
# name: (fields, status)
SIGNATURES = {
    "both": ({"Attio-Signature": GOOD, "X-Attio-Signature": GOOD}, 200),
    "one": ({"Attio-Signature": GOOD}, 200),
    "the other one": ({"X-Attio-Signature": GOOD}, 200),
    "upper case": ({"Attio-Signature": GOOD.upper()}, 200),
    "one of each case": ({"Attio-Signature": GOOD.upper(), "X-Attio-Signature": GOOD}, 200),
    "blanks around it": ({"Attio-Signature": f" \t{GOOD} "}, 200),
    "the older secret": ({"Attio-Signature": signed(BODY, "older-" + SECRET)["Attio-Signature"]}, 200),
    "none": ({}, 401),
    "empty": ({"Attio-Signature": ""}, 401),
    "another secret's": ({"Attio-Signature": OTHER}, 401),
    "of an empty secret": ({"Attio-Signature": signed(BODY, "")["Attio-Signature"]}, 401),
    "of another body": ({"Attio-Signature": signed(BODY + b" ")["Attio-Signature"]}, 401),
    "two that differ": ({"Attio-Signature": GOOD, "X-Attio-Signature": OTHER}, 401),
    "two that differ, the other way": ({"Attio-Signature": OTHER, "X-Attio-Signature": GOOD}, 401),
    "a good one and an empty one": ({"Attio-Signature": GOOD, "X-Attio-Signature": ""}, 401),
    "63 digits": ({"Attio-Signature": GOOD[:-1]}, 401),
    "65 digits": ({"Attio-Signature": GOOD + "0"}, 401),
    "128 digits": ({"Attio-Signature": GOOD + GOOD}, 401),
    "a list": ({"Attio-Signature": f"{GOOD},{GOOD}"}, 401),
    "no hex": ({"Attio-Signature": "g" + GOOD[1:]}, 401),
    "with its name": ({"Attio-Signature": "sha256=" + GOOD}, 401),
    "0x": ({"Attio-Signature": "0x" + GOOD[2:]}, 401),
    "quoted": ({"Attio-Signature": f'"{GOOD}"'}, 401),
    "key of 255 bytes": ({"Attio-Signature": GOOD, "Idempotency-Key": "k" * 255}, 200),
    "key of 256 bytes": ({"Attio-Signature": GOOD, "Idempotency-Key": "k" * 256}, 400),
    "empty key": ({"Attio-Signature": GOOD, "Idempotency-Key": ""}, 400),
    "forged, with a bad key": ({"Attio-Signature": OTHER, "Idempotency-Key": "k" * 256}, 401),
    **{f"bit {4 * digit} flipped": ({"Attio-Signature": GOOD[:digit] + f"{int(GOOD[digit], 16) ^ 1:x}" + GOOD[digit + 1:]}, 401)
       for digit in range(64)},
}

DEEP = 100000
# name: a body that is no delivery
BROKEN = {
    "nothing": b"",
    "cut": BODY[:-1],
    "trailing text": BODY + b"x",
    "two documents": BODY + BODY,
    "an array": b"[]",
    "a string": b'"events"',
    "no events": b"{}",
    "events of another type": b'{"webhook_id":"x","events":{}}',
    "an event that is none": b'{"webhook_id":"x","events":[1]}',
    "deep arrays": b"[" * DEEP + b"]" * DEEP,
    "deep arrays, open": b"[" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep below events": b'{"webhook_id":"x","events":[' + b"[" * 1000 + b"]" * 1000 + b"]}",
    "twice the same key": BODY.replace(b'"webhook_id"', b'"webhook_id":"x","webhook_id"', 1),
    "twice the same key, escaped": BODY.replace(b'"webhook_id"', b'"webhook_id":"x","webhook\\u005fid"', 1),
    "bad UTF-8": BODY.replace(b"system", b"sys\xff\xfe"),
    "overlong UTF-8": BODY.replace(b"system", b"sys\xc0\xaf"),
    "a surrogate in UTF-8": BODY.replace(b"system", b"sys\xed\xa0\x80"),
    "a lone surrogate": BODY.replace(b"system", b"sys\\ud800"),
    "a BOM": b"\xef\xbb\xbf" + BODY,
    "UTF-16": BODY.decode().encode("utf-16"),
    "NUL": BODY.replace(b"system", b"sys\0tem"),
    "NUL behind it": BODY + b"\0",
    "NUL, escaped, in an id": BODY.replace(b"bf071e1f", b"bf\\u0000071e1f"),
    "a control character": BODY.replace(b"system", b"sys\ntem"),
    "single quotes": BODY.replace(b'"', b"'"),
    "NaN": BODY.replace(b"null", b"NaN"),
    "a comment": b"/**/" + BODY,
    "a comma too much": BODY.replace(b"}]", b"},]"),
    "form feed": b"\x0c" + BODY,
    "a million nulls": b'{"webhook_id":"x","events":[' + b"null," * 200000 + b"null]}",
}


class Contract(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.server = Attiod(None, cls.folder.name, {"ATTIO_ENABLED": "false", "ATTIO_WEBHOOK_SECRET": f"{SECRET},older-{SECRET}"})

    @classmethod
    def tearDownClass(cls):
        code = cls.server.stop()
        cls.folder.cleanup()
        assert code == 0, code

    def stored(self):
        with open_database(self.server.db) as c:
            return c.execute("SELECT count(*) FROM attiod_inbox").fetchone()[0]

    def ask(self, raws, piece=None):
        """What each of these brings, several clients at a time."""
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            return list(pool.map(lambda raw: say(self.server.port, raw, piece), raws))

    def test_what_can_be_read_in_two_ways_is_answered_once_and_closed(self):
        before = self.stored()
        follow = wire(ONE, "smuggled")
        for piece in (None, 1):
            cases = {name: case for name, case in REFUSED.items() if not piece or len(case[0]) < 2000}
            answers = self.ask([raw + follow for raw, _ in cases.values()], piece)
            for (name, (_, status)), answer in zip(cases.items(), answers):
                with self.subTest(name, piece=piece):
                    self.assertEqual(statuses(answer), [status], answer)
                    self.assertIn(b"Connection: close\r\n", answer)
        self.assertEqual(self.stored(), before)
        self.assertEqual(request(self.server.port, "GET", "/healthz")[0], 200)

    def test_what_is_understood_leaves_the_connection_to_the_next_request(self):
        follow = get(b"Host: a\r\nConnection: close\r\n")
        for piece in (None, 1):
            cases = {name: case for name, case in UNDERSTOOD.items() if not piece or len(case[0]) < 4000}
            answers = self.ask([raw + follow for raw, _ in cases.values()], piece)
            for (name, (_, status)), answer in zip(cases.items(), answers):
                with self.subTest(name, piece=piece):
                    self.assertEqual(statuses(answer), [status, 200], answer)
                    self.assertEqual(b"\r\nAllow: " in answer, status == 405)
        self.assertEqual(say(self.server.port, get(b"", version=b"HTTP/1.0") + follow).count(b"HTTP/1.1 200"), 1)

    def test_signatures(self):
        plain = b"Host: a\r\nContent-Type: application/json\r\nConnection: close\r\n" + LENGTH
        raws = [post("".join(f"{k}: {v}\r\n" for k, v in fields.items()).encode(), BODY, fields=plain)
                for fields, _ in SIGNATURES.values()]
        bare = set()
        for (name, (_, status)), answer in zip(SIGNATURES.items(), self.ask(raws)):
            with self.subTest(name):
                self.assertEqual(statuses(answer), [status], answer)
                if status == 401:  # alike but for the time, whatever was wrong
                    bare.add(b"\r\n".join(line for line in answer.split(b"\r\n") if not line.startswith(b"Date: ")))
                    self.assertNotIn(GOOD.encode(), answer)
        self.assertEqual(len(bare), 1, bare)
        twice = post(b"Attio-Signature: " + GOOD.encode() + b"\r\nIdempotency-Key: a\r\nIdempotency-Key: a\r\n", BODY, fields=plain)
        self.assertEqual(statuses(say(self.server.port, twice)), [400])

    def test_signed_nonsense_is_acknowledged_and_quarantined(self):
        before = self.quarantined()
        for name, body in BROKEN.items():
            with self.subTest(name):
                status, answer = self.server.deliver(body)
                self.assertEqual((status, answer), (200, {"accepted": 0, "duplicate": 0}))
        self.assertEqual(self.quarantined() - before, len(BROKEN))
        # Unsigned it is not even looked at.
        for name, body in BROKEN.items():
            with self.subTest(name):
                self.assertEqual(self.server.deliver(body, secret="wrong")[0], 401)
        self.assertEqual(self.quarantined() - before, len(BROKEN))

    def quarantined(self):
        return len(request(self.server.internal, "GET", "/api/v1/events?state=quarantined&limit=500")[1]["data"])

    def test_numbers_past_64_bit_and_large_bodies_are_no_nonsense(self):
        for more in (b"123456789012345678901234567890", b"-1e400", b"0.1e-999", b'"' + b"x" * 1000000 + b'"',
                     b"[" + b"1," * 2000 + b"1]"):
            with self.subTest(more[:20]):
                body = BODY[:-1] + b',"more":' + more + b"}"
                self.assertEqual(self.server.deliver(body), (200, {"accepted": 1, "duplicate": 0}))

    def test_nonsense_elsewhere_is_the_callers_fault(self):
        for path in ("/api/v1/events/replay", "/api/v1/sync/people", "/api/v1/backup", "/api/v1/erase"):
            for name, body in BROKEN.items():
                with self.subTest(name, path=path):
                    if name in ("nothing", "no events"):
                        continue  # nothing said is no nonsense
                    status, answer = request(self.server.internal, "POST", path, body)
                    self.assertIn(status, range(400, 500), answer)
                    self.assertEqual(answer["status"], status)

    def test_a_request_cut_at_every_byte_leaves_nothing(self):
        before = self.stored()
        raw = wire(ONE, "cut")
        for at in range(0, len(raw), 3):
            with connect(self.server.port) as s:
                s.sendall(raw[:at])
                s.shutdown(1)
                self.assertEqual(statuses(read_to_end(s)), [], at)
        self.assertEqual(self.stored(), before)
        self.assertEqual(os.stat(self.server.db).st_mode & 0o777, 0o600)
