"""People as text and as static HTML: a card, a table, and where each field came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from tinyfactory.journal.records import Event
from tinyfactory.people.protocols import PersonLike
from tinyfactory.people.render.html import (
    BAR,
    CELL,
    FAINT,
    LINE,
    MAX_ROWS,
    NO_MATH,
    ROW,
    TEXT,
    TRACK,
    escape,
    rows_html,
)
from tinyfactory.people.revisions import Revision
from tinyfactory.people.schema.big_five import TRAITS
from tinyfactory.people.schema.fields import in_words, path_in_words, sections
from tinyfactory.people.schema.provenance import origin, ways
from tinyfactory.utils.text import count, legible, one_line, price_in_words

_COLUMNS = {
    "Name": "name",
    "Age": "age",
    "Nationality": "nationality",
    "Occupation": "occupation.title",
    "Residence": "residence",
}


def person_html(person: PersonLike) -> str:
    """Render a person as a card that needs no kernel."""
    return (
        f'<div {NO_MATH} style="border: 1px solid {LINE}; border-radius: 8px; '
        f'padding: 12px 16px; margin: 4px 0; max-width: 60em; color: {TEXT};">'
        f"{head_html(person)}{body_html(person)}{_footer(person)}</div>"
    )


def head_html(person: PersonLike) -> str:
    """Render the head of a card: an identicon, the name, and the minibio."""
    return (
        '<div style="display: flex; align-items: center; padding-bottom: 8px; '
        f'color: {TEXT};">{_identicon(person.name)}'
        f'<div><div style="font-size: 1.5em; line-height: 1.3;"><b>{_title(person)}</b></div>'
        f'<div style="color: {FAINT};">{escape(person.minibio())}</div></div></div>'
    )


def body_html(person: PersonLike) -> str:
    """Render all fields but the name: the Big Five as bars, the rest in folding sections."""
    persona = person.persona
    parts = []
    for title, keys in sections(persona):
        rows = "".join(_row(key, _big_five_apart(key, persona[key])) for key in keys)
        if rows:
            opened = " open" if title == "Identity" else ""
            parts.append(
                f'<details{opened} style="border-top: 1px solid {LINE}; padding: 6px 0;">'
                f'<summary style="cursor: pointer; padding: 2px 0;"><b>{escape(title)}</b>'
                f"</summary>{_table(rows)}</details>"
            )
    big_five = persona.get("personality", {}).get("big_five", {})
    return f"{_bars(big_five)}{''.join(parts)}"


def people_html(people: Sequence[PersonLike]) -> str:
    """Render people as a table of at most 50 rows, with the number of all."""
    rows = []
    for number, person in enumerate(people[:MAX_ROWS], 1):
        values = [number, *(person.get(path) for path in _COLUMNS.values()), _source(person)]
        rows.append([escape(one_line(value)) for value in values])
    return (
        f'<div {NO_MATH} style="color: {TEXT};"><p style="margin: 4px 0;">'
        f"<b>{escape(_count(people))}</b></p>{rows_html(('#', *_COLUMNS, 'From'), rows)}</div>"
    )


def person_text(person: PersonLike) -> str:
    """Write a person as plain text, with every field."""
    persona = person.persona
    lines = [legible(person.minibio())]
    for _, keys in sections(persona):
        for key in keys:
            lines += _text_lines(key, persona[key], 0)
    return "\n".join([*lines, legible(origin(person.provenance))])


def people_text(people: Sequence[PersonLike]) -> str:
    """Write people as plain text, one line each, at most 50 lines."""
    lines = [_count(people)]
    width = len(str(min(len(people), MAX_ROWS))) + 1
    for number, person in enumerate(people[:MAX_ROWS], 1):
        values = [one_line(person.get(path)) for path in _COLUMNS.values()]
        line = ", ".join(value for value in values if value)
        lines.append(f"{number:>{width}}. {legible(line)}")
    return "\n".join(lines)


def _footer(person: PersonLike) -> str:
    """Render the origin of the description: one sentence, and on click field by field."""
    said = f"<small>{escape(origin(person.provenance))}</small>"
    rows = "".join(
        f'<tr style="{ROW}"><th style="{CELL}">{escape(words)}</th>'
        f'<td style="{CELL}">{escape(paths)}</td></tr>'
        for words, paths in ways(person.origins())
    )
    style = f"border-top: 1px solid {LINE}; padding-top: 8px; color: {FAINT};"
    if not rows:
        return f'<p style="margin: 0; {style}">{said}</p>'
    return (
        f'<details style="{style}"><summary style="cursor: pointer;">{said}</summary>'
        f"{_table(rows)}</details>"
    )


def _source(person: PersonLike) -> str:
    about = person.provenance
    return str(
        (about.get("model") if about.get("source") == "model" else "") or about.get("source") or ""
    )


def _count(people: Sequence[PersonLike]) -> str:
    number = count(len(people), "person", "people")
    more = len(people) - MAX_ROWS
    return (
        f"{number}; the first {MAX_ROWS} are shown, {more:,} more are not" if more > 0 else number
    )


def _title(person: PersonLike) -> str:
    return escape(person.name) or "(no name yet)"


def _big_five_apart(key: str, value: Any) -> Any:
    """Return the personality without the five scores, which are shown as bars."""
    if key != "personality" or not isinstance(value, dict):
        return value
    rest = {k: v for k, v in value.get("big_five", {}).items() if k not in TRAITS}
    return {k: v for k, v in (value | {"big_five": rest}).items() if v != {}}


def _row(key: str, value: Any) -> str:
    if value == {}:
        return ""
    label = f'<th style="{CELL}">{escape(in_words(key))}</th>'
    return f'<tr style="{ROW}">{label}<td style="{CELL}">{_value(value)}</td></tr>'


def _value(value: Any) -> str:
    """Render any JSON as HTML: lists as lists, objects as tables, the rest as text."""
    if isinstance(value, dict):
        if value.keys() == {"name", "description"}:  # a relationship
            return f"<b>{_value(value['name'])}</b>: {_value(value['description'])}"
        return _table("".join(_row(key, item) for key, item in value.items()))
    if isinstance(value, list):
        items = "".join(f"<li>{_value(item)}</li>" for item in value)
        return f'<ul style="margin: 0; padding-left: 1.2em;">{items}</ul>'
    return f'<span style="white-space: pre-line;">{escape(_scalar(value))}</span>'


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _bars(big_five: dict[str, Any]) -> str:
    """Render the Big Five as numbers and bars; without styles the numbers remain."""
    rows = []
    for trait in TRAITS:
        score = big_five.get(trait)
        if not isinstance(score, int):
            continue
        bar = (
            f'<div style="width: 10em; height: 0.7em; margin-top: 0.3em; background: {TRACK};">'
            f'<div style="width: {score:d}%; height: 100%; background: {BAR};"></div></div>'
        )
        cells = (
            f"<th{_styled('')}>{in_words(trait)}</th>",
            f"<td{_styled('right')}>{score:d}</td>",
        )
        rows.append(f'<tr style="{ROW}">{"".join(cells)}<td{_styled("")}>{bar}</td></tr>')
    return _table("".join(rows)) if rows else ""


def _styled(align: str) -> str:
    return f' style="{CELL}{f" text-align: {align};" if align else ""}"'


def _identicon(name: str) -> str:
    """Draw a small symmetrical pattern from a digest of the name, the same in every run."""
    digest = hashlib.sha256(name.encode("utf-8", "replace")).digest()
    colour = f"hsl({digest[0] * 360 // 256}, 55%, 50%)"
    squares = "".join(
        f'<rect x="{x}" y="{y}" width="1" height="1"/>'
        for y in range(5)
        for x in range(5)
        if digest[1 + 3 * y + min(x, 4 - x)] % 2
    )
    return (
        '<svg width="48" height="48" viewBox="-0.5 -0.5 6 6" aria-hidden="true" style="flex: none; '
        'margin-right: 12px; border-radius: 8px; background: rgba(128, 128, 128, 0.15);" '
        f'fill="{colour}">{squares}</svg>'
    )


def _text_lines(key: str, value: Any, depth: int) -> list[str]:
    """Write any JSON as indented lines."""
    margin = "  " * depth
    label = f"{margin}{legible(in_words(key))}:"
    if isinstance(value, dict):
        return [label, *(line for k, v in value.items() for line in _text_lines(k, v, depth + 1))]
    if isinstance(value, list):
        lines = [label]
        for item in value:
            if isinstance(item, dict | list):
                lines += _text_lines("-", item, depth + 1)
            else:
                lines.append(f"{margin}  - {legible(_scalar(item))}")
        return lines
    return [f"{label} {legible(_scalar(value))}"]


# Few, because the table is sent again with every update.
LATEST = 6


def latest_html(people: Sequence[PersonLike]) -> str:
    """Render the latest people, newest first, numbered in order of arrival."""
    rows = []
    for number, person in reversed([*enumerate(people, 1)][-LATEST:]):
        values = [number, *(person.get(path) for path in _COLUMNS.values())]
        rows.append([escape(one_line(value)) for value in values])
    return f"<div {NO_MATH}>{rows_html(('#', *_COLUMNS), rows)}</div>"


def origins_html(person: PersonLike, event: Event | None) -> str:
    """Render the origin of each field, the event that made the person, and the edits since.

    Parameters
    ----------
    person : PersonLike
    event : Event or None
        None if no event of this run made the person.
    """
    made = _rows(_event_rows(event)) if event is not None else _line(_NO_EVENT)
    edits = "".join(_revision(revision) for revision in person.revisions)
    origins = ways(person.origins())
    return (
        f'<div {NO_MATH} style="color: {TEXT};">{_heading("Where each field came from")}'
        f"{_rows(origins) if origins else _line(_NO_ORIGINS)}"
        f"{_heading('The event that made this person')}{made}"
        f"{_heading('Edits')}"
        f"{f'<ol style={_LIST}>{edits}</ol>' if edits else _line('None so far.')}</div>"
    )


def json_html(person: PersonLike) -> str:
    """Render the person as the JSON of an agent file, scrollable with the keyboard."""
    text = json.dumps(person.to_dict(), ensure_ascii=False, indent=2)
    return (
        f'<pre class="tf-code" tabindex="0" aria-label="{escape(person.name)} as JSON" '
        f'style="max-height: 30em; overflow: auto; white-space: pre-wrap; '
        f'word-break: normal; overflow-wrap: anywhere; color: {TEXT};">{escape(text)}</pre>'
    )


def revision_text(revision: Revision) -> str:
    """Write an edit in one line: the fields with their old and new values.

    Examples
    --------
    >>> revision_text(Revision(1, {"age": (34, 35)}, "edited", undone=False))
    'Age: 34 → 35 (edited)'
    """
    changes = "; ".join(
        f"{path_in_words(path)}: {_told(before)} → {_told(after)}"
        for path, (before, after) in revision.changes.items()
    )
    return f"{legible(changes)} ({revision.source})"


_LIST = '"margin: 0; padding-left: 2em;"'
_NO_ORIGINS = "Where this description came from is not recorded."
_NO_EVENT = (
    "No event of this run made this person: no simulation was open, or the person was loaded. "
    "tinyfactory.control.begin() opens one."
)


def _event_rows(event: Event) -> Iterable[tuple[str, str]]:
    yield "Call", f"{event.method}({event.arguments})"
    yield "Event", f"{event.key[:12]}, {'replayed' if event.hit else 'done in this run'}"
    if event.why:
        yield "Why", event.why
    yield "Model", event.model or "none was asked"
    tokens = event.prompt_tokens + event.completion_tokens
    yield "Tokens", f"{tokens:,} ({event.prompt_tokens:,} in, {event.completion_tokens:,} out)"
    yield "Price", "unknown" if event.usd is None else price_in_words(event.usd)
    tries = "1 attempt" if event.attempts == 1 else f"{event.attempts} attempts"
    yield "Took", f"{event.seconds:.1f} s, {tries}"
    if event.at is not None:
        yield "When", f"{event.at:%Y-%m-%d %H:%M}"


def _revision(revision: Revision) -> str:
    told = escape(revision_text(revision))
    return f"<li>{f'<del>{told}</del>, undone' if revision.undone else told}</li>"


def _told(value: Any) -> str:
    if value in (None, "", [], {}):
        return "nothing"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = "; ".join(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return one_line(text, 60)


def _rows(rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(
        f'<tr style="{ROW}"><th style="{CELL} white-space: nowrap;">{escape(name)}</th>'
        f'<td style="{CELL}">{escape(text)}</td></tr>'
        for name, text in rows
    )
    return f'<table style="border-collapse: collapse; color: {TEXT};">{cells}</table>'


def _heading(text: str) -> str:
    return f'<p style="margin: 8px 0 2px;"><b>{escape(text)}</b></p>'


def _line(text: str) -> str:
    return f'<p style="margin: 2px 0; color: {FAINT};">{escape(text)}</p>'


def _table(rows: str) -> str:
    return f'<table style="border-collapse: collapse; color: {TEXT};">{rows}</table>'
