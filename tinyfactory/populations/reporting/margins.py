"""Target and actual: margins, joint tables, coverage, evenness, impossible combinations."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from tinyfactory.populations.reporting.card import (
    Row,
    counted,
    decimals,
    p_value,
    percent,
    whole,
    written,
)
from tinyfactory.populations.reporting.evidence import Reading, Target
from tinyfactory.utils.imports import require

# Quotas are whole people, so every category can be off by less than one person;
# `Demography.sample` promises one person at most.
LARGEST_MISS = 1.0
_MISS_THRESHOLD = (
    "largest miss at most 1 person: with whole people no closer match is possible for every share"
)
_MISS_SOURCE = (
    "Total variation distance: Levin, Peres & Wilmer 2009, Markov Chains and Mixing Times, "
    "sec. 4.1. Chi-squared goodness of fit: Pearson 1900, Philosophical Magazine 50"
)
_EVENNESS_ALLOWED = 0.1  # of the whole scale, as for association
_LEAST_EXPECTED = 5  # Cochran 1954, Biometrics 10: below this the chi-squared p is unreliable


def total_variation(target: Mapping[Any, float], actual: Mapping[Any, float]) -> float:
    """Half the sum of the differences between shares: the share of people in a wrong category.

    Examples
    --------
    >>> total_variation({"a": 0.5, "b": 0.5}, {"a": 0.75, "b": 0.25})
    0.25
    """
    return math.fsum(abs(target.get(k, 0) - actual.get(k, 0)) for k in {**target, **actual}) / 2


def chi_squared_p(target: Mapping[Any, float], counts: Mapping[Any, int]) -> float | None:
    """The p-value of Pearson's goodness-of-fit test.

    Categories are pooled, the smallest first, until five people are expected in each; None if
    fewer than two remain. People outside the target's categories are ignored.

    Examples
    --------
    >>> round(chi_squared_p({"a": 0.5, "b": 0.5}, {"a": 60, "b": 40}), 4)
    0.0455
    """
    total = sum(counts.get(k, 0) for k in target)
    pools: list[list[float]] = []  # expected, observed
    for k in sorted(target, key=lambda k: (target[k], str(k))):
        cell = [target[k] * total, float(counts.get(k, 0))]
        if pools and pools[-1][0] < _LEAST_EXPECTED:
            pools[-1] = [pools[-1][0] + cell[0], pools[-1][1] + cell[1]]
        else:
            pools.append(cell)
    if len(pools) > 1 and pools[-1][0] < _LEAST_EXPECTED:
        last = pools.pop()
        pools[-1] = [pools[-1][0] + last[0], pools[-1][1] + last[1]]
    if len(pools) < 2:
        return None
    chdtrc = require("scipy.special", "report").chdtrc
    statistic = math.fsum((observed - expected) ** 2 / expected for expected, observed in pools)
    return float(chdtrc(len(pools) - 1, statistic))


def pielou(counts: Mapping[Any, float]) -> float | None:
    """Evenness of the categories from 0 (all people in one) to 1 (equally many in each).

    Examples
    --------
    >>> pielou({"a": 5, "b": 5}), pielou({"a": 10, "b": 0}), pielou({"a": 3})
    (1.0, 0.0, None)
    """
    total = sum(counts.values())
    if len(counts) < 2 or not total:
        return None
    shares = [count / total for count in counts.values() if count]
    entropy = -math.fsum(share * math.log(share) for share in shares)
    return max(0.0, entropy / math.log(len(counts)))


def margin_row(reading: Reading, margin: Mapping[str, float]) -> Row:
    """Compare the shares of a field with the target."""
    field, n = reading.field, len(reading.values)
    target = {str(category): float(share) for category, share in margin.items()}
    counts, details = _compared(target, reading.values, n)
    miss = details["largest_miss"]
    words, few = _miss_words(details, target, counts, n)
    details |= {"read_from": reading.read_from, "not_stated": reading.not_stated}
    return Row(
        f"margin:{field}",
        f"Target and actual: {field}",
        miss,
        "people",
        _MISS_SOURCE,
        f"{words} {_distance_words(details)} {reading.how}",
        _met(miss),
        f"{_MISS_THRESHOLD}; people outside the categories, or without a value, count as misses",
        details,
        few,
    )


def joint_row(fields: Sequence[str], joint: Mapping[Any, float], readings: Any) -> Row:
    """Compare a joint table with the target, cell by cell."""
    columns = [readings[field].values for field in fields]
    cells = [None if None in cell else " × ".join(cell) for cell in zip(*columns, strict=True)]
    target = {" × ".join(map(str, cell)): float(share) for cell, share in joint.items()}
    counts, details = _compared(target, cells, len(cells))
    miss = details["largest_miss"]
    words, few = _miss_words(details, target, counts, len(cells))
    return Row(
        f"joint:{','.join(fields)}",
        f"Target and actual: {' by '.join(fields)}",
        miss,
        "people",
        _MISS_SOURCE,
        f"{words} {_distance_words(details)}",
        _met(miss),
        _MISS_THRESHOLD,
        details,
        few,
    )


def coverage_row(reading: Reading, margin: Mapping[str, float]) -> Row:
    """The share of the target's categories that have at least one person."""
    n, counts = len(reading.values), Counter(reading.values)
    # A category with a target below two may be empty while its margin is within one person.
    due = [str(c) for c, share in margin.items() if float(share) * n >= 2]
    wanted = [str(c) for c, share in margin.items() if share > 0]
    absent = [category for category in wanted if not counts[category]]
    late = [category for category in due if category in absent]
    covered = 1 - len(absent) / len(wanted) if wanted else None
    without = f"; empty: {', '.join(absent[:5])}" if absent else ""
    return Row(
        f"coverage:{reading.field}",
        f"Coverage of categories: {reading.field}",
        covered,
        "share",
        "A count of the target's categories",
        f"{len(wanted) - len(absent):,} of {counted(len(wanted), 'category', 'categories')} "
        f"{'has' if len(wanted) - len(absent) == 1 else 'have'} at least one person{without}.",
        not late,
        "no empty category with a target of two people or more",
        {"absent": absent, "absent_though_due": late},
        decimals(3, lambda share: share == 1, covered) if covered is not None else None,
    )


