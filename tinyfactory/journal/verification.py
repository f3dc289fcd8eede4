"""Whether a row of a journal or recording is a record that this release can read.

Digests show that a row is the stored one. They do not show who stored it: another program, or a
newer release. So each record is checked for its fields and their types before anything uses it.
"""

from __future__ import annotations

import math
from operator import itemgetter
from types import TracebackType
from typing import Any, NoReturn

from tinyfactory.errors import DamagedRecord, TinyFactoryError, UnknownRecord
from tinyfactory.journal.key import fork_head, next_head
from tinyfactory.journal.values.changes import CHANGES
from tinyfactory.journal.values.stored_text import digest

_NONE = type(None)
_TEXT, _TEXT_OR_NONE, _DICT, _LIST = (str,), (str, _NONE), (dict,), (list,)
_NUMBER = (int, float)
Types = dict[str, tuple[type, ...]]


class _Fields:
    """The fields of a record and their types; `optional` ones may be missing."""

    def __init__(self, needed: Types, optional: Types | None = None) -> None:
        self.needed = needed
        self.types = needed | (optional or {})
        self._values = itemgetter(*self.types)
        # Types that were found right: there are few, and most records have the same.
        self._right: set[tuple[type, ...]] = set()

    def check(self, name: str, value: dict[str, Any]) -> None:
        """Refuse a record with other fields."""
        found: tuple[type, ...] = ()
        if value.keys() >= self.types.keys():
            found = tuple(map(type, self._values(value)))
            if found in self._right:
                return
        for field, types in self.types.items():
            if field not in value:
                if field in self.needed:
                    _refuse(name, f"it has no {field!r}")
            elif type(value[field]) not in types:
                _refuse(name, f"its {field!r} is of an unknown type")
        if found:
            self._right.add(found)


_FIELDS = {
    "event": _Fields(
        {
            "simulation": _TEXT, "line": _TEXT_OR_NONE, "parent": _TEXT, "base": _TEXT,
            "class": _TEXT, "method": _TEXT, "version": _TEXT, "arguments": _DICT,
            "request": (dict, _NONE), "changes": _DICT, "failure": _TEXT_OR_NONE,
            "composite": (bool,), "steps": _LIST, "head": _TEXT, "meta": _DICT,
        },
        {"within": _TEXT_OR_NONE, "state": _TEXT_OR_NONE},
    ),
    "line": _Fields(
        {"simulation": _TEXT, "kind": _TEXT, "class": _TEXT},
        {"method": _TEXT, "state": _DICT, "arguments": _DICT, "occurrence": (int,),
         "refers": _TEXT, "cell": _TEXT},
    ),
    "join": _Fields({"parent": _TEXT, "heads": _LIST}),
    "reply": _Fields(
        {"request": _TEXT, "for": _TEXT, "reply": _DICT}, {"usd": (int, float, _NONE)}
    ),
    "batch": _Fields({"note": (dict, _NONE), "places": _LIST}),
}  # fmt: skip
_META = _Fields({"at": _NUMBER, "seconds": _NUMBER, "why": _TEXT, "replies": _LIST})
# Clocks of computers are below it, and dates can be made of what is below it.
_END_OF_TIME = 2e11
# More tokens or US dollars are no number of a reply.
_MOST = 1e12


def check_row(name: str, value: Any, sealed: bool) -> None:
    """Check the record under a key.

    Parameters
    ----------
    name : str
        The key, such as ``"event:..."``; of rows of other kinds only the type is checked.
    value : object
    sealed : bool
        Whether its digest includes the key. If not, the record must contain its key's parts.

    Raises
    ------
    UnknownRecord
        When fields are missing or of an unknown type.
    DamagedRecord
        When it belongs to another key.

    Examples
    --------
    >>> check_row("join:1", {"parent": "2"}, True)
    Traceback (most recent call last):
        ...
    tinyfactory.errors.UnknownRecord: The record join:1 cannot be read: it has no 'heads'. ...
    """
    kind, _, own = name.partition(":")
    fields = _FIELDS.get(kind)
    if not isinstance(value, dict):
        _refuse(name, "it is no record")
    if fields is None:
        return
    fields.check(name, value)
    if kind == "event":
        _check_event(name, value)
        if not sealed and not _fits(value["head"], own, value):
            raise DamagedRecord("Its head does not match its key and contents.")
    elif kind == "join":
        _check_texts(name, "heads", value["heads"])
        if own != fork_head(value["parent"], value["heads"]):
            raise DamagedRecord("Its head does not match the heads that it joins.")
    elif kind == "reply":
        _check_reply(name, value)
        if not sealed and own != digest(value["for"], value["request"]):
            raise DamagedRecord("The reply does not match its key.")


