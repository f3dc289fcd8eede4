"""The report card of a population: target and actual shares, repetition, and wording.

`report` measures, `ReportCard` holds the rows and shows them. Neither needs a model or a network.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinyfactory.populations.reporting.card import ReportCard, Row
    from tinyfactory.populations.reporting.measurement import report

__all__ = ["ReportCard", "Row", "report"]

_MODULES = {"ReportCard": "card", "Row": "card", "report": "measurement"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
