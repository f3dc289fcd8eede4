"""`AnswerTable`: the answers of several people to one question, as they arrive."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import ipywidgets as widgets

from tinyfactory.people import Panel, People
from tinyfactory.people.render.conversation import said_html
from tinyfactory.widgets.parts.debounce import Debounced
from tinyfactory.widgets.parts.paged_table import Column, PagedTable, Rows, Sort

# Seconds between two updates of the table.
_LOOK = 0.2
_COLUMNS = (
    Column("number", "#", "right"),
    Column("name", "Name"),
    Column("answer", "Answer"),
)


class AnswerTable(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """One row for each person; choosing a row shows the full answer.

    Parameters
    ----------
    failed : callable
        Gets the errors of the table's requests.
    """

    def __init__(self, failed: Callable[[BaseException], object]) -> None:
        self._people = People()
        self._answers: list[str] = []
        self._reasons: list[str] = []
        self._looked = 0.0
        self._later = Debounced(self._refresh, _LOOK)
        self.table = PagedTable(
            _COLUMNS, self._page, label="Answers", empty="Nobody was asked yet.", failed=failed
        )
        self.detail = widgets.HTML()
        self.table.observe(lambda _: self._show(), ["selected", "sort"])
        super().__init__(children=[self.table, self.detail])

    def begin(self, people: People) -> None:
        """Show an empty row for each person."""
        self._people = people
        self._answers, self._reasons = [""] * len(people), [""] * len(people)
        self._refresh()

    def put(self, number: int, answer: str, reason: str) -> None:
        """Show an answer; the table is updated a few times a second."""
        self._answers[number], self._reasons[number] = answer, reason
        if time.monotonic() - self._looked > _LOOK:
            self._refresh()
        else:
            self._later.soon()

    def show(self, panel: Panel[People]) -> None:
        """Show all answers."""
        self._later.cancel()
        self._people = panel.people
        self._answers, self._reasons = list(panel.answers), list(panel.reasons)
        self._refresh()

    @property
    def done(self) -> int:
        """The number of answers."""
        return sum(map(bool, self._answers))

    def _refresh(self) -> None:
        self._looked = time.monotonic()
        self.table.refresh()
        self._show()

    def _page(self, offset: int, limit: int, sort: Sort | None) -> Rows:
        numbers = self._order(sort)[offset : offset + limit]
        cells = [[str(n + 1), self._people[n].name, self._told(n)] for n in numbers]
        return Rows(cells, len(self._people))

    def _order(self, sort: Sort | None) -> Sequence[int]:
        numbers = range(len(self._people))
        if sort is None or sort[0] == "number":
            return numbers[::-1] if sort is not None and sort[1] else numbers
        text = (lambda n: self._people[n].name) if sort[0] == "name" else self._told
        return sorted(numbers, key=lambda n: text(n).casefold(), reverse=sort[1])

    def _told(self, number: int) -> str:
        reason = self._reasons[number]
        return self._answers[number] or (f"(no answer) {reason}" if reason else "…")

    def _show(self) -> None:
        chosen = self.table.selected
        if chosen is None or chosen >= len(self._people):
            self.detail.value = ""
            return
        number = self._order(self.table.sort)[chosen]
        line = {"role": "assistant", "content": self._told(number)}
        self.detail.value = said_html(self._people[number].name, line)
