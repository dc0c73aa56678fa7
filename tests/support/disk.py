"""The disk under a real process (disk.c, by LD_PRELOAD): calls that fail, and what a power cut leaves.

A power cut leaves what was synced, and of everything since nothing, all, or any 512-byte sectors; of new, removed and linked
names that no sync of their directory covered, the first few. After a failed fsync it is worse, as on Linux: what that call
should have made durable may be lost although later ones succeed, unless it is written again.
"""

import ctypes
import mmap
import os
import pathlib
import shutil
import struct

SOURCE = pathlib.Path(__file__).resolve().parents[2]
SHIM = SOURCE / "build/debug/tests/libdisk.so"
CALLS = ("OPEN", "READ", "WRITE", "SYNC", "TRUNCATE", "UNLINK", "LINK", "STAT", "LOCK", "MAP")
CONTROL = struct.Struct(f"=IIIi8sI{len(CALLS)}I")
RECORD = struct.Struct("=IIIIQQ")
SECTOR = 512
PUNCH_HOLE = 3  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
LIBC = ctypes.CDLL(None, use_errno=True)


class File:
    def __init__(self, synced=b""):
        self.synced = bytearray(synced)
        self.since = []  # (at, bytes), or (size, None)


def put(content, at, data):
    if len(content) < at:
        content.extend(bytes(at - len(content)))
    content[at:at + len(data)] = data


def apply(content, changes, keep=lambda: True):
    """Sector by sector; a change of the size is one thing."""
    for at, data in changes:
        if data is None:
            if keep():
                del content[at:]
                content.extend(bytes(at - len(content)))
            continue
        for done in range(0, len(data), SECTOR):
            if keep():
                put(content, at + done, data[done:done + SECTOR])


class Disk:
    """Of one process. `directory` holds what was durable before it; `scratch` is ours."""

    def __init__(self, directory, scratch, random):
        if not SHIM.exists():
            raise FileNotFoundError(f"{SHIM}: build the preset debug first")
        self.directory = pathlib.Path(directory)
        self.random = random
        scratch = pathlib.Path(scratch)
        scratch.mkdir()
        self.journal = scratch / "journal"
        self.journal.write_bytes(b"")
        self.position = 0
        self.control_path = scratch / "control"
        self.control_path.write_bytes(bytes(CONTROL.size))
        with open(self.control_path, "r+b") as f:
            self.control = mmap.mmap(f.fileno(), CONTROL.size)
        self.inodes = {}
        self.steady = {p.name: File(p.read_bytes()) for p in self.directory.iterdir() if self.counts(p.name)}
        self.naming = []  # (name, File or None) that are not durable yet
        self.names = dict(self.steady)

    @staticmethod
    def counts(name):
        return name and not name.endswith(("-shm", ".lock"))  # nothing in these outlives a process

    def environment(self, follow=True):
        return {"LD_PRELOAD": str(SHIM), "DISK_DIR": str(self.directory), "DISK_CONTROL": str(self.control_path),
                "DISK_JOURNAL": str(self.journal) if follow else None}

    # --- failing

    def fail(self, call, n=0, times=1, error=0, only=""):
        """From the n-th such call from now on, `times` fail, on files whose name ends in `only`."""
        self.control[:CONTROL.size] = CONTROL.pack(CALLS.index(call), n, 0, error, only.encode(), 0, *[0] * len(CALLS))
        self.control[8:12] = struct.pack("=I", times)

    def failed(self):
        return CONTROL.unpack(self.control[:CONTROL.size])[5]

    def heal(self):
        """How many have failed."""
        self.control[8:12] = bytes(4)
        self.read()
        return self.failed()

    # --- the journal

    def name_of(self, path):
        return os.path.relpath(path, self.directory)

    def rename(self, name, file):
        if self.counts(name):
            self.naming.append((name, file))
            self.names[name] = file

    def opened(self, op, ino, name):
        if op == "O":
            self.inodes[ino] = File()
            self.rename(name, self.inodes[ino])
        elif ino not in self.inodes:
            self.inodes[ino] = self.names.get(name) or File()

    def happened(self, op, ino, at, path, data):
        file = self.inodes.get(ino)
        if op in "oO":
            self.opened(op, ino, self.name_of(path.decode()))
        elif op == "w":
            file.since.append((at, data))
        elif op == "t":
            file.since.append((at, None))
        elif op == "s":
            apply(file.synced, file.since)
            file.since = []
        elif op == "F":
            apply(file.synced, file.since, self.coin())
            file.since = []
        elif op == "u":
            self.rename(self.name_of(path.decode()), None)
        elif op == "l":
            self.rename(self.name_of(data.decode()), self.names[self.name_of(path.decode())])
        elif op == "S":
            self.settle(len(self.naming))

    def settle(self, n):
        for name, file in self.naming[:n]:
            self.steady[name] = file
        del self.naming[:n]

    def read(self):
        with open(self.journal, "rb") as f:
            f.seek(self.position)
            text = f.read()
        done = 0
        while len(text) - done >= RECORD.size:
            op, path_n, n, _, ino, at = RECORD.unpack_from(text, done)
            begin = done + RECORD.size
            if len(text) - begin < path_n + n:
                break
            self.happened(chr(op), ino, at, text[begin:begin + path_n], text[begin + path_n:begin + path_n + n])
            done = begin + path_n + n
        self.position += done
        self.forget()

    def forget(self):
        """What was read of the journal takes no more room; where its writer goes on stays the same."""
        with open(self.journal, "r+b") as f:
            if self.position and LIBC.fallocate(f.fileno(), PUNCH_HOLE, ctypes.c_long(0), ctypes.c_long(self.position)):
                raise OSError(ctypes.get_errno(), "fallocate", str(self.journal))

    # --- the cut

    def coin(self):
        """Nothing, everything, or any."""
        mood = self.random.randrange(3)
        return (lambda: False, lambda: True, lambda: self.random.random() < 0.5)[mood]

    def cut(self, into):
        """What a power cut now would leave. All that anybody was told before this call must be there."""
        self.read()
        names = dict(self.steady)
        for name, file in self.naming[:self.random.randint(0, len(self.naming))]:
            names[name] = file
        into = pathlib.Path(into)
        into.mkdir()
        for name, file in names.items():
            if file is not None:
                content = bytearray(file.synced)
                apply(content, file.since, self.coin())
                (into / name).write_bytes(content)
                (into / name).chmod(0o600)

    def close(self):
        self.control.close()
        shutil.rmtree(self.journal.parent)
