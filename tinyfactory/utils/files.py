"""A file that is there whole or not at all, whatever happens while it is written."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tinyfactory.errors import TinyFactoryError


def beside(path: Path) -> Path:
    """A new hidden name in the same folder, so that moving it into place is one step."""
    return path.with_name(f".{path.name[:80]}.{secrets.token_hex(4)}.new")


def put_in_place(new: Path, path: Path) -> None:
    """Give a complete and synced file its final name."""
    new.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have the disk keep the folder's list of names; Windows does so by itself."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Say what a disk's refusal means for the file at `path`.

    Raises
    ------
    TinyFactoryError
        When the disk refuses; what was at the path is still there.
    """
    try:
        yield
    except OSError as error:
        raise TinyFactoryError(
            f"{path} could not be written: {error.strerror or error}. What was there before is "
            "unharmed. Make room or choose another place, and save again."
        ) from error
