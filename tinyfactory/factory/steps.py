"""What the steps of a factory say to the transaction that they run in."""

from __future__ import annotations

from typing import Any

from tinyfactory.journal.transaction import Transaction, current_transaction


def transaction() -> Transaction:
    """The transaction around; for code that only runs within a transactional method."""
    here = current_transaction()
    if here is None:
        raise RuntimeError("only called within a transactional method")
    return here


def fail(why: str, values: dict[str, Any], *, keep: bool) -> None:
    """End a step without a result; kept (and replayed) only when the model did answer."""
    here = transaction()
    here.fail(why, keep=keep)
    if values:
        here.stage({"set": values})
