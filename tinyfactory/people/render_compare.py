"""Two people side by side, as text and as static HTML.

What differs is struck out or underlined as well as coloured, by the elements that mean so
(``del``, ``ins``), so that it shows in print, without styles, and to those who see no colour.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tinyfactory.people.fields import in_words
from tinyfactory.people.render import (
    _CELL,
    _FAINT,
    _LINE,
    _NO_MATH,
    _TEXT,
    escape,
    legible,
)

if TYPE_CHECKING:
    from tinyfactory.people.comparison import Comparison, Difference, Pieces

# See-through colours, over a light page and a dark one.
_LEFT = "background: rgba(215, 58, 73, 0.2); color: inherit; text-decoration: line-through;"
_RIGHT = "background: rgba(40, 167, 69, 0.2); color: inherit; text-decoration: underline;"


def comparison_text(comparison: Comparison) -> str:
    """A comparison as plain text, with the marks of wdiff: ``[-left-]`` and ``{+right+}``."""
    lines = [f"{_name(comparison, 0)} and {_name(comparison, 1)}"]
    if comparison.asked:
        lines.append(legible(_asked(comparison)))
        lines += [line for field in comparison.fields if field.asked for line in _lines(field)]
    lines.append(_summary(comparison))
    lines += [line for field in comparison.differences for line in _lines(field)]
    return "\n".join([*lines, *(legible(line) for line in _word_lines(comparison))])


def comparison_html(comparison: Comparison) -> str:
    """A comparison as HTML that needs no kernel: first what was asked for, then the rest."""
    parts = [_heading(comparison)]
    if comparison.asked:
        fields = [field for field in comparison.fields if field.asked]
        parts += [_paragraph(_asked(comparison), bold=True), _table(comparison, fields)]
    parts += [_paragraph(_summary(comparison), bold=True)]
    parts.append(_table(comparison, comparison.differences))
    parts += [_paragraph(line) for line in _word_lines(comparison)]
    if same := [field for field in comparison.fields if field.state == "same" and not field.asked]:
        parts.append(
            '<details style="margin: 2px 0;"><summary style="cursor: pointer;">'
            f"The same in both: {_count(len(same))}</summary>"
            f"{_table(comparison, same)}</details>"
        )
    return (
        f'<div {_NO_MATH} style="border: 1px solid {_LINE}; border-radius: 6px; padding: 8px 12px; '
        f'margin: 4px 0; max-width: 80em; color: {_TEXT};">{"".join(parts)}</div>'
    )


def proposal_html(comparison: Comparison) -> str:
    """What stands beside what is proposed in its place."""
    table = _table(comparison, comparison.differences, ("As it stands", "Proposed"))
    return (
        f'<div {_NO_MATH} style="color: {_TEXT};">{table or _paragraph("Nothing differs.")}</div>'
    )


def _name(comparison: Comparison, side: int) -> str:
    return legible(comparison.names[side]) or "(no name yet)"


def _asked(comparison: Comparison) -> str:
    changes = [f"{key}, from {a} to {b}" for key, (a, b) in comparison.asked.items()]
    return f"Changed on purpose: {'; '.join(changes)}"


def _summary(comparison: Comparison) -> str:
    besides = " besides" if comparison.asked else ""
    total = sum(not field.asked for field in comparison.fields)
    count = len(comparison.differences)
    if not count:
        return f"Nothing differs{besides}: {_count(total)} the same."
    return f"Different{besides}: {count} of {_count(total)}, {comparison.share:.0%}".replace(
        "%", " % of the words"
    )


def _count(number: int) -> str:
    return "1 field" if number == 1 else f"{number} fields"


def _word_lines(comparison: Comparison) -> Iterable[str]:
    for side, words in (("left", comparison.left_words), ("right", comparison.right_words)):
        if words:
            told = ", ".join(f"{word} ({count})" for word, count in words)
            yield f"Words only on the {side}: {told}"


def _lines(field: Difference) -> list[str]:
    """A field as text: what is the same within a list is left out."""
    path = legible(field.path)
    if field.state == "same":
        return [f"  {path}: the same in both"]
    items = [item for item in field.items if any(side != "both" for side, _ in item)]
    if not items:
        return [f"  {path}: {_unmarked(field)}"]
    if len(field.items) == 1:
        return [f"  {path}: {_marked(items[0])}"]
    return [f"  {path}:", *(f"    - {_marked(item)}" for item in items)]


def _unmarked(field: Difference) -> str:
    """What to say of values that differ in no word."""
    lists = isinstance(field.left, list) and isinstance(field.right, list)
    return "the same in another order" if lists else "the same words, written otherwise"


def _marked(item: Pieces) -> str:
    marks = {"both": "{}", "left": "[-{}-]", "right": "{{+{}+}}"}
    told = (marks[side].format(" ".join(legible(text).split())) for side, text in item)
    return " ".join(part for part in told if part)


def _heading(comparison: Comparison) -> str:
    left, right = (escape(_name(comparison, side)) for side in (0, 1))
    return f'<div><b style="font-size: 1.2em;">{left} and {right}</b></div>'


def _paragraph(text: str, bold: bool = False) -> str:
    told = f"<b>{escape(text)}</b>" if bold else escape(text)
    return f'<p style="margin: 4px 0;">{told}</p>'


def _table(
    comparison: Comparison, fields: Iterable[Difference], names: tuple[str, str] | None = None
) -> str:
    rows = "".join(_row(field) for field in fields)
    if not rows:
        return ""
    heads = names or (_name(comparison, 0), _name(comparison, 1))
    head = "".join(f'<th style="{_CELL}">{escape(name)}</th>' for name in ("", *heads))
    return (
        f'<table style="border-collapse: collapse; color: {_TEXT};">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _row(field: Difference) -> str:
    name = ": ".join(in_words(key) for key in field.path.split("."))
    note: str = field.state if field.state != "changed" else ""
    if field.state == "changed" and all(s == "both" for item in field.items for s, _ in item):
        note = _unmarked(field)
    told = f'<br><small style="color: {_FAINT};">{escape(note)}</small>' if note else ""
    cells = "".join(
        f'<td style="{_CELL} width: 42%;">{_cell(field, side)}</td>' for side in ("left", "right")
    )
    return f'<tr><th style="{_CELL}">{escape(name)}{told}</th>{cells}</tr>'


def _cell(field: Difference, side: str) -> str:
    items = [_side(item, side) for item in field.items]
    value: Any = getattr(field, side)
    if not isinstance(value, list):
        return "".join(items)
    listed = "".join(f"<li>{item}</li>" for item in items if item)
    return f'<ul style="margin: 0; padding-left: 1.2em;">{listed}</ul>' if listed else ""


def _side(item: Pieces, side: str) -> str:
    """What one of the two has of an item, marked where the other has it not."""
    tag, style = ("del", _LEFT) if side == "left" else ("ins", _RIGHT)
    parts = []
    for where, text in item:
        if where == "both":
            parts.append(escape(text))
        elif where == side:
            start = text[: len(text) - len(text.lstrip())]  # no mark on the blank before
            parts.append(f'{escape(start)}<{tag} style="{style}">{escape(text.lstrip())}</{tag}>')
    inside = "".join(parts)
    return f'<span style="white-space: pre-line;">{inside}</span>' if inside else ""
