"""Encoded JSON as stored text: its digests, which make keys, and its seals."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from json.scanner import make_scanner
from typing import Any

from tinyfactory.errors import DamagedRecord, NotSerialisable

# Marks an encoded value that JSON has no form for. A user's dictionary with this key is
# written as pairs, so it cannot be mistaken for a mark.
MARK = "$"
# The length of a digest.
_DIGITS = 40


def _writer(*, sort_keys: bool) -> Callable[[Any], str]:
    """A function that writes encoded JSON as compact text.

    `json.dumps` makes its encoder anew for each call, and takes twice as long.
    """
    options = json.JSONEncoder(
        ensure_ascii=False,
        separators=(",", ":"),
        allow_nan=False,
        check_circular=False,  # encoded values hold no circles
        sort_keys=sort_keys,
    )
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # a Python without the module in C
        return options.encode
    text = json.encoder.encode_basestring
    in_pieces = make(None, options.default, text, None, ":", ",", sort_keys, False, False)

    def write(value: Any) -> str:
        try:
            return "".join(in_pieces(value, 0))
        except ValueError as error:  # Python's limit on the digits of a number
            raise NotSerialisable(
                f"A number is too long for the journal ({error}). Nothing was done. Use a text, or "
                "a float."
            ) from None

    return write


_text = _writer(sort_keys=False)
_sorted_text = _writer(sort_keys=True)
_parse = make_scanner(json.JSONDecoder())  # type: ignore[arg-type]  # its stub is wrong
_QUOTED_MARK = f'"{MARK}"'
# The beginning, in sorted text, of a dictionary that is stored as pairs.
_PAIRS = f'{{"{MARK}":"dict",'


def to_text(encoded: Any) -> str:
    """Encoded JSON as compact text; keys keep their order, so that a replay shows the same."""
    return _text(encoded)


class Plain(dict[str, Any]):
    """A dictionary out of stored text that holds no mark: its parts need no decoding."""

    __slots__ = ()


def from_text(text: str) -> Any:
    """Encoded JSON out of the text that `to_text` wrote.

    Examples
    --------
    >>> from_text(to_text({"a": [1]})), type(from_text("{}"))
    ({'a': [1]}, <class 'tinyfactory.journal.values.stored_text.Plain'>)
    """
    try:
        value, end = _parse(text, 0)
    except (StopIteration, ValueError, RecursionError):
        end = None
    if end != len(text):
        raise DamagedRecord("The journal holds a value that is no JSON, or too deep.")
    # One character is found in a twentieth of the time of three.
    marked = MARK in text and _QUOTED_MARK in text
    return value if marked or type(value) is not dict else Plain(value)


def digest(*parts: Any) -> str:
    """SHA-256 over the parts with sorted keys, as 40 hex digits.

    Examples
    --------
    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    >>> len({digest(1), digest(1.0), digest(True), digest("1")})
    4
    """
    text = _sorted_text(parts)
    if MARK in text and _PAIRS in text:  # not part of a user's text, where quotes are escaped
        text = _sorted_text(_with_sorted_pairs(parts))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:_DIGITS]


def _with_sorted_pairs(value: Any) -> Any:
    """Encoded JSON in which dictionaries stored as pairs are sorted by key."""
    if isinstance(value, (list, tuple)):
        return [_with_sorted_pairs(item) for item in value]
    if not isinstance(value, dict):
        return value
    value = {key: _with_sorted_pairs(item) for key, item in value.items()}
    if value.get(MARK) == "dict":
        value["items"].sort(key=lambda pair: _sorted_text(pair[0]))
    return value


def digest_text(text: str) -> str:
    """SHA-256 of a text, as 40 hex digits (160 bits: collisions stay out of reach)."""
    return digest_bytes(text.encode("utf-8"))


def digest_bytes(text: bytes) -> str:
    """`digest_text` of a text in UTF-8."""
    return hashlib.sha256(text).hexdigest()[:_DIGITS]


class Sealed(str):
    """A value's text with its digest, as it is stored."""

    __slots__ = ()


def seal(value: Any) -> Sealed:
    """A JSON value in its stored form.

    Examples
    --------
    >>> unseal(True, seal({"a": 1}).encode())
    {'a': 1}
    """
    text = to_text(value)
    return Sealed(digest_text(text) + text)


def seal_under(key: str, row: str) -> str:
    """The seal of a row under its key: under another key the row is not valid.

    Examples
    --------
    >>> row = seal({"a": 1})
    >>> unseal(True, row.encode(), "key", seal_under("key", row))
    {'a': 1}
    >>> unseal(True, row.encode(), "another", seal_under("key", row))
    Traceback (most recent call last):
        ...
    tinyfactory.errors.DamagedRecord: A value of the journal differs from the stored one.
    """
    return digest_text(f"{key}\n{row}")


def unseal(ours: bool, row: bytes | None, key: str = "", key_seal: Any = None) -> Any:
    """The value of a stored row.

    Parameters
    ----------
    ours : bool
        Whether the row is of the kind that the journal writes.
    row : bytes or None
        Its text.
    key, key_seal : str
        Its key, and its seal under the key. A row of format 1 has no seal; its text begins with
        its digest, as in all formats.

    Raises
    ------
    DamagedRecord
        For anything but our own text exactly as it was stored. Other rows are not looked at:
        no pickle is loaded, no file is opened.
    """
    if not ours or row is None:
        raise DamagedRecord("A row of the journal is of an unknown kind; it was not read.")
    if key_seal is None:
        whole, expected = row[_DIGITS:], row[:_DIGITS]
    else:
        whole, expected = b"%b\n%b" % (key.encode(errors="replace"), row), key_seal
        expected = expected.encode() if type(expected) is str else b""
    if hashlib.sha256(whole).hexdigest()[:_DIGITS].encode() != expected:
        raise DamagedRecord("A value of the journal differs from the stored one.")
    try:
        text = row[_DIGITS:].decode()
    except UnicodeDecodeError:
        raise DamagedRecord("The journal holds a value that is no text.") from None
    return from_text(text)


def unseal_text(row: Sealed) -> Any:
    """The value of a row that was never on disk."""
    return from_text(row[_DIGITS:])


def outline(value: Any) -> Any:
    """A value in short, to tell what differs: small parts as they are, long texts as digests."""
    if isinstance(value, dict):
        return {key: outline(part) for key, part in value.items()}
    if isinstance(value, list):
        return [outline(part) for part in value]
    return digest(value) if isinstance(value, str) and len(value) > 200 else value
