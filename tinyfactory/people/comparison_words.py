"""A comparison of two people in words: the text form, and the sentences that any form has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tinyfactory.people.render import legible

if TYPE_CHECKING:
    from tinyfactory.people.comparison import Comparison, Difference
    from tinyfactory.people.word_by_word import Pieces


def comparison_text(comparison: Comparison) -> str:
    """A comparison as plain text, with the marks of wdiff: ``[-left-]`` and ``{+right+}``."""
    lines = [f"{name_of(comparison, 0)} and {name_of(comparison, 1)}"]
    if comparison.asked:
        lines.append(legible(asked_for(comparison)))
        lines += [line for field in comparison.fields if field.asked for line in _lines(field)]
    lines.append(summary(comparison))
    lines += [line for field in comparison.differences for line in _lines(field)]
    return "\n".join([*lines, *(legible(line) for line in word_lines(comparison))])


def name_of(comparison: Comparison, side: int) -> str:
    """The name of the left (0) or the right one (1)."""
    return legible(comparison.names[side]) or "(no name yet)"


def heads(comparison: Comparison) -> list[str]:
    """The two names; of twins with one name also what makes the difference."""
    names = [name_of(comparison, side) for side in (0, 1)]
    if names[0] != names[1] or not comparison.asked:
        return names
    return [
        f"{name} ({', '.join(f'{key} {pair[side]}' for key, pair in comparison.asked.items())})"
        for side, name in enumerate(names)
    ]


def asked_for(comparison: Comparison) -> str:
    """What was changed on purpose, in a sentence."""
    changes = [f"{key}, from {a} to {b}" for key, (a, b) in comparison.asked.items()]
    return f"Changed on purpose: {'; '.join(changes)}"


def summary(comparison: Comparison) -> str:
    """How much differs, in a sentence."""
    besides = " besides" if comparison.asked else ""
    total = sum(not field.asked for field in comparison.fields)
    count = len(comparison.differences)
    if not count:
        return f"Nothing differs{besides}: {count_fields(total)} the same."
    return f"Different{besides}: {count} of {count_fields(total)}, {comparison.share:.0%}".replace(
        "%", " % of the words"
    )


def count_fields(number: int) -> str:
    """A number of fields in words."""
    return "1 field" if number == 1 else f"{number} fields"


def word_lines(comparison: Comparison) -> Iterable[str]:
    """The words that only one of the two uses, a line for each side."""
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
        return [f"  {path}: {unmarked(field)}"]
    if len(field.items) == 1:
        return [f"  {path}: {_marked(items[0])}"]
    return [f"  {path}:", *(f"    - {_marked(item)}" for item in items)]


def unmarked(field: Difference) -> str:
    """What to say of values that differ in no word."""
    lists = isinstance(field.left, list) and isinstance(field.right, list)
    return "the same in another order" if lists else "the same words, written otherwise"


def _marked(item: Pieces) -> str:
    marks = {"both": "{}", "left": "[-{}-]", "right": "{{+{}+}}"}
    told = (marks[side].format(" ".join(legible(text).split())) for side, text in item)
    return " ".join(part for part in told if part)
