"""Waiting for what a test needs, and never for a time in which it ought to have come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

# Seconds after which something hangs: no measure of how fast it is, on however slow a machine.
PATIENCE = 180.0


def until(true: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until it is true; fail when it does not come to that."""
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, "it did not come to that"
        time.sleep(0.005)


async def when(true: Callable[[], object], seconds: float = PATIENCE) -> None:
    """`until` on an event loop, for what happens on that loop meanwhile."""
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, "it did not come to that"
        await asyncio.sleep(0.005)