def evenness_row(reading: Reading, margin: Mapping[str, float] | None) -> Row:
    """Measure how evenly people are spread over the categories, next to the target."""
    counts: dict[str, float] = dict.fromkeys(reading.categories, 0)
    known = set(counts)
    counts |= Counter(v for v in reading.values if v is not None and (not known or v in known))
    actual = pielou(counts)
    target = pielou({k: float(v) for k, v in margin.items()}) if margin else None
    enough = sum(counts.values()) >= _LEAST_EXPECTED * len(counts)
    marked = target is not None and actual is not None and enough
    few = decimals(2, _near, actual or 0, target or 0) if marked else 2
    beside = f" (target {written(target, few)})" if target is not None else ""
    words = "Fewer than two categories"
    if actual is not None:
        words = f"{written(actual, few)} of 1{beside}"
    return Row(
        f"evenness:{reading.field}",
        f"Evenness: {reading.field}",
        actual,
        "",
        "Pielou 1966, J. Theoretical Biology 13: Shannon entropy over its largest value",
        f"{words}; 1 means equally many people in each "
        + (f"of the {len(counts):,} categories." if len(counts) > 1 else "category."),
        _near(actual or 0, target or 0) if marked else None,
        f"within {_EVENNESS_ALLOWED} of the target; no mark with fewer than five people per "
        "category"
        if target is not None
        else "",
        {"asked": target, "got": actual},
        few,
    )


def _near(actual: float, target: float) -> bool:
    return abs(actual - target) <= _EVENNESS_ALLOWED


