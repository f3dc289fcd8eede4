"""Big Five: the spread and the skew of each trait."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tinyfactory.people.schema.big_five import TRAITS
from tinyfactory.populations.reporting.card import Row, decimals, written

_LEAST_SPREAD = 10
_MOST_SKEW = 1
_ENOUGH = 30  # people; with fewer, chance alone gives a skew of almost 1


def spread_and_skew(scores: Sequence[float]) -> tuple[float | None, float | None]:
    """The sample standard deviation and the adjusted Fisher-Pearson skewness.

    Examples
    --------
    >>> spread_and_skew([1, 2, 3])
    (1.0, 0.0)
    """
    n = len(scores)
    if n < 2:
        return None, None
    mean = math.fsum(scores) / n
    second = math.fsum((x - mean) ** 2 for x in scores) / n
    spread = math.sqrt(second * n / (n - 1))
    if n < 3 or second == 0:
        return spread, None
    third = math.fsum((x - mean) ** 3 for x in scores) / n
    return spread, math.sqrt(n * (n - 1)) / (n - 2) * third / second**1.5


def big_five_row(personas: Sequence[dict[str, Any]]) -> Row:
    """Mean, spread and skew of each trait; the value is the smallest spread.

    There is a mark from 30 people on.
    """
    traits: dict[str, Any] = {}
    for trait in TRAITS:
        scores = [score for persona in personas if (score := _score(persona, trait)) is not None]
        if not scores:
            continue
        spread, skew = spread_and_skew(scores)
        traits[trait] = {
            "people": len(scores),
            "mean": math.fsum(scores) / len(scores),
            "spread": spread,
            "skew": skew,
            "tenths": [sum(min(int(s // 10), 9) == tenth for s in scores) for tenth in range(10)],
        }
    spreads = {t: row["spread"] for t, row in traits.items() if row["spread"] is not None}
    least = min(spreads, key=lambda t: spreads[t], default=None)
    skews = [abs(row["skew"]) for row in traits.values() if row["skew"] is not None]
    enough = bool(spreads) and min(row["people"] for row in traits.values()) >= _ENOUGH
    means = "; ".join(
        f"{trait} mean {row['mean']:.0f}, spread {_told(row['spread'], _wide)}, skew "
        f"{_told(row['skew'], _even)}"
        for trait, row in traits.items()
    )
    return Row(
        "big_five",
        "Big Five: smallest spread",
        spreads[least] if least is not None else None,
        "",
        "Skewness: Joanes & Gill 1998, The Statistician 47 (G1); its limit: Bulmer 1979, "
        "Principles of Statistics",
        f"{means[:1].upper()}{means[1:]}. Points of 100; a small spread means that people are "
        "alike."
        if traits
        else "Nobody has Big Five scores.",
        _wide(min(spreads.values())) and _even(max(skews, default=0)) if enough else None,
        f"every spread at least {_LEAST_SPREAD} (respondents of the Big Five Inventory have 16 to "
        "23, that is 0.66 to 0.90 on its scale of 1 to 5: Srivastava et al. 2003, J. Personality "
        f"and Social Psychology 84); no skew beyond {_MOST_SKEW}"
        if enough
        else "",
        {"traits": traits},
        decimals(1, _wide, spreads[least]) if least is not None else None,
    )


def _wide(spread: float) -> bool:
    return spread >= _LEAST_SPREAD


def _even(skew: float) -> bool:
    return abs(skew) <= _MOST_SKEW


def _score(persona: dict[str, Any], trait: str) -> float | None:
    personality = persona.get("personality")
    scores = personality.get("big_five") if isinstance(personality, dict) else None
    score = scores.get(trait) if isinstance(scores, dict) else None
    # Numbers from a data frame are of numpy's types, not int or float.
    if score is None or isinstance(score, bool | str | list | dict):
        return None
    number = float(score)
    return number if 0 <= number <= 100 else None


def _told(value: float | None, passes: Callable[[float], bool]) -> str:
    return "–" if value is None else written(value, decimals(1, passes, value))
