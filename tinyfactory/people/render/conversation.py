"""Conversations and panels as text and as static HTML; all that was said is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyfactory.people.protocols import PanelLike, PersonLike
from tinyfactory.people.render.html import (
    FAINT,
    LINE,
    MAX_ROWS,
    NO_MATH,
    TEXT,
    escape,
    rows_html,
)
from tinyfactory.utils.text import count, legible

Json = dict[str, Any]
# At most this many questions with their answers are shown.
MOST_SHOWN = 20
_WRAPPED = "white-space: pre-wrap; overflow-wrap: anywhere;"
_SAID = {
    "user": f"border-left: 3px solid {LINE};",
    "assistant": "border-left: 3px solid var(--jp-brand-color1, #1976d2);",
}


def conversation_text(name: str, conversation: Sequence[Json], you: str = "You") -> str:
    """Write a conversation as plain text; of a long one the last part."""
    shown, left_out = _last(conversation)
    lines = [left_out] if left_out else []
    for line in shown:
        who = you if line["role"] == "user" else name or "(no name yet)"
        lines.append(f"{legible(who)}: {legible(line['content'])}")
    return "\n".join(lines) or "Nothing was said yet."


def conversation_html(name: str, conversation: Sequence[Json], you: str = "You") -> str:
    """Render a conversation as HTML that needs no kernel; of a long one the last part."""
    shown, left_out = _last(conversation)
    lines = "".join(said_html(name, line, you) for line in shown)
    note = f'<p style="margin: 4px 0; color: {FAINT};">{escape(left_out)}</p>' if left_out else ""
    if not lines:
        lines = f'<p style="margin: 4px 0; color: {FAINT};">Nothing was said yet.</p>'
    return f'<div {NO_MATH} style="max-width: 60em; color: {TEXT};">{note}{lines}</div>'


def said_html(name: str, line: Json, you: str = "You") -> str:
    """Render one line of a conversation with its speaker."""
    role = line["role"] if line["role"] in _SAID else "assistant"
    who = you if role == "user" else name or "(no name yet)"
    return (
        f'<div {NO_MATH} style="margin: 6px 0; padding: 2px 10px; color: {TEXT}; {_SAID[role]}">'
        f"<b>{escape(who)}</b>"
        f'<div style="{_WRAPPED}">{escape(line["content"])}</div></div>'
    )


def _last(conversation: Sequence[Json]) -> tuple[Sequence[Json], str]:
    more = len(conversation) - 2 * MOST_SHOWN
    if more <= 0:
        return conversation, ""
    return conversation[more:], f"{more // 2:,} earlier questions and answers are not shown."


def panel_text(panel: PanelLike) -> str:
    """Write a panel as plain text, at most 50 people."""
    width = len(str(min(len(panel.people), MAX_ROWS))) + 1
    lines = [legible(panel.question), _count(panel)]
    for number, (person, answer, reason) in enumerate(_rows(panel), 1):
        said = legible(answer) if answer else f"(no answer) {legible(reason)}"
        lines.append(f"{number:>{width}}. {legible(person.name)}: {said}")
    return "\n".join(lines)


def panel_html(panel: PanelLike) -> str:
    """Render a panel as a table of at most 50 rows that needs no kernel."""
    rows = []
    for number, (person, answer, reason) in enumerate(_rows(panel), 1):
        said = (
            f'<span style="{_WRAPPED}">{escape(answer)}</span>'
            if answer
            else f'<i style="color: {FAINT};">No answer. {escape(reason)}</i>'
        )
        rows.append([str(number), escape(person.name), said])
    return (
        f'<div {NO_MATH} style="color: {TEXT};"><p style="margin: 4px 0;">'
        f"<b>{escape(panel.question)}</b><br>{escape(_count(panel))}</p>"
        f"{rows_html(('#', 'Name', 'Answer'), rows)}</div>"
    )


def _rows(panel: PanelLike) -> list[tuple[PersonLike, str, str]]:
    return list(zip(panel.people, panel.answers, panel.reasons, strict=True))[:MAX_ROWS]


def _count(panel: PanelLike) -> str:
    total, gave = len(panel.people), sum(bool(answer) for answer in panel.answers)
    people = count(total, "person", "people")
    more = f" The first {MAX_ROWS} are shown." if total > MAX_ROWS else ""
    return f"{gave:,} of {people} answered.{more}"
