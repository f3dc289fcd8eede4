"""Forms and views for notebooks. The only package that imports ipywidgets.

Each widget ends in a Python value (`PersonaForm.people`, `PersonaBrowser.selected`) and shows the
line of code that does the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyfactory.utils.imports import lazy_face

if TYPE_CHECKING:
    from tinyfactory.widgets.browser.persona_browser import PersonaBrowser
    from tinyfactory.widgets.card.persona_card import PersonaCard
    from tinyfactory.widgets.chat.persona_chat import PersonaChat
    from tinyfactory.widgets.compare.persona_compare import PersonaCompare
    from tinyfactory.widgets.form.persona_form import PersonaForm
    from tinyfactory.widgets.history.history_view import HistoryView
    from tinyfactory.widgets.population.population_view import PopulationView
    from tinyfactory.widgets.studio import Studio

__all__ = [
    "HistoryView",
    "PersonaBrowser",
    "PersonaCard",
    "PersonaChat",
    "PersonaCompare",
    "PersonaForm",
    "PopulationView",
    "Studio",
]
__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "HistoryView": "history.history_view",
        "PersonaBrowser": "browser.persona_browser",
        "PersonaCard": "card.persona_card",
        "PersonaChat": "chat.persona_chat",
        "PersonaCompare": "compare.persona_compare",
        "PersonaForm": "form.persona_form",
        "PopulationView": "population.population_view",
        "Studio": "studio",
    },
)
