"""The report card and its rows, as text, HTML, JSON and a data frame."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tinyfactory.people.render import charts
from tinyfactory.utils.imports import require
from tinyfactory.utils.text import count, legible

if TYPE_CHECKING:
    import pandas as pd

# The columns of `ReportCard.to_frame`, each a public attribute of `Row`.
_COLUMNS = (
    *("key", "title", "value", "unit", "target", "actual"),
    *("mark", "passed", "sentence", "threshold", "source"),
)
_NOUNS = {"people": ("person", "people"), "words": ("word", "words")}


@dataclass(frozen=True, slots=True)
class Row:
    """One measure of a population.

    Parameters
    ----------
    key : str
        The name of the row in code, such as ``"margin:sex"``.
    title : str
    value : float or None
        None if there was nothing to measure.
    unit : str
        ``"people"``, ``"words"``, ``"share"`` or ``""`` for a plain number.
    source : str
        The source of the formula: author, year, publication.
    sentence : str
        The result in words.
    passed : bool or None
        None for a row that is only information.
    threshold : str
        The condition for passing and the reason for it; empty for information.
    details : dict
        The numbers behind the value, as plain JSON.
    decimals : int, optional
        The decimals to show, if the mark needs more than usual.
    """

    key: str
    title: str
    value: float | None
    unit: str
    source: str
    sentence: str
    passed: bool | None = None
    threshold: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    decimals: int | None = None

    @property
    def mark(self) -> str:
        """``"pass"``, ``"FAIL"`` or ``"info"``."""
        return {True: "pass", False: "FAIL", None: "info"}[self.passed]

    @property
    def target(self) -> float | None:
        """The target that the row compares with; for a table, of the category missed most."""
        return self._compared("asked", 0)

    @property
    def actual(self) -> float | None:
        """The number to compare with `target`; None if the row has no target."""
        if self.target is None:
            return None
        return self._compared("got", self.details.get("outside", 0))

    def _compared(self, key: str, outside: float) -> float | None:
        found = self.details.get(key)
        if not isinstance(found, list):
            return None if found is None else float(found)
        numbers = dict(zip(self.details["categories"], found, strict=True))
        return float(numbers.get(self.details["largest_miss_in"], outside))

    @property
    def shown(self) -> str:
        """The value as text, with its unit.

        Examples
        --------
        >>> Row("k", "Repeats", 0.125, "share", "", "").shown
        '12.5 %'
        """
        if self.value is None:
            return "–"
        if self.unit == "share":
            return percent(self.value, self.decimals or 3)
        if self.unit in _NOUNS:
            return counted(self.value, *_NOUNS[self.unit], self.decimals or 1)
        return written(self.value, self.decimals or 2)


@dataclass(frozen=True, slots=True, repr=False)
class ReportCard:
    """The result of `report`, as text, static HTML, JSON and a data frame.

    Parameters
    ----------
    rows : tuple of Row
    number_of_people : int

    Examples
    --------
    >>> from tinyfactory.populations.reporting import report
    >>> card = report([{"name": "Ana Lima"}, {"name": "Ana Lima"}])
    >>> card.passed, [row.key for row in card.failed]
    (False, ['names:full'])
    >>> card["names:full"].value
    2
    """

    rows: tuple[Row, ...]
    number_of_people: int

    @property
    def passed(self) -> bool:
        """Whether no row failed; rows that are only information do not count."""
        return not self.failed

    @property
    def failed(self) -> list[Row]:
        """The rows that failed."""
        return [row for row in self.rows if row.passed is False]

    def __getitem__(self, key: str) -> Row:
        for row in self.rows:
            if row.key == key:
                return row
        raise KeyError(
            f"There is no row {key!r}; the rows are {', '.join(r.key for r in self.rows)}"
        )

    def __contains__(self, key: object) -> bool:
        return any(row.key == key for row in self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def to_dict(self) -> dict[str, Any]:
        """The card as plain JSON values."""
        return {
            "number_of_people": self.number_of_people,
            "passed": self.passed,
            "failed": [row.key for row in self.failed],
            "rows": [_plain(row) for row in self.rows],
        }

    def to_json(self, indent: int | None = 2) -> str:
        """The card as JSON text."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, indent=indent)

    def to_frame(self) -> pd.DataFrame:
        """Make a data frame with one row for each row of the card.

        Returns
        -------
        DataFrame
            The columns are attributes of `Row`: ``key``, ``title``, ``value``, ``unit``,
            ``target``, ``actual``, ``mark``, ``passed``, ``sentence``, ``threshold`` and
            ``source``. Numbers that a row does not have are NaN; ``passed`` is missing for rows
            that are only information. `Row.details` has the numbers behind each value.

        Raises
        ------
        MissingPackage
            If pandas is not installed.

        Examples
        --------
        >>> from tinyfactory.populations.reporting import report
        >>> frame = report([{"name": "Ana Lima"}, {"name": "Ana Lima"}]).to_frame()
        >>> frame.set_index("key").loc["names:full", "mark"]
        'FAIL'
        """
        pandas = require("pandas", "populations")
        frame: pd.DataFrame = pandas.DataFrame(
            [[getattr(row, column) for column in _COLUMNS] for row in self.rows], columns=_COLUMNS
        )
        numbers = dict.fromkeys(("value", "target", "actual"), "float64")
        return frame.astype(numbers | {"passed": "boolean"})

    def to_text(self) -> str:
        """The card as plain text: a table, then a sentence, threshold and source for each row."""
        return card_text(self)

    def to_html(self, *, page: bool = False) -> str:
        """The card as static HTML with plots; it needs no kernel, script or network.

        Parameters
        ----------
        page : bool
            Make a complete page to save in a file, not a fragment.
        """
        return card_html(self, page=page)

    def _repr_html_(self) -> str:
        return self.to_html()

    def __repr__(self) -> str:
        return card_table(self)


