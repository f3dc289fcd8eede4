"""The journal: transactional methods, and their events as JSON on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyfactory.utils.imports import lazy_names

if TYPE_CHECKING:
    from tinyfactory.journal.records import Event as Event
    from tinyfactory.journal.records import History as History
    from tinyfactory.journal.records import LineInfo as LineInfo
    from tinyfactory.journal.scope import on_rollback as on_rollback
    from tinyfactory.journal.serializer import journaled as journaled
    from tinyfactory.journal.simulation import Simulation as Simulation
    from tinyfactory.journal.simulation import current_simulation as current_simulation
    from tinyfactory.journal.transaction import current_transaction as current_transaction
    from tinyfactory.journal.transactional import transactional as transactional

_MODULES = {
    "Event": "records",
    "History": "records",
    "LineInfo": "records",
    "Simulation": "simulation",
    "current_simulation": "simulation",
    "current_transaction": "transaction",
    "journaled": "serializer",
    "on_rollback": "scope",
    "transactional": "transactional",
}
__all__ = [*sorted(_MODULES)]

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
