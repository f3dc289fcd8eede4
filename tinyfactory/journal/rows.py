"""A value as it stands in a row: its digest, then its text. What is refused, and why."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from typing import Any

from tinyfactory.errors import DamagedRecord
from tinyfactory.journal.canonical import digest_text, to_text

# diskcache's own modes end at 4 (pickle); a row of any other mode than this is not ours.
OUR_MODE = 17
_DIGITS = 40
# As bytes, so that text that is no longer text can be told from text.
READ = (
    "SELECT mode, filename, typeof(value), CAST(value AS BLOB) FROM Cache WHERE key = ? AND raw = 1"
)
PRESENT = "SELECT 1 FROM Cache WHERE key = ? AND raw = 1"
# Keys that are no text of ours were planted; nothing is looked up by them.
KEYS = (
    "SELECT rowid, CAST(key AS BLOB) FROM Cache "
    "WHERE rowid > ? AND raw = 1 AND typeof(key) = 'text' ORDER BY rowid LIMIT 1000"
)


class Sealed(str):
    """A value with its digest, ready to be stored."""

    __slots__ = ()


def seal(value: Any) -> Sealed:
    """A JSON value as it will stand in its row.

    Examples
    --------
    >>> unseal(OUR_MODE, None, "text", seal({"a": 1}).encode())
    {'a': 1}
    """
    text = to_text(value)
    return Sealed(digest_text(text) + text)


def unseal(mode: int, filename: str | None, kind: str, row: bytes | None) -> Any:
    """The value out of a row.

    Raises
    ------
    DamagedRecord
        For anything but text of our own that is as it was stored. Nothing else is looked
        at: no pickle is loaded, no file is opened.
    """
    if mode != OUR_MODE or filename is not None or kind != "text" or row is None:
        raise DamagedRecord("A row of the journal is of a kind never written; it was not read.")
    text = row[_DIGITS:]
    if hashlib.sha256(text).hexdigest()[:_DIGITS].encode() != row[:_DIGITS]:
        raise DamagedRecord("A value of the journal differs from what was stored.")
    return json.loads(text)


def unseal_text(row: Sealed) -> Any:
    """The value of a row that was never on disk."""
    return json.loads(row[_DIGITS:])


def told_by(error: BaseException) -> list[int]:
    """SQLite's codes for an error and for those that it covers, as diskcache's Timeout does."""
    codes = []
    while error is not None:
        code = getattr(error, "sqlite_errorcode", None)
        if code is not None:
            codes.append(code & 0xFF)
        if error.__context__ is None:
            break
        error = error.__context__
    return codes


def is_damage(error: BaseException) -> bool:
    """Whether the database itself is no longer readable. One that is locked is not damaged."""
    return any(code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) for code in told_by(error))


def is_forbidden(error: BaseException) -> bool:
    """Whether it may not be written, as against: it cannot be written at present."""
    forbidden = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
    return any(code in forbidden for code in told_by(error)) or isinstance(error, PermissionError)


def is_busy(error: BaseException) -> bool:
    """Whether another process held the database for longer than the patience lasted."""
    return any(code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) for code in told_by(error))


def reason(error: BaseException) -> str:
    """What SQLite or the system said, in a few words."""
    first = error
    while first.__context__ is not None and not str(first):
        first = first.__context__
    return str(first) or type(first).__name__
