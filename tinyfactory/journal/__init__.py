"""The journal: transactional methods, and their events as JSON on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyfactory.utils.imports import lazy_face

if TYPE_CHECKING:
    from tinyfactory.journal.records import Event, History, LineInfo
    from tinyfactory.journal.scopes.context import on_rollback
    from tinyfactory.journal.simulation import Simulation, current_simulation
    from tinyfactory.journal.transactions.transaction import current_transaction
    from tinyfactory.journal.values.serializer import journaled

__all__ = [
    "Event",
    "History",
    "LineInfo",
    "Simulation",
    "current_simulation",
    "current_transaction",
    "journaled",
    "on_rollback",
]
__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "Event": "records",
        "History": "records",
        "LineInfo": "records",
        "Simulation": "simulation",
        "current_simulation": "simulation",
        "current_transaction": "transactions.transaction",
        "journaled": "values.serializer",
        "on_rollback": "scopes.context",
    },
)
