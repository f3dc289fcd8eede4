"""People: their schema, the parser of replies, editing, showing, loading and saving."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinyfactory.people.comparison import Comparison, compare
    from tinyfactory.people.formats.csv_file import to_csv
    from tinyfactory.people.formats.edsl import to_edsl
    from tinyfactory.people.formats.files import save_people
    from tinyfactory.people.formats.parquet_file import PeopleWriter, to_parquet
    from tinyfactory.people.formats.rows import to_frame
    from tinyfactory.people.panel import Panel
    from tinyfactory.people.people_list import (
        People,
        from_csv,
        from_edsl,
        iter_csv,
        iter_parquet,
        load_people,
    )
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

# Where each name is defined; its module is imported when the name is first used.
_MODULES = {
    "comparison": ("Comparison", "compare"),
    "formats.csv_file": ("to_csv",),
    "formats.edsl": ("to_edsl",),
    "formats.files": ("save_people",),
    "formats.parquet_file": ("PeopleWriter", "to_parquet"),
    "formats.rows": ("to_frame",),
    "panel": ("Panel",),
    "people_list": (
        *("People", "from_csv", "from_edsl", "iter_csv", "iter_parquet", "load_people"),
    ),
    "person": ("TinyPerson",),
    "proposal": ("Proposal",),
    "revisions": ("Revision",),
    "schema.layout": ("contexts_schema", "reply_schema"),
    "schema.normalise": ("check_generated", "merge", "normalise"),
    "schema.persona": ("PersonaSpec",),
    "schema.reply_parser": ("read_contexts", "read_persona"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
