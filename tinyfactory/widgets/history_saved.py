"""What stands of a history in a saved notebook: its lines, and the events of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from tinyfactory.journal.timeline import Chronicle
from tinyfactory.people.render.html import MAX_ROWS
from tinyfactory.people.render.tables import table_html
from tinyfactory.utils.text import legible
from tinyfactory.widgets import history_rows as rows
from tinyfactory.widgets.table import Column

T = TypeVar("T")


def as_text(
    here: Chronicle, heading: str, lines: Sequence[str], line: str, keys: Sequence[str]
) -> str:
    """The lines, and the events of the chosen one, as text; at most 50 of each."""
    out = [heading]
    out += ["  ".join(rows.line_cells(here, root)[:3]) for root in lines[:MAX_ROWS]]
    out += _more(len(lines))
    if line:
        out.append(f"Line {line[:8]}: {here.title(line)}")
        out += ["  ".join(rows.event_cells(here, key)[:5]) for key in keys[:MAX_ROWS]]
        out += _more(len(keys))
    return legible("\n".join(out))


def as_html(
    here: Chronicle, heading: str, lines: Sequence[str], line: str, keys: Sequence[str]
) -> str:
    """The same as tables of at most 50 rows."""
    cells = [rows.line_cells(here, root) for root in lines[:MAX_ROWS]]
    html = table_html(heading, _heads(rows.LINES), cells, len(lines))
    if line:
        title = f"Line {line[:8]}: {here.title(line)}"
        cells = [_lasting(rows.event_cells(here, key)) for key in keys[:MAX_ROWS]]
        html += table_html(title, _lasting(_heads(rows.EVENTS)), cells, len(keys))
    return html


def _lasting(row: list[T]) -> list[T]:
    """A row without its seconds: run again, a notebook shall store the same."""
    return [part for column, part in zip(rows.EVENTS, row, strict=True) if column.key != "seconds"]


def _heads(columns: Sequence[Column]) -> list[tuple[str, str]]:
    return [(column.label, column.align) for column in columns]


def _more(total: int) -> list[str]:
    return [f"and {total - MAX_ROWS:,} more"] if total > MAX_ROWS else []
