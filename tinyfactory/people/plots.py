"""Report cards and their plots as static HTML and SVG: no script, no style sheet, no network.

Like `render`, this makes markup, and everything that is shown goes through `escape`. Numbers
stand beside every bar, so that nothing is lost where styles or pictures are taken out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tinyfactory.people.render import escape

MAX_BARS = 40

_LINE = "var(--jp-border-color1, rgba(128, 128, 128, 0.5))"
_GOT = "var(--jp-brand-color1, #1976d2)"
_MARKS = {"pass": "✓ pass", "FAIL": "✗ FAIL", "info": "info"}
_CELL = "text-align: left; vertical-align: top; padding: 2px 8px;"
_NO_MATH = 'class="tex2jax_ignore mathjax_ignore"'
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
    """A report card: a table of marks, then a part for each row that opens at a click.

    Rows that failed are open.

    Examples
    --------
    >>> "<b>a &lt; b</b>" in card("a < b", [])
    True
    """
    rows = "".join(
        f'<tr><td style="{_CELL}">{_mark(s.mark)}</td><td style="{_CELL}">{escape(s.title)}</td>'
        f'<td style="{_CELL} text-align: right;">{escape(s.value)}</td></tr>'
        for s in sections
    )
    parts = "".join(map(_section, sections))
    return (
        f'<div {_NO_MATH} style="border: 1px solid {_LINE}; border-radius: 6px; '
        f'padding: 8px 12px; margin: 4px 0; max-width: 60em;">'
        f'<p style="margin: 4px 0;"><b>{escape(heading)}</b></p>'
        f'<table style="border-collapse: collapse;"><tbody>{rows}</tbody></table>{parts}</div>'
    )


def page(title: str, body: str) -> str:
    """A whole page around markup of this module."""
    return _PAGE.format(escape(title), body)


def asked_against_got(rows: Sequence[tuple[str, float, float]]) -> str:
    """For each category a bar of what is there and a line where what was asked lies.

    Parameters
    ----------
    rows : sequence of (category, asked, got)
        In people. At most 40 are drawn; a line says how many are not.

    Examples
    --------
    >>> svg = asked_against_got([("a < b", 10, 12)])
    >>> "a &lt; b" in svg, svg.startswith("<svg")
    (True, True)
    """
    most = max((max(_size(asked), _size(got)) for _, asked, got in rows), default=0) or 1
    drawn = []
    left = _room(label for label, _, _ in rows[:MAX_BARS])
    for number, (label, asked, got) in enumerate(rows[:MAX_BARS]):
        y = number * _STEP
        at = left + _BAR * _size(asked) / most
        drawn.append(
            _bar(label, left, y, _size(got) / most)
            + f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{y + 1}" y2="{y + 17}" '
            'stroke="currentColor" stroke-width="2"/>'
            + _text(left + _BAR + 8, y, f"{_number(got)} of {_number(asked)}")
        )
    return _svg("Bar: there; line: asked", left, drawn, len(rows) - MAX_BARS)


def bars(rows: Sequence[tuple[str, float]], caption: str) -> str:
    """A bar for each label, its number beside it.

    Examples
    --------
    >>> bars([("x", 1.0)], "Some & more").count("<rect")
    1
    """
    most = max((_size(value) for _, value in rows), default=0) or 1
    left = _room(label for label, _ in rows[:MAX_BARS])
    drawn = [
        _bar(label, left, number * _STEP, _size(value) / most)
        + _text(left + _BAR + 8, number * _STEP, _number(value))
        for number, (label, value) in enumerate(rows[:MAX_BARS])
    ]
    return _svg(caption, left, drawn, len(rows) - MAX_BARS)


def _section(section: Section) -> str:
    opened = " open" if section.mark == "FAIL" else ""
    notes = "".join(f"<br><small>{escape(note)}</small>" for note in section.notes)
    return (
        f'<details{opened} style="margin: 2px 0;"><summary style="cursor: pointer;">'
        f"{_mark(section.mark)} <b>{escape(section.title)}</b>: {escape(section.value)}</summary>"
        f'<p style="margin: 4px 0 4px 1em;">{escape(section.sentence)}{notes}</p>'
        f"{section.plots}</details>"
    )


def _mark(mark: str) -> str:
    # A word as well as a sign: colour alone is lost on some readers and printers.
    weight = "bold" if mark == "FAIL" else "normal"
    return f'<span style="font-weight: {weight};">{escape(_MARKS.get(mark, mark))}</span>'


def _room(labels: Iterable[str]) -> int:
    """How far to the right the bars begin."""
    return _WIDE if any(len(label) > _SHORT for label in labels) else _LABEL


def _bar(label: str, left: int, y: int, part: float) -> str:
    short = label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"
    return (
        f"<g><title>{escape(label)}</title>{_text(left - 8, y, short, 'end')}"
        f'<rect x="{left}" y="{y + 4}" width="{_BAR * part:.1f}" height="10" '
        f'style="fill: {_GOT};"/></g>'
    )


def _text(x: int, y: int, text: str, anchor: str = "start") -> str:
    return (
        f'<text x="{x}" y="{y + 13}" text-anchor="{anchor}" font-size="12" '
        f'fill="currentColor">{escape(text)}</text>'
    )


def _svg(caption: str, left: int, drawn: list[str], more: int) -> str:
    if more > 0:
        drawn = [*drawn, _text(left, len(drawn) * _STEP, f"and {more:,} more")]
    width, height = left + _BAR + _NUMBER, (len(drawn) + 1) * _STEP + 4
    head = _text(left, 0, caption)
    return (
        f'<svg role="img" aria-label="{escape(caption)}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" style="display: block; max-width: 100%; '
        f'font-family: inherit;">{head}<g transform="translate(0 {_STEP})">{"".join(drawn)}</g>'
        "</svg>"
    )


def _size(value: float) -> float:
    """A length that can be drawn: nothing below zero, nothing endless."""
    return max(0.0, float(value)) if math.isfinite(value) else 0.0


def _number(value: float) -> str:
    return f"{value:,.1f}".removesuffix(".0")
