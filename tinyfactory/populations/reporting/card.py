"""The rows of a report card, and the card that holds them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from tinyfactory.populations.reporting.saying import counted, percent, written

_NOUNS = {"people": ("person", "people"), "words": ("word", "words")}


@dataclass(frozen=True, slots=True)
class Row:
    """One measure of a population.

    Parameters
    ----------
    key : str
        What the row is found by, such as ``"margin:sex"``.
    title : str
    value : float or None
        None where there was nothing to measure.
    unit : str
        ``"people"``, ``"words"``, ``"share"`` or ``""`` for a plain number.
    source : str
        Where the formula is from: author, year, where.
    sentence : str
        The finding in plain words.
    passed : bool or None
        None for a row that is information only.
    threshold : str
        What passes, and why there; empty for information only.
    details : dict
        The numbers behind the value, as plain JSON.
    decimals : int, optional
        With how many the value is shown, where the mark needs more than usual.
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
    def shown(self) -> str:
        """The value as it is written in a table.

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
    """What `report` found, shown as text, as static HTML and as JSON.

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
        """Whether no row failed; rows that are information only do not count."""
        return not self.failed

    @property
    def failed(self) -> list[Row]:
        """The rows that failed."""
        return [row for row in self.rows if row.passed is False]

    def __getitem__(self, key: str) -> Row:
        for row in self.rows:
            if row.key == key:
                return row
        raise KeyError(f"There is no row {key!r}; there are: {', '.join(r.key for r in self.rows)}")

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

    def to_text(self) -> str:
        """The card as plain text: a table, then a sentence, threshold and source for each row."""
        from tinyfactory.populations.reporting.show import card_text

        return card_text(self)

    def to_html(self, *, page: bool = False) -> str:
        """The card as static HTML with plots, which needs no kernel, script or network.

        Parameters
        ----------
        page : bool
            A whole page to save in a file, rather than a part of one.
        """
        from tinyfactory.populations.reporting.show import card_html

        return card_html(self, page=page)

    def _repr_html_(self) -> str:
        return self.to_html()

    def __repr__(self) -> str:
        from tinyfactory.populations.reporting.show import card_table

        return card_table(self)


def _plain(row: Row) -> dict[str, Any]:
    """A row without how it is shown."""
    return {key: value for key, value in asdict(row).items() if key != "decimals"}
