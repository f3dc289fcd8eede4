"""Atomic file writes: a file is complete or absent, whatever happens while it is written."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from tinyfactory.errors import InvalidInput, TinyFactoryError


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
        When there is no such user.

    Examples
    --------
    >>> expanded("~/people.csv") == Path.home() / "people.csv"
    True
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InvalidInput(
            f"{str(path)!r} begins with a user that this machine does not have. Write the whole "
            "path, or ./ before a name that begins with ~."
        ) from None


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
