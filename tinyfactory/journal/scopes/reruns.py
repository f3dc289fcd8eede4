"""Objects and edits of notebook cells that are run again while a recording is replayed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinyfactory.journal.cells import births, current_execution
from tinyfactory.journal.scopes.context import current_context
from tinyfactory.journal.scopes.scope import Scope, scope


def note_birth(thing: Any) -> None:
    """Remember the cell that makes an object, so that the cell may be run again in a recording."""
    if scope().store is not None:
        execution = current_execution()
        if execution is not None:
            births.put(thing, execution)


def is_made_again(here: Scope, thing: Any) -> bool:
    """Whether a recording's cell is run again that made this object in its first run."""
    born = None if here.recorded is None else births.get(thing)
    execution = None if born is None else current_execution()
    if born is None or execution is None:
        return False
    return born.cell == execution.cell and born.number != execution.number


def once_per_cell(here: Scope, thing: Any, what: str, make: Callable[[], Any]) -> Any:
    """Make an edit; in a recording's cell that is run again, return the first run's result.

    Parameters
    ----------
    here : Scope
    thing : object
        The object that is edited.
    what : str
        The same for equal edits.
    make : callable
    """
    execution = None if here.recorded is None else current_execution()
    if execution is None or current_context().transaction is not None:
        return make()
    return here.recorded.turns.once(execution, thing, what, make)
