"""Checkout: an object goes back to an earlier event and continues from there on a branch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyfactory.errors import DamagedRecord, InvalidInput
from tinyfactory.journal.records import Record, events_of
from tinyfactory.journal.scopes.context import on_rollback, undone_on_error
from tinyfactory.journal.scopes.lines import Line, Step
from tinyfactory.journal.scopes.scope import Scope, origins
from tinyfactory.journal.transactions.transaction import current_transaction
from tinyfactory.journal.values.changes import Change, apply, check_change
from tinyfactory.journal.values.parts import objects_by_place, objects_in
from tinyfactory.journal.values.serializer import Known, State, check_names, decode
from tinyfactory.journal.values.stored_text import Plain
from tinyfactory.journal.verification import contents_of
from tinyfactory.utils.concurrency import deferred_interrupts


def checkout(scope: Scope, thing: Any, event: str | int | None) -> None:
    """Put an object back to its state after an event of its line; nothing is deleted.

    Objects that its line made later leave the registries; those made before are there.

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
            "checkout works only in a simulation, and not within a transactional method. "
            "Nothing was changed."
        )
    line = scope.line_of(thing)
    path = _path(scope, line, _key(line, event))
    origin = scope.store.get("line:" + line.root) or line.origin
    with contents_of("line:" + line.root):
        state = decode(origin["state"], known=Known(line.refers.get))
    for step, record in path:
        with contents_of("event:" + step.key):
            change = _change(line, thing, state, step.key, record)
            check_change(type(thing), change)
            state = apply(state, change)
    there, wanted = {step.key for step in line.steps}, {step.key for step, _ in path}
    leaving = [(key, scope.store.get("event:" + key)) for key in there - wanted]
    joining = [(step.key, record) for step, record in path if step.key not in there]
    before = thing.encode_complete_state()
    with deferred_interrupts(), undone_on_error():
        on_rollback(lambda: thing.decode_complete_state(before))
        _each_made(leaving, "_leave_simulation", scope)
        # Fields that a state leaves out, such as a conversation not yet begun, were empty.
        hidden = {k: v for k, v in before.items() if k in getattr(thing, "_not_in_journal", ())}
        check_names(type(thing), state)
        with contents_of("line:" + line.root):
            thing.decode_complete_state(hidden | state)
        _each_made(joining, "_join_simulation", scope)
        steps = [step for step, _ in path]
        line.move(steps[-1].head if steps else line.root, steps)
        if scope.recorded is not None:
            scope.recorded.turns.forget(there - wanted)


def _change(line: Line, thing: Any, state: State, key: str, record: Record) -> Change:
    """The change of an object in an event, given the state before it."""
    change: Change = record["changes"].get("self", {})
    if type(record) is Plain or not change:
        return change
    named, live = line.objects.get(key, ({}, []))

    def find(name: str) -> Any:
        if name == "self":
            return thing
        if not name.startswith("self."):
            return named.get(name)
        parts = ((f"self.{part}", value) for part, value in state.items())
        places = {p: o for where, value in parts for p, o in objects_by_place(value, where)}
        return places.get(name)

    known = Known(find, live)
    try:
        decode(record["result"], known=known)  # the change may refer to what is in it
        change = decode(change, known=known)
    except DamagedRecord as error:
        raise InvalidInput(
            f"The state after event {key[:12]} refers to an object that is not here, such as an "
            "argument of its call. Nothing was changed. Run the cells again from "
            "control.begin(...) up to there."
        ) from error
    return change


def _each_made(events: Sequence[tuple[str, Record | None]], hook: str, scope: Scope) -> None:
    """Have all objects that these events made leave or join the simulation."""
    for key, record in events:
        for made in objects_in(decode(record["result"])) if record is not None else ():
            origins.put(made, key)
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


def _path(scope: Scope, line: Line, key: str | None) -> list[tuple[Step, Record]]:
    """The events from the root to the wanted one: those of this run, or by walking back."""
    if key is None:
        return []
    events = {k: r for k, r in events_of(scope.store, scope.id) if r["line"] == line.root}
    found = [k for k in events if k.startswith(key)]
    if len(found) != 1:
        raise InvalidInput(
            f"{len(found)} events of this line begin with {key!r}. Nothing was changed. "
            "history() lists those of this run."
        )
    walked = [step.key for step in line.steps]
    if found[0] in walked:
        steps = line.steps[: walked.index(found[0]) + 1]
        return [(step, events[step.key]) for step in steps]
    return _walk(scope, line, events, events[found[0]]["head"])


def _walk(
    scope: Scope, line: Line, events: dict[str, Record], head: str
) -> list[tuple[Step, Record]]:
    """The events from the root to a head, through the joins of parallel slots."""
    by_head = {record["head"]: key for key, record in events.items()}
    path: list[tuple[Step, Record]] = []
    while head != line.root:
        join = scope.store.get("join:" + head)
        if join is not None:
            together: list[tuple[Step, Record]] = []
            for slot in join["heads"]:
                together += _slot(by_head, events, slot, join["parent"])
            step, record = together[-1]
            together[-1] = (step._replace(head=head), record)
            path, head = together + path, join["parent"]
        elif head in by_head:
            key = by_head[head]
            path.insert(0, (Step(key, head, True, "checked out"), events[key]))
            head = events[key]["parent"]
        else:
            raise InvalidInput(
                "That event ran in parallel with others that were never joined, so the events "
                "before it have no single order. Nothing was changed. Choose an earlier event."
            )
    return path


def _slot(
    by_head: dict[str, str], events: dict[str, Record], head: str, fork: str
) -> list[tuple[Step, Record]]:
    path: list[tuple[Step, Record]] = []
    while head in by_head and head != fork:
        key = by_head[head]
        path.insert(0, (Step(key, head, True, "checked out"), events[key]))
        head = events[key]["parent"]
    return path
