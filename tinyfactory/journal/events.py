"""Events in the journal: looking one up, taking it over, keeping a new one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinyfactory.errors import DamagedRecord, NameTaken
from tinyfactory.journal.aside import Aside
from tinyfactory.journal.canonical import (
    decode,
    digest,
    encode,
    journal_state,
    objects_in,
)
from tinyfactory.journal.changes import Change, difference

if TYPE_CHECKING:
    from tinyfactory.journal.transaction import Transaction

Record = dict[str, Any]
# The record of a call, and what waits for those that stand in the journal.
Sent = tuple[Record, Callable[[], list[Record]]]
logger = logging.getLogger("tinyfactory")
# What a commit gives when the body is to be run again.
OVERTAKEN = object()
REPLAYED = "it was done before"
NEW = "nothing like it was done before"
OTHERWISE = "a step within it was done otherwise"
# Which event an object came from.
origins: Aside[str] = Aside()


def origin_of(thing: Any) -> str:
    """The key of the event that an object came from in this run, or an empty text."""
    return origins.get(thing) or ""


def find(tx: Transaction) -> Record | None:
    """Look an event up; sets `tx.key` to the key that it has or will have, and `tx.why`.

    A key leads on to the next ("again") when what stands there is not to be used: a failure
    that is asked again, or (see `skip`) a person whose name someone else bears now.

    Raises
    ------
    ReplayMiss
        When a recording is only replayed, and does not hold it.
    """
    recorded = tx.scope.recorded
    if recorded is not None and not tx.why:
        tx.key = recorded.key_of(tx)
    tx.why = tx.why or NEW
    while True:
        try:
            record: Record | None = tx.scope.store.get("event:" + tx.key)
        except DamagedRecord as error:
            logger.warning("%s Event %s is done anew and replaced.", error, tx.key[:12])
            tx.why = "the stored event is damaged"
            return None
        if record is None:
            if recorded is not None:
                recorded.missed(tx, tx.why)
            return None
        if record["failure"] is None or not _ask_again(tx):
            return record
        skip(tx, f"it failed before ({record['failure']}) and is asked again")


def skip(tx: Transaction, why: str) -> None:
    """Go on to the next key: what stands under this one is not to be used."""
    logger.info("%s is not replayed: %s", tx.call.method.name, why)
    tx.key, tx.why = _again(tx), why


def _again(tx: Transaction) -> str:
    return digest("again", tx.key)


def _ask_again(tx: Transaction) -> bool:
    return tx.scope.retry_failures or tx.scope.store.get("event:" + _again(tx)) is not None


def take_over(tx: Transaction, record: Record) -> Any:
    """Make an event's changes here and hand out its result, all or nothing."""
    with tx.active():
        try:
            result = decode(record["result"], lambda thing: _enter(thing, tx))
        except BaseException:
            tx.undo_all()
            raise
    tx.staged = [(name, decode(change)) for name, change in record["changes"].items()]
    tx.make_staged()
    tx.replies = record["meta"]["replies"]
    return result


def _enter(thing: Any, tx: Transaction) -> Any:
    """Have an object from the journal join the simulation, as it did when it was made."""
    origins.put(thing, tx.key)
    join = getattr(thing, "_join_simulation", None)
    return thing if join is None else join(tx.scope.id)


def publish(tx: Transaction, result: Any) -> tuple[Any, Record] | None:
    """Keep the event. When another kernel was first, go on with what it kept.

    None when that is more than the changes of this call's own objects: the body is then to be
    run again, over the steps within that the other kept.
    """
    mine, standing = _keep(tx, result)
    if standing["composite"] and standing["head"] != mine["head"] and not tx.rerun:
        logger.info("Another kernel did %s first; its steps count.", tx.call.method.name)
        return None
    while standing["composite"] and standing["head"] != mine["head"]:
        # The objects that its steps within changed are no part of its key, and were not as
        # they had been. Its own changes alone would leave those behind: it is another event.
        tx.key = digest("otherwise", tx.key, [key for key, _ in tx.children])
        known = tx.scope.store.get("event:" + tx.key) is not None
        tx.why = REPLAYED if known else OTHERWISE
        mine, standing = _keep(tx, result)
    if standing["head"] == mine["head"]:
        tx.make_staged()
        for thing in objects_in(result):
            origins.put(thing, tx.key)
        return result, standing
    logger.info("Another kernel did %s first; its result counts.", tx.call.method.name)
    tx.undo_all()
    for name, state in tx.before.items():
        tx.call.things[name].decode_complete_state(state)
    try:
        return take_over(tx, standing), standing
    except NameTaken as error:
        raise NameTaken(
            f"Another kernel did {tx.call.method.name} first, and a name in what it made is borne "
            "by someone else here by now. Its result is kept, and so is all that was made here; "
            "doing the same again goes on with both."
        ) from error


def send(tx: Transaction, result: Any) -> Sent:
    """Have the event stored unless it is there: the record of this call, and what then stands."""
    mine = record_of(tx, result)
    items = [("event:" + tx.key, mine)]
    if tx.line is not None and not tx.line.steps:
        items.append(("line:" + tx.line.root, tx.line.origin))
    if tx.composite:
        items += [("event:" + key, record) for key, record in tx.children]
    return mine, tx.scope.store.add_all_soon(items)


def _keep(tx: Transaction, result: Any) -> tuple[Record, Record]:
    sent, tx.sent = tx.sent, None
    mine, standing = sent or send(tx, result)
    return mine, standing()[0]


def record_of(tx: Transaction, result: Any) -> Record:
    """All that is kept of a call: what was asked, what came of it, what it took."""
    changes = _changes(tx)
    encoded = encode(result, "the result")
    asked = tx.asked
    steps = [record["head"] for _, record in tx.children] if tx.composite else []
    return {
        "simulation": tx.scope.id,
        "line": tx.line.root if tx.line is not None else None,
        "parent": tx.parent_head,
        "within": tx.parent.key if tx.parent is not None else None,
        "base": tx.base,
        "class": asked["class"],
        "method": asked["method"],
        "version": asked["version"],
        "arguments": asked["arguments"],
        "request": outline(asked["request"]),
        "state": asked.get("state"),
        "result": encoded,
        "changes": changes,
        "failure": tx.failure,
        "composite": tx.composite,
        "steps": steps,
        "head": head_of(tx.key, encoded, changes, steps),
        "meta": {
            "at": round(tx.started, 3),
            "seconds": round(time.time() - tx.started, 3),
            "why": tx.why,
            "replies": tx.replies,
        },
    }


def head_of(key: str, result: Any, changes: Any, steps: list[str]) -> str:
    """Where the line goes on: what was asked and what came of it, in the steps within, too."""
    return digest(key, result, changes, *([steps] if steps else []))


def _changes(tx: Transaction) -> dict[str, Change]:
    """What changed, by parameter: as staged by a draft, else by comparing before and after."""
    changes: dict[str, Change] = {}
    for name, before in tx.before.items():
        thing = tx.call.things[name]
        change = difference(journal_state(thing, before), journal_state(thing))
        if change:
            changes[name] = encode(change, f"the change of {name}")
    for name, change in tx.staged:
        if name in changes:
            raise ValueError(f"{name} was changed twice in one draft; stage one change.")
        changes[name] = encode(change, f"the change of {name}")
    return changes


def outline(value: Any) -> Any:
    """A value in short: small parts as they are, long ones as digests, to tell what differs."""
    if isinstance(value, dict):
        return {key: outline(part) for key, part in value.items()}
    if isinstance(value, list):
        return [outline(part) for part in value]
    return digest(value) if isinstance(value, str) and len(value) > 200 else value
