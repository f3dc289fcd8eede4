"""The content of collections when they were first seen, such as a table of functions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

from tinyfactory.journal.version import syntax
from tinyfactory.journal.version.source import is_own_class

# Larger collections are data and no constants.
_MOST_ITEMS = 10_000
_HELD = (FunctionType, MethodType, type, functools.partial, list, tuple, dict, set, frozenset)
_contents: dict[int, tuple[Any, list[tuple[Any, Any]]]] = {}


def first_content(value: Any) -> list[tuple[Any, Any]] | None:
    """Places and items of a collection when it was first seen; None for a large one."""
    known = _contents.get(id(value))
    if known is None:
        if len(value) > _MOST_ITEMS:
            return None
        items: Callable[[], Any] = getattr(value, "items", lambda: enumerate(list(value)))
        unordered = isinstance(value, (set, frozenset))
        content = [(None if unordered else k, v) for k, v in list(items()) if _may_count(v)]
        known = _contents[id(value)] = (value, content)
    return known[1]


def _may_count(value: Any) -> bool:
    """Whether a value can have a token; others are not held in memory."""
    kind = type(value)
    return kind in _HELD or syntax.constant(value) is not None or is_own_class(kind)
