"""Checks that a row of a journal or recording has the form that this package writes.

A row may come from another machine, so its digest only says that it was not changed since.
"""

from __future__ import annotations

import math
from typing import Any

Json = dict[str, Any]
_EVENT = {"simulation", "line", "base", "class", "method", "version", "arguments", "request",
          "result", "changes", "failure", "composite", "head", "meta"}  # fmt: skip
_TEXTS = ("simulation", "base", "class", "method", "version", "head")
_TEXTS_OR_NONE = ("line", "failure", "within", "parent")


def is_row(name: str, value: Any) -> bool:
    """Whether a value can be the row under a key.

    Examples
    --------
    >>> is_row("join:1", {"parent": "a", "heads": ["b"]}), is_row("join:1", {"heads": "b"})
    (True, False)
    """
    if not isinstance(value, dict):
        return False
    kind = name.partition(":")[0]
    if kind == "event":
        return _is_event(value)
    if kind == "join":
        return isinstance(value.get("parent"), str | None) and _are_texts(value.get("heads"))
    if kind == "line":
        return (
            isinstance(value.get("simulation"), str)
            and isinstance(value.get("class"), str)
            and isinstance(value.get("state", {}), dict)
        )
    return kind != "reply" or _is_reply(value.get("reply"))


def _is_event(value: Json) -> bool:
    meta = value.get("meta")
    return (
        value.keys() >= _EVENT
        and all(isinstance(value[part], str) for part in _TEXTS)
        and all(isinstance(value.get(part), str | None) for part in _TEXTS_OR_NONE)
        and isinstance(value["request"], dict | None)
        and isinstance(value["changes"], dict)
        and isinstance(value["arguments"], dict)
        and all(map(_is_change, value["changes"].values()))
        and _are_texts(value.get("steps", []))
        and isinstance(meta, dict)
        and isinstance(meta.get("why", ""), str)
        and isinstance(meta.get("cell", ""), str)
        and type(meta.get("beside", 1)) is int
        and _is_number(meta.get("at", 0.0))
        and _is_number(meta.get("seconds", 0.0))
        and isinstance(meta.get("replies"), list)
        and all(_is_summary(reply) for reply in meta["replies"])
    )


def _is_change(change: Any) -> bool:
    return isinstance(change, dict) and all(
        _are_texts(part) if kind == "remove" else isinstance(part, dict)
        for kind, part in change.items()
    )


def _is_summary(reply: Any) -> bool:
    """Whether a value describes a reply, as an event does."""
    return (
        isinstance(reply, dict)
        and isinstance(reply.get("key"), str | None)
        and _is_usage(reply.get("usage"))
        and (reply.get("usd") is None or _is_number(reply["usd"]))
    )


def _is_reply(reply: Any) -> bool:
    return (
        isinstance(reply, dict)
        and isinstance(reply.get("text"), str)
        and isinstance(reply.get("refusal"), str | None)
        and isinstance(reply.get("sent", {}), dict)
        and _is_usage(reply.get("usage"))
    )


def _is_usage(usage: Any) -> bool:
    if usage is None:
        return True
    return isinstance(usage, dict) and all(
        type(tokens) is int and 0 <= tokens <= 10**12 for tokens in usage.values()
    )


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and abs(value) < 1e12


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
