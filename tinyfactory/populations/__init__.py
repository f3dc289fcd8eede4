"""Populations: demographies, people drawn from them, and report cards."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["Demography", "ReportCard", "Row", "report"]

_ROOMS = {
    "demography": ("Demography",),
    "reporting": ("ReportCard", "Row", "report"),
}


def __getattr__(name: str) -> Any:
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{room}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
