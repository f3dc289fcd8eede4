"""People: what one is, reading one from a model's reply, showing, loading and saving them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinyfactory.people.comparison import Comparison, compare
    from tinyfactory.people.formats.csv_file import from_csv, iter_csv, to_csv
    from tinyfactory.people.formats.edsl import from_edsl, to_edsl
    from tinyfactory.people.formats.files import load_people, save_people, to_frame
    from tinyfactory.people.formats.parquet_file import PeopleWriter, iter_parquet, to_parquet
    from tinyfactory.people.panel import Panel
    from tinyfactory.people.people_list import People
    from tinyfactory.people.person import TinyPerson
    from tinyfactory.people.proposal import Proposal
    from tinyfactory.people.revisions import Revision
    from tinyfactory.people.schema.layout import contexts_schema, reply_schema
    from tinyfactory.people.schema.normalise import check_generated, merge, normalise
    from tinyfactory.people.schema.persona import PersonaSpec
    from tinyfactory.people.schema.reply_parser import read_contexts, read_persona

__all__ = [
    "Comparison",
    "Panel",
    "People",
    "PeopleWriter",
    "PersonaSpec",
    "Proposal",
    "Revision",
    "TinyPerson",
    "check_generated",
    "compare",
    "contexts_schema",
    "from_csv",
    "from_edsl",
    "iter_csv",
    "iter_parquet",
    "load_people",
    "merge",
    "normalise",
    "read_contexts",
    "read_persona",
    "reply_schema",
    "save_people",
    "to_csv",
    "to_edsl",
    "to_frame",
    "to_parquet",
]

_ROOMS = {
    "comparison": ("Comparison", "compare"),
    "formats.csv_file": ("from_csv", "iter_csv", "to_csv"),
    "formats.edsl": ("from_edsl", "to_edsl"),
    "formats.files": ("load_people", "save_people", "to_frame"),
    "panel": ("Panel",),
    "people_list": ("People",),
    "person": ("TinyPerson",),
    "proposal": ("Proposal",),
    "schema.reply_parser": ("read_contexts", "read_persona"),
    "revisions": ("Revision",),
    "schema.layout": ("contexts_schema", "reply_schema"),
    "schema.normalise": ("check_generated", "merge", "normalise"),
    "schema.persona": ("PersonaSpec",),
    "formats.parquet_file": ("PeopleWriter", "iter_parquet", "to_parquet"),
}


def __getattr__(name: str) -> Any:
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{room}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
