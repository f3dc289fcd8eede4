"""Bands: categories that are ranges of numbers, such as an age of 18-29."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tinyfactory.errors import DemographyError

_NUMBER = r"((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)"
_RANGE = re.compile(rf"{_NUMBER}\s*(?:-|–|to)\s*{_NUMBER}")
_FROM = re.compile(rf"{_NUMBER}\s*(?:\+|(?:and|or) (?:over|older|more|above))")
_BELOW = re.compile(rf"(?:under|below|less than|<)\s*{_NUMBER}")
_ONE = re.compile(_NUMBER)
_YEARS = re.compile(r"\s*\byears?\b(?: old| of age)?")

# Few people are older than this, and an open band has to end somewhere: "65+" is 65 to 90.
_OLDEST = 90
_OPEN_WIDTH = 15
_LIMIT = 100
_NOBODY_OLDER = 120  # as the schema of a person has it


@dataclass(frozen=True, slots=True)
class Band:
    """Numbers from `low` to `high`, both included; whole ones unless `continuous`."""

    low: float
    high: float
    continuous: bool = False

    def holds(self, value: float) -> bool:
        """Whether a number is in the band; somebody of 29 and a half is 29 years old."""
        return self.low <= (value if self.continuous else math.floor(value)) <= self.high


def read_band(text: str) -> Band | None:
    """The band that a category names, or None.

    An open band ends at 90, or fifteen above its beginning, but not above 100; what begins
    above 100 is no age, and ends at twice its beginning.

    Examples
    --------
    >>> read_band("18-29"), read_band("teacher")
    (Band(low=18, high=29, continuous=False), None)
    >>> [(band.low, band.high) for band in map(read_band, ("65+", "under 18", "50,000 and over"))]
    [(65, 90), (0, 17), (50000, 100000)]
    """
    plain = _YEARS.sub("", text.strip().lower())
    if match := _RANGE.fullmatch(plain):
        low, high = _number(match[1]), _number(match[2])
    elif match := _FROM.fullmatch(plain):
        low = _number(match[1])
        aged = max(low, min(max(_OLDEST, low + _OPEN_WIDTH), _LIMIT))
        high = aged if low <= _LIMIT else 2 * low
    elif match := _BELOW.fullmatch(plain):
        low, high = 0, _number(match[1])
        high = max(0, high - 1) if isinstance(high, int) else high
    elif (match := _ONE.fullmatch(plain)) and float(_number(match[1])).is_integer():
        low = high = int(_number(match[1]))  # "40.0" is how tables with gaps write 40
    else:
        return None
    return Band(low, high, isinstance(low, float) or isinstance(high, float))


def _number(text: str) -> int | float:
    """A whole number unless it is written with a point."""
    plain = text.replace(",", "")
    return float(plain) if "." in plain else int(plain)


def read_bands(field: str, categories: Iterable[str]) -> dict[str, Band] | None:
    """The bands of a field whose categories all are ranges, or None when they are words.

    Raises
    ------
    DemographyError
        When a band ends before it begins, or two overlap.
    """
    found: dict[str, Band] = {}
    for category in categories:
        band = read_band(category)
        if band is None:
            return None
        if band.high < band.low:
            raise DemographyError(f"{field} / {category}: the band ends before it begins.")
        found[category] = band
    ordered = sorted(found, key=lambda category: found[category].low)
    for one, other in pairwise(ordered):
        touching = found[one].continuous and found[one].high == found[other].low
        if found[one].high >= found[other].low and not touching:
            raise DemographyError(
                f"{field} / {other}: this band overlaps with {one}. Let each begin after the one "
                "before it ends."
            )
    return found


def check_ages(field: str, categories: Iterable[str], bands: dict[str, Band] | None) -> None:
    """Refuse what nobody's age can be: it is in whole years, and people have one each.

    Raises
    ------
    DemographyError
        Naming the category.
    """
    for category in categories:
        band = (bands or {}).get(category) or read_band(category)
        if band is None or band.continuous:
            raise DemographyError(
                f"{field} / {category}: an age is in whole years, or a range of them such as "
                "18-29. Write it so, or leave it out; ages in words are a field of another name."
            )
        if band.high > _NOBODY_OLDER:
            raise DemographyError(
                f"{field} / {category}: this goes up to {band.high:g}, and nobody is older than "
                f"{_NOBODY_OLDER}. Say where it ends."
            )


def band_of(bands: dict[str, Band], value: Any) -> str | None:
    """The band that a number is in; None for what is no number or in none."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    if not math.isfinite(number):
        return None
    return next((name for name, band in bands.items() if band.holds(number)), None)
