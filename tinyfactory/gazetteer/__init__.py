"""Countries, places, gender words and names of people, read from tables.

Everything that has to know a country, a place, or the names given there reads it here: the
prompts' reader of the user's words, the offline model, populations and profiles.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_table(name: str, beside: str = __file__) -> Any:
    """Read the JSON table `name` from the folder ``tables`` beside a module's file."""
    path = Path(beside).parent / "tables" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def read_rows(name: str, beside: str = __file__) -> list[dict[str, Any]]:
    """Read a table that is a list of objects; lists in them become tuples, to be shared."""
    return [
        {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
        for row in read_table(name, beside)
    ]
