"""Disks after a power cut, rebuilt from a log of what a process did to its files.

`shim` builds a library that is preloaded into a process and logs its calls. `Disk` follows the log
and knows what is safe at each point: a file's content after a sync of the file, and a name after a
sync of its folder. `images` are the disks that a power cut may leave; without a sync a write or a
name may be there or not, and of several the first ones may be there.
"""

from __future__ import annotations

import functools
import hashlib
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("disk_shim.c")
ACKNOWLEDGED = "acknowledged"


@functools.cache
def shim() -> Path:
    """The library; skips the test where it cannot be built."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("the library that logs system calls needs Linux and a C compiler")
    library = Path(tempfile.mkdtemp()) / "disk_shim.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        pytest.skip(f"the library that logs system calls cannot be built: {built.stderr[:200]}")
    return library


@dataclass
class Call:
    kind: str
    inode: int
    offset: int
    path: str
    data: bytes


def calls(log: Path) -> Iterator[Call]:
    """The calls in a log, in order."""
    content, at = log.read_bytes(), 0
    while at < len(content):
        kind = chr(content[at])
        inode, offset, named, length, _ = struct.unpack("=5Q", content[at + 1 : at + 41])
        at += 41
        path = content[at : at + named].decode()
        at += named
        yield Call(kind, inode, offset, path, content[at : at + length])
        at += length


Names = dict[str, int | None]  # by path; None for a folder


@dataclass
class File:
    safe: bytes = b""
    # Writes and truncations since the last sync.
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def content(self, number: int | None = None) -> bytes:
        """The content with so many of the pending changes."""
        content = bytearray(self.safe)
        for offset, data in self.pending[:number]:
            if data is None:
                del content[offset:]
            else:
                content.extend(bytes(max(0, offset - len(content))))
                content[offset : offset + len(data)] = data
        return bytes(content)


class Disk:
    """What is on a disk below a folder, for sure and perhaps."""

    def __init__(self, top: Path) -> None:
        self.top = str(top)
        self.files: dict[int, File] = {}
        self.names: Names = {}  # that are safe
        self.pending: list[tuple[str, int | None, bool]] = []  # path, file, whether it is there
        self.inodes: dict[str, int] = {}
        self.acknowledged: list[str] = []
        self._number = 0
        self._by_inode: dict[int, int] = {}

    def follow(self, call: Call) -> None:
        """Do one call of the log."""
        if Path(call.path).name == ACKNOWLEDGED:
            if call.kind == "w":
                self.acknowledged += call.data.decode().split()
            return
        match call.kind:
            case "c":
                self._number += 1
                self._by_inode[call.inode] = self._number
                self.files[self._number] = File()
                self.pending.append((call.path, self._number, True))
            case "d":
                self.pending.append((call.path, None, True))
            case "u":
                self.pending.append((call.path, None, False))
            case "r":
                number = self._now().get(call.path)
                self.pending.append((call.path, None, False))
                self.pending.append((call.data.decode(), number, True))
            case "w":
                self._file(call).pending.append((call.offset, call.data))
            case "t":
                self._file(call).pending.append((call.offset, None))
            case "s" if call.inode in self._by_inode:
                file = self._file(call)
                file.safe, file.pending = file.content(), []
            case "s":  # a folder: the names in it are safe
                mine = [p for p in self.pending if str(Path(p[0]).parent) == call.path]
                self._apply(self.names, mine)
                self.pending = [p for p in self.pending if p not in mine]

    def _file(self, call: Call) -> File:
        return self.files[self._by_inode[call.inode]]

    def _now(self) -> Names:
        names = dict(self.names)
        self._apply(names, self.pending)
        return names

    @staticmethod
    def _apply(names: Names, changes: list[tuple[str, int | None, bool]]) -> None:
        for path, number, there in changes:
            if there:
                names[path] = number
            else:
                names.pop(path, None)

    def images(self) -> Iterator[dict[str, bytes | None]]:
        """The disks that a power cut may leave now: contents by path, None for a folder."""
        for number in range(len(self.pending) + 1):
            names = dict(self.names)
            self._apply(names, self.pending[:number])
            there = {p: n for p, n in names.items() if self._reachable(p, names)}
            longest = max((len(self.files[n].pending) for n in there.values() if n), default=0)
            for writes in range(longest + 1):
                yield {
                    path: None if file is None else self.files[file].content(writes)
                    for path, file in there.items()
                }

    def _reachable(self, path: str, names: Names) -> bool:
        """Whether all folders above it are on the disk."""
        parents = [str(p) for p in Path(path).parents if str(p).startswith(self.top)]
        return all(p in names for p in parents if p != self.top)


def digest_of(image: dict[str, bytes | None]) -> str:
    """A digest of an image: equal ones are opened once."""
    parts = hashlib.sha256()
    for path, content in sorted(image.items()):
        parts.update(repr((path, content and hashlib.sha256(content).hexdigest())).encode())
    return parts.hexdigest()


def write_image(image: dict[str, bytes | None], top: str, place: Path) -> None:
    """Write an image below another folder."""
    for path, content in sorted(image.items()):
        target = place / Path(path).relative_to(top)
        if content is None:
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
