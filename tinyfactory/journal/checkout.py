"""Going back: an object as it was at an earlier event, to go on from there on a branch."""

from __future__ import annotations

from typing import Any

from tinyfactory.errors import InvalidInput
from tinyfactory.journal.canonical import decode, objects_in
from tinyfactory.journal.changes import apply
from tinyfactory.journal.history import Record, events_of
from tinyfactory.journal.interrupts import deferred_interrupts
from tinyfactory.journal.lines import Line, Step
from tinyfactory.journal.simulation import Scope
from tinyfactory.journal.transaction import current_transaction
from tinyfactory.journal.undo import on_rollback, undone_on_error


def checkout(scope: Scope, thing: Any, event: str | int | None) -> None:
    """Put an object back to where it was after an event of its line; nothing is deleted.

    What its line made later leaves the registries, what it had made by then is there.

    Parameters
    ----------
    event : str, int or None
        The event's key or the beginning of it; its number in the object's history; None
        for the beginning of the line.

    Raises
    ------
    InvalidInput
        When the line has no such event; nothing is changed then.
    """
    if scope.store is None or current_transaction() is not None:
        raise InvalidInput(
            "One can go back only in a simulation, and not within a transactional method. "
            "Nothing was changed."
        )
    line = scope.line_of(thing)
    path = _path(scope, line, _key(line, event))
    origin = scope.store.get("line:" + line.root) or line.origin
    state = decode(origin["state"])
    for _, record in path:
        state = apply(state, decode(record["changes"].get("self", {})))
    now = [record for record in (_record(scope, step.key) for step in line.steps) if record]
    kept = {key for key, _ in path}
    leaving = [r for s, r in zip(line.steps, now, strict=False) if s.key not in kept]
    before = thing.encode_complete_state()
    with deferred_interrupts(), undone_on_error():
        on_rollback(lambda: thing.decode_complete_state(before))
        _each_made(leaving, "_leave_simulation", scope)
        thing.decode_complete_state(before | state)
        _each_made([record for _, record in path], "_join_simulation", scope)
        head = path[-1][1]["head"] if path else line.root
        line.move(head, [Step(k, r["head"], True, "checked out") for k, r in path])


def _each_made(records: list[Record], hook: str, scope: Scope) -> None:
    """Have everything that these events made leave or join the simulation."""
    for record in records:
        for made in objects_in(decode(record["result"])):
            if hasattr(made, hook):
                getattr(made, hook)(scope.id)


def _key(line: Line, event: str | int | None) -> str | None:
    if isinstance(event, int):
        try:
            return line.steps[event].key
        except IndexError:
            raise InvalidInput(
                f"The history has {len(line.steps)} events, so there is none of number {event}. "
                "Nothing was changed."
            ) from None
    return event


def _path(scope: Scope, line: Line, key: str | None) -> list[tuple[str, Record]]:
    """The events from the root to the one wanted, found by walking back from it."""
    if key is None:
        return []
    events = {k: r for k, r in events_of(scope) if r["line"] == line.root}
    found = [k for k in events if k.startswith(key)]
    if len(found) != 1:
        raise InvalidInput(
            f"{len(found)} events of this line begin with {key!r}. Nothing was changed. "
            "history() lists those of this run."
        )
    by_head = {record["head"]: k for k, record in events.items()}
    path: list[tuple[str, Record]] = []
    at: str | None = found[0]
    while at is not None:
        record = events[at]
        path.insert(0, (at, record))
        if record["parent"] == line.root:
            return path
        at = by_head.get(record["parent"])
    raise InvalidInput(
        f"Event {key!r} ran beside others, so there is no one way back to it. Nothing was "
        "changed. Choose an event from before they began."
    )


def _record(scope: Scope, key: str) -> Record | None:
    record: Record | None = scope.store.get("event:" + key)
    return record
