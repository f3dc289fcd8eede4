"""Parses JSON from others within limits of depth and number of values."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tinyfactory import settings
from tinyfactory.errors import LimitExceeded
from tinyfactory.limits import Limits, how_to_raise

Hook = Callable[[list[tuple[str, Any]]], Any]


def parse(
    text: str | bytes, *, object_pairs_hook: Hook | None = None, limits: Limits | None = None
) -> Any:
    """Parse JSON; its depth and the number of its values are limited.

    A value takes a hundred times the memory of its text, so values are counted first. The count
    includes commas and brackets inside texts, which only matters for texts of that many commas.

    Parameters
    ----------
    text : str or bytes
    object_pairs_hook : callable, optional
        As in `json.loads`.
    limits : Limits, optional
        By default those of the settings; looking them up takes longer than parsing a short line.

    Raises
    ------
    LimitExceeded
        For more than `json_values` values, or more than `json_depth` levels.
    ValueError
        If it is not valid JSON, or has a number that Python does not read.

    Examples
    --------
    >>> parse('{"a": [1, 2]}')
    {'a': [1, 2]}
    >>> parse("[" * 500 + "]" * 500)
    Traceback (most recent call last):
        ...
    tinyfactory.errors.LimitExceeded: The JSON is nested too deeply: more than 100 levels, ...
    """
    limits = limits or settings.limits()
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig")
    containers = check_values(text, limits)
    try:
        value = json.loads(text, object_pairs_hook=object_pairs_hook)
    except RecursionError:
        raise _too_deep(limits.json_depth) from None
    if containers > limits.json_depth:
        check_depth(value, limits)
    return value


def check_values(text: str, limits: Limits | None = None) -> int:
    """Return the number of lists and objects; raise `LimitExceeded` for too many values."""
    limits = limits or settings.limits()
    containers = text.count("[") + text.count("{")
    if containers + text.count(",") > limits.json_values:
        raise LimitExceeded(
            f"The JSON has more than {limits.json_values:,} values, which is the limit "
            f"json_values. {how_to_raise('json_values', 4 * limits.json_values)}"
        )
    return containers


def check_depth(value: Any, limits: Limits | None = None) -> None:
    """Raise `LimitExceeded` for JSON with more than `json_depth` levels."""
    most = (limits or settings.limits()).json_depth
    level = [value]
    # Level by level, because a recursive function would exhaust the stack.
    for _ in range(most + 1):
        level = [
            item
            for part in level
            if (kind := type(part)) is list or kind is dict
            for item in (part if kind is list else part.values())
        ]
        if not level:
            return
    raise _too_deep(most)


def _too_deep(most: int) -> LimitExceeded:
    return LimitExceeded(
        f"The JSON is nested too deeply: more than {most} levels, which is the limit json_depth. "
        f"{how_to_raise('json_depth', 200)}"
    )
