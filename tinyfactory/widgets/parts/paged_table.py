"""`PagedTable`: a table of any number of rows, sent page by page; `ItemTable`, over a list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, Literal, TypeVar

import traitlets

from tinyfactory.errors import InvalidInput
from tinyfactory.utils.text import legible
from tinyfactory.widgets.parts.request_widget import STATIC, RequestWidget, integer

Sort = tuple[str, bool]
# Limits that keep a message below 200 kB, whatever the cells contain.
_MOST_BYTES = 160_000
_BYTES_A_CHARACTER = 4
_MOST_CHARACTERS = 160
_MOST_ROWS = 200


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its key, by which the source sorts, and its heading."""

    key: str
    label: str
    align: Literal["left", "right"] = "left"
    sortable: bool = True


@dataclass(frozen=True, slots=True)
class Rows:
    """The texts of some rows, and the number of all rows."""

    cells: list[list[str]]
    total: int


Source = Callable[[int, int, Sort | None], Rows]


class PagedTable(RequestWidget):
    """A table to page through, sort and choose a row in, by mouse or by keyboard.

    Only the cells of one page are sent, as text; a long text is cut short.

    Parameters
    ----------
    columns : sequence of Column
    source : callable
        ``source(offset, limit, sort)`` returns `Rows`; `sort` is ``(key, descending)`` or None.
    label : str
        The name of the table for screen readers.
    page_size : int
        Rows on a page, 1 to 200.
    empty : str
        The text when there are no rows.
    height : str
        The maximal height of the rows, in CSS; more rows scroll.
    shape : str
        ``"table"``, or ``"cards"``: each row as a card with the first cell as its heading.
    failed : callable, optional
        Gets what goes wrong with what a page asks for, e.g. `BasePanel.failed`.

    Attributes
    ----------
    sort : tuple or None
        ``(key, descending)``. Setting it shows the first page and clears the selection.
    page : int
        The shown page, from 0; a number beyond the last page shows the last.
    selected : int or None
        The number of the chosen row in the present order. Setting it shows its page.
    columns, shape
        As the parameters; can be set.
    shown : bool
        Whether a page has shown it.

    Examples
    --------
    >>> def squares(offset, limit, sort):
    ...     numbers = sorted(range(1000), reverse=bool(sort and sort[1]))
    ...     return Rows([[str(n), str(n * n)] for n in numbers[offset : offset + limit]], 1000)
    >>> table = PagedTable([Column("n", "n"), Column("sq", "n²")], squares, label="Squares")
    >>> table.sort = ("n", True)
    >>> table.selected = 70
    >>> table.page, table.rows.cells[20]
    (1, ['929', '863041'])
    """

    _esm = STATIC / "table.js"
    _css = STATIC / "table.css"
    _head = traitlets.Dict().tag(sync=True)
    _rows = traitlets.Dict().tag(sync=True)

    sort = traitlets.Any(None, allow_none=True)
    page = traitlets.Int(0, min=0)
    selected = traitlets.Int(None, allow_none=True, min=0)
    columns = traitlets.List(traitlets.Instance(Column))
    shape = traitlets.Enum(("table", "cards"), "table")
    shown = traitlets.Bool(False)

    def __init__(
        self,
        columns: Sequence[Column],
        source: Source,
        *,
        label: str,
        page_size: int = 50,
        empty: str = "Nothing to show.",
        height: str = "26em",
        shape: str = "table",
        failed: Callable[[Exception], object] | None = None,
    ) -> None:
        if not 1 <= page_size <= _MOST_ROWS:
            raise InvalidInput(f"page_size is a number from 1 to {_MOST_ROWS}, not {page_size!r}.")
        self.label, self.page_size, self.empty, self.height = label, page_size, empty, height
        self.rows = Rows([], 0)
        self._source = source
        self._have: object = None  # the page, order and columns of the present rows
        super().__init__(failed)
        with self.together():
            self.columns, self.shape = list(columns), shape

    @property
    def pages(self) -> int:
        """How many pages there are, at least one."""
        return max(1, -(-self.rows.total // self.page_size))

    def refresh(self) -> None:
        """Get the rows again, after they changed."""
        self._have = None
        self.publish()

    @traitlets.validate("sort")
    def _check_sort(self, proposal: Any) -> Sort | None:
        match proposal["value"]:
            case None:
                return None
            case (str() as key, bool() as descending):
                if any(column.key == key and column.sortable for column in self.columns):
                    return key, descending
        names = ", ".join(repr(column.key) for column in self.columns if column.sortable)
        raise InvalidInput(
            f"sort is None or (column, descending), with one of the columns {names}, not "
            f"{proposal['value']!r}. The order was not changed."
        )

    @traitlets.observe("sort")
    def _sorted(self, _: Any) -> None:
        with self.together():
            self.page, self.selected = 0, None

    @traitlets.observe("selected")
    def _selected(self, _: Any) -> None:
        with self.together():
            if self.selected is not None:
                self.page = self.selected // self.page_size

    @traitlets.observe("page", "columns", "shape")
    def _changed(self, _: Any) -> None:
        with self.together():
            pass

    def wished(self, wish: dict[str, Any]) -> None:
        """Handle a request for another order, page or row."""
        if "shown" in wish:
            self.shown = True
        if "sort" in wish:
            self.sort = None if wish["sort"] is None else tuple(wish["sort"])
        if "page" in wish:
            self.page = integer(wish["page"], "page")
        if "selected" in wish:
            self.selected = integer(wish["selected"], "selected")

    def publish(self) -> None:
        """Send the present state; rows are fetched only if they may have changed."""
        if self._held:
            return
        number = self._begin()
        while self._have != (wanted := (self.page, self.sort, self.columns)):
            self._fetch(*wanted)
        head = {
            "label": self.label,
            "empty": self.empty,
            "height": self.height,
            "shape": self.shape,
            "columns": [asdict(column) for column in self.columns],
        }
        first = self.page * self.page_size
        rows = {"cells": self.rows.cells, "first": first, "total": self.rows.total}
        state = {
            "page": self.page,
            "pages": self.pages,
            "size": self.page_size,
            "sort": self.sort,
            "selected": self.selected,
        }
        self._show(number, state, _head=head, _rows=rows)

    def _fetch(self, page: int, sort: Sort | None, columns: list[Column]) -> None:
        rows = self._source(page * self.page_size, self.page_size, sort)
        self.rows = Rows(self._shortened(rows.cells), rows.total)
        self._have = (page, sort, columns)
        with self.held():  # these depend on the rows, and are sent with them
            if self.selected is not None and self.selected >= rows.total:
                self.selected = None
            self.page = min(self.page, self.pages - 1)

    def _shortened(self, cells: list[list[str]]) -> list[list[str]]:
        number = max(1, self.page_size * len(self.columns))
        most = min(_MOST_CHARACTERS, _MOST_BYTES // (_BYTES_A_CHARACTER * number))
        return [[_short(cell, most) for cell in row] for row in cells]


def _short(text: str, most: int) -> str:
    line = " ".join(legible(text[: 2 * most]).split())
    return line if len(line) <= most and len(text) <= 2 * most else line[: most - 1] + "…"


Item = TypeVar("Item")


class ItemTable(PagedTable, Generic[Item]):
    """A table over a list in memory; the chosen item stays chosen when the order changes.

    Parameters
    ----------
    columns : sequence of Column
    cells : callable
        Returns the texts of an item's row.
    order : callable
        Returns the sort key of items for a column.
    **options
        As for `PagedTable`.

    Examples
    --------
    >>> table = ItemTable([Column("n", "n")], lambda n: [str(n)], lambda key: int, label="Numbers")
    >>> table.show([3, 1, 2], chosen=1)
    >>> table.selected, table.sort, table.chosen
    (1, None, 1)
    >>> table.sort = ("n", True)
    >>> table.selected = 0
    >>> table.chosen
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
        """Show these items, one of them chosen."""
        self.items = list(items)
        self._ordered = (None, self.items)
        with self.together():
            self.refresh()
            self.choose(chosen)

    def choose(self, item: Item | None) -> None:
        """Choose an item; None or an unknown item clears the choice."""
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
