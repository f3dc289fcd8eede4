"""Populations: how many people of which kind, solved in code, and whether they match."""

from __future__ import annotations

from tinyfactory.utils.imports import lazy_names

__all__ = ["Demography", "ReportCard", "Row", "report"]

_MODULES = {
    "demography": ("Demography",),
    "reporting": ("ReportCard", "Row", "report"),
}

__getattr__, __dir__ = lazy_names(
    __name__, {name: module for module, names in _MODULES.items() for name in names}
)
