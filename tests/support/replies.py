"""A reply saved and found as the pipeline does it, for transactional methods of tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinyfactory.journal.reply_cache import SavedReply
from tinyfactory.journal.transaction import current_transaction
from tinyfactory.models import event_loop

Json = dict[str, Any]


def keep_reply(request: Json, answer: Callable[[], Json]) -> Json:
    """The saved reply to a request of the current transaction, or a new one, saved."""
    tx = current_transaction()
    if tx is None:
        return answer()
    place = SavedReply(tx, tx.key, request)
    stored = place.find()
    return event_loop.run(place.save(answer(), None)) if stored is None else stored
