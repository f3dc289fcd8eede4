"""A user's factory whose methods have no given version, with helpers and all kinds of syntax.

`tests/frozen/own_shop.recording.jsonl.gz` was made from it by the release that had no helpers in
versions, on Python 3.11. So what it does must not change; its layout may.
"""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import functools
import re
from collections.abc import Callable
from typing import Any, ClassVar

from tinyfactory import TinyFactory, TinyPersonFactory, transactional

RATE = 0.07
LARGE = 10**40
NAMES = ("Ana", "Zoë", "\U0001f600", "\ud800"[:0])
WORD = re.compile(r"\b[A-Z]\w+", re.ASCII)
PRICES: dict[str, Any] = {"bread": 2.5, "cake": [4, 5]}


class Size(enum.Enum):
    SMALL = 1
    LARGE = 2


@dataclasses.dataclass(frozen=True)
class Order:
    number: int
    size: Size = Size.SMALL
    notes: list[str] = dataclasses.field(default_factory=list)

    def price(self) -> float:
        return self.number * self.size.value * 1.5


def rate(amount: float, *, by: float = RATE) -> float:
    """The tax."""
    return round(amount * by, 2)


@functools.lru_cache
def cached(number: int) -> int:
    return number if number < 2 else cached(number - 1) + cached(number - 2)


def shouted(function: Callable[..., str]) -> Callable[..., str]:
    @functools.wraps(function)
    def wrapper(*args: Any) -> str:
        return function(*args).upper() + "!"

    return wrapper


@shouted
def greet(name: str) -> str:
    return f"hello {name!r:>{8}} {{}} {name=} and {len(name):03d}"


discount = functools.partial(rate, by=0.5)
double = lambda value: value * 2  # noqa: E731 - this syntax is to be covered


class OwnShop(TinyFactory):
    """A shop as a user writes it."""

    levy = 3
    table: ClassVar[dict[str, int]] = {"a": 1}

    def __init__(self, owner: str) -> None:
        super().__init__()
        self.owner = owner
        self.stock = 10

    @property
    def half(self) -> float:
        return self.stock / 2

    @staticmethod
    def least() -> int:
        return 1

    def price(self, number: int) -> float:
        return number * self.levy + rate(number)

    @transactional
    def sell(self, number: int) -> float:
        # Take it from the stock.
        self.stock -= number
        return self.price(number) + self.half + self.least()

    @transactional
    def order(self, number: int, large: bool = False) -> float:
        """An order of some goods."""
        made = Order(number, Size.LARGE if large else Size.SMALL)
        return made.price() + discount(number) + double(number) + cached(number)

    @transactional
    def words(self, text: str) -> list[str]:
        found = [word for word in WORD.findall(text) if (first := word[0]) != "X" and first]
        return [*found, greet(NAMES[0]), f"{text:.3}{'' if text else 'none'}"]

    @transactional
    def sort(self, values: list[Any]) -> list[str]:
        def kind(value: Any) -> str:
            match value:
                case {"size": int(size), **rest} if size > 1:
                    return f"large with {len(rest)}"
                case [first, *_]:
                    return f"list of {first}"
                case None | True:
                    return "flag"
                case str() as text:
                    return text
                case _:
                    return "other"

        return [kind(value) for value in values]

    @transactional(touches=("self",))
    def open_for_a_day(self, customers: list[int]) -> dict[str, float]:
        sold = [self.sell(number) for number in customers]
        try:
            best = max(sold)
        except* ValueError:
            best = 0.0
        return {"best": best, "bread": PRICES["bread"] if sold else LARGE % 7}

    @transactional
    async def restock(self, number: int) -> int:
        await asyncio.sleep(0)
        self.stock += number
        return self.stock

    @transactional
    def hire(self, agency: TinyPersonFactory, role: str) -> str:
        person = agency.generate_person({"occupation": role})
        return "nobody" if person is None else person.name

    @classmethod
    @transactional
    def founded(cls, year: int) -> str:
        return f"{cls.levy} in {year:,}"

    def encode_complete_state(self) -> dict[str, Any]:
        return super().encode_complete_state() | {"owner": self.owner, "stock": self.stock}

    def decode_complete_state(self, state: dict[str, Any]) -> OwnShop:
        self.owner, self.stock = state["owner"], state["stock"]
        return super().decode_complete_state(state)


class Corner(OwnShop):
    """One that overrides what a method uses."""

    levy = 4

    def price(self, number: int) -> float:
        return super().price(number) + 1


def story() -> list[Any]:
    """All calls, and what they return."""
    told: list[Any] = []
    agency = TinyPersonFactory("Bakers in Vienna, Austria", model="offline")
    for shop in (OwnShop("Marta"), Corner("Paul")):
        told += [shop.sell(2), shop.order(3), shop.order(3, large=True)]
        told += [shop.words("Ana and Xaver met Bo"), shop.open_for_a_day([1, 2])]
        told += [shop.sort([{"size": 2, "a": 1}, [7, 8], None, "text", 4.5])]
        told += [asyncio.run(shop.restock(5)), shop.hire(agency, "baker"), shop.stock]
    return [*told, OwnShop.founded(1900), Corner.founded(1950)]


def versions() -> dict[str, str]:
    """The version of each method for each of the classes."""
    names = ("sell", "order", "words", "sort", "open_for_a_day", "restock", "hire")
    found = {}
    for cls in (OwnShop, Corner):
        for name in names:
            found[f"{cls.__name__}.{name}"] = getattr(cls, name).transactional.version(cls)
        found[f"{cls.__name__}.founded"] = cls.founded.__func__.transactional.version(cls)  # type: ignore[attr-defined]
    return found
