"""Finds JSON in a text: where a value begins, where it ends, and whether it ends at all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LIKELY_START = re.compile(r"[\[{]\s*(?:[\"'{\[]|\w+\s*:)")
_TOKEN = re.compile(r"\\.|[\"'\[\]{},:]|[^\s\\\"'\[\]{},:]+", re.DOTALL)
_AFTER_TEXT = re.compile(r"\s*(?:[,:\]}]|$)")
_PAIRS = {"]": "[", "}": "{"}
# A text has some values: a draft, an example, the answer. More are not read.
_MOST = 100


@dataclass(frozen=True, slots=True)
class Found:
    """A JSON value in a text, its first and last position, and whether it was valid JSON."""

    value: Any
    start: int
    end: int
    valid: bool


def end_of(text: str, start: int) -> int | None:
    """Return the position behind the list or object that begins at `start`; None if it has no end.

    Quotes count where JSON may have them, so broken JSON has an end as well.

    Examples
    --------
    >>> end_of('{"a": "}", } and so on', 0), end_of('{"a": ["x"', 0)
    (12, None)
    """
    pending: list[str] = []
    quote, before = "", ""
    for token in _TOKEN.finditer(text, start):
        sign = token[0]
        if quote:
            # A quote within a text is not followed by the sign that follows a text.
            if sign == quote and _AFTER_TEXT.match(text, token.end()):
                quote, before = "", sign
        elif sign in "[{":
            pending.append(sign)
            before = sign
        elif sign in _PAIRS:
            if _PAIRS[sign] in pending:
                while pending.pop() != _PAIRS[sign]:
                    pass
            if not pending:
                return token.end()
            before = sign
        elif sign in "\"'" and before in "[{,:":
            quote = sign
        else:
            before = sign[-1]
    return None


def values_in(text: str, repair: Callable[[str], Any]) -> tuple[list[Found], bool]:
    """Return the outermost lists and objects in a text, and whether the text ends within one.

    Parameters
    ----------
    text : str
    repair : callable
        Reads a value that is complete and not valid JSON.

    Examples
    --------
    >>> found, is_cut = values_in('A draft: {"a": 1} Final: {"a": 2}', str)
    >>> [each.value for each in found], is_cut
    ([{'a': 1}, {'a': 2}], False)
    >>> values_in('{"a": {"b": 1}, ', str)
    ([], True)
    """
    decoder = json.JSONDecoder(strict=False)
    found: list[Found] = []
    first = len(text) - len(text.lstrip())
    start = first if text[first : first + 1] in ("[", "{") else _next_start(text, 0)
    while start is not None and len(found) < _MOST:
        try:
            value, end = decoder.raw_decode(text, start)
            found.append(Found(value, start, end, valid=True))
        except (ValueError, RecursionError):
            behind = end_of(text, start)
            if behind is None:
                # Behind a value, "[see: ..." is prose.
                prose = text[start + 1 :].lstrip()[:1] not in ("", '"', "'", "{", "[")
                return found, not (found and prose)
            end = behind
            found.append(Found(repair(text[start:end]), start, end, valid=False))
        start = _next_start(text, end)
    return found, False


def _next_start(text: str, position: int) -> int | None:
    match = LIKELY_START.search(text, position)
    return match.start() if match else None


def value_around(text: str, start: int, position: int) -> int:
    """Return the end of the valid JSON value that a position is inside of, or 0.

    The value begins at or behind `start`.

    Examples
    --------
    >>> text = 'So: {"a": "</b>"}'
    >>> value_around(text, 0, text.index("</b>"))
    17
    """
    decoder = json.JSONDecoder(strict=False)
    for _ in range(_MOST):
        match = LIKELY_START.search(text, start, position)
        if match is None:
            return 0
        try:
            _, start = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            start = match.start() + 1
        if start > position:
            return start
    return 0
