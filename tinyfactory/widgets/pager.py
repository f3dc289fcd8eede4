"""Pages of something long: the page that is shown, and buttons to the others."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as widgets


class Pager(widgets.HBox):  # type: ignore[misc]  # ipywidgets has no types
    """Buttons for pages, and a text that says where one is.

    Parameters
    ----------
    turned : callable
        Called when another page is to be shown.
    size : int
        Items on a page.
    what : str
        What the items are, for the text.

    Attributes
    ----------
    page : int
        The page that is shown, from 0; can be set.

    Examples
    --------
    >>> pager = Pager(lambda: None, size=10)
    >>> pager.total = 35
    >>> pager.page = 99
    >>> pager.page, pager.range
    (3, range(30, 35))
    """

    def __init__(self, turned: Callable[[], object], size: int = 50, what: str = "rows") -> None:
        self._turned = turned
        self._what = what
        self._page = self._total = 0
        self.size = size
        self._said = widgets.Label()
        self._buttons = {
            name: widgets.Button(
                description=name, icon=icon, tooltip=tooltip, layout=widgets.Layout(width="auto")
            )
            for name, icon, tooltip in (
                ("First", "angle-double-left", "First page"),
                ("Back", "angle-left", "Page before"),
                ("Next", "angle-right", "Next page"),
                ("Last", "angle-double-right", "Last page"),
            )
        }
        steps = {"First": -(10**9), "Back": -1, "Next": 1, "Last": 10**9}
        for name, button in self._buttons.items():
            button.on_click(lambda _, by=steps[name]: self._turn(by))
        super().__init__(children=[*self._buttons.values(), self._said])
        self._show()

    @property
    def pages(self) -> int:
        """How many pages there are, at least one."""
        return max(1, -(-self._total // self.size))

    @property
    def total(self) -> int:
        """How many items there are in all."""
        return self._total

    @total.setter
    def total(self, total: int) -> None:
        self._total = total
        self._page = min(self._page, self.pages - 1)
        self._show()

    @property
    def page(self) -> int:
        """The page that is shown, from 0."""
        return self._page

    @page.setter
    def page(self, page: int) -> None:
        self._page = max(0, min(page, self.pages - 1))
        self._show()
        self._turned()

    @property
    def range(self) -> range:
        """The numbers of the items on the page."""
        first = self._page * self.size
        return range(first, min(first + self.size, self._total))

    def _turn(self, by: int) -> None:
        self.page = self._page + by

    def _show(self) -> None:
        shown = self.range
        first = shown.start + 1 if len(shown) else 0
        self._said.value = f"{self._what} {first:,} to {shown.stop:,} of {self._total:,}"
        for name, button in self._buttons.items():
            at_end = self._page == 0 if name in ("First", "Back") else self._page + 1 == self.pages
            button.disabled = at_end
        self.layout.display = "none" if self.pages == 1 else ""
