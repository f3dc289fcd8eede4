"""Read Big Five scores in any notation: numbers, fractions of one, percentages, words."""

from __future__ import annotations

import re
from typing import Any

TRAITS = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")

SPELLINGS = {"extroversion": "extraversion", "openness_to_experience": "openness"}
_NUMBER_KEYS = ("score", "value", "level", "rating", "percentile", "percentage")
_WORDS = {
    "low": 20,
    "medium": 50,
    "moderate": 50,
    "average": 50,
    "balanced": 50,
    "neutral": 50,
    "high": 80,
}
_WORD = re.compile(r"\b(" + "|".join(_WORDS) + r")\b", re.IGNORECASE)
_NUMBER = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*(?:(%)|(?:/|out of)\s*(\d+(?:\.\d+)?))?")


def fold(record: dict[str, Any]) -> dict[str, Any]:
    """Rename trait keys to the spelling used here; other keys stay."""
    out: dict[str, Any] = {}
    for key, value in record.items():
        name = re.sub(r"[\s-]+", "_", key.strip().lower())
        name = SPELLINGS.get(name, name)
        out[name if name in TRAITS and name not in record and name not in out else key] = value
    return out


def read(record: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Read the traits as whole numbers from 0 to 100.

    Parameters
    ----------
    record : dict
        One value for each trait: a number, text such as ``"70"``, ``"70%"``, ``"4/5"`` or
        ``"High. Very curious"``, or a record of a score and a description.

    Returns
    -------
    tuple
        The record with numbers where they could be read, and the words beside them. A value
        that cannot be read stays, and the schema rejects it. Words without a recognised level
        are kept as words, without a number.

    Notes
    -----
    Low, medium and high count 20, 50 and 80. If all numbers lie within 0 and 1, and at least
    one strictly between, the scale is 0 to 1; zeros and ones alone count as points of 100.
    A fraction beside larger numbers has no known scale, and stays.

    Examples
    --------
    >>> read({"openness": "High. Very curious", "neuroticism": "20"})
    ({'openness': 80, 'neuroticism': 20}, {'openness': 'High. Very curious'})
    >>> read({"openness": 0.7, "neuroticism": 0.25})[0]
    {'openness': 70, 'neuroticism': 25}
    """
    out = dict(record)
    notes: dict[str, str] = {}
    loose: dict[str, float] = {}  # numbers whose scale depends on the others
    for trait in TRAITS:
        if trait not in record:
            continue
        value, sure, words = _one(record[trait])
        if words:
            notes[trait] = words
        if value is None:
            del out[trait]
        elif sure or not isinstance(value, int | float) or isinstance(value, bool):
            out[trait] = value
        else:
            loose[trait] = value
    numbers = loose.values()
    fractions = [n for n in numbers if 0 < n < 1]
    unit_scale = bool(fractions) and all(0 <= n <= 1 for n in numbers)
    for trait, number in loose.items():
        if unit_scale:
            out[trait] = round(number * 100)
        elif fractions or not 0 <= number <= 100:
            out[trait] = int(number) if number == int(number) else number
        else:
            out[trait] = round(number)
    return out, notes


def _one(value: Any) -> tuple[Any, bool, str]:
    """Return the value as a number if possible, whether its scale is known, and its words."""
    if isinstance(value, dict):
        return _record(value)
    if not isinstance(value, str):
        return value, False, ""
    words = value.strip()
    if not words:
        return None, True, ""
    if found := _NUMBER.match(words):
        number, percent, of = float(found[1]), found[2], found[3]
        rest = words[found.end() :]
        if rest[:1].isalnum():  # "5-HT" and the like: words, not a number
            return None, True, words
        note = words if rest.strip(" .") else ""
        if of and float(of) > 0:
            return _points(100 * number / float(of)), True, note
        if percent:
            return _points(number), True, note
        return number, False, note
    if found := _WORD.search(words):
        return _WORDS[found[1].lower()], True, words
    return None, True, words


def _points(number: float) -> int | float:
    return round(number) if 0 <= number <= 100 else number


def _record(record: dict[str, Any]) -> tuple[Any, bool, str]:
    """Read a score and its description; other entries become words, so nothing is lost."""
    value: Any = None
    sure = True
    note = ""
    rest = dict(record)
    for key in _NUMBER_KEYS:
        if rest.get(key) not in (None, "") and not isinstance(rest[key], dict | list):
            value, sure, note = _one(rest.pop(key))
            break
    notes = [note] if note else []
    notes += [f"{k}: {v}" if len(rest) > 1 else str(v) for k, v in rest.items() if v]
    words = "; ".join(notes)
    if value is None and (found := _WORD.search(words)):
        value = _WORDS[found[1].lower()]
    return value, sure, words
