"""Simulated people for notebooks, written by a language model under control of code.

Names are looked up when first used, so importing this costs next to nothing.
"""

from __future__ import annotations

from tinyfactory.utils.imports import lazy_names

TYPE_CHECKING = False  # type checkers take it for True; importing typing takes 10 ms
if TYPE_CHECKING:
    from tinyfactory import control as control
    from tinyfactory import errors as errors
    from tinyfactory import populations as populations
    from tinyfactory import widgets as widgets
    from tinyfactory.budget import Budget as Budget
    from tinyfactory.factory import TinyFactory as TinyFactory
    from tinyfactory.factory import TinyPersonFactory as TinyPersonFactory
    from tinyfactory.journal.simulation import Simulation as Simulation
    from tinyfactory.journal.transactional import transactional as transactional
    from tinyfactory.people import People as People
    from tinyfactory.people import PersonaSpec as PersonaSpec
    from tinyfactory.people import TinyPerson as TinyPerson
    from tinyfactory.people import load_people as load_people
    from tinyfactory.people import save_people as save_people
    from tinyfactory.people import to_frame as to_frame
    from tinyfactory.populations import Demography as Demography
    from tinyfactory.populations.reporting import report as report
    from tinyfactory.settings import configure as configure
    from tinyfactory.widgets.studio import studio as studio

__version__ = "0.1.0"

_MODULES = {
    "Budget": "budget",
    "Demography": "populations",
    "People": "people",
    "PersonaSpec": "people",
    "Simulation": "journal.simulation",
    "TinyFactory": "factory",
    "TinyPerson": "people",
    "TinyPersonFactory": "factory",
    "configure": "settings",
    "control": "",
    "errors": "",
    "load_people": "people",
    "populations": "",
    "report": "populations.reporting",
    "save_people": "people",
    "studio": "widgets.studio",
    "to_frame": "people",
    "transactional": "journal.transactional",
    "widgets": "",
}
__all__ = [*sorted(_MODULES)]

__getattr__, __dir__ = lazy_names(__name__, _MODULES, "__version__")
