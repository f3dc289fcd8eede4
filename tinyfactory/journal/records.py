"""What happened: one event in short, the events of an object, and what a line is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tinyfactory.errors import DamagedRecord, InvalidInput
from tinyfactory.journal.scope import Scope
from tinyfactory.journal.transaction import origin_of
from tinyfactory.utils.imports import require
from tinyfactory.utils.text import cut

Record = dict[str, Any]
# Of a list, so many are named.
_MOST_ITEMS = 3


@dataclass(frozen=True, slots=True)
class Event:
    """One event, as a person reads it.

    `at` is None where it came out of a recording. `hit` says whether it was replayed in
    this run, and is None where this run did not come by it; `result` is what came of it in
    short, `attempts` how many replies of a model it took, `usd` what those cost, or None where
    that is not known.
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
        """The event that a record of the journal tells of."""
        at = record["meta"]["at"]  # 0 in a recording, which leaves clocks out
        replies = record["meta"]["replies"]
        usages = [reply.get("usage") or {} for reply in replies]
        prices = [reply.get("usd") for reply in replies]
        return cls(
            key=key,
            at=dt.datetime.fromtimestamp(at).astimezone() if at else None,
            method=f"{record['class'].rpartition('.')[2]}.{record['method']}",
            arguments=arguments_in_short(record["arguments"]),
            result=in_short(record["result"]),
            hit=hit,
            why=why,
            model=", ".join(dict.fromkeys(str(reply.get("model") or "") for reply in replies)),
            prompt_tokens=sum(int(usage.get("prompt_tokens", 0)) for usage in usages),
            completion_tokens=sum(int(usage.get("completion_tokens", 0)) for usage in usages),
            usd=None if any(price is None for price in prices) else float(sum(prices)),
            seconds=float(record["meta"]["seconds"]),
            attempts=len(replies),
            failure=record["failure"],
        )


class History(list[Event]):
    """Events in order; shows as a table of text, and gives one of pandas."""

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
                "replayed" if event.hit else "done",
                event.model or "-",
                f"{event.prompt_tokens}+{event.completion_tokens}",
                "?" if event.usd is None else f"{event.usd:.4f}",
                f"{event.seconds:.1f}",
                str(event.attempts),
                event.failure or event.why,
            )
            for number, event in enumerate(self)
        ]
        widths = [max(len(cut(row[i], 60)) for row in rows) for i in range(len(rows[0]))]
        return "\n".join(
            "  ".join(cut(cell, 60).ljust(width) for cell, width in zip(row, widths, strict=True))
            .rstrip()
            for row in rows
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class LineInfo:
    """One line of a simulation, as it stands on disk.

    `heads` are the ends of its branches, `origin` what it began from. What ran in slots beside
    each other and joined is no branch.
    """

    root: str
    kind: str
    origin: Record
    events: int
    heads: tuple[str, ...]

    def __repr__(self) -> str:
        branches = f", {len(self.heads)} branches" if len(self.heads) > 1 else ""
        return f"LineInfo({self.root[:8]}, {self.origin['class']}, events={self.events}{branches})"


def events_of(scope: Scope) -> Iterator[tuple[str, Record]]:
    """Key and record of each event of a simulation that can be read, oldest first."""
    for name in scope.store:
        if name.startswith("event:"):
            try:
                record = scope.store.get(name)
            except DamagedRecord:
                continue  # said when it is looked up; `journal verify` names them all
            if record is not None and record["simulation"] == scope.id:
                yield name.removeprefix("event:"), record


def history_of(scope: Scope, thing: Any, latest: int = 0) -> History:
    """The events that an object went through in this run; all, or so many of the latest."""
    if scope.store is None:
        raise InvalidInput(
            "There is no history: no simulation is open, so nothing is kept. "
            "Call tinyfactory.control.begin() first."
        )
    history = History()
    for step in scope.line_of(thing).steps[-latest:]:
        record = scope.store.get("event:" + step.key)
        if record is not None:
            history.append(Event.of(step.key, record, hit=step.hit, why=step.why))
    return history


def event_of(scope: Scope, thing: Any) -> Event | None:
    """The event of this run that an object came from; None where no event made it."""
    step = scope.step_of(origin_of(thing))
    if step is None or scope.store is None:
        return None
    record = scope.store.get("event:" + step.key)
    return None if record is None else Event.of(step.key, record, hit=step.hit, why=step.why)


def in_short(value: Any, length: int = 60) -> str:
    """A value of the journal in a few words: an object's name, the first of many.

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
        case {"$": "list" | "tuple", "items": list(items)} | list(items):
            words = ", ".join(in_short(item, length) for item in items[:_MOST_ITEMS])
            if len(items) > _MOST_ITEMS:
                words = f"{len(items):,}: {words}, …"
        case _:
            words = repr(value)
    return cut(words, length)


def name_in(state: Any) -> str:
    """What an object is called by its own state, or by a part of it."""
    if not isinstance(state, dict):
        return ""
    parts = [state, *(part for part in state.values() if isinstance(part, dict))]
    names = [part["name"] for part in parts if isinstance(part.get("name"), str)]
    return names[0] if names else ""


def arguments_in_short(arguments: Any, length: int = 50) -> str:
    """Names and values of what is there, as they stand in a call."""
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
