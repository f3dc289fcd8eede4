"""Replies are saved on arrival: a reply that was paid for is on disk before it is parsed."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tinyfactory.errors import DamagedRecord
from tinyfactory.journal import key as keys
from tinyfactory.journal.transaction import Transaction

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SavedReply:
    """The reply to one request of a transaction: where it is stored, if it is.

    A process that was killed between a reply and its commit finds the reply when it makes the
    same request at the same place again.

    Parameters
    ----------
    transaction : Transaction
    call_key : str
        The key of the call that makes the request.
    request : dict
        The request with the identity of its model, as JSON.
    """

    transaction: Transaction
    call_key: str
    request: Json

    @property
    def key(self) -> str:
        """The key of the reply in the journal."""
        return keys.reply_key(self.call_key, self.request)[0]

    def find(self) -> Json | None:
        """The reply if it is stored, else None; nothing may be paid for then without a place.

        Raises
        ------
        ReplayMiss
            When a recording is opened for replay only, so that asking would be new.
        JournalUnavailable
            When the journal can only be read.
        """
        scope = self.transaction.scope
        if scope.store is None:
            return None
        key = self.key
        try:
            stored = scope.store.get(key)
        except DamagedRecord:
            stored = None
        if stored is not None:
            return self._noted(key, stored)
        if scope.recorded is not None:
            scope.recorded.missed(self.transaction, "it asks a model")
        self.transaction.check_process()
        scope.store.check_writable()
        return None

    def save(self, reply: Json, usd: float | None) -> Callable[[], Awaitable[Json]]:
        """Store a reply; await the result's call for the disk and for the reply that counts.

        Of two kernels that ask at the same place the first stored reply counts for both.
        """
        scope = self.transaction.scope
        if scope.store is None:
            self.transaction.replies.append(_summary(None, reply, usd))
            return functools.partial(_itself, reply)
        key, asked = keys.reply_key(self.call_key, self.request)
        record = {
            "request": asked,
            "for": self.call_key,
            "attempt": self._attempt(),
            "at": round(time.time(), 3),
            "reply": reply,
            "usd": usd,
        }
        stored = scope.store.submit([(key, record)])
        scope.model_calls += 1

        async def wait() -> Json:
            return self._noted(key, (await asyncio.wrap_future(stored))[0])

        return wait

    def _noted(self, key: str, record: Json) -> Json:
        """Add a stored reply to the transaction's account of what it took."""
        self.transaction.replies.append(_summary(key, record["reply"], record.get("usd")))
        return dict(record["reply"])

    def _attempt(self) -> int:
        """Which reply of its outermost call this is, from 1."""
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
