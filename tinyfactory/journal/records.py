"""Records of the journal, and events, histories and lines as people read them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tinyfactory.errors import DamagedRecord
from tinyfactory.utils.imports import require
from tinyfactory.utils.text import cut, legible, one_line

Record = dict[str, Any]
# Why an event was replayed, or was new.
REPLAYED = "it was done before"
NEW = "nothing like it was done before"
# So many items of a list are named in short texts.
_MOST_ITEMS = 3
# What a user calls, by the method of this package that is recorded for it.
_CALLED_FOR = {
    "_generate_factories": "TinyPersonFactory.generate_person_factories",
    "_write_twin": "TinyPerson.twin",
    "TinyPerson._revise": "TinyPerson.revise",
    "TinyPerson._take_back": "TinyPerson.undo",
    "TinyPerson.propose": "TinyPerson.rewrite",
}


def called(class_name: str, method: str) -> str:
    """The method that a user called, with its class.

    Examples
    --------
    >>> called("TinyPersonFactory", "_write_twin"), called("shop.Bakery", "bake")
    ('TinyPerson.twin', 'Bakery.bake')
    """
    name = f"{class_name.rpartition('.')[2]}.{method}"
    return _CALLED_FOR.get(method) or _CALLED_FOR.get(f"{class_name}.{method}") or name


@dataclass(frozen=True, slots=True)
class Event:
    """One event, as people read it.

    `at` is None for an event out of a recording. `hit` is True for a replayed event, False for
    a new one, and None for one that did not occur in this run. `result` is the result in short,
    `attempts` the number of a model's replies, `usd` their price, or None where it is not known.
    """

    key: str
    at: dt.datetime | None
    method: str
    arguments: str
    result: str
    hit: bool | None
    why: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    usd: float | None
    seconds: float
    attempts: int
    failure: str | None

    @classmethod
    def of(cls, key: str, record: Record, *, hit: bool | None, why: str) -> Event:
        """The event of a record of the journal."""
        at = record["meta"]["at"]  # 0 in a recording, which leaves clocks out
        replies = record["meta"]["replies"]
        prices = [reply.get("usd") for reply in replies]
        priced = all(type(price) in (int, float) for price in prices)
        return cls(
            key=key,
            at=dt.datetime.fromtimestamp(at).astimezone() if at else None,
            method=f"{record['class'].rpartition('.')[2]}.{record['method']}",
            arguments=arguments_in_short(record["arguments"]),
            result=in_short(record["result"]),
            hit=hit,
            why=why,
            model=", ".join(dict.fromkeys(str(reply.get("model") or "") for reply in replies)),
            prompt_tokens=sum(_tokens(reply, "prompt_tokens") for reply in replies),
            completion_tokens=sum(_tokens(reply, "completion_tokens") for reply in replies),
            usd=float(sum(prices)) if priced else None,
            seconds=float(record["meta"]["seconds"]),
            attempts=len(replies),
            failure=record["failure"],
        )


def _tokens(reply: Record, name: str) -> int:
    """The number of tokens that a server gave for a reply; 0 for anything but a number."""
    usage = reply.get("usage")
    number: Any = usage.get(name) if isinstance(usage, dict) else 0
    return int(number) if type(number) in (int, float) and 0 <= number < 1e15 else 0


class History(list[Event]):
    """Events in order; its text form is a table, and `to_frame` returns a pandas one."""

    def to_frame(self) -> Any:
        """The events as a pandas table, one row each."""
        names = Event.__slots__
        return require("pandas", "tables").DataFrame(
            [{name: getattr(event, name) for name in names} for event in self]
        )

    def __repr__(self) -> str:
        if not self:
            return "no events yet"
        rows = [("", "event", "what", "was", "model", "tokens", "usd", "s", "tries", "why")]
        rows += [
            (
                str(number),
                event.key[:8],
                f"{event.method}({event.arguments})",
                "replayed" if event.hit else "new",
                event.model or "-",
                f"{event.prompt_tokens}+{event.completion_tokens}",
                "?" if event.usd is None else f"{event.usd:.4f}" if event.usd else "free",
                f"{event.seconds:.1f}",
                str(event.attempts),
                event.failure or event.why,
            )
            for number, event in enumerate(self)
        ]
        shown = [[legible(one_line(cell, 60)) for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in shown
        )


@dataclass(frozen=True, slots=True)
class LineInfo:
    """One line of a simulation: the series of events of one object.

    `origin` is its first state, `heads` are the ends of its branches. Parallel slots that were
    joined are no branches.
    """

    root: str
    kind: str
    origin: Record
    events: int
    heads: tuple[str, ...]

    def __repr__(self) -> str:
        branches = f", {len(self.heads)} branches" if len(self.heads) > 1 else ""
        kind = legible(one_line(self.origin["class"]))
        return f"LineInfo({self.root[:8]}, {kind}, events={self.events}{branches})"


def events_of(store: Any, simulation: str) -> Iterator[tuple[str, Record]]:
    """Key and record of each event of a simulation that can be read, oldest first."""
    for name in store:
        if name.startswith("event:"):
            try:
                record = store.get(name)
            except DamagedRecord:
                continue  # reported when it is looked up; `journal verify` lists them all
            if record is not None and record["simulation"] == simulation:
                yield name.removeprefix("event:"), record


def in_short(value: Any, length: int = 60) -> str:
    """A value of the journal in a few words: an object by its name, a list by its first items.

    Examples
    --------
    >>> in_short({"$": "object", "type": "Shop", "state": {"name": "Corner", "open": True}})
    'Corner'
    >>> in_short([1, "a"]), in_short(None)
    ("1, 'a'", 'nothing')
    """
    match value:
        case None:
            words = "nothing"
        case {"$": "object", "type": str(kind), "state": state}:
            words = name_in(state) or f"{kind}({arguments_in_short(state, length)})"
        case {"$": "same", "as": str(name)}:
            words = name
        case {"$": "list" | "tuple", "items": list(items)} | list(items):
            words = ", ".join(in_short(item, length) for item in items[:_MOST_ITEMS])
            if len(items) > _MOST_ITEMS:
                words = f"{len(items):,}: {words}, …"
        case _:
            words = repr(value)
    return cut(words, length)


def name_in(state: Any) -> str:
    """The name in an object's state, or in a part of the state."""
    if not isinstance(state, dict):
        return ""
    parts = [state, *(part for part in state.values() if isinstance(part, dict))]
    names = [part["name"] for part in parts if isinstance(part.get("name"), str)]
    return names[0] if names else ""


def arguments_in_short(arguments: Any, length: int = 50) -> str:
    """Names and values of the arguments that are not empty, as in a call."""
    if not isinstance(arguments, dict):
        return ""
    shown = [
        f"{name}={_argument(value)}"
        for name, value in arguments.items()
        if value is not None and value != [] and value != {}
    ]
    return cut(", ".join(shown), length)


def _argument(value: Any) -> str:
    return in_short(value) if isinstance(value, dict) and "$" in value else repr(value)
