"""Any value that comes in, made plain JSON: text keys, finite numbers, text that can be written."""

from __future__ import annotations

import math
import re
from typing import Any

from tinyfactory.errors import InvalidPersona

MAX_DEPTH = 40

_NUL_OR_SURROGATE = re.compile("[\x00\ud800-\udfff]")


def clean(text: str) -> str:
    """`text` without NUL characters and lone surrogates, which UTF-8 and databases refuse.

    Examples
    --------
    >>> clean("An" + chr(0) + "a" + chr(0xD800))
    'Ana�'
    """
    if not _NUL_OR_SURROGATE.search(text):
        return text
    return _NUL_OR_SURROGATE.sub(lambda m: "" if m[0] == "\x00" else "\ufffd", text)


def plain(value: Any, depth: int = 0) -> Any:
    """A copy of `value` that is plain JSON.

    Tuples and arrays become lists, dates and UUIDs text, and NaN, which is how tables write
    a missing value, None.

    Raises
    ------
    InvalidPersona
        For what JSON cannot hold, and for nesting deeper than `MAX_DEPTH`.

    Examples
    --------
    >>> plain({"a": (1, float("nan"))})
    {'a': [1, None]}
    """
    if depth > MAX_DEPTH:
        raise InvalidPersona(
            f"The description is nested more than {MAX_DEPTH} levels deep; write it flatter."
        )
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return clean(str(value))
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if math.isinf(value):
            raise InvalidPersona("A number is infinite; expected a finite number.")
        return None if math.isnan(value) else float(value)
    if isinstance(value, dict):
        return _plain_object(value, depth)
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    return _plain_cell(value, depth)


def _plain_object(value: dict[Any, Any], depth: int) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, item in value.items():
        name = clean(key if isinstance(key, str) else str(key))
        if name in out:
            raise InvalidPersona(f"Two fields are both named {name[:60]!r}; keep one.")
        out[name] = plain(item, depth + 1)
    return out


def _plain_cell(value: Any, depth: int) -> Any:
    """What stands in a cell of a table: known by what it can do, so that nothing is imported."""
    if hasattr(value, "tolist"):
        return plain(value.tolist(), depth + 1)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if type(value).__name__ in ("UUID", "Decimal"):
        return str(value)
    raise InvalidPersona(
        f"A value of type {type(value).__name__} cannot be kept; "
        "expected text, a number, true, false, null, a list or an object."
    )
