"""Simulated people for notebooks, written by a language model under control of code.

Names are imported when they are first used, so `import tinyfactory` takes next to no time.
"""

from __future__ import annotations

from tinyfactory.utils.imports import lazy_face

TYPE_CHECKING = False  # as type checkers read it; importing typing takes 10 ms
if TYPE_CHECKING:
    from tinyfactory import control, errors, populations, widgets
    from tinyfactory.budget import Budget
    from tinyfactory.factory.base import TinyFactory
    from tinyfactory.factory.person_factory import TinyPersonFactory
    from tinyfactory.journal.simulation import Simulation
    from tinyfactory.journal.transactional import transactional
    from tinyfactory.people.formats.files import save_people
    from tinyfactory.people.formats.rows import to_frame
    from tinyfactory.people.people_list import People, load_people
    from tinyfactory.people.person import TinyPerson
    from tinyfactory.people.schema.persona import PersonaSpec
    from tinyfactory.populations.demography import Demography
    from tinyfactory.populations.reporting.measurement import report
    from tinyfactory.settings import configure
    from tinyfactory.widgets.studio import studio

__all__ = [
    "Budget",
    "Demography",
    "People",
    "PersonaSpec",
    "Simulation",
    "TinyFactory",
    "TinyPerson",
    "TinyPersonFactory",
    "configure",
    "control",
    "errors",
    "load_people",
    "populations",
    "report",
    "save_people",
    "studio",
    "to_frame",
    "transactional",
    "widgets",
]
__version__ = "0.1.0"
__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "Budget": "budget",
        "Demography": "populations",
        "People": "people",
        "PersonaSpec": "people",
        "Simulation": "journal.simulation",
        "TinyFactory": "factory",
        "TinyPerson": "people",
        "TinyPersonFactory": "factory",
        "configure": "settings",
        "control": None,
        "errors": None,
        "load_people": "people",
        "populations": None,
        "report": "populations",
        "save_people": "people",
        "studio": "widgets.studio",
        "to_frame": "people",
        "transactional": "journal.transactional",
        "widgets": None,
    },
    "__version__",
)
