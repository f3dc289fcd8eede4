"""Saves and finds a reply as the pipeline does, for transactional methods in tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinyfactory.journal.reply_cache import SavedReply
from tinyfactory.journal.transactions.transaction import current_transaction
from tinyfactory.models import event_loop

Json = dict[str, Any]


def keep_reply(request: Json, answer: Callable[[], Json]) -> Json:
    """The saved reply to a request of the current transaction; else saves a new one."""
    tx = current_transaction()
    if tx is None:
        return answer()
    place = SavedReply(tx, tx.key, request)
    stored = place.find()
    return event_loop.run(place.save(answer(), None)) if stored is None else stored
