"""A user's own factory without people, for tests of the journal."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable
from typing import Any, Self

from tinyfactory import TinyFactory, transactional

# Called by the next bodies; set by a test, and not part of the saved state.
on_the_way: list[Callable[[], object]] = []


class ProductFactory(TinyFactory):
    def __init__(self, brand: str = "Acme") -> None:
        super().__init__()
        self.brand = brand
        self.products: list[Any] = []
        self.runs = 0  # no part of the state: how often a body really ran

    def encode_complete_state(self) -> dict[str, Any]:
        own = {"brand": self.brand, "products": list(self.products)}
        return super().encode_complete_state() | own

    def decode_complete_state(self, state: dict[str, Any]) -> Self:
        self.brand = state["brand"]
        self.products = list(state["products"])
        self.runs = getattr(self, "runs", 0)
        return super().decode_complete_state(state)

    @transactional(version="1")
    def make(self, name: str, fail: str | None = None) -> str:
        self.runs += 1
        self.products.append(name)
        for do in on_the_way:
            do()
        if fail is not None:
            raise getattr(builtins, fail)("on purpose")
        return name + "!"

    @transactional(version="1")
    async def make_later(self, name: str, seconds: float = 0.0) -> str:
        self.runs += 1
        self.products.append(name)
        await asyncio.sleep(seconds)
        return name + "!"

    @transactional(version="1")
    def take(self, thing: Any) -> Any:
        self.runs += 1
        return thing


class Company(TinyFactory):
    """Its step changes another factory, too."""

    def __init__(self) -> None:
        super().__init__()
        self.supplier = ProductFactory()
        self.orders = 0

    def encode_complete_state(self) -> dict[str, Any]:
        return super().encode_complete_state() | {"orders": self.orders}

    def decode_complete_state(self, state: dict[str, Any]) -> Self:
        self.orders = state["orders"]
        return super().decode_complete_state(state)

    @transactional(version="1")
    def order(self, name: str) -> str:
        self.orders += 1
        return self.supplier.make(name)
