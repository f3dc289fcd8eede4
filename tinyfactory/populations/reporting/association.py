"""How strongly two fields go together, asked against got."""

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
    "within 0.1 of what was asked, the effect that Cohen (1988) calls small; no mark with fewer "
    "than five people a cell (Cochran 1954)"
)
_SOURCE = "Cramér's V, Cramér 1946; bias-corrected: Bergsma 2013, J. Korean Statistical Society 42"
_PEOPLE_A_CELL = 5
Cell = tuple[str, str]


def cramers_v(table: Mapping[Cell, float], *, corrected: bool = True) -> float | None:
    """Cramér's V of a table of counts, from 0 (independent) to 1.

    Parameters
    ----------
    table : dict
        Pairs of categories and how many people are in both.
    corrected : bool
        Bergsma's correction, without which V is too large for few people. For shares, which
        stand for a whole population, take it without.

    Returns
    -------
    float or None
        None where a field has fewer than two categories with people, or nobody is left.

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
    """A row for each pair of fields; marked where the target has a joint table of both."""
    joints = [(tuple(map(str, fields)), joint) for fields, joint in target.joints()]
    rows = []
    for a, b in combinations(readings, 2):
        joint = next((_pair(a, b, f, joint) for f, joint in joints if a in f and b in f), None)
        rows.append(_row(readings[a], readings[b], joint))
    return rows


def _pair(a: str, b: str, fields: Sequence[str], joint: Mapping[Any, float]) -> dict[Cell, float]:
    """A joint table summed over all fields but two."""
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
    got, plain = cramers_v(counts), cramers_v(counts, corrected=False)
    asked = cramers_v(joint, corrected=False) if joint else None
    cells = len({x for x, _ in both}) * len({y for _, y in both})
    enough = len(both) >= _PEOPLE_A_CELL * cells
    marked = asked is not None and got is not None and enough
    few = decimals(2, _close, asked or 0, got or 0, plain or 0) if marked else 2
    if got is None:
        words = "Too few people or categories to say how they go together."
    elif asked is None:
        words = (
            f"V is {written(got, few)}; the target does not say how they go together, and as "
            "few or as unlike categories as these may bring some association by themselves."
        )
    else:
        unmarked = "" if enough else " With so few people a cell there is no mark."
        words = (
            f"V is {written(got, few)} ({written(plain or 0, few)} without correction), "
            f"{written(asked, few)} was asked (0 independent, 1 one tells the other).{unmarked}"
        )
    return Row(
        f"association:{a.field},{b.field}",
        f"Association: {a.field} and {b.field}",
        got,
        "",
        _SOURCE,
        words,
        _close(asked or 0, got or 0, plain or 0) if marked else None,
        _THRESHOLD if joint else "",
        {"asked": asked, "got": got, "uncorrected": plain, "people": len(both)},
        few,
    )


def _close(asked: float, corrected: float, plain: float) -> bool:
    """Whether what was asked is near to the V that is there.

    The correction takes away what chance adds. Quotas leave nothing to chance, so the V of people
    who meet a weak association exactly is too small with it, that of people drawn freely too
    large without.
    """
    low, high = sorted((corrected, plain))
    return max(low - asked, asked - high) <= _ALLOWED
