"""Report cards and their plots as static HTML and SVG: no script, no style sheet, no network.

All text goes through `escape`. Numbers are written beside every bar, so that nothing is lost
where styles or pictures are removed. Notebooks store cards with many plots, so the markup of a
bar is short.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tinyfactory.people.render.html import LINE, NO_MATH, escape
from tinyfactory.utils.text import cut

MAX_BARS = 30

_GOT = "var(--jp-brand-color1, #1976d2)"
_MARKS = {"pass": "✓ pass", "FAIL": "✗ FAIL", "info": "info"}
_LABEL, _BAR, _NUMBER, _STEP = 170, 240, 130, 20  # pixels
_WIDE = 290  # for labels that are longer than...
_SHORT = 22  # characters
_LONGEST = 40
# The page has light or dark colours, as the reader prefers.
_PAGE = (
    '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" '
    'content="light dark"><meta name="viewport" content="width=device-width"><title>{}</title>'
    '</head><body style="font-family: sans-serif; max-width: 60em; margin: 1em auto; '
    'padding: 0 1em;">{}</body></html>'
)


@dataclass(frozen=True, slots=True)
class Section:
    """One row of a card: mark, title, value, sentence and notes as text; plots as markup.

    `plots` is inserted without escaping and must come from this module.
    """

    mark: str
    title: str
    value: str
    sentence: str
    notes: Sequence[str] = ()
    plots: str = ""


def card(heading: str, sections: Sequence[Section]) -> str:
    """Render a report card: a line for each row with its mark, which opens on click.

    Rows that failed are open.

    Examples
    --------
    >>> "<b>a &lt; b</b>" in card("a < b", [])
    True
    """
    parts = "".join(map(_section, sections))
    return (
        f'<div {NO_MATH} style="border: 1px solid {LINE}; border-radius: 6px; '
        f'padding: 8px 12px; margin: 4px 0; max-width: 60em;">'
        f'<p style="margin: 4px 0;"><b>{escape(heading)}</b></p>'
        f"{parts}</div>"
    )


def page(title: str, body: str) -> str:
    """Render a whole page around markup of this module."""
    return _PAGE.format(escape(title), body)


def target_and_actual(rows: Sequence[tuple[str, float, float]]) -> str:
    """Draw, for each category, a bar for the actual number and a line at the target.

    Parameters
    ----------
    rows : sequence of (category, target, actual)
        In people. At most 30 are drawn; a line says how many are not.

    Examples
    --------
    >>> svg = target_and_actual([("a < b", 10, 12)])
    >>> "a &lt; b" in svg, svg.startswith("<svg")
    (True, True)
    """
    most = max((max(_size(target), _size(actual)) for _, target, actual in rows), default=0) or 1
    drawn = _Drawing(_room(label for label, _, _ in rows[:MAX_BARS]))
    for label, target, actual in rows[:MAX_BARS]:
        numbers = f"{_number(actual)} of {_number(target)}"
        drawn.add(label, _size(actual) / most, numbers, _size(target) / most)
    return drawn.svg("Bar: actual; line: target", len(rows) - MAX_BARS)


def bars(rows: Sequence[tuple[str, float]], caption: str) -> str:
    """Draw a bar for each label, with its number.

    Examples
    --------
    >>> 'd="M0 9h240"' in bars([("x", 1.0)], "Some & more")
    True
    """
    most = max((_size(value) for _, value in rows), default=0) or 1
    drawn = _Drawing(_room(label for label, _ in rows[:MAX_BARS]))
    for label, value in rows[:MAX_BARS]:
        drawn.add(label, _size(value) / most, _number(value))
    return drawn.svg(caption, len(rows) - MAX_BARS)


def _section(section: Section) -> str:
    opened = " open" if section.mark == "FAIL" else ""
    notes = "".join(f"<br><small>{escape(note)}</small>" for note in section.notes)
    return (
        f'<details{opened} style="margin:2px 0"><summary style="cursor:pointer">'
        f"{_mark(section.mark)} <b>{escape(section.title)}</b>: {escape(section.value)}</summary>"
        f'<p style="margin:4px 0 4px 1em">{escape(section.sentence)}{notes}</p>'
        f"{section.plots}</details>"
    )


def _mark(mark: str) -> str:
    # A word as well as a sign: some readers and printers lose colours.
    bold = ";font-weight:bold" if mark == "FAIL" else ""
    word = escape(_MARKS.get(mark, mark))
    return f'<span style="display:inline-block;min-width:4em{bold}">{word}</span>'


def _room(labels: Iterable[str]) -> int:
    """Return the width of the labels, where the bars begin."""
    return _WIDE if any(len(label) > _SHORT for label in labels) else _LABEL


class _Drawing:
    """A drawing of bars; attributes that all bars share are written once, to be short."""

    def __init__(self, left: int) -> None:
        self._left = left
        self._texts: list[str] = []
        self._bars: list[str] = []
        self._lines: list[str] = []

    def add(self, label: str, part: float, numbers: str, line: float | None = None) -> None:
        """Add a bar of this share of the width, and a line at another share."""
        y = len(self._bars) * _STEP + 9  # the middle of the bar
        short = cut(label, _LONGEST)
        whole = "" if short == label else f"<title>{escape(label)}</title>"
        self._text(-8, y, escape(short) + whole, ' text-anchor="end"')
        self._text(_BAR + 8, y, escape(numbers))
        self._bars.append(f"M0 {y}h{_pixels(part)}")
        if line is not None:
            self._lines.append(f"M{_pixels(line)} {y - 8}v16")

    def _text(self, x: int, middle: int, markup: str, anchor: str = "") -> None:
        self._texts.append(f'<text x="{x}" y="{middle + 4}"{anchor}>{markup}</text>')

    def svg(self, caption: str, more: int) -> str:
        """Return the drawing under its caption, with the number of bars not drawn."""
        steps = len(self._bars)
        if more > 0:
            self._text(0, steps * _STEP + 9, f"and {more:,} more")
            steps += 1
        self._text(0, 9 - _STEP, escape(caption))
        width, height = self._left + _BAR + _NUMBER, (steps + 1) * _STEP + 4
        lines = f'<path stroke-width="2" d="{"".join(self._lines)}"/>'
        return (
            f'<svg role="img" aria-label="{escape(caption)}" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-size="12" fill="currentColor" '
            'style="display:block;max-width:100%;font-family:inherit">'
            f'<g transform="translate({self._left} {_STEP})">{"".join(self._texts)}'
            # Untrusted notebooks drop the style, and the bars have the colour of the text.
            f'<g stroke="currentColor"><path style="stroke: {_GOT}" stroke-width="10" '
            f'd="{"".join(self._bars)}"/>{lines if self._lines else ""}</g></g></svg>'
        )


def _pixels(part: float) -> str:
    """Return a share of the width in pixels, with one decimal."""
    return f"{_BAR * part:.1f}".removesuffix(".0")


def _size(value: float) -> float:
    """Return a length that can be drawn: finite and not negative."""
    return max(0.0, float(value)) if math.isfinite(value) else 0.0


def _number(value: float) -> str:
    return f"{value:,.1f}".removesuffix(".0")
