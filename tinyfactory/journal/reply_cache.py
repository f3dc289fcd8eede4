"""Replies first: what a model answered is on disk before anyone looks at it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from tinyfactory.errors import DamagedRecord
from tinyfactory.journal.serializer import digest
from tinyfactory.journal.transaction import Transaction, current_transaction

Json = dict[str, Any]

# Keys of replies that are asked for as if they were not there: by someone who has to know
# what was asked, in whichever kernel that was.
overlooked: ContextVar[Collection[str]] = ContextVar("tinyfactory_overlooked", default=())


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the journal the reply to a request belongs.

    Parameters
    ----------
    key : str
        Under which it is looked for.
    about : dict
        What is kept with it.
    """

    key: str
    about: Json

    @classmethod
    def of(cls, tx: Transaction, request: Json) -> Place:
        """The place of a request that a transaction makes now."""
        asked = digest(request)
        about = {"request": asked, "for": tx.key, "attempt": _attempt(tx)}
        return cls("reply:" + digest(tx.key, asked), about)

    def keep(self, store: Any, reply: Json, usd: float | None) -> Callable[[], Json]:
        """Have the reply stored; call the result to wait for it, and for what then stands."""
        record = self.about | {"at": round(time.time(), 3), "reply": reply, "usd": usd}
        waits: Callable[[], Json] = store.add_soon(self.key, record)
        return waits


def keep_reply(
    request: Json,
    ask: Callable[[Callable[[Json], None]], Json],
    usd: Callable[[Json], float | None] = lambda _: None,
) -> Json:
    """The reply to a request at this place of the journal: kept before, or asked for and kept.

    The place is part of the key, so a reply that was rejected is never handed to the
    attempt after it; but a process that was killed between a reply and its commit finds
    the reply when it comes to the same place again. Outside a simulation it just asks.

    Parameters
    ----------
    request : dict
        The request as asked, with the model's identity.
    ask : callable
        Sends the request and gives the reply as JSON. It is handed a function to call with the
        reply the moment that it is there, from whatever thread: no interrupt of the one who
        waits can then lose it.
    usd : callable, optional
        Given a reply, what it cost in US dollars, or None; kept with it.

    Raises
    ------
    ReplayMiss
        When a recording is only replayed, and asking would be new.
    """
    tx = current_transaction()
    store = tx.scope.store if tx is not None else None
    if tx is None or store is None:
        reply = ask(lambda _: None)
        if tx is not None:
            tx.replies.append(_outline(None, reply, usd(reply)))
        return reply
    place = Place.of(tx, request)
    try:
        kept = None if place.key in overlooked.get() else store.get(place.key)
    except DamagedRecord:
        kept = None
    if kept is None:
        if tx.scope.recorded is not None:
            tx.scope.recorded.missed(tx.asked, "it asks a model")
        tx.check_process()
        store.check_writable()
        waits: list[Callable[[], Json]] = []

        def arrived(reply: Json) -> None:
            if not waits:
                waits.append(place.keep(store, reply, usd(reply)))

        arrived(ask(arrived))
        # Of two kernels at the same place, the first stored wins and both go on with it.
        kept = waits[0]()
        tx.scope.model_calls += 1
    tx.replies.append(_outline(place.key, kept["reply"], kept.get("usd")))
    return dict(kept["reply"])


def _attempt(tx: Transaction | None) -> int:
    """Which reply of its outermost step this is, from 1."""
    number = 1
    while tx is not None:
        number += len(tx.replies)
        tx = tx.parent
    return number


def _outline(key: str | None, reply: Json, usd: float | None) -> Json:
    names = ("model", "usage", "seconds", "requests", "finish_reason")
    return {"key": key} | {name: reply.get(name) for name in names} | {"usd": usd}
