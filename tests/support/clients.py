"""Clients that misbehave, by the thousand, and what the server's health looks like meanwhile."""

import json
import multiprocessing
import pathlib
import re
import select
import socket
import ssl
import time

from support.attiod import request


def connect(port, rcvbuf=None):
    s = socket.socket()
    if rcvbuf:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)  # before connecting: it is the window we offer
    s.settimeout(10)
    s.connect(("127.0.0.1", port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def read_to_end(s):
    """All that comes until the peer ends or resets."""
    got = b""
    try:
        while data := s.recv(65536):
            got += data
    except ConnectionResetError:
        pass
    return got


def say(port, raw, piece=None):
    """What one client that sends `raw` (in pieces of so many bytes) and then waits reads until the server closes."""
    with connect(port) as s:
        try:
            for at in range(0, len(raw), piece or len(raw)):
                s.sendall(raw[at:at + (piece or len(raw))])
        except OSError:
            pass  # it has heard enough
        return read_to_end(s)


def statuses(answer):
    """Of every answer in the bytes one connection brought; bodies of ours hold no such line."""
    return [int(n) for n in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


class Crowd:
    """So many clients that send `first` at once, then `drip` a byte every half second for ever, and never close.

    One that does not read only listens for the end of its connection. `gone` has the seconds each one lived after its first
    byte, as the client sees it; `alive` how many are left.
    """

    EVERY = 0.5

    def __init__(self, name, port, count, first, drip=b"", reads=True):
        self.name = name
        self.drip = drip
        self.reads = reads
        self.gone = []
        self.broken = set()
        self.answers = set()
        self.socks = {}
        self.began = {}
        for _ in range(count):
            s = connect(port, None if reads else 2048)
            s.setblocking(False)
            self.socks[s.fileno()] = s
            self.began[s.fileno()] = time.monotonic()
            self.send(s, first)
        self.next = time.monotonic() + self.EVERY
        self.at = 0

    @property
    def alive(self):
        return len(self.socks) - len(self.broken)

    def send(self, s, data):
        try:
            return s.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self.end(s.fileno())
            return 0

    def end(self, fd):
        if fd not in self.broken:
            self.broken.add(fd)
            self.gone.append(time.monotonic() - self.began[fd])

    def heard(self, fd, event):
        if event & select.EPOLLIN:
            try:
                self.answers.update(statuses(self.socks[fd].recv(65536)))
            except OSError:
                pass
        if event & (select.EPOLLERR | select.EPOLLHUP | select.EPOLLRDHUP):
            self.end(fd)

    def tick(self):
        if self.drip and time.monotonic() >= self.next:
            self.next += self.EVERY
            byte = self.drip[self.at % len(self.drip):][:1]
            self.at += 1
            for fd, s in self.socks.items():
                if fd not in self.broken:
                    self.send(s, byte)

    def close(self):
        for s in self.socks.values():
            s.close()


def run(crowds, until, seconds):
    """Lets the crowds do what they do until until() is true; False when that is not within so many seconds."""
    end = time.monotonic() + seconds
    with select.epoll() as poll:
        owner = {}
        for crowd in crowds:
            for fd in crowd.socks:
                owner[fd] = crowd
                poll.register(fd, select.EPOLLRDHUP | (select.EPOLLIN if crowd.reads else 0))
        while not (done := until()) and time.monotonic() < end:
            for fd, event in poll.poll(0.05):
                owner[fd].heard(fd, event)
                if fd in owner[fd].broken:
                    poll.unregister(fd)
            for crowd in crowds:
                crowd.tick()
        return bool(done)


def pulse(port, path, every, asked, end, out, tls):
    """In a process of its own: asks again and again on a new connection; the seconds each answer took."""
    context = ssl._create_unverified_context() if tls else None
    took = []
    while not end.is_set():
        began = time.monotonic()
        try:
            status = request(port, "GET", path, timeout=10, tls=context)[0]
        except OSError as e:
            status = str(e)
        took.append((time.monotonic() - began, status))
        asked.value += 1
        end.wait(every)
    out.send(took)
    out.close()


class Pulse:
    """with Pulse(port) as p: ...; p.p99(), p.statuses. `p.asked.value` counts meanwhile."""

    def __init__(self, port, path="/healthz", every=0.01, tls=False):
        self.end = multiprocessing.Event()
        self.asked = multiprocessing.Value("i", 0)
        self.read, write = multiprocessing.Pipe(duplex=False)
        self.child = multiprocessing.Process(target=pulse, args=(port, path, every, self.asked, self.end, write, tls),
                                             daemon=True)

    def __enter__(self):
        self.child.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        self.took = self.read.recv()
        self.child.join()
        self.statuses = {status for _, status in self.took}

    def p99(self):
        times = sorted(seconds for seconds, _ in self.took)
        return times[len(times) * 99 // 100]

    def __str__(self):
        times = sorted(seconds for seconds, _ in self.took)
        return (f"{len(times)} asked, p50 {times[len(times) // 2] * 1000:.1f} ms, p99 {self.p99() * 1000:.1f} ms, "
                f"longest {times[-1] * 1000:.1f} ms")


# ---- what the kernel knows about a process ---------------------------------------------------------------------------------


def memory(pid, key="VmRSS"):
    """Bytes."""
    return int(re.search(rf"^{key}:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M).group(1)) * 1024


def cpu_seconds(pid):
    """Of all its threads."""
    return time.clock_gettime((~pid << 3) | 2)


def descriptors(pid):
    return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))


def metric(port, name, tls=None):
    """The sum of a metric's series."""
    text = request(port, "GET", "/metrics", tls=tls)[1].decode()
    return sum(float(v) for v in re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", text, re.M))


def config(directory, values):
    """The arguments that give a server these keys."""
    path = pathlib.Path(directory) / "test.json"
    path.write_text(json.dumps(values), encoding="ascii")
    return ["--config", str(path)]