def _fits(head: str, own: str, event: dict[str, Any]) -> bool:
    try:
        return head == next_head(own, event["result"], event["changes"], event["steps"])
    except (ValueError, RecursionError):  # contents that the journal never wrote
        return False


def _check_event(name: str, event: dict[str, Any]) -> None:
    if "result" not in event:
        _refuse(name, "it has no 'result'")
    if event["steps"]:
        _check_texts(name, "steps", event["steps"])
    for change in event["changes"].values():
        _check_change(name, change)
    model = (event["request"] or {}).get("model")
    if model is not None and type(model) is not dict:
        _refuse(name, "its 'request' is of an unknown form")
    meta = event["meta"]
    _META.check(name, meta)
    if type(meta.get("cell", "")) is not str or type(meta.get("beside", 1)) is not int:
        _refuse(name, "its place is of an unknown type")
    if not (0 <= meta["at"] < _END_OF_TIME and 0 <= meta["seconds"] < _END_OF_TIME):
        _refuse(name, "its time is none")
    for reply in meta["replies"]:
        if not (
            type(reply) is dict
            and type(reply.get("key")) in _TEXT_OR_NONE
            and _is_usage(reply.get("usage"))
            and _is_price(reply.get("usd"))
        ):
            _refuse(name, "its 'replies' are of an unknown form")


def _check_change(name: str, change: Any) -> None:
    if not isinstance(change, dict):
        _refuse(name, "its 'changes' are of an unknown form")
    for kind, content in change.items():
        if kind not in CHANGES:
            _refuse(name, f"it has a change of unknown kind {kind!r:.40}")
        if kind == "remove":
            _check_texts(name, "changes", content)
        elif type(content) is not dict or (
            kind != "set" and any(type(items) is not list for items in content.values())
        ):
            _refuse(name, f"its change {kind!r} is of an unknown form")


def _check_reply(name: str, value: dict[str, Any]) -> None:
    reply = value["reply"]
    if not (
        type(reply.get("text")) is str
        and type(reply.get("refusal")) in _TEXT_OR_NONE
        and type(reply.get("sent", {})) is dict
        and _is_usage(reply.get("usage"))
        and _is_price(value.get("usd"))
    ):
        _refuse(name, "its 'reply' is of an unknown form")


def _is_usage(usage: Any) -> bool:
    if usage is None:
        return True
    return type(usage) is dict and all(
        type(tokens) is int and 0 <= tokens < _MOST for tokens in usage.values()
    )


def _is_price(usd: Any) -> bool:
    return usd is None or (type(usd) in _NUMBER and math.isfinite(usd) and abs(usd) < _MOST)


def _check_texts(name: str, field: str, texts: Any) -> None:
    if type(texts) is not list or any(type(text) is not str for text in texts):
        _refuse(name, f"its {field!r} are of an unknown form")


def _refuse(name: str, what: str) -> NoReturn:
    raise UnknownRecord(
        f"The record {name[:14]} cannot be read: {what}. A newer release or another program wrote "
        "it. Nothing was changed. Install a newer release of tinyfactory, or remove its line with "
        "`journal prune`; `journal verify` lists all such rows."
    )


class contents_of:  # noqa: N801 - used like a statement
    """Within: the contents of a record become objects again, or it is refused.

    Raises
    ------
    UnknownRecord
        When a class cannot use the stored state.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not isinstance(error, _NOT_USABLE) or isinstance(error, TinyFactoryError):
            return
        raise UnknownRecord(
            f"The record {self._name[:14]} cannot be used ({type(error).__name__}: {error}). Its "
            "class was edited since, or another program wrote it. Nothing was changed. Restore "
            "the class, or call the method with other arguments to make a new event."
        ) from error


_NOT_USABLE = (LookupError, TypeError, ValueError, AttributeError, RecursionError)
