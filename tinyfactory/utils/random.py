"""Random choices that are the same on every machine and in every version of Python.

Python only promises that `random.Random.random` stays the same, so everything here uses that
method alone. Nothing uses `math`, whose last digits differ between platforms, or `sum`, which
rounds floats differently since Python 3.12.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def digest(*parts: object) -> int:
    """Compute a large number that depends only on the parts."""
    joined = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(joined.encode("utf-8", "surrogatepass")).digest(), "big")


class Dice:
    """A source of random choices with a state of its own.

    Examples
    --------
    >>> Dice(1).pick("abc") == Dice(1).pick("abc")
    True
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return self._random() < probability

    def integer(self, low: int, high: int) -> int:
        """Draw a whole number from low to high, both included."""
        return low + int(self._random() * (max(low, high) - low + 1))

    def pick(self, items: Sequence[T]) -> T:
        """Draw one of the items."""
        return items[int(self._random() * len(items))]

    def few(self, items: Sequence[T], number: int) -> list[T]:
        """Draw up to `number` different items, in random order."""
        left = list(items)
        drawn: list[T] = []
        while left and len(drawn) < number:
            drawn.append(left.pop(int(self._random() * len(left))))
        return drawn

    def bell(self, mean: float, spread: float) -> float:
        """Draw a number near the mean, roughly normal with this standard deviation."""
        # Four uniform numbers have a variance of 1/3; their sum is bell-shaped.
        total = self._random() + self._random() + self._random() + self._random() - 2
        return mean + spread * total * 1.7320508
