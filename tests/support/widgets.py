"""What tests of widgets need that have no browser."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import ipywidgets
import pytest


def raise_in_handlers(patch: pytest.MonkeyPatch) -> None:
    """ipywidgets only logs what a handler raises."""

    def call(self: Any, *args: Any, **kwargs: Any) -> None:
        for callback in self.callbacks:
            callback(*args, **kwargs)

    patch.setattr(ipywidgets.CallbackDispatcher, "__call__", call)


def wait_until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until something holds; fail when it does not in time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.01)


def widgets_alive() -> int:
    """How many widgets this process keeps, layouts and styles among them."""
    import ipywidgets.widgets.widget as module

    return len(module._instances)
