"""Open files that other programs wrote, whatever their compression and encoding.

Agent files and tables are opened here only, so what holds for one of them holds for all.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, cast

from tinyfactory import settings
from tinyfactory.errors import FileTooLarge, InvalidInput
from tinyfactory.utils.files import check_size, expanded, open_file

HEAD = 65_536  # characters that tell the format and the delimiter
_PIECE = 1 << 20
_DELIMITERS = ",;\t|"
_MARKS = (  # the longest first: UTF-32 begins as UTF-16 does
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Source:
    r"""A file to read: its bytes without gzip, and its text in the encoding that it has.

    Parameters
    ----------
    path : path
        ``~`` is the home folder.
    error : type
        The error to raise for a file that cannot be read.
    limit : str
        The name of the limit for its size, packed and unpacked, in `tinyfactory.limits.Limits`.

    Attributes
    ----------
    guessed : bool
        Whether the text is not UTF-8 and has no mark, so that Windows-1252 was assumed. Known
        after the first use of `text`.

    Examples
    --------
    >>> import gzip, tempfile
    >>> path = Path(tempfile.mkdtemp()) / "people.CSV.gz"
    >>> _ = path.write_bytes(gzip.compress("name\nJosé".encode("utf-16")))
    >>> source = Source(path)
    >>> with source.text() as text:
    ...     text.read()
    'name\nJosé'
    >>> source.suffix
    '.csv'
    """

    def __init__(
        self,
        path: str | Path,
        error: Callable[[str], InvalidInput] = InvalidInput,
        limit: str = "file_bytes",
    ) -> None:
        self.path = expanded(path)
        self._error = error
        self._limit = limit
        self.guessed = False

    @property
    def suffix(self) -> str:
        """The ending of the name in lower case, without ``.gz``."""
        name = self.path.name.lower().removesuffix(".gz")
        return Path(name).suffix

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Open the file for bytes; one compressed with gzip is decompressed."""
        try:
            with self._raw() as raw:
                packed = raw.read(2) == b"\x1f\x8b"
                raw.seek(0)
                unpacked = _Unpacked(raw, self.path, self._limit) if packed else raw
                yield cast("IO[bytes]", unpacked)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._error(
                f"{self.path} could not be read: it is cut off or is not gzip ({error}). Copy the "
                "file again."
            ) from error
        except OSError as error:
            raise self._error(
                f"{self.path} could not be read: {error.strerror or error}."
            ) from error

    def _raw(self) -> IO[bytes]:
        try:
            return open_file(self.path, self._limit)
        except FileTooLarge:
            raise
        except InvalidInput as error:
            raise self._error(f"{self.path} could not be read: {error}") from error
        except ValueError as error:  # a null character
            raise self._error(f"{str(self.path)!r:.80} is not a path.") from error

    def document(self) -> str:
        """Read the whole text.

        Raises
        ------
        FileTooLarge
            For more than the limit of a document.
        """
        most = settings.limits().document_bytes
        with self.text() as text:
            found = text.read(most + 1)
        check_size(self.path, len(found), "document_bytes")
        return found

    @cached_property
    def start(self) -> bytes:
        """The first bytes, which tell the format of a file that is not text."""
        with self.opened() as file:
            return file.read(4)

    @contextmanager
    def text(self) -> Iterator[IO[str]]:
        """Open the file for text; line ends stay as they are."""
        with self.opened() as file:
            yield io.TextIOWrapper(file, encoding=self.encoding, newline="")

    def head(self) -> str:
        """Return the beginning of the text."""
        with self.text() as text:
            return text.read(HEAD)

    @cached_property
    def encoding(self) -> str:
        """The encoding: by its mark, else UTF-16 by its zeros, else UTF-8, else Windows-1252."""
        with self.opened() as file:
            first = file.read(1024)
            for mark, name in _MARKS:
                if first.startswith(mark):
                    return name
            if first.count(0) > len(first) // 4:  # every second byte of most texts in UTF-16
                return "utf-16-le" if first[1:2] == b"\0" else "utf-16-be"
            file.seek(0)
            fault = _fault(file, "utf-8")
            if fault is None:
                return "utf-8"
            file.seek(0)
            if b"\0" in first or _fault(file, "cp1252") is not None:
                raise self._error(
                    f"{self.path} is not text in UTF-8 (byte {fault}). Save it as UTF-8 and load "
                    "it again."
                )
        self.guessed = True
        return "cp1252"


class _Unpacked(gzip.GzipFile):
    """The content of a gzip file, up to a limit."""

    def __init__(self, file: IO[bytes], path: Path, limit: str) -> None:
        super().__init__(fileobj=file, mode="rb")
        self._of, self._limit = path, limit
        self._most: int = getattr(settings.limits(), limit)

    def read(self, size: int | None = -1) -> bytes:
        return self._checked(super().read(self._most + 1 if size is None or size < 0 else size))

    def read1(self, size: int = -1) -> bytes:
        return self._checked(super().read1(size))

    def _checked(self, content: bytes) -> bytes:
        check_size(self._of, self.tell(), self._limit)
        return content


def _fault(file: IO[bytes], encoding: str) -> int | None:
    """Return the place of the first byte that the encoding cannot have, or None."""
    decoder = codecs.getincrementaldecoder(encoding)()
    before = 0
    while True:
        piece = file.read(_PIECE)
        held = len(decoder.getstate()[0])
        try:
            decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            return before - held + error.start
        if not piece:
            return None
        before += len(piece)


def delimiter_of(head: str) -> str:
    r"""Return the delimiter of a table: the one that splits all lines into the same cells.

    Examples
    --------
    >>> delimiter_of('"name, in full";age\nAna;34\n'), delimiter_of("name\tmotto\nAna\ta, b\n")
    (';', '\t')
    """
    lines = head.splitlines(keepends=True)
    if lines and lines[0].lower().startswith("sep=") and len(lines[0].strip()) == 5:
        return lines[0][4]  # as Excel writes it
    best, most = ",", (False, 1)
    for delimiter in _DELIMITERS:
        rows = _cells(lines[:50], delimiter)
        width = len(rows[0]) if rows else 1
        # The last row may be cut off by the end of the head.
        same = all(len(row) == width for row in rows[: -1 if len(rows) > 2 else None] if any(row))
        if (same and width > 1, width) > most:
            best, most = delimiter, (same and width > 1, width)
    return best


def _cells(lines: list[str], delimiter: str) -> list[list[str]]:
    try:
        return list(csv.reader(lines, delimiter=delimiter))
    except csv.Error:
        return []
