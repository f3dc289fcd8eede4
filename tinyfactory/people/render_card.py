"""What a card says besides who someone is: where it came from, what was edited, the raw JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tinyfactory.people.fields import path_in_words
from tinyfactory.people.origin_words import ways
from tinyfactory.people.render import (
    _CELL,
    _FAINT,
    _NO_MATH,
    _ROW,
    _TEXT,
    _short,
    escape,
    legible,
)
from tinyfactory.people.render_parts import price_in_words

if TYPE_CHECKING:
    from tinyfactory.journal.history import Event
    from tinyfactory.people.person import TinyPerson


def origins_html(person: TinyPerson, event: Event | None) -> str:
    """Where each field came from, the event that made the person, and what was edited since.

    Parameters
    ----------
    person : TinyPerson
    event : Event or None
        None where no event of this run made the person.
    """
    made = _rows(_event_rows(event)) if event is not None else _line(_NO_EVENT)
    edits = "".join(_revision(revision) for revision in person.revisions)
    origins = ways(person)
    return (
        f'<div {_NO_MATH} style="color: {_TEXT};">{_heading("Where each field came from")}'
        f"{_rows(origins) if origins else _line(_NO_ORIGINS)}"
        f"{_heading('The event that made this person')}{made}"
        f"{_heading('Edits')}"
        f"{f'<ol style={_LIST}>{edits}</ol>' if edits else _line('None so far.')}</div>"
    )


def json_html(person: TinyPerson) -> str:
    """The person as an agent file holds it; the keyboard can scroll it."""
    text = json.dumps(person.to_dict(), ensure_ascii=False, indent=2)
    return (
        f'<pre class="tf-code" tabindex="0" aria-label="{escape(person.name)} as JSON" '
        f'style="max-height: 30em; overflow: auto; white-space: pre-wrap; '
        f'word-break: normal; overflow-wrap: anywhere; color: {_TEXT};">{escape(text)}</pre>'
    )


def nobody_html(text: str) -> str:
    """What stands where there is nobody to show."""
    return f'<p style="color: {_FAINT};">{escape(text)}</p>'


def revision_text(revision: Any) -> str:
    """An edit in a line: what it changed, from what to what.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> revision_text(SimpleNamespace(changes={"age": (34, 35)}, source="edited"))
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


def _revision(revision: Any) -> str:
    told = escape(revision_text(revision))
    return f"<li>{f'<del>{told}</del>, undone' if revision.undone else told}</li>"


def _told(value: Any) -> str:
    if value in (None, "", [], {}):
        return "nothing"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = "; ".join(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    short = _short(text)
    return short if len(short) <= 60 else f"{short[:59]}…"


def _heading(text: str) -> str:
    return f'<p style="margin: 8px 0 2px;"><b>{escape(text)}</b></p>'


def _line(text: str) -> str:
    return f'<p style="margin: 2px 0; color: {_FAINT};">{escape(text)}</p>'


def _rows(rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(
        f'<tr style="{_ROW}"><th style="{_CELL} white-space: nowrap;">{escape(name)}</th>'
        f'<td style="{_CELL}">{escape(text)}</td></tr>'
        for name, text in rows
    )
    return f'<table style="border-collapse: collapse; color: {_TEXT};">{cells}</table>'
