"""Reading of files from others within limits, and atomic file writes.

A file that is written is complete or absent, whatever happens while it is written.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, BinaryIO, Self

from tinyfactory import settings
from tinyfactory.errors import FileTooLarge, InvalidInput, TinyFactoryError
from tinyfactory.limits import how_to_raise


class AtomicFile:
    """A new file that gets its name only when it is complete and synced.

    It is written under a hidden name in the same folder, so that the rename is one step. A file
    that has the name already stays untouched until then. As a context manager it is committed
    at the end of the block, and discarded when an error leaves the block.

    Parameters
    ----------
    path : Path
        A symbolic link is followed and keeps pointing to the same place.
    text : bool
        Open for UTF-8 text without translation of line ends; else for bytes.

    Attributes
    ----------
    file : file object
        To write to.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "notes.txt"
    >>> with AtomicFile(path, text=True) as new:
    ...     _ = new.file.write("complete")
    ...     path.exists()
    False
    >>> path.read_text()
    'complete'
    """

    def __init__(self, path: Path, *, text: bool = False) -> None:
        self._path = expanded(path).resolve()
        self._part = hidden_name(self._path)
        self.file: IO[Any] = (
            self._part.open("x", encoding="utf-8", newline="") if text else self._part.open("xb")
        )

    def commit(self) -> None:
        """Sync the file and give it its name; nothing when that was done."""
        if self.file.closed:
            return
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        self._part.replace(self._path)
        sync_folder(self._path.parent)

    def discard(self) -> None:
        """Remove the incomplete file; nothing after a commit."""
        with contextlib.suppress(OSError):  # a full disk also refuses to close the file
            self.file.close()
        self._part.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.commit()
        finally:
            self.discard()


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path with ``~`` as the home folder.

    Raises
    ------
    InvalidInput
        When it is no path, or there is no such user.

    Examples
    --------
    >>> expanded("~/people.csv") == Path.home() / "people.csv"
    True
    """
    try:
        return Path(path).expanduser()
    except TypeError:
        raise InvalidInput(
            f"A path must be a text or a pathlib.Path, not {path!r:.80}. Nothing was opened."
        ) from None
    except RuntimeError:
        raise InvalidInput(
            f"{str(path)!r} begins with a user that this machine does not have. Write the whole "
            "path, or ./ before a name that begins with ~."
        ) from None


def open_file(path: Path, limit: str) -> BinaryIO:
    """Open a regular file for reading, if it is not larger than a limit.

    A pipe, a device or a folder is refused at once: it may block or never end.

    Parameters
    ----------
    path : Path
        A symbolic link to a regular file is followed.
    limit : str
        The name of the limit in `tinyfactory.limits.Limits`.

    Raises
    ------
    InvalidInput
        If it is no regular file; `FileTooLarge` if it is larger than the limit.
    OSError
        If there is no such file, or it cannot be read.
    """
    # Opening a device may already change it, so its kind is looked up first; and it is looked up
    # again when it is open, because another file may have taken its place.
    _check_regular(path, path.stat())
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        found = os.fstat(handle)
        _check_regular(path, found)
        check_size(path, found.st_size, limit)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_file(path: Path, limit: str = "document_bytes") -> bytes:
    """Read a regular file that is not larger than a limit; see `open_file`.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "notes.txt"
    >>> _ = path.write_text("two words")
    >>> read_file(path)
    b'two words'
    >>> read_file(Path("/dev/zero"))
    Traceback (most recent call last):
        ...
    tinyfactory.errors.InvalidInput: /dev/zero is not a regular file...
    """
    with open_file(path, limit) as file:
        # The size of a file that grows, or of one below /proc, is known only when it is read.
        content = file.read(getattr(settings.limits(), limit) + 1)
    check_size(path, len(content), limit)
    return content


def read_lines(path: Path, limit: str = "file_bytes") -> Iterator[bytes]:
    """The lines of a regular file, each with its line end and not longer than `line_bytes`.

    Raises
    ------
    FileTooLarge
        For a file larger than the limit, or a longer line.
    """
    most = settings.limits().line_bytes
    with open_file(path, limit) as file:
        number = 0
        while line := file.readline(most + 1):
            number += 1
            if len(line) > most:
                raise FileTooLarge(
                    f"{path}: line {number} has more than {most:,} bytes, which is the limit "
                    f"line_bytes. Nothing was loaded. {how_to_raise('line_bytes')}"
                )
            yield line


def check_size(path: Path, size: int, limit: str) -> None:
    """Raise `FileTooLarge` for a file of more bytes than the limit."""
    most: int = getattr(settings.limits(), limit)
    if size > most:
        raise FileTooLarge(
            f"{path} has more than {most:,} bytes, which is the limit {limit}. Nothing was "
            f"loaded. {how_to_raise(limit, size)}"
        )


def _check_regular(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for test, name in _KINDS if test(found.st_mode)), "a special file")
        raise InvalidInput(
            f"{path} is not a regular file but {kind}. Nothing was read. Give the path of a file."
        )


_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def hidden_name(path: Path) -> Path:
    """A new hidden name in the same folder."""
    return path.with_name(f".{path.name[:80]}.{secrets.token_hex(4)}.new")


def sync_folder(folder: Path) -> None:
    """Sync a folder's list of names to disk; Windows does so by itself."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Raise an error of the disk as one that says what it means for the file at `path`.

    Raises
    ------
    TinyFactoryError
        When the disk refuses; a file that was at the path is still there.
    """
    try:
        yield
    except OSError as error:
        raise TinyFactoryError(
            f"{path} could not be written: {error.strerror or error}. The file that was there "
            "before is unharmed. Make room or choose another place, and save again."
        ) from error
