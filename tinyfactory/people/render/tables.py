"""Demographies, tables of text and single events as text and as static HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tinyfactory.people.render.html import (
    BAR,
    CELL,
    FAINT,
    MAX_ROWS,
    NO_MATH,
    TEXT,
    TRACK,
    escape,
    rows_html,
)
from tinyfactory.utils.text import legible, one_line

_MOST_TOLD = 8
_MOST_SHOWN = 15
_ILLUSTRATIVE = "illustrative: nobody was counted"

Margins = Mapping[str, Mapping[str, float]]


def demography_text(about: Mapping[str, Any], margins: Margins, notes: Sequence[str] = ()) -> str:
    """Write a demography as text, one line a field.

    Examples
    --------
    >>> print(demography_text({}, {"sex": {"female": 0.51, "male": 0.49}}))
    Demography: sex
      sex: female 51.0%, male 49.0%
    """
    lines = [f"{about.get('name') or 'Demography'}: {', '.join(margins)}"]
    if about.get("illustrative"):
        lines.append(f"  {_ILLUSTRATIVE}")
    for field, shares in margins.items():
        first = list(shares.items())[:_MOST_TOLD]
        told = ", ".join(f"{category} {share:.1%}" for category, share in first)
        more = len(shares) - len(first)
        lines.append(f"  {field}: {told}{f', and {more:,} more' if more else ''}")
    return legible("\n".join([*lines, *(f"  {note}" for note in notes)]))


def demography_html(about: Mapping[str, Any], margins: Margins, notes: Sequence[str] = ()) -> str:
    """Render a demography as one table a field; it needs no kernel.

    Examples
    --------
    >>> html = demography_html({"name": "<b>"}, {"sex": {"a < b": 0.51, "c": 0.49}})
    >>> "&lt;b&gt;" in html, "a &lt; b" in html, "51.0%" in html
    (True, True, True)
    """
    tables = "".join(_field(field, shares) for field, shares in margins.items())
    lines = "".join(
        f'<p style="margin: 4px 0; color: {FAINT};"><small>{escape(line)}</small></p>'
        for line in (*_origin(about), *notes)
    )
    return (
        f'<div {NO_MATH} style="color: {TEXT}; margin: 4px 0; max-width: 60em;">'
        f'<p style="margin: 4px 0;"><b>{escape(about.get("name") or "Demography")}</b></p>'
        f'<div style="display: flex; flex-wrap: wrap; gap: 8px 24px; align-items: flex-start;">'
        f"{tables}</div>{lines}</div>"
    )


def _origin(about: Mapping[str, Any]) -> list[str]:
    lines = [_ILLUSTRATIVE] if about.get("illustrative") else []
    told = [str(about[key]) for key in ("source", "year", "licence") if about.get(key)]
    return [*lines, " · ".join(told)] if told else lines


def _field(field: str, shares: Mapping[str, float]) -> str:
    most = max(shares.values())
    rows = "".join(
        f'<tr><th scope="row" style="{CELL} font-weight: normal;">{escape(category)}</th>'
        f'<td style="{CELL} text-align: right; font-variant-numeric: tabular-nums;">{share:.1%}'
        f'</td><td style="{CELL} vertical-align: middle;">{_bar(share / most)}</td></tr>'
        for category, share in list(shares.items())[:_MOST_SHOWN]
    )
    more = len(shares) - _MOST_SHOWN
    rest = f'<tr><td colspan="3" style="{CELL} color: {FAINT};">and {more:,} more</td></tr>'
    return (
        f'<table style="border-collapse: collapse; margin: 0; color: {TEXT};"><thead><tr>'
        f'<th scope="col" colspan="3" style="{CELL}">{escape(field)}</th></tr></thead>'
        f"<tbody>{rows}{rest if more > 0 else ''}</tbody></table>"
    )


def _bar(part: float) -> str:
    return (
        f'<div aria-hidden="true" style="width: 90px; height: 8px; background: {TRACK};">'
        f'<div style="width: {100 * part:.1f}%; height: 8px; background: {BAR};"></div></div>'
    )


_ITEMS = 20


def table_html(
    heading: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], total: int
) -> str:
    """Render rows of text as a table that needs no kernel, with the number of missing rows.

    Parameters
    ----------
    heading : str
    columns : sequence of (label, align)
    rows : sequence of sequences of str
        At most 50 are shown.
    total : int
        The number of all rows.

    Examples
    --------
    >>> html = table_html("1 < 2", [("What", "left")], [["<b>"]], 1)
    >>> "1 &lt; 2" in html, "&lt;b&gt;" in html, "<b>1" in html
    (True, True, True)
    """
    shown = [
        [escape(one_line(cell)) for cell in row]
        for row in rows[:MAX_ROWS]
        if len(row) == len(columns)
    ]
    more = total - min(len(rows), MAX_ROWS)
    note = f'<p style="margin: 4px 0; color: {FAINT};">and {more:,} more</p>' if more > 0 else ""
    aligned = [f"{CELL} text-align: {align};" for _, align in columns]
    table = rows_html([label for label, _ in columns], shown, aligned)
    return (
        f'<div {NO_MATH} style="color: {TEXT};"><p style="margin: 4px 0;">'
        f"<b>{escape(heading)}</b></p>{table}{note}</div>"
    )


def step_html(heading: str, facts: Sequence[tuple[str, str]], within: Sequence[str] = ()) -> str:
    """Render one event: its facts, and the events within it.

    Examples
    --------
    >>> "&lt;i&gt;" in step_html("Step 1", [("Result", "<i>")])
    True
    """
    rows = "".join(
        f'<tr><th scope="row" style="{CELL} white-space: nowrap;">{escape(name)}</th>'
        f'<td style="{CELL} white-space: pre-line; overflow-wrap: anywhere;">'
        f"{escape(text)}</td></tr>"
        for name, text in facts
        if text
    )
    return (
        f'<div {NO_MATH} style="color: {TEXT}; margin: 4px 0;">'
        f'<p style="margin: 4px 0;"><b>{escape(heading)}</b></p>'
        f'<table style="border-collapse: collapse; color: {TEXT};"><tbody>{rows}</tbody></table>'
        f"{_within(within)}</div>"
    )


def _within(steps: Sequence[str]) -> str:
    if not steps:
        return ""
    items = "".join(f"<li>{escape(one_line(step))}</li>" for step in steps[:_ITEMS])
    more = f"<li>and {len(steps) - _ITEMS:,} more</li>" if len(steps) > _ITEMS else ""
    return (
        f'<details style="margin: 2px 8px;"><summary style="cursor: pointer;">'
        f"{len(steps):,} steps within it</summary>"
        f'<ul style="margin: 0; padding-left: 1.2em;">{items}{more}</ul></details>'
    )
