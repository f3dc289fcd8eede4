"""Who is where: for each field its categories, asked against got, and the people in each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tinyfactory.populations.reporting.card import ReportCard, Row
from tinyfactory.populations.reporting.measure import report
from tinyfactory.populations.reporting.personas import personas_of
from tinyfactory.populations.reporting.reading import Reading, Target, read_field

# What is counted where nothing was asked for.
_UNASKED = ("sex", "age", "nationality", "residence")
_NOT_STATED = "not stated"
_CROSS = " × "  # as the card writes it


@dataclass(frozen=True, slots=True)
class Bar:
    """One category: how many people are in it, and how many were to be, or None."""

    category: str
    got: int
    asked: float | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """The categories of a field, or of several fields together.

    `row` is the row of the card that marks it; None where nothing was asked.
    """

    field: str
    bars: tuple[Bar, ...]
    row: Row | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """A report card, its charts, and in which category of each chart everyone is."""

    card: ReportCard
    charts: tuple[Chart, ...]
    categories: dict[str, tuple[str, ...]]

    def members(self, field: str, category: str) -> list[int]:
        """Places of the people who are in a category, in their order."""
        values = self.categories.get(field, ())
        return [place for place, value in enumerate(values) if value == category]


def measure(
    people: Sequence[Any],
    target: Target | None = None,
    *,
    texts: int | None = None,
    watch: Callable[[int, int], object] | None = None,
) -> Measured:
    """The report card of people, and who is where; parameters are those of `report`.

    Examples
    --------
    >>> found = measure([{"name": "Ana Lima", "age": 34}, {"name": "Bo Ek", "age": 60}])
    >>> [(chart.field, [bar.category for bar in chart.bars]) for chart in found.charts]
    [('age', ['30-39', '60-69'])]
    >>> found.members("age", "60-69")
    [1]
    """
    personas = personas_of(people)
    card = report(personas, target, texts=texts, watch=watch)
    fields = [str(field) for field in target.fields] if target is not None else list(_UNASKED)
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
    told = row.details
    cells = zip(told["categories"], told["got"], told["asked"], strict=True)
    return Chart(_name(row), tuple(Bar(str(c), int(got), float(a)) for c, got, a in cells), row)


def _counted(field: str, values: tuple[str, ...]) -> Chart | None:
    """What is there, bands of numbers in their order, else the most frequent first."""
    counts = Counter(values)
    if set(counts) == {_NOT_STATED}:
        return None
    if all(value.partition("-")[0].isdigit() for value in counts if value != _NOT_STATED):
        order = sorted(counts, key=lambda v: (v == _NOT_STATED, int(v.partition("-")[0] or 0)
                                              if v != _NOT_STATED else 0))  # fmt: skip
    else:
        order = [value for value, _ in counts.most_common()]
    return Chart(field, tuple(Bar(value, counts[value]) for value in order))
