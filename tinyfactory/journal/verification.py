"""Whether a row of a journal or recording is a record that this release can read.

Digests show that a row is the stored one. They do not show who stored it: another program, or a
newer release. So each record is checked for its fields and their types before anything uses it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from tinyfactory.errors import DamagedRecord, TinyFactoryError, UnknownRecord
from tinyfactory.journal.changes import CHANGES
from tinyfactory.journal.key import fork_head, next_head
from tinyfactory.journal.serializer import digest

_NONE = type(None)
_TEXT, _TEXT_OR_NONE, _DICT, _LIST = (str,), (str, _NONE), (dict,), (list,)
_NUMBER = (int, float)
Fields = dict[str, tuple[type, ...]]
_NEEDED: dict[str, Fields] = {
    "event": {
        "simulation": _TEXT, "line": _TEXT_OR_NONE, "parent": _TEXT, "base": _TEXT,
        "class": _TEXT, "method": _TEXT, "version": _TEXT, "arguments": _DICT,
        "request": (dict, _NONE), "changes": _DICT, "failure": _TEXT_OR_NONE,
        "composite": (bool,), "steps": _LIST, "head": _TEXT, "meta": _DICT,
    },
    "line": {"simulation": _TEXT, "kind": _TEXT, "class": _TEXT},
    "join": {"parent": _TEXT, "heads": _LIST},
    "reply": {"request": _TEXT, "for": _TEXT, "reply": _DICT},
    "batch": {"note": (dict, _NONE), "places": _LIST},
}  # fmt: skip
_OPTIONAL: dict[str, Fields] = {
    "event": {"within": _TEXT_OR_NONE, "state": _TEXT_OR_NONE},
    "line": {"method": _TEXT, "state": _DICT, "arguments": _DICT, "occurrence": (int,)},
    "reply": {"usd": (int, float, _NONE)},
}
_META: Fields = {"at": _NUMBER, "seconds": _NUMBER, "why": _TEXT, "replies": _LIST}
# Clocks of computers are below it, and dates can be made of what is below it.
_END_OF_TIME = 2e11


def check_row(name: str, value: Any, sealed: bool) -> None:
    """Check the record under a key.

    Parameters
    ----------
    name : str
        The key, such as ``"event:..."``; rows of other kinds are not checked.
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
    needed = _NEEDED.get(kind)
    if needed is None:
        return
    if not isinstance(value, dict):
        _refuse(name, "it is no record")
    _check_fields(name, value, needed, _OPTIONAL.get(kind, {}))
    if kind == "event":
        _check_event(name, value)
        if not sealed and not _fits(value["head"], own, value):
            raise DamagedRecord("Its head does not match its key and contents.")
    elif kind == "join":
        _check_texts(name, "heads", value["heads"])
        if own != fork_head(value["parent"], value["heads"]):
            raise DamagedRecord("Its head does not match the heads that it joins.")
    elif kind == "reply" and not sealed and own != digest(value["for"], value["request"]):
        raise DamagedRecord("The reply does not match its key.")


def _fits(head: str, own: str, event: dict[str, Any]) -> bool:
    try:
        return head == next_head(own, event["result"], event["changes"], event["steps"])
    except (ValueError, RecursionError):  # contents that the journal never wrote
        return False


def _check_event(name: str, event: dict[str, Any]) -> None:
    if "result" not in event:
        _refuse(name, "it has no 'result'")
    _check_texts(name, "steps", event["steps"])
    for change in event["changes"].values():
        _check_change(name, change)
    model = (event["request"] or {}).get("model")
    if model is not None and type(model) is not dict:
        _refuse(name, "its 'request' is of an unknown form")
    meta = event["meta"]
    _check_fields(name, meta, _META, {})
    if not (0 <= meta["at"] < _END_OF_TIME and 0 <= meta["seconds"] < _END_OF_TIME):
        _refuse(name, "its time is none")
    for reply in meta["replies"]:
        if type(reply) is not dict:
            _refuse(name, "its 'replies' are of an unknown form")
        _check_fields(name, reply, {}, {"key": _TEXT_OR_NONE})


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


def _check_texts(name: str, field: str, texts: Any) -> None:
    if type(texts) is not list or any(type(text) is not str for text in texts):
        _refuse(name, f"its {field!r} are of an unknown form")


def _check_fields(name: str, value: dict[str, Any], needed: Fields, optional: Fields) -> None:
    for field, types in needed.items():
        if type(value.get(field)) not in types:
            if field not in value:
                _refuse(name, f"it has no {field!r}")
            _refuse(name, f"its {field!r} is of an unknown type")
        elif field not in value:
            _refuse(name, f"it has no {field!r}")
    for field, types in optional.items():
        if field in value and type(value[field]) not in types:
            _refuse(name, f"its {field!r} is of an unknown type")


def _refuse(name: str, what: str) -> NoReturn:
    raise UnknownRecord(
        f"The record {name[:14]} cannot be read: {what}. A newer release or another program wrote "
        "it. Nothing was changed. Install a newer release of tinyfactory, or remove its line with "
        "`journal prune`; `journal verify` lists all such rows."
    )


@contextmanager
def contents_of(name: str) -> Iterator[None]:
    """Within: the contents of a record become objects again, or it is refused.

    Raises
    ------
    UnknownRecord
        When a class cannot use the stored state.
    """
    try:
        yield
    except TinyFactoryError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UnknownRecord(
            f"The record {name[:14]} cannot be used ({type(error).__name__}: {error}). Its class "
            "was edited since, or another program wrote it. Nothing was changed. Restore the "
            "class, or call the method with other arguments to make a new event."
        ) from error
