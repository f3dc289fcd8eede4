"""How values are added to a store: one or several, waiting for them to be on disk or not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

Items = list[tuple[str, Any]]


class Adds(ABC):
    """The ways to add values, all by the one that takes several and does not wait."""

    @abstractmethod
    def add_all_soon(self, items: Items) -> Callable[[], list[Any]]:
        """Have several values stored in one commit, each unless one is there.

        Calling what this gives waits for it, and gives those that are there afterwards. Two
        kernels that add under the same key both get the first's value. A damaged value is kept
        under another key, and replaced.
        """

    def add_all(self, items: Items) -> list[Any]:
        """Store several values as `add_all_soon` does, and wait for those that stand."""
        return self.add_all_soon(items)()

    def add(self, key: str, value: Any) -> Any:
        """Store a value unless one is there; the one that is there afterwards."""
        return self.add_all([(key, value)])[0]

    def add_soon(self, key: str, value: Any) -> Callable[[], Any]:
        """Have a value stored as `add` does, without waiting; calling what this gives waits."""
        standing = self.add_all_soon([(key, value)])
        return lambda: standing()[0]
