"""Replies first: what a model answered is on disk before anyone looks at it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tinyfactory.errors import DamagedRecord
from tinyfactory.journal.canonical import digest
from tinyfactory.journal.transaction import current_transaction

Json = dict[str, Any]


def keep_reply(request: Json, ask: Callable[[], Json]) -> Json:
    """The reply to a request at this place of the journal: kept before, or asked for and kept.

    The place is part of the key, so a reply that was rejected is never handed to the
    attempt after it; but a process that was killed between a reply and its commit finds
    the reply when it comes to the same place again. Outside a simulation it just asks.

    Parameters
    ----------
    request : dict
        The request as asked, with the model's identity.
    ask : callable
        Sends the request and gives the reply as JSON.
    """
    tx = current_transaction()
    store = tx.scope.store if tx is not None else None
    if tx is None or store is None:
        reply = ask()
        if tx is not None:
            tx.replies.append(_outline(None, reply))
        return reply
    key = "reply:" + digest(tx.key, request)
    try:
        kept = store.get(key)
    except DamagedRecord:
        kept = None
    if kept is None:
        reply = ask()
        request_digest = digest(request)
        kept = {"request": request_digest, "for": tx.key, "at": round(time.time(), 3)}
        # Of two kernels at the same place, the first stored wins and both go on with it.
        kept = store.add(key, kept | {"reply": reply})
        tx.scope.model_calls += 1
    tx.replies.append(_outline(key, kept["reply"]))
    return dict(kept["reply"])


def _outline(key: str | None, reply: Json) -> Json:
    names = ("model", "usage", "seconds", "requests", "finish_reason")
    return {"key": key} | {name: reply.get(name) for name in names}
