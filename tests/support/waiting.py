"""Wait for conditions in tests, never for a fixed time."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable

# Seconds after which a test counts as hanging, long enough for slow machines.
PATIENCE = 180.0


def until(true: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until it is true; fail after a timeout."""
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, "it did not come to that"
        time.sleep(0.005)


def main_waits_in(function: Callable[..., object]) -> bool:
    """Whether the main thread is waiting in this function, so that a test can interrupt it."""
    frame = sys._current_frames()[threading.main_thread().ident]
    waits = frame.f_code.co_filename == threading.__file__
    while frame is not None and frame.f_code is not function.__code__:
        frame = frame.f_back
    return waits and frame is not None


async def when(true: Callable[[], object], seconds: float = PATIENCE) -> None:
    """`until` on an event loop, so that the loop continues meanwhile."""
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, "it did not come to that"
        await asyncio.sleep(0.005)
