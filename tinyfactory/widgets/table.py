"""`PagedTable`: any number of rows, of which only the page that is looked at is in the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import traitlets

from tinyfactory.errors import InvalidInput
from tinyfactory.utils.text import legible
from tinyfactory.widgets.dialogue import Dialogue, integer

Sort = tuple[str, bool]
# A message of one page stays below 200 kB, whatever is in the cells and in any script.
_MOST_BYTES = 160_000
_BYTES_A_CHARACTER = 4
_MOST_CHARACTERS = 160
_MOST_ROWS = 200


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its key, which the source gets to sort by, and what stands at its head."""

    key: str
    label: str
    align: Literal["left", "right"] = "left"
    sortable: bool = True


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows, as text by column, and how many there are in all."""

    cells: list[list[str]]
    total: int


Source = Callable[[int, int, Sort | None], Rows]


class PagedTable(Dialogue):
    """A table to page through, sort and choose a row in, by mouse or by keyboard.

    Only the cells of one page are ever sent, as text, and a long one is cut short.

    Parameters
    ----------
    columns : sequence of Column
    source : callable
        ``source(offset, limit, sort)`` gives `Rows`; `sort` is ``(key, descending)`` or None.
    label : str
        What the table is called, for those who do not see it.
    page_size : int
        Rows on a page, 1 to 200.
    empty : str
        What stands there when there are no rows.
    height : str
        The most of the page that the rows take, as CSS says it; beyond it they scroll.
    shape : str
        ``"table"``, or ``"cards"``: each row as a card, the first cell as its heading.
    failed : callable, optional
        Gets what goes wrong with what a page asks for, e.g. `Panel.failed`.

    Attributes
    ----------
    sort : tuple or None
        ``(key, descending)``. Setting it goes to the first page and chooses no row.
    page : int
        The page that is shown, from 0; beyond the last it is the last.
    selected : int or None
        The chosen row's number in the order that is shown. Setting it shows its page.
    columns, shape
        Can be set, too.
    shown : bool
        Whether it ever stood in a page.

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

    _esm = Path(__file__).with_name("table.js")
    _css = Path(__file__).with_name("table.css")
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
        self._have: object = None  # what the rows were asked by
        super().__init__(failed)
        with self.together():
            self.columns, self.shape = list(columns), shape

    @property
    def pages(self) -> int:
        """How many pages there are, at least one."""
        return max(1, -(-self.rows.total // self.page_size))

    def refresh(self) -> None:
        """Ask the source again: there are other rows now."""
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
        """Take over what a page asks for: another order, another page, another row."""
        if "shown" in wish:
            self.shown = True
        if "sort" in wish:
            self.sort = None if wish["sort"] is None else tuple(wish["sort"])
        if "page" in wish:
            self.page = integer(wish["page"], "page")
        if "selected" in wish:
            self.selected = integer(wish["selected"], "selected")

    def publish(self) -> None:
        """Show how things stand, with rows that are asked for only if they may differ."""
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
        with self.held():  # these follow from the rows, and are shown with them
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
