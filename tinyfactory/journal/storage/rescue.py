"""The rows of a damaged database, read page by page without SQLite.

SQLite refuses a file that was cut off, and stops at the first page of its tree that is damaged.
Each row has its digest, so the leaf pages can be read one by one: a row that matches its digest is
the row that was stored, wherever its page lies. The file is only read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tinyfactory.errors import DamagedRecord
from tinyfactory.journal.values.stored_text import Sealed, unseal

MAGIC = b"SQLite format 3\x00"
_HEADER = 100
_TABLE_LEAF = 0x0D
_COLUMNS = 12
_OUR_MODE = 17
# Sizes of numbers in a record, by their serial type.
_SIZES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)


class Row(NamedTuple):
    """A row that matches its digest; `seal` is None for one of format 1."""

    key: str
    row: Sealed
    seal: str | None


def rescued(path: Path) -> Iterator[Row]:
    """The rows of a database file that are complete, in the order in which they were stored.

    Parameters
    ----------
    path : Path
        A file that SQLite may no longer be able to read.
    """
    with path.open("rb") as file:
        pages = _Pages(file)
        places = sorted(pages.cells())
        last: int | None = None
        for rowid, number, start in places:
            if rowid == last:
                continue  # an old copy of a page
            found = pages.row(number, start)
            if found is not None:
                last = rowid
                yield found


class _Pages:
    """The pages of a database file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        header = file.read(_HEADER).ljust(_HEADER, b"\0")
        readable = header.startswith(MAGIC)
        size = struct.unpack(">H", header[16:18])[0] if readable else 0
        size = 65536 if size == 1 else size
        self.size = size if size >= 512 and size & (size - 1) == 0 else 4096
        # Bytes of a page that hold content.
        self._usable = self.size - (header[20] if readable else 0)
        length = file.seek(0, 2)
        self.number = -(-length // self.size)
        self._length = length
        self._free = self._freed(struct.unpack(">I", header[32:36])[0]) if readable else set()

    def page(self, number: int) -> bytes:
        """A page by its number, from 1; what lies beyond the end of the file is zero."""
        self._file.seek((number - 1) * self.size)
        return self._file.read(self.size).ljust(self.size, b"\0")

    def _freed(self, trunk: int) -> set[int]:
        """The pages that hold nothing any more: their old rows were removed on purpose."""
        free: set[int] = set()
        while 0 < trunk <= self.number and trunk not in free:
            free.add(trunk)
            page = self.page(trunk)
            trunk, count = struct.unpack(">II", page[:8])
            count = min(count, self.size // 4 - 2)
            free.update(struct.unpack(f">{count}I", page[8 : 8 + 4 * count]))
        return free

    def cells(self) -> Iterator[tuple[int, int, int]]:
        """Row number, page and place in the page of all cells of tables."""
        for number in range(1, self.number + 1):
            if number in self._free:
                continue
            page = self.page(number)
            begin = _HEADER if number == 1 else 0
            if page[begin] != _TABLE_LEAF:
                continue
            count = int.from_bytes(page[begin + 3 : begin + 5], "big")
            for pointer in range(begin + 8, begin + 8 + 2 * count, 2):
                start = int.from_bytes(page[pointer : pointer + 2], "big")
                try:
                    _, behind = _varint(page, start)
                    rowid, _ = _varint(page, behind)
                except IndexError:
                    continue
                yield rowid, number, start

    def row(self, number: int, start: int) -> Row | None:
        """The row in a cell, if it is one of a journal and complete."""
        page = self.page(number)
        try:
            length, behind = _varint(page, start)
            _, behind = _varint(page, behind)
            payload = self._payload(page, length, behind)
            return None if payload is None else _row_of(payload)
        except (IndexError, ValueError, DamagedRecord):
            return None

    def _payload(self, page: bytes, length: int, start: int) -> bytes | None:
        """The content of a cell, with its part on overflow pages."""
        if length > self._length:
            return None
        most = self._usable - 35
        if length <= most:
            return page[start : start + length]
        least = (self._usable - 12) * 32 // 255 - 23
        here = least + (length - least) % (self._usable - 4)
        here = here if here <= most else least
        parts, missing = [page[start : start + here]], length - here
        following = int.from_bytes(page[start + here : start + here + 4], "big")
        while missing > 0:
            if not 0 < following <= self.number:
                return None
            page = self.page(following)
            following = int.from_bytes(page[:4], "big")
            parts.append(page[4 : 4 + min(missing, self._usable - 4)])
            missing -= self._usable - 4
        return b"".join(parts)


def _varint(data: bytes, start: int) -> tuple[int, int]:
    """A number of one to nine bytes, and the place behind it."""
    value = 0
    for place in range(start, start + 8):
        byte = data[place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    return value << 8 | data[start + 8], start + 9


def _row_of(payload: bytes) -> Row | None:
    """The row in a record of the table of rows; None for a record of another table."""
    header, place = _varint(payload, 0)
    kinds: list[int] = []
    while place < header:
        kind, place = _varint(payload, place)
        kinds.append(kind)
    if len(kinds) != _COLUMNS:
        return None
    values: list[object] = []
    for kind in kinds:
        size = _SIZES[kind] if kind < len(_SIZES) else max(kind - 12, 0) // 2
        content = payload[place : place + size]
        place += size
        if kind >= 13 and kind % 2:  # text
            values.append(content)
        elif kind in (8, 9):
            values.append(kind - 8)
        elif 1 <= kind <= 6:
            values.append(int.from_bytes(content, "big", signed=True))
        else:
            values.append(None if kind == 0 else content.hex())
    _, key, raw, _, _, _, _, tag, _, mode, filename, value = values
    ours = mode == _OUR_MODE and filename is None and type(value) is bytes
    if raw != 1 or type(key) is not bytes or type(value) is not bytes:
        return None
    name = key.decode()
    seal = tag.decode() if type(tag) is bytes else tag
    unseal(ours, value, name, seal)
    return Row(name, Sealed(value.decode()), seal if type(seal) is str else None)
