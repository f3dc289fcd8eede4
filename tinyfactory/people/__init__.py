"""People: what one is, reading one from a model's reply, showing, loading and saving them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyfactory.utils.imports import lazy_names

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
    from tinyfactory.people.schema.persona import (
        PersonaSpec,
        check_generated,
        contexts_schema,
        merge,
        normalise,
        reply_schema,
    )
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

_MODULES = {
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
    "schema.persona": (
        *("PersonaSpec", "check_generated", "contexts_schema"),
        *("merge", "normalise", "reply_schema"),
    ),
    "formats.parquet_file": ("PeopleWriter", "iter_parquet", "to_parquet"),
}

__getattr__, __dir__ = lazy_names(
    __name__, {name: module for module, names in _MODULES.items() for name in names}
)