def impossible_row(target: Target, readings: Mapping[str, Reading]) -> Row:
    """Count the people in combinations that the target rules out."""
    found: list[dict[str, Any]] = []
    bad: set[int] = set()
    for combination in target.impossible:
        pairs = [(readings[field].values, str(cat)) for field, cat in combination.items()]
        who = [i for i in range(len(pairs[0][0])) if all(v[i] == cat for v, cat in pairs)]
        bad.update(who)
        if who:
            found.append({"combination": dict(combination), "people": [i + 1 for i in who[:20]]})
    first = f", the first is number {min(bad) + 1:,}" if bad else ""
    who_is = "person is" if len(bad) == 1 else "people are"
    return Row(
        "impossible",
        "Impossible combinations",
        len(bad),
        "people",
        "A count of the target's impossible combinations",
        f"{len(bad):,} {who_is} in an impossible combination (the target has "
        f"{len(target.impossible):,}){first}.",
        not bad,
        "none: the target rules them out",
        {"found": found},
    )


def _compared(
    target: dict[str, float], values: Sequence[str | None], n: int
) -> tuple[Counter[str], dict[str, Any]]:
    """Compute counts and distances; people outside the target's categories are misses."""
    counts = Counter("not stated" if value is None else value for value in values)
    everything = [*target, *(c for c, _ in counts.most_common() if c not in target)]
    misses = {c: abs(counts[c] - target.get(c, 0) * n) for c in everything}
    outside = sum(counts[c] for c in everything if c not in target)
    if outside:  # one miss together; spread over many values each would look small
        misses["outside the categories"] = float(outside)
        counts["outside the categories"] = outside
    worst = max(misses, key=lambda c: misses[c])
    shares = {c: counts[c] / n for c in everything}
    return counts, {
        "tvd": total_variation(target, shares),
        "chi_squared_p": chi_squared_p(target, counts),
        "largest_miss": round(misses[worst], 6),
        "largest_miss_in": worst,
        "outside": outside,
        "categories": everything,
        "asked": [round(target.get(c, 0) * n, 6) for c in everything],
        "got": [counts[c] for c in everything],
    }


def _distance_words(details: dict[str, Any]) -> str:
    p = details["chi_squared_p"]
    tested = "too few people for a chi-squared test" if p is None else f"chi-squared {p_value(p)}"
    return f"{percent(details['tvd'])} are in the wrong category (TVD); {tested}."


def _met(miss: float) -> bool:
    return miss <= LARGEST_MISS + 1e-9


def _miss_words(
    details: Mapping[str, Any], target: Mapping[str, float], counts: Mapping[str, int], n: int
) -> tuple[str, int]:
    """Say the largest miss; returns the sentence and its number of decimals."""
    miss, where = details["largest_miss"], details["largest_miss_in"]
    few = decimals(1, _met, miss)
    off = counted(miss, "person", "people", few)
    return (
        f"{off[:1].upper()}{off[1:]} off at most, in {where!r}: "
        f"target {whole(target.get(where, 0) * n, few)}, actual {counts.get(where, 0):,}."
    ), few


_ALLOWED = 0.1
_THRESHOLD = (
    "within 0.1 of the target, the effect that Cohen (1988) calls small; no mark with fewer than "
    "five people per cell (Cochran 1954)"
)
_SOURCE = "Cramér's V, Cramér 1946; bias-corrected: Bergsma 2013, J. Korean Statistical Society 42"
_PEOPLE_A_CELL = 5
Cell = tuple[str, str]


