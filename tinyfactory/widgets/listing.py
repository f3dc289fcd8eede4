"""`Listing`: a table over a list of things in memory, each a row of text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from tinyfactory.widgets.table import Column, PagedTable, Rows, Sort

Item = TypeVar("Item")


class Listing(PagedTable, Generic[Item]):
    """Shows `items`, sorted as the reader likes; the chosen one stays chosen.

    Parameters
    ----------
    columns : sequence of Column
    cells : callable
        The texts of an item's row.
    order : callable
        For a column's key, what items are sorted by.
    **options
        As for `PagedTable`.

    Examples
    --------
    >>> listing = Listing([Column("n", "n")], lambda n: [str(n)], lambda key: int, label="Numbers")
    >>> listing.show([3, 1, 2], chosen=1)
    >>> listing.selected, listing.sort, listing.chosen
    (1, None, 1)
    >>> listing.sort = ("n", True)
    >>> listing.selected = 0
    >>> listing.chosen
    3
    """

    def __init__(
        self,
        columns: Sequence[Column],
        cells: Callable[[Item], list[str]],
        order: Callable[[str], Callable[[Item], Any]],
        **options: Any,
    ) -> None:
        self.items: list[Item] = []
        self._cells, self._order = cells, order
        self._ordered: tuple[Sort | None, list[Item]] = (None, self.items)
        super().__init__(columns, self._page_of, **options)

    def show(self, items: Sequence[Item], chosen: Item | None = None) -> None:
        """Show these, one of them chosen."""
        self.items = list(items)
        self._ordered = (None, self.items)
        with self.together():
            self.refresh()
            self.choose(chosen)

    def choose(self, item: Item | None) -> None:
        """Choose an item, or none where it is not among them."""
        rows = self._in_order(self.sort)
        self.selected = rows.index(item) if item is not None and item in rows else None

    @property
    def chosen(self) -> Item | None:
        """The item whose row is chosen."""
        return None if self.selected is None else self._in_order(self.sort)[self.selected]

    def _page_of(self, offset: int, limit: int, sort: Sort | None) -> Rows:
        shown = self._in_order(sort)[offset : offset + limit]
        return Rows([self._cells(item) for item in shown], len(self.items))

    def _in_order(self, sort: Sort | None) -> list[Item]:
        if self._ordered[0] != sort:
            rows = self.items
            if sort is not None:
                rows = sorted(rows, key=self._order(sort[0]), reverse=sort[1])
            self._ordered = (sort, rows)
        return self._ordered[1]