def _plain(row: Row) -> dict[str, Any]:
    """The row as plain JSON values."""
    return {key: value for key, value in asdict(row).items() if key != "decimals"}


_MOST_DECIMALS = 6


def decimals(least: int, passes: Callable[..., bool], *numbers: float) -> int:
    """The fewest decimals for which the rounded numbers still give the same mark.

    Examples
    --------
    >>> at_most_one = lambda miss: miss <= 1
    >>> [decimals(1, at_most_one, miss) for miss in (0.7541, 0.98, 1.04, 1.0003)]
    [1, 1, 2, 4]
    """
    mark = passes(*numbers)
    enough = (
        few
        for few in range(least, _MOST_DECIMALS)
        if passes(*(round(number, few) for number in numbers)) == mark
    )
    return next(enough, _MOST_DECIMALS)


def written(number: float, few: int, sign: str = "") -> str:
    """Write a number with `few` decimals; never "-0.0".

    Examples
    --------
    >>> written(-0.004, 2), written(12345.678, 1), written(0.1, 2, "+")
    ('0.00', '12,345.7', '+0.10')
    """
    return f"{round(number, few) + 0.0:{sign},.{few}f}"


def whole(number: float, few: int = 1) -> str:
    """Write a number like `written`, but without zeros at the end.

    Examples
    --------
    >>> whole(24.0), whole(24.04), whole(24.04, 2)
    ('24', '24', '24.04')
    """
    text = written(number, few)
    return text.rstrip("0").rstrip(".") if few else text


def counted(number: float, one: str, many: str, few: int = 1) -> str:
    """Write a number with its noun.

    Examples
    --------
    >>> counted(1, "person", "people"), counted(0.4, "person", "people")
    ('1 person', '0.4 people')
    >>> counted(0.02, "person", "people")
    'less than 0.1 people'
    """
    text = whole(number, few)
    if number and text == "0":
        return f"less than {10**-few:g} {many}"
    return f"{text} {one if text == '1' else many}"


def percent(share: float, few: int = 3) -> str:
    """Write a share in percent; `few` counts the decimals of the share.

    Examples
    --------
    >>> percent(0.125), percent(0.125, 2), percent(0.15004, 5)
    ('12.5 %', '12 %', '15.004 %')
    """
    return f"{written(100 * share, few - 2)} %"


