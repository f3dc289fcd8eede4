"""The context of a call: what the running code belongs to, and what a rollback undoes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from tinyfactory.journal.cells import Execution
from tinyfactory.journal.scopes.lines import Slot

Undo = Callable[[], object]


class Context(NamedTuple):
    """The call, slot and sender that the running code belongs to.

    Attributes
    ----------
    transaction : Transaction or None
        The innermost transactional call.
    slot : Slot or None
        The slot of a job that this call fills.
    undo : list of callable or None
        The undo log of the innermost transaction, to which `on_rollback` adds functions.
    sender : Sender or None
        The sender of the current job, with its budget and its cancel token. Users' own methods
        and callbacks inherit it.
    scope : Scope or None
        The scope of the simulation that the work belongs to; None if there was none when it began.
    execution : Execution or None
        The execution of the cell that began the current job; None for the one that runs now.
    """

    transaction: Any = None
    slot: Slot | None = None
    undo: list[Undo] | None = None
    sender: Any = None
    scope: Any = None
    execution: Execution | None = None


# The only context variable of the package; each thread and task has a current call.
_context: ContextVar[Context] = ContextVar("tinyfactory_context", default=Context())  # noqa: B039 - a tuple


def current_context() -> Context:
    """The context of the calling thread or task."""
    return _context.get()


@contextmanager
def within(context: Context) -> Iterator[None]:
    """Run the block in another context."""
    token = _context.set(context)
    try:
        yield
    finally:
        _context.reset(token)


def on_rollback(undo: Undo) -> None:
    """Call `undo` if the current transaction is rolled back; without one do nothing.

    For code that changes something other than the method's object, such as a registry.

    Examples
    --------
    >>> on_rollback(lambda: None)  # outside a transaction: nothing to undo
    """
    log = _context.get().undo
    if log is not None:
        log.append(undo)


@contextmanager
def undone_on_error() -> Iterator[None]:
    """If the block raises, call the functions that `on_rollback` collected in it."""
    log: list[Undo] = []
    with within(_context.get()._replace(undo=log)):
        try:
            yield
        except BaseException:
            while log:
                log.pop()()
            raise
