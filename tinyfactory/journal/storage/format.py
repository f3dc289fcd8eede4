"""Whose folder it is and in which format, decided before anything in it is opened or changed.

The first 100 bytes of a database are its header. SQLite keeps two numbers there for programs:
`application_id` says that the file is a journal of this package, `user_version` is the format.

* Format 1 has neither number. It is recognised by its settings or its rows, and read as it is.
  The first release that writes to it enters both numbers; the rows stay as they are.
* Format 2 adds a seal to each row, a digest over its key and its value. Rows without one are of
  format 1, also when an older release adds them later, and are read by the rule of format 1.
* A newer format is refused, with the release that is needed.
* Everything else belongs to another program, and is refused untouched.
"""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from tinyfactory.errors import DamagedRecord, NewerJournal, NotAJournal
from tinyfactory.journal.storage.rescue import MAGIC, rescued
from tinyfactory.journal.values.stored_text import unseal
from tinyfactory.utils.concurrency import new_lock
from tinyfactory.utils.files import sync_folder

# "tfjn" in ASCII.
APPLICATION = 0x74666A6E
FORMAT = 2
# The setting that names the release that wrote to a journal last, and this release.
RELEASE = "tinyfactory_release"
THIS_RELEASE = "0.1.0"
# A number that no other program uses for these two settings of diskcache.
UNLIMITED = 2**62
# Names of other files that a folder for a new journal may have.
_HARMLESS = ("cache.db", "lost+found")
# The triggers of diskcache count rows and bytes.
# They contain no calls of functions and no statements on other tables than Settings. A text
# that was damaged on the disk has none of it either.
_OTHER_CODE = re.compile(
    r"\(|\b(SELECT|WITH|DELETE|INSERT|REPLACE|RAISE|UPDATE(?! Settings\b))\b", re.IGNORECASE
)
_RECORDING = ".recording.jsonl.gz"
Identity = tuple[int, int]

# Files that were examined and are open now. Opening and closing a file a second time would take
# away the locks that this process has on it, so their headers are not read again.
_open_files: Counter[Identity] = Counter()
examining = new_lock()


def identity(file: Path | str) -> Identity | None:
    """Device and number of a file, to notice when another file got its name; None without one."""
    try:
        found = os.stat(file)  # noqa: PTH116 - at every look-up, and a Path takes longer
    except OSError:
        return None
    return found.st_dev, found.st_ino


def hold(held: Identity | None, now: Identity | None) -> Identity | None:
    """Note that this process closes one database and opens another; the one that is open now."""
    if now is not None:
        _open_files[now] += 1
    if held is not None:
        _open_files[held] -= 1
    return now


@contextmanager
def as_damage() -> Iterator[None]:
    """Raise SQLite's error for a damaged file also where its contents are of another kind.

    Python reads SQLite's messages as UTF-8, and diskcache the names of settings as texts.
    """
    try:
        yield
    except (AttributeError, TypeError, ValueError) as error:
        damage = sqlite3.DatabaseError(f"it has contents of another kind: {error}")
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damage from error


def check_folder(folder: Path, file: Path, *, known: bool) -> None:
    """Refuse a folder that belongs to somebody else; nothing is changed or opened for writing.

    Call it with the lock `examining`, and `hold` the file before the lock is released.

    Parameters
    ----------
    folder, file : Path
        The folder, and its database, which may not exist.
    known : bool
        Whether a journal was open there before, so that other files in it are no reason.

    Raises
    ------
    NotAJournal
        When the database is not a journal, or there is none and the folder has other files.
    NewerJournal
        When the format is newer than this release can read.
    """
    now = identity(file)
    if now is None:
        if not known:
            _check_other_files(folder)
        return
    if _open_files[now] > 0:
        return
    if not stat.S_ISREG(file.stat().st_mode):  # opening a pipe waits for ever
        raise NotAJournal(
            f"{file} is not a regular file, so it is no journal. Nothing was changed. "
            "Give an empty or new folder: Simulation(path=...), control.begin(path=...)."
        )
    with file.open("rb") as opened:
        header = opened.read(100)
    if len(header) < 100 or not header.startswith(MAGIC):
        if header and not known:  # not even damaged, if there are files of others
            _check_other_files(folder)
        return
    version, application = struct.unpack(">I4xI", header[60:72])
    if application == APPLICATION:
        if version > FORMAT:
            raise _newer(folder, file, version)
        foreign = _has_code(file)
    else:
        foreign = bool(application) or not _is_format_1(file, version) or _has_code(file)
    if foreign:
        raise NotAJournal(
            f"{file} is a database of another program. Nothing in {folder} was changed. "
            "Give an empty or new folder: Simulation(path=...), control.begin(path=...)."
        )


