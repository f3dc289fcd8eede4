"""The report card of a population: targets and actual numbers, repetition, and wording.

`report` measures, `ReportCard` holds the rows and shows them. Neither needs a model or a network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyfactory.utils.imports import lazy_face

if TYPE_CHECKING:
    from tinyfactory.populations.reporting.card import ReportCard, Row
    from tinyfactory.populations.reporting.measurement import report

__all__ = ["ReportCard", "Row", "report"]
__getattr__, __dir__ = lazy_face(
    __name__, {"ReportCard": "card", "Row": "card", "report": "measurement"}
)
