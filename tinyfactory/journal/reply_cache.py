"""Saves each reply on arrival, so that a paid reply is on disk before it is parsed."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Coroutine
from typing import Any

from tinyfactory.errors import DamagedRecord
from tinyfactory.journal import key as keys
from tinyfactory.journal.transactions.transaction import Transaction

Json = dict[str, Any]


class SavedReply:
    """The place of the reply to one request of a transaction.

    After a kill between a reply and its commit, the same request at the same place finds the
    reply.

    Parameters
    ----------
    transaction : Transaction
    call_key : str
        The key of the call that makes the request.
    request : dict
        The request with the identity of its model, as JSON.

    Attributes
    ----------
    key : str
        The key of the reply in the journal.
    """

    def __init__(self, transaction: Transaction, call_key: str, request: Json) -> None:
        self.transaction = transaction
        self._call_key = call_key
        self.key, self._digest = keys.reply_key(call_key, request)

    def find(self) -> Json | None:
        """The reply if it is stored, else None, after checking that a new one can be saved.

        Raises
        ------
        ReplayMiss
            If a recording is opened for replay only, so that no request may be sent.
        JournalUnavailable
            If the journal is read-only.
        """
        scope = self.transaction.scope
        if scope.store is None:
            return None
        try:
            stored = scope.store.get(self.key)
        except DamagedRecord:
            stored = None
        if stored is not None:
            return self._noted(stored)
        if scope.recorded is not None:
            scope.recorded.missed(self.transaction.content, "it asks a model")
        self.transaction.check_process()
        scope.store.check_writable()
        return None

    def save(self, reply: Json, usd: float | None) -> Callable[[], Coroutine[Any, Any, Json]]:
        """Store a reply; returns a function to await, which gives the reply that counts.

        If two kernels send the same request at the same place, the first stored reply counts
        for both.
        """
        scope = self.transaction.scope
        if scope.store is None:
            self.transaction.replies.append(_summary(None, reply, usd))
            return functools.partial(_itself, reply)
        record = {
            "request": self._digest,
            "for": self._call_key,
            "attempt": self._attempt(),
            "at": round(time.time(), 3),
            "reply": reply,
            "usd": usd,
        }
        items = [(self.key, record)]
        stored = scope.store.submit(items)
        scope.model_calls += 1

        async def wait() -> Json:
            import asyncio  # slow to import

            try:
                return self._noted((await asyncio.wrap_future(stored))[0])
            except asyncio.CancelledError:
                scope.store.leave(items, stored)
                raise

        return wait

    def _noted(self, record: Json) -> Json:
        """Add a stored reply to the summary that is saved with the transaction's event."""
        self.transaction.replies.append(_summary(self.key, record["reply"], record.get("usd")))
        return dict(record["reply"])

    def _attempt(self) -> int:
        """The number of this reply within its outermost call, from 1."""
        number = 1
        tx: Transaction | None = self.transaction
        while tx is not None:
            number += len(tx.replies)
            tx = tx.parent
        return number


def _summary(key: str | None, reply: Json, usd: float | None) -> Json:
    names = ("model", "usage", "seconds", "requests", "finish_reason")
    return {"key": key} | {name: reply.get(name) for name in names} | {"usd": usd}


async def _itself(reply: Json) -> Json:
    return reply
