"""Populations: demographies, people drawn from them, and report cards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyfactory.utils.imports import lazy_face

if TYPE_CHECKING:
    from tinyfactory.populations.demography import Demography
    from tinyfactory.populations.reporting.card import ReportCard, Row
    from tinyfactory.populations.reporting.measurement import report

__all__ = ["Demography", "ReportCard", "Row", "report"]
__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "Demography": "demography",
        "ReportCard": "reporting.card",
        "Row": "reporting.card",
        "report": "reporting.measurement",
    },
)
