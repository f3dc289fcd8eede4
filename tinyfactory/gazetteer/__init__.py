"""Countries, places, gender words and names of people, read from tables.

Everything that has to know a country, a place, or the names given there reads it here: the
prompts' reader of the user's words, the offline model, populations and profiles.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any


def read_table(name: str, package: str = __name__) -> Any:
    """Read the JSON table `name` from the folder ``tables`` of a package."""
    path = files(package) / "tables" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def read_rows(name: str, package: str = __name__) -> list[dict[str, Any]]:
    """Read a table that is a list of objects; lists in them become tuples, to be shared."""
    return [
        {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
        for row in read_table(name, package)
    ]
