"""Simulated people for notebooks, written by a language model under control of code.

Names are looked up when first used, so importing this costs next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what type checkers take for True; importing typing takes 10 ms
if TYPE_CHECKING:
    from typing import Any

    from tinyfactory import control as control
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
    from tinyfactory.settings import configure as configure
    from tinyfactory.widgets.studio import studio as studio

__version__ = "0.1.0"

_WHERE = {
    "Budget": "budget",
    "People": "people",
    "PersonaSpec": "people",
    "Simulation": "journal.simulation",
    "TinyFactory": "factory",
    "TinyPerson": "people",
    "TinyPersonFactory": "factory",
    "configure": "settings",
    "control": "",
    "load_people": "people",
    "save_people": "people",
    "studio": "widgets.studio",
    "to_frame": "people",
    "transactional": "journal.transactional",
}
__all__ = [*sorted(_WHERE)]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'tinyfactory' has no attribute {name!r}")
    from importlib import import_module

    where = _WHERE[name]
    if not where:
        return import_module(f"tinyfactory.{name}")
    value = getattr(import_module(f"tinyfactory.{where}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
