"""Comparisons of people as text and as static HTML.

Differences are struck out or underlined as well as coloured, by ``del`` and ``ins`` elements,
so that they show in print, without styles, and without colour vision.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tinyfactory.people.protocols import ComparisonLike
from tinyfactory.people.render.html import CELL, FAINT, LINE, NO_MATH, ROW, TEXT, escape
from tinyfactory.people.schema.fields import MORE, SECTIONS, path_in_words, section_of
from tinyfactory.people.schema.word_diff import Difference, Pieces
from tinyfactory.utils.text import count, legible

# Below this similarity of texts, marks on single words would not help.
_ALIKE = 0.4
# Translucent colours, for light and dark pages.
_LEFT = "background: rgba(215, 58, 73, 0.2); color: inherit; text-decoration: line-through;"
_RIGHT = "background: rgba(40, 167, 69, 0.2); color: inherit; text-decoration: underline;"


def comparison_html(comparison: ComparisonLike, *, only_differences: bool = False) -> str:
    """Render a comparison as HTML that needs no kernel: intended changes first."""
    parts = []
    if comparison.asked:
        fields = [field for field in comparison.fields if field.asked]
        parts += [_paragraph(asked_for(comparison), bold=True), _table(_rows(comparison, fields))]
    parts += [_paragraph(summary(comparison), bold=True)]
    parts.append(_parts(_rows(comparison, comparison.differences)))
    parts += [_paragraph(line) for line in word_lines(comparison)]
    same = [field for field in comparison.fields if field.state == "same" and not field.asked]
    if same and not only_differences:
        parts.append(_the_same(_rows(comparison, same), "both"))
    return _framed(heads(comparison), parts)


def side_by_side_html(
    comparisons: Sequence[ComparisonLike], *, only_differences: bool = False
) -> str:
    """Render one person beside several others, each with their differences from the first.

    Parameters
    ----------
    comparisons : sequence of Comparison
        All with the same person on the left.
    only_differences : bool
        Whether to leave out fields that are the same in all.
    """
    if len(comparisons) == 1:
        return comparison_html(comparisons[0], only_differences=only_differences)
    rows = _rows_of_many(comparisons)
    differ = [row for row in rows if row.differs]
    names = [name_of(comparisons[0], 0), *(name_of(comparison, 1) for comparison in comparisons)]
    fields = count(len(rows), "field", "fields")
    told = f"Different: {len(differ)} of {fields}." if differ else "Nothing differs."
    parts = [_paragraph(told, bold=True), _parts(_Table(names, differ))]
    same = [row for row in rows if not row.differs]
    if same and not only_differences:
        parts.append(_the_same(_Table(names, same), "all"))
    return _framed(names, parts)


def proposal_html(comparison: ComparisonLike) -> str:
    """Render the present value of a field beside the proposed one."""
    rows = _rows(comparison, comparison.differences).rows
    told = _table(_Table(["As it stands", "Proposed"], rows)) or _paragraph("Nothing differs.")
    return f'<div {NO_MATH} style="color: {TEXT};">{told}</div>'


def _framed(names: Sequence[str], parts: Sequence[str]) -> str:
    told = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return (
        f'<div {NO_MATH} style="border: 1px solid {LINE}; border-radius: 8px; '
        f'padding: 12px 16px; margin: 4px 0; max-width: 80em; color: {TEXT};">'
        f'<div><b style="font-size: 1.2em;">{escape(told)}</b></div>{"".join(parts)}</div>'
    )


def _paragraph(text: str, bold: bool = False) -> str:
    told = f"<b>{escape(text)}</b>" if bold else escape(text)
    return f'<p style="margin: 4px 0;">{told}</p>'


def _the_same(table: _Table, whom: str) -> str:
    fields = count(len(table.rows), "field", "fields")
    return (
        '<details style="margin: 4px 0;"><summary style="cursor: pointer;">'
        f"The same in {whom}: {fields}</summary>{_table(table)}</details>"
    )


@dataclass(frozen=True, slots=True)
class _Row:
    """A field of several people: its path and note as text, and a cell of markup for each."""

    path: str
    note: str
    cells: Sequence[str]
    differs: bool


@dataclass(frozen=True, slots=True)
class _Table:
    names: Sequence[str]
    rows: Sequence[_Row]


def _parts(table: _Table) -> str:
    """Render rows under the headings of a person's card, in folding sections."""
    parts = []
    for title in (*SECTIONS, MORE):
        rows = [row for row in table.rows if section_of(row.path) == title]
        if rows:
            differ = sum(row.differs for row in rows)
            told = f"{title}: {differ} different" if differ else title
            parts.append(
                f'<details open style="border-top: 1px solid {LINE}; padding: 6px 0;"><summary '
                f'style="cursor: pointer; padding: 2px 0;"><b>{escape(told)}</b></summary>'
                f"{_table(_Table(table.names, rows))}</details>"
            )
    return "".join(parts)