def make_folder(folder: Path, file: Path) -> None:
    """Create the folder, with mode 0700, so that it is still there after a power cut."""
    missing = [level for level in (folder, *folder.parents) if not level.exists()]
    new = bool(missing) or not file.exists()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if new:
        for level in dict.fromkeys([folder, *missing]):
            # A parent that may not be read cannot be synced, neither by us nor by SQLite.
            with suppress(OSError):
                sync_folder(level.parent)


def _check_other_files(folder: Path) -> None:
    """Raise when files of others are in a folder that has no journal."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names only
    except OSError:
        return  # there is none, or opening the database tells the reason
    others = [
        n for n in names if not n.startswith((".", *_HARMLESS)) and not n.endswith(_RECORDING)
    ]
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise NotAJournal(
            f"{folder} has no journal but other files ({others[0]}{more}). Nothing was changed. "
            "Give an empty or new folder, such as "
            f"{str(folder / 'journal')!r}: Simulation(path=...), control.begin(path=...)."
        )


def _newer(folder: Path, file: Path, version: int) -> NewerJournal:
    release = None
    with suppress(sqlite3.Error), closing(_look_at(file)) as database:
        sql = "SELECT value FROM Settings WHERE key = ?"
        release = next((v for (v,) in database.execute(sql, (RELEASE,)).fetchall()), None)
    known = isinstance(release, str) and release != THIS_RELEASE
    needed = f"tinyfactory {release} or newer" if known else "a newer release of tinyfactory"
    return NewerJournal(
        f"The journal in {folder} has format {version}, and this release ({THIS_RELEASE}) reads "
        f"formats up to {FORMAT}. Nothing was changed. Install {needed} "
        "(pip install --upgrade tinyfactory), or give another folder: Simulation(path=...)."
    )


def _is_format_1(file: Path, version: int) -> bool:
    """Whether a database without our number is a journal of format 1, or holds nothing yet."""
    if version or file.with_name(file.name + "-wal").exists():
        return False
    try:
        with closing(_look_at(file)) as database, as_damage():
            return _has_format_1(database)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        # Too damaged to be asked. Rows with their digests are found all the same.
        return next(rescued(file), None) is not None


def _has_code(file: Path) -> bool:
    """Whether a database has views or triggers that a journal does not have.

    SQLite runs them whenever the tables are used, and they need never end.
    """
    query = "SELECT type, sql FROM sqlite_master WHERE type IN ('view', 'trigger')"
    try:
        with closing(_look_at(file)) as database, as_damage():
            found = database.execute(query).fetchall()
    except sqlite3.Error:
        return False  # damaged, or another process writes now: opening it tells
    return any(
        kind == "view" or _OTHER_CODE.search(str(sql).partition("BEGIN")[2]) is not None
        for kind, sql in found
    )


def _look_at(file: Path) -> sqlite3.Connection:
    """A connection that takes no lock and leaves no file behind."""
    database = sqlite3.connect(file.as_uri() + "?mode=ro&immutable=1", uri=True)
    database.text_factory = partial(str, encoding="utf-8", errors="replace")
    return database


def _has_format_1(database: sqlite3.Connection) -> bool:
    query = "SELECT name FROM sqlite_master WHERE type = 'table'"
    tables = {name for (name,) in database.execute(query).fetchall()}
    if tables != {"Cache", "Settings"}:
        return not tables
    settings: dict[Any, Any] = dict(database.execute("SELECT key, value FROM Settings").fetchall())
    if settings.get("size_limit") == settings.get("disk_min_file_size") == UNLIMITED:
        return True
    query = "SELECT mode = 17, CAST(key AS BLOB), CAST(value AS BLOB), tag FROM Cache LIMIT 100"
    rows = database.execute(query).fetchall()
    if not rows:  # nothing that anybody could lose, as after a kill while it was created
        return "eviction_policy" in settings
    return any(_is_ours(*row) for row in rows)


def _is_ours(ours: Any, key: Any, value: Any, tag: Any) -> bool:
    try:
        unseal(bool(ours), value, key.decode(), tag)
    except (DamagedRecord, ValueError, AttributeError):
        return False
    return True
