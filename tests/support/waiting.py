"""Waiting for what a test needs, and never for a time in which it ought to have come."""

from __future__ import annotations

import asyncio
import sys
import threading
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


def main_waits_in(function: Callable[..., object]) -> bool:
    """Whether the main thread waits for another one in it, for an interrupt to find it there."""
    frame = sys._current_frames()[threading.main_thread().ident]
    waits = frame.f_code.co_filename == threading.__file__
    while frame is not None and frame.f_code is not function.__code__:
        frame = frame.f_back
    return waits and frame is not None


async def when(true: Callable[[], object], seconds: float = PATIENCE) -> None:
    """`until` on an event loop, for what happens on that loop meanwhile."""
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, "it did not come to that"
        await asyncio.sleep(0.005)
