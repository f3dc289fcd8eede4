"""Forms and views for notebooks; the only room that knows ipywidgets.

Each ends in a Python value (`PersonaForm.people`, `PersonaBrowser.selected`) and has a line
of code that does the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyfactory.utils.imports import lazy_names

if TYPE_CHECKING:
    from tinyfactory.widgets.browser import PersonaBrowser as PersonaBrowser
    from tinyfactory.widgets.card import PersonaCard as PersonaCard
    from tinyfactory.widgets.chat import PersonaChat as PersonaChat
    from tinyfactory.widgets.compare import PersonaCompare as PersonaCompare
    from tinyfactory.widgets.form import PersonaForm as PersonaForm
    from tinyfactory.widgets.history import HistoryView as HistoryView
    from tinyfactory.widgets.population import PopulationView as PopulationView
    from tinyfactory.widgets.studio import Studio as Studio

_MODULES = {
    "HistoryView": "history",
    "PersonaBrowser": "browser",
    "PersonaCard": "card",
    "PersonaChat": "chat",
    "PersonaCompare": "compare",
    "PersonaForm": "form",
    "PopulationView": "population",
    "Studio": "studio",
}
__all__ = [*sorted(_MODULES)]

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
