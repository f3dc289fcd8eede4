"""What the transaction now running must undo if it rolls back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Undo = Callable[[], object]

# The undo log of the innermost transaction; None outside any.
log: ContextVar[list[Undo] | None] = ContextVar("tinyfactory_undo_log", default=None)


def on_rollback(undo: Undo) -> None:
    """Have `undo` called if the transaction around is rolled back; else do nothing.

    For code that changes something beside the object whose method runs, such as a registry.

    Examples
    --------
    >>> on_rollback(lambda: None)  # outside a transaction: nothing to undo
    """
    steps = log.get()
    if steps is not None:
        steps.append(undo)


@contextmanager
def undone_on_error() -> Iterator[None]:
    """Undo what `on_rollback` was told of within the block when an error leaves it."""
    steps: list[Undo] = []
    token = log.set(steps)
    try:
        yield
    except BaseException:
        while steps:
            steps.pop()()
        raise
    finally:
        log.reset(token)
