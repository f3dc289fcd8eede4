"""What stands around people in a widget: lines that say how things stand, code, progress."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tinyfactory.people.render import _COLUMNS, _FAINT, _NO_MATH, _short, escape, rows_html

if TYPE_CHECKING:
    from tinyfactory.people.person import TinyPerson

# Someone who waits looks at the latest few; each look sends them again.
LATEST = 6
_LEAST = 0.0001  # dollars that are written out
_CALM = ("status", "tf-status", "")


def status_html(text: str, *, wrong: bool = False) -> str:
    """A line that screen readers read out; at once when something went wrong.

    Examples
    --------
    >>> status_html("<made>").partition(">")[2]
    '&lt;made&gt;</div>'
    """
    role, kind, mark = ("alert", "tf-status tf-wrong", "<b>⚠</b> ") if wrong else _CALM
    return (
        f'<div role="{role}" class="{kind}" style="white-space: pre-wrap;">{mark}'
        f"{escape(text)}</div>"
    )


def hint_html(text: str) -> str:
    """A line that is there to be read, and is not read out by itself."""
    return f'<div class="tf-hint" style="color: {_FAINT};">{escape(text)}</div>'


def code_html(lines: str) -> str:
    """Lines of Python, to be read and copied; the keyboard can scroll them."""
    return (
        '<pre class="tf-code" tabindex="0" aria-label="Python that does the same">'
        f"{escape(lines)}</pre>"
    )


def price_in_words(usd: float | None) -> str:
    """What something cost, the same everywhere.

    Examples
    --------
    >>> price_in_words(0.0125), price_in_words(0.0), price_in_words(None)
    ('0.0125 USD', '0 USD', 'price unknown')
    >>> price_in_words(0.00001)
    'less than 0.0001 USD'
    """
    if usd is None:
        return "price unknown"
    if 0 < usd < _LEAST:
        return f"less than {_LEAST} USD"
    return f"{usd:.4f} USD" if usd else "0 USD"


def progress_html(done: int, total: int, what: str, text: str) -> str:
    """How far something is: a bar that says so to everyone, and the same in words.

    Examples
    --------
    >>> "<progress" in progress_html(2, 5, "People made", "2 of 5")
    True
    """
    return (
        f'<div class="tf-progress"><progress value="{done:d}" max="{max(total, 1):d}" '
        f'aria-label="{escape(what)}"></progress> <span>{escape(text)}</span></div>'
    )


def latest_html(people: Sequence[TinyPerson]) -> str:
    """The people who came last, the newest first, numbered as they came."""
    rows = []
    for number, person in reversed([*enumerate(people, 1)][-LATEST:]):
        values = [number, *(person.get(path) for path in _COLUMNS.values())]
        rows.append([escape(_short(value)) for value in values])
    return f"<div {_NO_MATH}>{rows_html(('#', *_COLUMNS), rows)}</div>"
