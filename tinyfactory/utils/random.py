"""Choices that come out the same on every machine and Python.

Only `random.Random.random` is promised to stay the same from one Python to the next, so
everything here rests on it; nothing needs `math`, whose last digits differ by platform.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def digest(*parts: object) -> int:
    """A large number that depends on all the parts and on nothing else."""
    joined = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(joined.encode("utf-8", "surrogatepass")).digest(), "big")


class Dice:
    """A private source of choices.

    Examples
    --------
    >>> Dice(1).pick("abc") == Dice(1).pick("abc")
    True
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._random() < probability

    def integer(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int(self._random() * (max(low, high) - low + 1))

    def pick(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[int(self._random() * len(items))]

    def few(self, items: Sequence[T], number: int) -> list[T]:
        """Up to `number` different items, in random order."""
        left = list(items)
        return [left.pop(int(self._random() * len(left))) for _ in range(min(number, len(left)))]

    def bell(self, mean: float, spread: float) -> float:
        """A number near the mean, as from a normal distribution of this standard deviation."""
        # Four uniform numbers have a variance of 1/3; their sum is bell-shaped.
        total = sum(self._random() for _ in range(4)) - 2
        return mean + spread * total * 1.7320508
