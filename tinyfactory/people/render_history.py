"""Steps of a simulation as static HTML: a table of rows, and one step to read."""

from __future__ import annotations

from collections.abc import Sequence

from tinyfactory.people.render import (
    _CELL,
    _FAINT,
    _NO_MATH,
    _TEXT,
    MAX_ROWS,
    _short,
    escape,
    rows_html,
)

_ITEMS = 20


def table_html(
    heading: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], total: int
) -> str:
    """Rows of text as a table that needs no kernel; says how many rows are not in it.

    Parameters
    ----------
    heading : str
    columns : sequence of (label, align)
    rows : sequence of sequences of str
        At most 50 are shown.
    total : int
        How many rows there are.

    Examples
    --------
    >>> html = table_html("1 < 2", [("What", "left")], [["<b>"]], 1)
    >>> "1 &lt; 2" in html, "&lt;b&gt;" in html, "<b>1" in html
    (True, True, True)
    """
    shown = [
        [escape(_short(cell)) for cell in row]
        for row in rows[:MAX_ROWS]
        if len(row) == len(columns)
    ]
    more = total - min(len(rows), MAX_ROWS)
    note = f'<p style="margin: 4px 0; color: {_FAINT};">and {more:,} more</p>' if more > 0 else ""
    aligned = [f"{_CELL} text-align: {align};" for _, align in columns]
    table = rows_html([label for label, _ in columns], shown, aligned)
    return (
        f'<div {_NO_MATH} style="color: {_TEXT};"><p style="margin: 4px 0;">'
        f"<b>{escape(heading)}</b></p>{table}{note}</div>"
    )


def step_html(heading: str, facts: Sequence[tuple[str, str]], within: Sequence[str] = ()) -> str:
    """One step to read: what it was, and the steps that were done within it.

    Examples
    --------
    >>> "&lt;i&gt;" in step_html("Step 1", [("Result", "<i>")])
    True
    """
    rows = "".join(
        f'<tr><th scope="row" style="{_CELL} white-space: nowrap;">{escape(name)}</th>'
        f'<td style="{_CELL} white-space: pre-line; overflow-wrap: anywhere;">'
        f"{escape(text)}</td></tr>"
        for name, text in facts
        if text
    )
    return (
        f'<div {_NO_MATH} style="color: {_TEXT}; margin: 4px 0;">'
        f'<p style="margin: 4px 0;"><b>{escape(heading)}</b></p>'
        f'<table style="border-collapse: collapse; color: {_TEXT};"><tbody>{rows}</tbody></table>'
        f"{_within(within)}</div>"
    )


def _within(steps: Sequence[str]) -> str:
    if not steps:
        return ""
    items = "".join(f"<li>{escape(_short(step))}</li>" for step in steps[:_ITEMS])
    more = f"<li>and {len(steps) - _ITEMS:,} more</li>" if len(steps) > _ITEMS else ""
    return (
        f'<details style="margin: 2px 8px;"><summary style="cursor: pointer;">'
        f"{len(steps):,} steps within it</summary>"
        f'<ul style="margin: 0; padding-left: 1.2em;">{items}{more}</ul></details>'
    )
