"""What tests of widgets need that have no browser."""

from __future__ import annotations

from typing import Any

import ipywidgets
import pytest


def raise_in_handlers(patch: pytest.MonkeyPatch) -> None:
    """ipywidgets only logs what a handler raises."""

    def call(self: Any, *args: Any, **kwargs: Any) -> None:
        for callback in self.callbacks:
            callback(*args, **kwargs)

    patch.setattr(ipywidgets.CallbackDispatcher, "__call__", call)


def widgets_alive() -> int:
    """How many widgets this process keeps, layouts and styles among them."""
    import ipywidgets.widgets.widget as module

    return len(module._instances)
