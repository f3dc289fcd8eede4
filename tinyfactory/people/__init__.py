"""People: what one is, reading one from a model's reply, showing, loading and saving them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyfactory.utils.imports import lazy_face

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
        "check_generated": "schema.persona",
        "compare": "comparison",
        "contexts_schema": "schema.persona",
        "from_csv": "formats.csv_file",
        "from_edsl": "formats.edsl",
        "iter_csv": "formats.csv_file",
        "iter_parquet": "formats.parquet_file",
        "load_people": "formats.files",
        "merge": "schema.persona",
        "normalise": "schema.persona",
        "read_contexts": "schema.reply_parser",
        "read_persona": "schema.reply_parser",
        "reply_schema": "schema.persona",
        "save_people": "formats.files",
        "to_csv": "formats.csv_file",
        "to_edsl": "formats.edsl",
        "to_frame": "formats.files",
        "to_parquet": "formats.parquet_file",
    },
)