def cramers_v(table: Mapping[Cell, float], *, corrected: bool = True) -> float | None:
    """Cramér's V of a table of counts, from 0 (independent) to 1.

    Parameters
    ----------
    table : dict
        Pairs of categories and the number of people in both.
    corrected : bool
        Apply Bergsma's correction; without it V is too large for few people. Do not correct
        shares of a whole population.

    Returns
    -------
    float or None
        None if a field has fewer than two categories with people, or the table is empty.

    Notes
    -----
    With phi² = chi²/n: phi²' = max(0, phi² - (r-1)(c-1)/(n-1)), r' = r - (r-1)²/(n-1), c'
    likewise, V = sqrt(phi²' / min(r'-1, c'-1)).

    Examples
    --------
    >>> cramers_v({("a", "x"): 50, ("b", "y"): 50})
    1.0
    >>> cramers_v({("a", "x"): 25, ("a", "y"): 25, ("b", "x"): 25, ("b", "y"): 25})
    0.0
    """
    n = math.fsum(table.values())
    rows: dict[str, float] = {}
    columns: dict[str, float] = {}
    for (row, column), count in table.items():
        if count > 0:
            rows[row] = rows.get(row, 0) + count
            columns[column] = columns.get(column, 0) + count
    r, c = len(rows), len(columns)
    if min(r, c) < 2:
        return None
    # phi² = sum of p²/(p_row p_column) - 1, over the cells with somebody in them
    cells = ((row, col, count) for (row, col), count in table.items() if count > 0)
    phi2 = math.fsum(count**2 / (rows[row] * columns[col]) for row, col, count in cells) - 1
    phi2 = max(0.0, phi2)
    if not corrected:
        return min(1.0, math.sqrt(phi2 / (min(r, c) - 1)))
    if n <= 1:
        return None
    phi2 = max(0.0, phi2 - (r - 1) * (c - 1) / (n - 1))
    smallest = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    if smallest <= 0:
        return None
    return min(1.0, math.sqrt(phi2 / smallest))


def association_rows(readings: Mapping[str, Reading], target: Target) -> list[Row]:
    """Make a row for each pair of fields, with a mark if the target has a joint table of both."""
    joints = [(tuple(map(str, fields)), joint) for fields, joint in target.joints()]
    rows = []
    for a, b in combinations(readings, 2):
        joint = next((_pair(a, b, f, joint) for f, joint in joints if a in f and b in f), None)
        rows.append(_row(readings[a], readings[b], joint))
    return rows


def _pair(a: str, b: str, fields: Sequence[str], joint: Mapping[Any, float]) -> dict[Cell, float]:
    """Sum a joint table over all fields except two."""
    i, j = fields.index(a), fields.index(b)
    pair: dict[Cell, float] = {}
    for cell, share in joint.items():
        key = (str(cell[i]), str(cell[j]))
        pair[key] = pair.get(key, 0.0) + float(share)
    return pair


def _row(a: Reading, b: Reading, joint: dict[Cell, float] | None) -> Row:
    both = [
        (x, y) for x, y in zip(a.values, b.values, strict=True) if x is not None and y is not None
    ]
    counts = Counter(both)
    actual, plain = cramers_v(counts), cramers_v(counts, corrected=False)
    target = cramers_v(joint, corrected=False) if joint else None
    cells = len({x for x, _ in both}) * len({y for _, y in both})
    enough = len(both) >= _PEOPLE_A_CELL * cells
    marked = target is not None and actual is not None and enough
    few = decimals(2, _close, target or 0, actual or 0, plain or 0) if marked else 2
    if actual is None:
        words = "Too few people or categories to measure association."
    elif target is None:
        words = (
            f"V is {written(actual, few)}. The target has no table of these fields. Small or "
            "unequal categories alone can cause some association."
        )
    else:
        unmarked = "" if enough else " There are too few people per cell for a mark."
        words = (
            f"V is {written(actual, few)} ({written(plain or 0, few)} without correction), target "
            f"{written(target, few)} (0: independent, 1: one field determines the other).{unmarked}"
        )
    return Row(
        f"association:{a.field},{b.field}",
        f"Association: {a.field} and {b.field}",
        actual,
        "",
        _SOURCE,
        words,
        _close(target or 0, actual or 0, plain or 0) if marked else None,
        _THRESHOLD if joint else "",
        {"asked": target, "got": actual, "uncorrected": plain, "people": len(both)},
        few,
    )


def _close(target: float, corrected: float, plain: float) -> bool:
    """Whether the target is near to the actual V, corrected or not.

    The correction subtracts what chance adds on average. Quotas do not depend on chance, so with
    the correction the V of people who match a weak association exactly is too small; without it
    the V of people drawn freely is too large.
    """
    low, high = sorted((corrected, plain))
    return max(low - target, target - high) <= _ALLOWED
