"""Bands: categories that are ranges of numbers, such as the age band 18-29."""

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

# Where open bands end: "65+" is read as 65 to 90, since few people are older.
_OLDEST = 90
_OPEN_WIDTH = 15
_LIMIT = 100
_HIGHEST_AGE = 120  # as in the schema of a persona


@dataclass(frozen=True, slots=True)
class Band:
    """Numbers from `low` to `high`, both included; whole numbers unless `continuous`."""

    low: float
    high: float
    continuous: bool = False

    def holds(self, value: float) -> bool:
        """Whether a number is in the band; an age of 29.5 is in a band that ends at 29."""
        return self.low <= (value if self.continuous else math.floor(value)) <= self.high


def read_band(text: str) -> Band | None:
    """Read a category as a band; None if it is not a range of numbers.

    An open band ends at 90 or 15 above its start, whichever is more, but not above 100. A band
    that starts above 100 is not an age; it ends at twice its start.

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
        low = high = int(_number(match[1]))  # a column with gaps writes 40 as "40.0"
    else:
        return None
    return Band(low, high, isinstance(low, float) or isinstance(high, float))


def _number(text: str) -> int | float:
    """An int, or a float if the text has a decimal point."""
    plain = text.replace(",", "")
    return float(plain) if "." in plain else int(plain)


def read_bands(field: str, categories: Iterable[str]) -> dict[str, Band] | None:
    """Read the categories of a field as bands; None unless all of them are ranges.

    Raises
    ------
    DemographyError
        If a band ends before it starts, or two bands overlap.
    """
    found: dict[str, Band] = {}
    for category in categories:
        band = read_band(category)
        if band is None:
            return None
        if band.high < band.low:
            raise DemographyError(f"{field} / {category}: the band ends before it starts.")
        found[category] = band
    ordered = sorted(found, key=lambda category: found[category].low)
    for one, other in pairwise(ordered):
        touching = found[one].continuous and found[one].high == found[other].low
        if found[one].high >= found[other].low and not touching:
            raise DemographyError(
                f"{field} / {other}: the band overlaps with {one}. Each band must start after "
                "the end of the one before."
            )
    return found


def check_ages(field: str, categories: Iterable[str], bands: dict[str, Band] | None) -> None:
    """Reject categories of the field "age" that are not whole years up to 120.

    Raises
    ------
    DemographyError
        The message names the category.
    """
    for category in categories:
        band = (bands or {}).get(category) or read_band(category)
        if band is None or band.continuous:
            raise DemographyError(
                f"{field} / {category}: an age must be a whole number of years or a range such "
                "as 18-29. For ages in words, use a field with another name."
            )
        if band.high > _HIGHEST_AGE:
            raise DemographyError(
                f"{field} / {category}: the band ends at {band.high:g}; the highest age is "
                f"{_HIGHEST_AGE}. Give a lower end."
            )


def band_of(bands: dict[str, Band], value: Any) -> str | None:
    """Find the band of a number; None if there is none, or the value is not a number."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    if not math.isfinite(number):
        return None
    return next((name for name, band in bands.items() if band.holds(number)), None)