def _table(table: _Table) -> str:
    if not table.rows:
        return ""
    # The column of field names has a fixed width; the people share the rest.
    head = f'<th style="{CELL} width: 10em;"></th>'
    head += "".join(f'<th style="{CELL}">{escape(name)}</th>' for name in table.names)
    body = []
    for row in table.rows:
        told = f'<br><small style="color: {FAINT};">{escape(row.note)}</small>' if row.note else ""
        line = f"{CELL} border-top: 1px solid {LINE};"
        name = escape(path_in_words(row.path))
        cells = "".join(f'<td style="{line}">{cell}</td>' for cell in row.cells)
        body.append(
            f'<tr style="{ROW}"><th style="{line} font-weight: normal;">{name}{told}</th>'
            f"{cells}</tr>"
        )
    return (
        '<table style="border-collapse: collapse; table-layout: fixed; width: 100%; '
        f'overflow-wrap: anywhere; color: {TEXT};">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    )


def _rows(comparison: ComparisonLike, fields: Iterable[Difference]) -> _Table:
    rows = []
    for field in fields:
        cells = [_cell(field, side) for side in ("left", "right")]
        rows.append(_Row(field.path, _note(field), cells, field.state != "same"))
    return _Table(heads(comparison), rows)


def _rows_of_many(comparisons: Sequence[ComparisonLike]) -> list[_Row]:
    """Make a row for each field of any person; a dotted name can mean two fields."""
    of_each = []
    for comparison in comparisons:
        seen: Counter[str] = Counter()
        found: dict[tuple[str, int], Difference] = {}
        for field in comparison.fields:
            found[field.path, seen[field.path]] = field
            seen[field.path] += 1
        of_each.append(found)
    rows = []
    for key in dict.fromkeys(key for found in of_each for key in found):
        fields = [found.get(key) for found in of_each]
        first = next(field for field in fields if field is not None)
        differs = any(field is None or field.state != "same" for field in fields)
        # A comparison of two people who both lack a field of a third does not list it.
        others = ["" if field is None else _cell(field, "right") for field in fields]
        cells = [_cell(first, "left", marked=False), *others]
        rows.append(_Row(key[0], "≠ different" if differs else "", cells, differs))
    return rows


def _note(field: Difference) -> str:
    """Describe how a field differs in words, for readers without marks and colours."""
    if field.state == "same":
        return ""
    if field.state != "changed":
        return f"≠ {field.state}"
    return "≠ different" if _words_differ(field) else f"≠ {unmarked(field)}"


def _words_differ(field: Difference) -> bool:
    return any(side != "both" for item in field.items for side, _ in item)


def _cell(field: Difference, side: str, *, marked: bool = True) -> str:
    """Render one person's value; words are marked if the two values are similar enough."""
    whole = _common(field.items) >= _ALIKE
    items = [
        _side(item, side, marked=marked and (whole or _common([item]) >= _ALIKE))
        for item in field.items
    ]
    value: Any = getattr(field, side)
    if not isinstance(value, list):
        return "".join(items)
    listed = "".join(f"<li>{item}</li>" for item in items if item)
    return f'<ul style="margin: 0; padding-left: 1.2em;">{listed}</ul>' if listed else ""


def _common(items: Sequence[Pieces]) -> float:
    """Return the share of words that paired items have in common, from 0 to 1."""
    sizes = Counter[str]()
    for item in items:
        for where, text in item:
            sizes[where] += len(text.split()) * (2 if where == "both" else 1)
    return sizes["both"] / max(1, sizes.total())


def _side(item: Pieces, side: str, *, marked: bool) -> str:
    """Render one person's side of an item, with marks where the other differs."""
    tag, style = ("del", _LEFT) if side == "left" else ("ins", _RIGHT)
    parts = []
    for where, text in item:
        if where == "both" or (where == side and not marked):
            parts.append(escape(text))
        elif where == side:
            start = text[: len(text) - len(text.lstrip())]  # no mark on leading white space
            parts.append(f'{escape(start)}<{tag} style="{style}">{escape(text.lstrip())}</{tag}>')
    inside = "".join(parts)
    return f'<span style="white-space: pre-line;">{inside}</span>' if inside else ""


def comparison_text(comparison: ComparisonLike) -> str:
    """Write a comparison as plain text, marked as wdiff does: ``[-left-]``, ``{+right+}``."""
    lines = [f"{name_of(comparison, 0)} and {name_of(comparison, 1)}"]
    if comparison.asked:
        lines.append(legible(asked_for(comparison)))
        lines += [line for field in comparison.fields if field.asked for line in _lines(field)]
    lines.append(summary(comparison))
    lines += [line for field in comparison.differences for line in _lines(field)]
    return "\n".join([*lines, *(legible(line) for line in word_lines(comparison))])


def name_of(comparison: ComparisonLike, side: int) -> str:
    """Return the name of the left (0) or the right (1) person."""
    return legible(comparison.names[side]) or "(no name yet)"


def heads(comparison: ComparisonLike) -> list[str]:
    """Return the two names; for twins of one name also the intended change."""
    names = [name_of(comparison, side) for side in (0, 1)]
    if names[0] != names[1] or not comparison.asked:
        return names
    return [
        f"{name} ({', '.join(f'{key} {pair[side]}' for key, pair in comparison.asked.items())})"
        for side, name in enumerate(names)
    ]


def asked_for(comparison: ComparisonLike) -> str:
    """Write the intended changes in one sentence."""
    changes = [f"{key}, from {a} to {b}" for key, (a, b) in comparison.asked.items()]
    return f"Changed on purpose: {'; '.join(changes)}"


def summary(comparison: ComparisonLike) -> str:
    """Write how much differs in one sentence."""
    besides = " besides" if comparison.asked else ""
    fields = count(sum(not field.asked for field in comparison.fields), "field", "fields")
    differing = len(comparison.differences)
    if not differing:
        return f"Nothing differs{besides}: {fields} the same."
    share = f"{comparison.share:.0%}".replace("%", " % of the words")
    return f"Different{besides}: {differing} of {fields}, {share}"


def word_lines(comparison: ComparisonLike) -> Iterable[str]:
    """Write the words that only one of the two uses, one line for each side."""
    for side, words in (("left", comparison.left_words), ("right", comparison.right_words)):
        if words:
            told = ", ".join(f"{word} ({number})" for word, number in words)
            yield f"Words only on the {side}: {told}"


def _lines(field: Difference) -> list[str]:
    """Write a field as lines of text, without the equal items of a list."""
    path = legible(field.path)
    if field.state == "same":
        return [f"  {path}: the same in both"]
    items = [item for item in field.items if any(side != "both" for side, _ in item)]
    if not items:
        return [f"  {path}: {unmarked(field)}"]
    if len(field.items) == 1:
        return [f"  {path}: {_marked(items[0])}"]
    return [f"  {path}:", *(f"    - {_marked(item)}" for item in items)]


def unmarked(field: Difference) -> str:
    """Describe the difference of values that have the same words."""
    lists = isinstance(field.left, list) and isinstance(field.right, list)
    return "the same in another order" if lists else "the same words, written otherwise"


def _marked(item: Pieces) -> str:
    marks = {"both": "{}", "left": "[-{}-]", "right": "{{+{}+}}"}
    told = (marks[side].format(" ".join(legible(text).split())) for side, text in item)
    return " ".join(part for part in told if part)
