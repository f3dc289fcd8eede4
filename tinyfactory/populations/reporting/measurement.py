"""Measure a population: `report` makes the card, `measure` the charts as well."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tinyfactory.errors import InvalidInput
from tinyfactory.populations.demography import Demography
from tinyfactory.populations.reporting import margins, repetition, word_choice
from tinyfactory.populations.reporting.big_five import big_five_row
from tinyfactory.populations.reporting.card import ReportCard, Row
from tinyfactory.populations.reporting.evidence import (
    Reading,
    Target,
    personas_of,
    read_field,
    sentences,
)

_PARTS = 9  # steps that `watch` is told about
_SAMPLED = " Measured on the texts of {:,} of the {:,} people, drawn at random."
_SEED = 0  # of samples and of MinHash, so that the same people get the same card


def report(
    people: Any,
    target: Target | Mapping[str, Any] | None = None,
    *,
    groups: str | None = None,
    texts: int | None = None,
    watch: Callable[[int, int], object] | None = None,
) -> ReportCard:
    """Measure a population: against a target, and for repetition and wording.

    Parameters
    ----------
    people : People, iterable of TinyPerson or of persona dicts, or DataFrame
        A data frame must come from `People.to_frame`.
    target : Demography or dict, optional
        The target shares: a demography, or a dictionary for `Demography.from_dict`, such as
        ``factory.demography``. Without it, rows that need a target are left out.
    groups : str, optional
        The field whose groups are compared by their words; ``"sex"`` by default.
    texts : int, optional
        If there are more people, measure the prose of only this many, drawn at random, always
        the same; the rows say so. All other rows use everyone. By default all prose is used.
    watch : callable, optional
        Called as ``watch(done, total)`` between steps. An exception in it stops the report.

    Returns
    -------
    ReportCard
        Rows with a mark (pass or fail) and rows that are only information; each names the
        source of its formula. Needs no model and no network.

    Raises
    ------
    InvalidInput
        If `people` is empty or not a list of people, or `target` is not a demography.
    MissingPackage
        If a package of the extra ``report`` is not installed.

    Examples
    --------
    >>> people = [{"name": "Ana Lima", "gender": "woman"}, {"name": "Bo Ek", "gender": "man"}]
    >>> card = report(people)
    >>> card.passed
    True
    >>> card["names:first"].shown
    '100.0 %'
    """
    personas = personas_of(people)
    target = _demography(target)
    if groups is not None and not isinstance(groups, str):
        raise InvalidInput(f"groups must be the name of a field, not {groups!r:.80}.")
    if texts is not None and (isinstance(texts, bool) or not isinstance(texts, int) or texts < 1):
        raise InvalidInput(f"texts must be a number of people, at least 1, not {texts!r:.80}.")
    on = watch or (lambda *_: None)
    on(0, _PARTS)
    readings: dict[str, Reading] = {}
    if target is not None:
        readings = {str(f): read_field(str(f), personas, target) for f in target.fields}
    on(1, _PARTS)
    by = groups or "sex"
    compared = readings.get(by) or read_field(by, personas, target)
    if groups is not None and not any(value is not None for value in compared.values):
        raise InvalidInput(f"Nobody has a value for {groups!r}. Choose another field for groups.")
    rows = _against(target, readings) if target is not None else [_sexes(personas)]
    rows += [
        repetition.full_names_row(personas),
        repetition.first_names_row(personas),
        repetition.occupations_row(personas, marked=_leaves_occupations(target)),
    ]
    on(2, _PARTS)
    read: Sequence[int] = range(len(personas))
    if texts is not None and len(personas) > texts:
        read = sorted(random.Random(_SEED).sample(read, texts))
    said = [sentences(personas[number]) for number in read]
    by_words = replace(compared, values=tuple(compared.values[number] for number in read))
    note = "" if len(read) == len(personas) else _SAMPLED.format(len(read), len(personas))
    parts: list[Callable[[], list[Row]]] = [
        lambda: [repetition.sentences_row(said, _SEED)],
        lambda: [repetition.near_duplicates_row(said, _SEED + 1)],
        lambda: word_choice.diversity_rows(said, _SEED),
        lambda: [big_five_row(personas)],
        lambda: [word_choice.positivity_row(said, _SEED)],
        lambda: [word_choice.marked_words_row(by_words, [personas[n] for n in read], said)],
    ]
    for number, part in enumerate(parts, 3):
        on(number, _PARTS)
        rows += [
            replace(row, sentence=row.sentence + (note if row.key != "big_five" else ""))
            for row in part()
        ]
    on(_PARTS, _PARTS)
    return ReportCard(tuple(rows), len(personas))


def _demography(target: Any) -> Target | None:
    """Read a target that may be given as a dictionary."""
    if isinstance(target, Mapping):
        return Demography.from_dict(dict(target))
    if target is not None and not hasattr(target, "category_of"):
        raise InvalidInput(
            f"target must be a Demography or a dictionary, not {type(target).__name__}."
        )
    found: Target | None = target
    return found


def _against(target: Target, readings: dict[str, Reading]) -> list[Row]:
    """Make the rows that need a target."""
    shares = {str(field): margin for field, margin in target.margins().items()}
    rows = [margins.margin_row(readings[field], margin) for field, margin in shares.items()]
    rows += [
        margins.joint_row([str(f) for f in fields], joint, readings)
        for fields, joint in target.joints()
    ]
    if target.impossible:
        rows.append(margins.impossible_row(target, readings))
    rows += margins.association_rows(readings, target)
    for field, margin in shares.items():
        rows.append(margins.coverage_row(readings[field], margin))
        rows.append(margins.evenness_row(readings[field], margin))
    return rows


def _leaves_occupations(target: Target | None) -> bool:
    """Whether there is a target, and it has no field for the occupation."""
    return target is not None and not any(
        "occupation" in str(field).lower() for field in target.fields
    )


def _sexes(personas: list[dict[str, Any]]) -> Row:
    return margins.evenness_row(read_field("sex", personas), None)


# The fields of the charts if there is no target.
_DEFAULT_FIELDS = ("sex", "age", "nationality", "residence")
_NOT_STATED = "not stated"
_CROSS = " × "  # as in the card


@dataclass(frozen=True, slots=True)
class Bar:
    """One category: its number of people, and the target number or None."""

    category: str
    got: int
    asked: float | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """The categories of a field, or of several fields together.

    `row` is the row of the card with the mark; None without a target.
    """

    field: str
    bars: tuple[Bar, ...]
    row: Row | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """A report card, its charts, and the category of each person in each chart."""

    card: ReportCard
    charts: tuple[Chart, ...]
    categories: dict[str, tuple[str, ...]]

    def members(self, field: str, category: str) -> list[int]:
        """The indices of the people in a category."""
        values = self.categories.get(field, ())
        return [place for place, value in enumerate(values) if value == category]


def measure(
    people: Sequence[Any],
    target: Target | Mapping[str, Any] | None = None,
    *,
    texts: int | None = None,
    watch: Callable[[int, int], object] | None = None,
) -> Measured:
    """Make the report card and its charts; the parameters are those of `report`.

    Examples
    --------
    >>> found = measure([{"name": "Ana Lima", "age": 34}, {"name": "Bo Ek", "age": 60}])
    >>> [(chart.field, [bar.category for bar in chart.bars]) for chart in found.charts]
    [('age', ['30-39', '60-69'])]
    >>> found.members("age", "60-69")
    [1]
    """
    personas, target = personas_of(people), _demography(target)
    card = report(personas, target, texts=texts, watch=watch)
    fields = (
        [str(field) for field in target.fields] if target is not None else list(_DEFAULT_FIELDS)
    )
    readings = {field: read_field(field, personas, target) for field in fields}
    categories = {field: _stated(reading) for field, reading in readings.items()}
    if target is None:
        charts = [_counted(field, categories[field]) for field in fields]
        return Measured(card, tuple(chart for chart in charts if chart is not None), categories)
    rows = [row for row in card if row.key.startswith(("margin:", "joint:"))]
    for row in rows:
        if row.key.startswith("joint:"):
            names = row.key.removeprefix("joint:").split(",")
            categories[_name(row)] = _crossed([readings[name] for name in names])
    return Measured(card, tuple(map(_compared, rows)), categories)


def _stated(reading: Reading) -> tuple[str, ...]:
    return tuple(_NOT_STATED if value is None else value for value in reading.values)


def _crossed(readings: list[Reading]) -> tuple[str, ...]:
    together = zip(*(reading.values for reading in readings), strict=True)
    return tuple(
        _CROSS.join(v for v in cell if v is not None) if None not in cell else _NOT_STATED
        for cell in together
    )


def _name(row: Row) -> str:
    return _CROSS.join(row.key.partition(":")[2].split(","))


def _compared(row: Row) -> Chart:
    found = row.details
    cells = zip(found["categories"], found["got"], found["asked"], strict=True)
    bars = tuple(Bar(str(category), int(actual), float(goal)) for category, actual, goal in cells)
    return Chart(_name(row), bars, row)


def _counted(field: str, values: tuple[str, ...]) -> Chart | None:
    """Count the categories: bands of numbers in order, all others by frequency."""
    counts = Counter(values)
    if set(counts) == {_NOT_STATED}:
        return None
    starts = {value: value.partition("-")[0] for value in counts if value != _NOT_STATED}
    if all(start.isdigit() for start in starts.values()):
        order = sorted(starts, key=lambda value: int(starts[value]))
        order += [_NOT_STATED] * (_NOT_STATED in counts)
    else:
        order = [value for value, _ in counts.most_common()]
    return Chart(field, tuple(Bar(value, counts[value]) for value in order))
