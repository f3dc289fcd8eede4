"""How strongly two fields depend on each other: target and actual."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from tinyfactory.populations.reporting.card import Row, decimals, written
from tinyfactory.populations.reporting.evidence import Reading, Target

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
