"""Bands: categories that are ranges of numbers, such as an age of 18-29."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tinyfactory.errors import DemographyError

_NUMBER = r"(\d+(?:\.\d+)?)"
_RANGE = re.compile(rf"{_NUMBER}\s*(?:-|–|to)\s*{_NUMBER}")
_FROM = re.compile(rf"{_NUMBER}\s*(?:\+|and over|or over|and older|or older)")
_BELOW = re.compile(rf"(?:under|below|<)\s*{_NUMBER}")
_ONE = re.compile(_NUMBER)

# Few people are older than this, and an open band has to end somewhere: "65+" is 65 to 90.
_OLDEST = 90
_OPEN_WIDTH = 15
_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Band:
    """Numbers from `low` to `high`, both included; whole ones unless `continuous`."""

    low: float
    high: float
    continuous: bool = False

    def holds(self, value: float) -> bool:
        """Whether a number is in the band."""
        return self.low <= value <= self.high


def read_band(text: str) -> Band | None:
    """The band that a category names, or None.

    An open band ends at 90, or fifteen above its beginning, but not above 100.

    Examples
    --------
    >>> read_band("18-29"), read_band("teacher")
    (Band(low=18, high=29, continuous=False), None)
    >>> [(band.low, band.high) for band in map(read_band, ("65+", "under 18"))]
    [(65, 90), (0, 17)]
    """
    plain = re.sub(r"\s*years?(?: old)?$", "", text.strip().lower())
    if match := _RANGE.fullmatch(plain):
        low, high = match[1], match[2]
        continuous = "." in low + high
        kind = float if continuous else int
        return Band(kind(low), kind(high), continuous)
    if match := _FROM.fullmatch(plain):
        low_ = int(float(match[1]))
        return Band(low_, max(low_, min(max(_OLDEST, low_ + _OPEN_WIDTH), _LIMIT)))
    if match := _BELOW.fullmatch(plain):
        return Band(0, max(0, int(float(match[1])) - 1))
    if match := _ONE.fullmatch(plain):
        return Band(int(match[1]), int(match[1])) if "." not in plain else None
    return None


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
            raise DemographyError(f"{field}: the bands {one} and {other} overlap.")
    return found


def band_of(bands: dict[str, Band], value: Any) -> str | None:
    """The band that a number is in; None for what is no number or in none."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return next((name for name, band in bands.items() if band.holds(number)), None)
