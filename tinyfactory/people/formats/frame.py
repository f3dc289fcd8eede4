"""Read the people in a pandas data frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinyfactory.errors import InvalidInput
from tinyfactory.people.formats.notes import Notes
from tinyfactory.people.formats.table import Table


def read_frame(frame: Any, notes: Notes) -> Iterator[tuple[dict[str, Any], str]]:
    """Read the agents in a data frame, each with its place.

    Levels of the index that have a name are columns; the others are left out.

    Raises
    ------
    InvalidInput
        If `frame` is no data frame, and for an invalid person, naming the row.
    """
    if not (hasattr(frame, "itertuples") and hasattr(frame, "columns")):
        raise InvalidInput(
            f"frame must be a data frame, not {type(frame).__name__}. For a file, call load_people."
        )
    names = [name for name in frame.index.names if name is not None]
    if len(names) == frame.index.nlevels:
        frame = frame.reset_index()
    elif not all(isinstance(label, int) for label in frame.index[:1]):
        notes.add("The index of the frame has no name; it was left out", f"row {frame.index[0]!r}")
    if getattr(frame.columns, "nlevels", 1) > 1:
        raise InvalidInput(
            "The columns of the frame have several levels. Nothing was loaded. Join their names "
            "to one text each."
        )
    table = Table((str(column) for column in frame.columns), "The frame", notes)
    for number, cells in enumerate(frame.itertuples(index=False, name=None), 1):
        where = f"row {number}"
        yield table.agent(map(_value, cells), where), where


def _value(cell: Any) -> Any:
    """Return a cell as plain Python; every mark of a missing value is None."""
    if type(cell) in (str, int, bool) or cell is None:
        return cell
    if hasattr(cell, "tolist"):  # numpy
        return _value(cell.tolist())
    if isinstance(cell, list | tuple):
        return [_value(item) for item in cell]
    if isinstance(cell, dict):
        return {key: _value(item) for key, item in cell.items()}
    if type(cell).__name__ in ("NAType", "NaTType") or cell != cell:
        return None
    return cell
