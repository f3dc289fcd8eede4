"""People: their schema, the parser of replies, editing, showing, loading and saving."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyfactory.utils.imports import lazy_face

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
__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "Comparison": "comparison",
        "Panel": "panel",
        "People": "people_list",
        "PeopleWriter": "formats.parquet_file",
        "PersonaSpec": "schema.persona",
        "Proposal": "proposal",
        "Revision": "revisions",
        "TinyPerson": "person",
        "check_generated": "schema.normalise",
        "compare": "comparison",
        "contexts_schema": "schema.layout",
        "from_csv": "people_list",
        "from_edsl": "people_list",
        "iter_csv": "people_list",
        "iter_parquet": "people_list",
        "load_people": "people_list",
        "merge": "schema.normalise",
        "normalise": "schema.normalise",
        "read_contexts": "schema.reply_parser",
        "read_persona": "schema.reply_parser",
        "reply_schema": "schema.layout",
        "save_people": "formats.files",
        "to_csv": "formats.csv_file",
        "to_edsl": "formats.edsl",
        "to_frame": "formats.rows",
        "to_parquet": "formats.parquet_file",
    },
)
