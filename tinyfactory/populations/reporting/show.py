"""A report card as text, and which plots go with which row."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinyfactory.people import plots
from tinyfactory.people.render import legible

if TYPE_CHECKING:
    from tinyfactory.populations.reporting.card import ReportCard, Row

_WIDTH = 96
_TENTHS = [f"{10 * t}-{10 * t + (9 if t < 9 else 10)}" for t in range(10)]
_SIGNS = [f"{t / 5 - 1:+.1f} to {(t + 1) / 5 - 1:+.1f}" for t in range(10)]


def headline(card: ReportCard) -> str:
    """What came out, in one line."""
    marked = [row for row in card.rows if row.passed is not None]
    count = "1 person" if card.number_of_people == 1 else f"{card.number_of_people:,} people"
    info = len(card.rows) - len(marked)
    return (
        f"Report card of {count}: {len(marked) - len(card.failed)} of {len(marked)} marks passed, "
        f"{info} {'row' if info == 1 else 'rows'} for information."
    )


def card_table(card: ReportCard) -> str:
    """One line a row: mark, title, value; the sentence of what failed."""
    width = max((len(row.title) for row in card.rows), default=0)
    lines = [headline(card)]
    for row in card.rows:
        lines.append(f"{row.mark}  {legible(row.title):<{width}}  {row.shown}")
        if row.passed is False:
            lines += _wrapped(row.sentence)
    return "\n".join(lines)


def card_text(card: ReportCard) -> str:
    """Every row with its sentence, its threshold and its source."""
    lines = [headline(card)]
    for row in card.rows:
        lines += ["", f"{row.mark}  {legible(row.title)}: {row.shown}", *_wrapped(row.sentence)]
        lines += _wrapped(f"Passes: {row.threshold}.") if row.threshold else []
        lines += _wrapped(f"Source: {row.source}.")
    return "\n".join(lines)


def card_html(card: ReportCard, *, page: bool, without: Sequence[str] = ()) -> str:
    """The card as static HTML: a table of marks, then every row with its plot.

    `without` names kinds of rows that are drawn elsewhere and get no plot here.
    """
    sections = [
        plots.Section(
            row.mark,
            row.title,
            row.shown,
            row.sentence,
            [f"Passes: {row.threshold}."] * bool(row.threshold) + [f"Source: {row.source}."],
            "".join(_plots(row)) if row.key.partition(":")[0] not in without else "",
        )
        for row in card.rows
    ]
    html = plots.card(headline(card), sections)
    return plots.page("Report card", html) if page else html


def _plots(row: Row) -> list[str]:
    details: dict[str, Any] = row.details
    kind = row.key.partition(":")[0]
    if kind in ("margin", "joint"):
        rows = list(zip(details["categories"], details["asked"], details["got"], strict=True))
        if len(rows) > plots.MAX_BARS:  # not all are drawn: those that are furthest off
            rows.sort(key=lambda row: -abs(row[1] - row[2]))
        return [plots.asked_against_got(rows)]
    if kind == "sentences" and details["by_field"]:
        percents = [(field, 100 * share) for field, share in details["by_field"].items()]
        return [plots.bars(percents, "Repeated sentences by field, in percent")]
    if kind == "big_five":
        return [
            plots.bars(list(zip(_TENTHS, scores["tenths"], strict=True)), f"{trait}, people")
            for trait, scores in details["traits"].items()
        ]
    if kind == "positivity" and details["sentences"]:
        return [plots.bars(list(zip(_SIGNS, details["tenths"], strict=True)), "Sentences by score")]
    if kind == "marked":
        return [
            plots.bars([(w, z) for w, z in top], f"{group}: z-scores")
            for group, top in details["groups"].items()
            if top
        ]
    return []


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(legible(text), _WIDTH, initial_indent="      ", subsequent_indent="      ")
