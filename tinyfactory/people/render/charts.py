"""Report cards and their plots as static HTML and SVG: no script, no style sheet, no network.

Like `render`, this makes markup, and everything that is shown goes through `escape`. Numbers
stand beside every bar, so that nothing is lost where styles or pictures are taken out. Notebooks
keep cards of many plots, so what is said of every bar is said in few letters.
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
# The page's own colours are used, light or dark, whatever the reader prefers.
_PAGE = (
    '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" '
    'content="light dark"><meta name="viewport" content="width=device-width"><title>{}</title>'
    '</head><body style="font-family: sans-serif; max-width: 60em; margin: 1em auto; '
    'padding: 0 1em;">{}</body></html>'
)


@dataclass(frozen=True, slots=True)
class Section:
    """One row of a card: mark, title, value, sentence and notes as text; plots as markup.

    `plots` is put in as it is and must come from this module.
    """

    mark: str
    title: str
    value: str
    sentence: str
    notes: Sequence[str] = ()
    plots: str = ""


def card(heading: str, sections: Sequence[Section]) -> str:
    """A report card: a line for each row with its mark, which opens at a click.

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
    """A whole page around markup of this module."""
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
    """A bar for each label, its number beside it.

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
    # A word as well as a sign: colour alone is lost on some readers and printers.
    bold = ";font-weight:bold" if mark == "FAIL" else ""
    word = escape(_MARKS.get(mark, mark))
    return f'<span style="display:inline-block;min-width:4em{bold}">{word}</span>'


def _room(labels: Iterable[str]) -> int:
    """How far to the right the bars begin."""
    return _WIDE if any(len(label) > _SHORT for label in labels) else _LABEL


class _Drawing:
    """Bars below one another. What they have in common is said once: cards hold many."""

    def __init__(self, left: int) -> None:
        self._left = left
        self._texts: list[str] = []
        self._bars: list[str] = []
        self._lines: list[str] = []

    def add(self, label: str, part: float, numbers: str, line: float | None = None) -> None:
        """A bar of a part of the width, and a line where another part ends."""
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
        """The drawing under its caption, with a line for what is not drawn."""
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
            # Notebooks that are not trusted lose the style, and bars are of the text's colour.
            f'<g stroke="currentColor"><path style="stroke: {_GOT}" stroke-width="10" '
            f'd="{"".join(self._bars)}"/>{lines if self._lines else ""}</g></g></svg>'
        )


def _pixels(part: float) -> str:
    """A part of the width; a tenth of a pixel is less than anyone sees."""
    return f"{_BAR * part:.1f}".removesuffix(".0")


def _size(value: float) -> float:
    """A length that can be drawn: nothing below zero, nothing endless."""
    return max(0.0, float(value)) if math.isfinite(value) else 0.0


def _number(value: float) -> str:
    return f"{value:,.1f}".removesuffix(".0")