def p_value(p: float) -> str:
    """Write a p-value with three decimals at most.

    Examples
    --------
    >>> p_value(4.6e-17), p_value(0.04551), p_value(0.99999)
    ('p below 0.001', 'p 0.046', 'p above 0.999')
    """
    if p < 0.001:
        return "p below 0.001"
    return "p above 0.999" if p > 0.999 else f"p {p:.3f}"


_WIDTH = 96
_TENTHS = [f"{10 * t}-{10 * t + (9 if t < 9 else 10)}" for t in range(10)]
_SIGNS = [f"{t / 5 - 1:+.1f} to {(t + 1) / 5 - 1:+.1f}" for t in range(10)]


def headline(card: ReportCard) -> str:
    """Summarise the card in one line."""
    marked = [row for row in card.rows if row.passed is not None]
    people = count(card.number_of_people, "person", "people")
    info = len(card.rows) - len(marked)
    return (
        f"Report card of {people}: {len(marked) - len(card.failed)} of {len(marked)} marks passed, "
        f"{info} {'row' if info == 1 else 'rows'} for information."
    )


def card_table(card: ReportCard) -> str:
    """Write one line for each row: mark, title, value; for a failed row also its sentence."""
    width = max((len(row.title) for row in card.rows), default=0)
    lines = [headline(card)]
    for row in card.rows:
        lines.append(f"{row.mark}  {legible(row.title):<{width}}  {row.shown}")
        if row.passed is False:
            lines += _wrapped(row.sentence)
    return "\n".join(lines)


def card_text(card: ReportCard) -> str:
    """Write every row with its sentence, threshold and source."""
    lines = [headline(card)]
    for row in card.rows:
        lines += ["", f"{row.mark}  {legible(row.title)}: {row.shown}", *_wrapped(row.sentence)]
        lines += _wrapped(f"Passes: {row.threshold}.") if row.threshold else []
        lines += _wrapped(f"Source: {row.source}.")
    return "\n".join(lines)


def card_html(card: ReportCard, *, page: bool, without: Sequence[str] = ()) -> str:
    """Write the card as static HTML: every row with its mark, sentence and plot.

    `without` names kinds of rows that get no plot, such as ``"margin"``.
    """
    sections = [
        charts.Section(
            row.mark,
            row.title,
            row.shown,
            row.sentence,
            [f"Passes: {row.threshold}."] * bool(row.threshold) + [f"Source: {row.source}."],
            "".join(_plots(row)) if row.key.partition(":")[0] not in without else "",
        )
        for row in card.rows
    ]
    html = charts.card(headline(card), sections)
    return charts.page("Report card", html) if page else html


def _plots(row: Row) -> list[str]:
    details: dict[str, Any] = row.details
    kind = row.key.partition(":")[0]
    if kind in ("margin", "joint"):
        rows = list(zip(details["categories"], details["asked"], details["got"], strict=True))
        if len(rows) > charts.MAX_BARS:  # draw the largest differences
            rows.sort(key=lambda row: -abs(row[1] - row[2]))
        return [charts.target_and_actual(rows)]
    if kind == "sentences" and details["by_field"]:
        percents = [(field, 100 * share) for field, share in details["by_field"].items()]
        return [charts.bars(percents, "Repeated sentences by field, in percent")]
    if kind == "big_five":
        return [
            charts.bars(list(zip(_TENTHS, scores["tenths"], strict=True)), f"{trait}, people")
            for trait, scores in details["traits"].items()
        ]
    if kind == "positivity" and details["sentences"]:
        return [
            charts.bars(list(zip(_SIGNS, details["tenths"], strict=True)), "Sentences by score")
        ]
    if kind == "marked":
        return [
            charts.bars([(w, z) for w, z in top], f"{group}: z-scores")
            for group, top in details["groups"].items()
            if top
        ]
    return []


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(legible(text), _WIDTH, initial_indent="      ", subsequent_indent="      ")
