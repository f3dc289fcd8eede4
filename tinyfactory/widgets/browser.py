"""`PersonaBrowser`: any number of people to search, filter, sort, read and export."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from itertools import compress
from pathlib import Path
from typing import Any

import traitlets

from tinyfactory.errors import InvalidInput
from tinyfactory.people import People, TinyPerson
from tinyfactory.people.index import FACETS
from tinyfactory.people.render.person import people_html, people_text
from tinyfactory.utils.text import count
from tinyfactory.widgets import exporting
from tinyfactory.widgets.browser_columns import FIRST, LABELS, cell, column
from tinyfactory.widgets.browser_listed import Listed
from tinyfactory.widgets.browser_parts import VIEWS, Parts, groups, ticked
from tinyfactory.widgets.choices import Choices
from tinyfactory.widgets.exactly import Exactly
from tinyfactory.widgets.exporting import Exporting
from tinyfactory.widgets.later import after_typing
from tinyfactory.widgets.panel import Panel
from tinyfactory.widgets.reading import Reading
from tinyfactory.widgets.table import PagedTable, Rows, Sort

# So many are counted before anything is shown; more would keep the first view waiting.
_AT_ONCE = 2_000
_NOBODY = "There is nobody yet."
_NOT_FOUND = "Nobody has all of this. Clear the search or a filter."


class PersonaBrowser(Panel):
    """Look through 1 to 100,000 people; only what is looked at is sent to the page.

    Parameters
    ----------
    people : iterable of TinyPerson
        Who can be browsed.

    Attributes
    ----------
    people : People
        Who can be browsed; can be set and observed, as all of these.
    query : str
        What is searched for in all text of a person; every word must be found, whatever its
        case and accents.
    filters : dict
        Fields and the categories to show: ``{"gender": ["woman"], "age": ["18-29"]}``. Any
        field that holds one value will do; ``""`` is the category of those who say nothing.
    filtered : People
        Who is listed, in the order of the list. It follows from the others, and cannot be set.
    selected : TinyPerson or None
        Who is being read.
    columns : list of str
        The fields in the list.
    view : str
        ``"table"`` or ``"cards"``.
    error : BaseException or None
        What went wrong last.

    Examples
    --------
    >>> one = TinyPerson(persona={"name": "Ana Souza", "age": 34}, register=False)
    >>> two = TinyPerson(persona={"name": "Bo Lind", "age": 60}, register=False)
    >>> browser = PersonaBrowser([one, two])
    >>> browser.query = "souza"
    >>> [person.name for person in browser.filtered], browser.selected is one
    (['Ana Souza'], True)
    >>> browser.query, browser.filters = "", {"age": ["60-74"]}
    >>> browser.selected.name, browser.status
    ('Bo Lind', '1 person of 2')
    """

    people = Exactly(People())
    query = traitlets.Unicode("")
    filters = traitlets.Dict()
    filtered = Exactly(People(), read_only=True)
    selected = Exactly(None)
    columns = traitlets.List(traitlets.Unicode(), list(FIRST))
    view = traitlets.Enum(VIEWS, "table")

    def __init__(self, people: Iterable[TinyPerson] = ()) -> None:
        self._listed = Listed()
        self._exported: str | None = None
        self._lock = threading.RLock()
        self._arranging = False
        self._choices = Choices(self._ticked, self.failed)
        self.table = PagedTable(
            [column(path) for path in FIRST],
            self._page,
            label="People",
            empty=_NOBODY,
            failed=self.failed,
        )
        self._reading = Reading(self.refresh)
        self._exporting = Exporting(lambda: self.filtered, self._began, self._written, self.failed)
        self._parts = Parts(self._choices, self.table, self._exporting)
        super().__init__(self._parts.rows, below=[self._reading])
        self._cleared = after_typing(self.guarded(self.clear))
        self._connect()
        self.people = people

    def _connect(self) -> None:
        guarded, parts = self.guarded, self._parts
        parts.search.observe(guarded(lambda c: self.set_trait("query", c["new"])), "value")
        parts.view.observe(guarded(lambda c: self.set_trait("view", c["new"])), "value")
        parts.chip.on_click(guarded(lambda _: self.widen()))
        parts.clear.on_click(lambda _: self._cleared.soon())
        self.table.observe(lambda _: self._choose(self.table.selected), "selected")
        self.table.observe(lambda _: self._arrange(), "sort")
        self.table.observe(guarded(lambda _: self._stands_in_a_page()), "shown")

    # -- what code does ----------------------------------------------------------------

    @property
    def sort(self) -> Sort | None:
        """The order of the list: ``(field, descending)``, a field with a column, or None."""
        sort: Sort | None = self.table.sort
        return sort

    @sort.setter
    def sort(self, sort: Sort | None) -> None:
        self.table.sort = sort

    @property
    def narrowed(self) -> str | None:
        """The label of what narrows the list from outside, if anything does."""
        return self._listed.narrowed

    def narrow(self, label: str, keep: Callable[[TinyPerson], Any]) -> None:
        """List only people of whom `keep` is true, besides the query and the filters.

        Parameters
        ----------
        label : str
            What stands on the button that takes this away again.
        keep : callable
            Is asked about each person once.
        """
        self._listed.narrow(label, keep)
        self._filter()

    def widen(self) -> None:
        """Take away what `narrow` did."""
        self._listed.widen()
        self._filter()

    def clear(self) -> None:
        """Show everyone: no query, no filter, nothing narrowed."""
        self._listed.widen()
        with self._lock:
            self.query, self.filters = "", {}
            self._filter()

    def refresh(self) -> None:
        """Show people as they are now, after they were changed elsewhere."""
        self._listed.keep_again()
        self._filter(page=self.table.page)
        self._reading.refresh()

    def count(self, field: str) -> list[tuple[str, int]]:
        """The categories of a field and how many there are under everything else chosen."""
        with self._lock:
            return self._listed.count(field)

    def export(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write those who are listed, in their order, to a file or folder.

        Parameters
        ----------
        path : path
            Its ending says the format: ``.csv``, ``.jsonl``, ``.parquet``, ``.json`` (agents in
            one file), or none (a folder of agent files).
        overwrite : bool
            Whether a file that is there may be replaced.

        Raises
        ------
        InvalidInput
            When something is there already, or the ending says no format.
        TinyFactoryError
            When the disk refuses.
        """
        people = self.filtered
        target = exporting.write(people, path, overwrite=overwrite)
        self._written(len(people), target, str(path))
        return target

    # -- traits ------------------------------------------------------------------------

    @traitlets.validate("people")
    def _check_people(self, proposal: Any) -> People:
        return People(proposal["value"] or ())

    @traitlets.validate("filters")
    def _check_filters(self, proposal: Any) -> dict[str, list[str]]:
        return self._listed.checked(proposal["value"])

    @traitlets.validate("selected")
    def _check_selected(self, proposal: Any) -> TinyPerson | None:
        person: TinyPerson | None = proposal["value"]
        if person is not None and self._place(person) is None:
            raise InvalidInput(
                "This person is not in the list as it is filtered now. Clear the query and the "
                "filters, then select them."
            )
        return person

    @traitlets.observe("people")
    def _people_changed(self, _: Any) -> None:
        self._listed.take(self.people)
        self.table.empty = _NOT_FOUND if self.people else _NOBODY
        self._filter()
        if self.table.shown:
            self._listed.read_ahead()

    @traitlets.observe("query", "filters")
    def _asked(self, _: Any) -> None:
        self._parts.search.value = self.query
        self._filter()

    @traitlets.observe("selected")
    def _selected(self, _: Any) -> None:
        if not self._arranging:
            self.table.selected = None if self.selected is None else self._place(self.selected)
        self._reading.show(self.selected)

    @traitlets.observe("columns", "view")
    def _laid_out(self, _: Any) -> None:
        with self.table.together():
            self.table.columns = [column(path) for path in self.columns]
            self.table.shape = self._parts.view.value = self.view
            if self.sort and self.sort[0] not in self.columns:
                self.sort = None
        self._show_choices()
        self._code.refresh()

    # -- filtering ---------------------------------------------------------------------

    def _filter(self, page: int = 0) -> None:
        with self._lock:
            if self.query.strip() and self._listed.unread > 10:
                self._status.say(f"Reading {len(self.people):,} people once, for the search …")
            self._listed.find(self.query, self.filters)
            self._arrange(page)
            self._show_choices()
            self._tell()

    def _arrange(self, page: int = 0) -> None:
        """Put those who were found into order; who is being read is still read, if listed."""
        with self._lock, self.table.together():
            self._arranging = True
            try:
                self.set_trait("filtered", self._listed.people(self.sort))
                place = None if self.selected is None else self._place(self.selected)
                if place is None and self.filtered:
                    place = 0
                self.table.selected = place
                self.table.page = page  # the first that was found, also if another is read
                self.selected = None if place is None else self.filtered[place]
            finally:
                self._arranging = False
            self.table.refresh()

    def _place(self, person: TinyPerson) -> int | None:
        """Where a person stands in the list; this very person, not an equal one."""
        wanted = id(person)
        places = compress(range(len(self.filtered)), (id(p) == wanted for p in self.filtered))
        return next(places, None)

    def _choose(self, place: int | None) -> None:
        """Read the person of a row that was chosen in the table."""
        with self._lock:
            if place is None or self._arranging or place >= len(self.filtered):
                return
            self._arranging = True
            try:
                self.selected = self.filtered[place]
            finally:
                self._arranging = False

    def _page(self, offset: int, limit: int, sort: Sort | None) -> Rows:
        with self._lock:
            people, total = self._listed.page(offset, limit, sort)
        return Rows([[cell(who, path) for path in self.columns] for who in people], total)

    # -- what is shown besides the list ------------------------------------------------

    def _tell(self) -> None:
        found, everyone = len(self.filtered), len(self.people)
        restricted = self.query.strip() or self.filters or self.narrowed is not None
        of = f" of {everyone:,}" if restricted else ""
        self._parts.tell(restricted=bool(restricted), narrowed=self.narrowed)
        self.say(f"{count(found, 'person', 'people')}{of}")

    def _show_choices(self) -> None:
        counted = self.table.shown or len(self.people) <= _AT_ONCE
        fields = dict.fromkeys([*FACETS, *self.filters])
        counts = {field: self.count(field) if counted else [] for field in fields}
        self._choices.show(groups(counts, self.filters, self.columns))

    def _ticked(self, key: str, value: str, on: bool) -> None:
        if key == "columns":
            now, order = ticked(self.columns, value, on), dict.fromkeys([*LABELS, *self.columns])
            self.columns = [path for path in order if path in now] or ["name"]
        else:
            self.filters = {**self.filters, key: ticked(self.filters.get(key, ()), value, on)}

    def _stands_in_a_page(self) -> None:
        """Count and read what the first view did not need."""
        self._show_choices()
        self._listed.read_ahead()

    def _began(self, number: int) -> None:
        self._status.say(f"Writing {count(number, 'person', 'people')} …")

    def _written(self, number: int, target: Path, path: str | None = None) -> None:
        self._exported = path or target.name
        self.say(f"{count(number, 'person', 'people')} written to {target}")

    def close(self) -> None:
        """Close it and all widgets within, and stop reading."""
        self._listed.stop_reading()
        super().close()

    # -- in code, and without a kernel -------------------------------------------------

    def code(self) -> str:
        """The lines that show the same."""
        lines = ["from tinyfactory.widgets import PersonaBrowser", ""]
        lines.append("browser = PersonaBrowser(people)")
        values = {"query": self.query, "filters": self.filters, "sort": self.sort}
        lines += [f"browser.{name} = {value!r}" for name, value in values.items() if value]
        if self.columns != list(FIRST):
            lines.append(f"browser.columns = {self.columns!r}")
        if self.view != VIEWS[0]:
            lines.append(f"browser.view = {self.view!r}")
        if self.narrowed is not None:
            lines.append(f"browser.narrow({self.narrowed!r}, lambda person: ...)")
        if self._exported:
            lines.append(f"browser.export({self._exported!r})")
        return "\n".join([*lines, "browser"])

    def static_text(self) -> str:
        """Those who are listed, as text."""
        return people_text(self.filtered)

    def static_html(self) -> str:
        """Those who are listed, as a table."""
        return people_html(self.filtered)
