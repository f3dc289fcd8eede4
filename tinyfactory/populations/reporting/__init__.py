"""The report card of a population: what was asked for against what is there.

`report` measures, `ReportCard` holds the rows and shows them. No model and no network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyfactory.utils.imports import lazy_names

if TYPE_CHECKING:
    from tinyfactory.populations.reporting.card import ReportCard, Row
    from tinyfactory.populations.reporting.measurement import report

__all__ = ["ReportCard", "Row", "report"]

_MODULES = {"ReportCard": "card", "Row": "card", "report": "measurement"}

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
