"""Helpers for tests of widgets without a browser."""

from __future__ import annotations

from typing import Any

import ipywidgets
import pytest


def raise_in_handlers(patch: pytest.MonkeyPatch) -> None:
    """Make errors in handlers fail the test, because ipywidgets only logs them."""

    def call(self: Any, *args: Any, **kwargs: Any) -> None:
        for callback in self.callbacks:
            callback(*args, **kwargs)

    patch.setattr(ipywidgets.CallbackDispatcher, "__call__", call)


def widgets_alive() -> int:
    """The number of widgets in this process, including layouts and styles."""
    import ipywidgets.widgets.widget as module

    return len(module._instances)
