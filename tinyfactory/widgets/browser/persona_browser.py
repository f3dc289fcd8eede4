"""`PersonaBrowser`: search, filter, sort, read and export any number of people."""

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
from tinyfactory.widgets.browser import people_export
from tinyfactory.widgets.browser.browser_columns import FIRST, LABELS, cell, column
from tinyfactory.widgets.browser.browser_filter import BrowserFilter
from tinyfactory.widgets.browser.browser_layout import VIEWS, BrowserLayout, groups, ticked
from tinyfactory.widgets.browser.filter_boxes import FilterBoxes
from tinyfactory.widgets.browser.people_export import ExportControls
from tinyfactory.widgets.browser.person_preview import PersonPreview
from tinyfactory.widgets.parts.base_panel import BasePanel
from tinyfactory.widgets.parts.debounce import after_typing
from tinyfactory.widgets.parts.identity_trait import IdentityTrait
from tinyfactory.widgets.parts.paged_table import PagedTable, Rows, Sort

# The categories of more people are counted after the first view, which must not wait for them.
_AT_ONCE = 2_000
_NOBODY = "There is nobody yet."
_NOT_FOUND = "Nobody has all of this. Clear the search or a filter."


class PersonaBrowser(BasePanel):
    """Look through 1 to 100,000 people. Only the visible rows are sent to the page.

    Parameters
    ----------
    people : iterable of TinyPerson
        The people to browse.

    Attributes
    ----------
    people : People
        The people to browse. This and the other attributes can be set and observed.
    query : str
        Words to find in all text of a person. Every word must be found; case and accents do not
        matter.
    filters : dict
        Fields and the categories to show: ``{"gender": ["woman"], "age": ["18-29"]}``. Any
        field with a single value works; ``""`` is the category of people without a value.
    filtered : People
        The listed people, in the order of the list. Read-only: it follows from the others.
    selected : TinyPerson or None
        The selected person.
    columns : list of str
        The fields in the list.
    view : str
        ``"table"`` or ``"cards"``.
    error : BaseException or None
        The last error.

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

    people = IdentityTrait(People())
    query = traitlets.Unicode("")
    filters = traitlets.Dict()
    filtered = IdentityTrait(People(), read_only=True)
    selected = IdentityTrait(None)
    columns = traitlets.List(traitlets.Unicode(), list(FIRST))
    view = traitlets.Enum(VIEWS, "table")

    def __init__(self, people: Iterable[TinyPerson] = ()) -> None:
        self._listed = BrowserFilter()
        self._exported: str | None = None
        self._lock = threading.RLock()
        self._arranging = False
        self._choices = FilterBoxes(self._ticked, self.failed)
        self.table = PagedTable(
            [column(path) for path in FIRST],
            self._page,
            label="People",
            empty=_NOBODY,
            failed=self.failed,
        )
        self._reading = PersonPreview(self.refresh)
        self._exporting = ExportControls(
            lambda: self.filtered, self._began, self._written, self.failed
        )
        self._parts = BrowserLayout(self._choices, self.table, self._exporting)
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
        """The label given to `narrow`, while it applies."""
        return self._listed.narrowed

    def narrow(self, label: str, keep: Callable[[TinyPerson], Any]) -> None:
        """List only people for whom `keep` returns true, besides the query and the filters.

        Parameters
        ----------
        label : str
            The text of the button that removes this filter.
        keep : callable
            Is called once for each person.
        """
        self._listed.narrow(label, keep)
        self._filter()

    def widen(self) -> None:
        """Remove the filter of `narrow`."""
        self._listed.widen()
        self._filter()

    def clear(self) -> None:
        """Show everyone: no query, no filter, nothing narrowed."""
        self._listed.widen()
        with self._lock:
            self.query, self.filters = "", {}
            self._filter()

    def refresh(self) -> None:
        """Show the present values of people, after they were changed elsewhere."""
        self._listed.keep_again()
        self._filter(page=self.table.page)
        self._reading.refresh()

    def count(self, field: str) -> list[tuple[str, int]]:
        """The categories of a field, with the number of people under all other filters."""
        with self._lock:
            return self._listed.count(field)

    def export(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the listed people, in the order of the list, to a file or folder.

        Parameters
        ----------
        path : path
            The suffix selects the format: ``.csv``, ``.jsonl``, ``.parquet``, ``.json`` (agents
            in one file), or no suffix (a folder of agent files).
        overwrite : bool
            Whether to replace an existing file.

        Raises
        ------
        InvalidInput
            When the file exists, or the suffix is not supported.
        TinyFactoryError
            When the file cannot be written.
        """
        people = self.filtered
        target = people_export.write(people, path, overwrite=overwrite)
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
        """Sort the found people; the selected person stays selected if they are listed."""
        with self._lock, self.table.together():
            self._arranging = True
            try:
                self.set_trait("filtered", self._listed.people(self.sort))
                place = None if self.selected is None else self._place(self.selected)
                if place is None and self.filtered:
                    place = 0
                self.table.selected = place
                self.table.page = page  # also if the selected person is on another page
                self.selected = None if place is None else self.filtered[place]
            finally:
                self._arranging = False
            self.table.refresh()

    def _place(self, person: TinyPerson) -> int | None:
        """The row of a person in the list, by identity."""
        wanted = id(person)
        places = compress(range(len(self.filtered)), (id(p) == wanted for p in self.filtered))
        return next(places, None)

    def _choose(self, place: int | None) -> None:
        """Select the person of a row that was chosen in the table."""
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
        """Count categories and index texts, which the first view did not need."""
        self._show_choices()
        self._listed.read_ahead()

    def _began(self, number: int) -> None:
        self._status.say(f"Writing {count(number, 'person', 'people')} …")

    def _written(self, number: int, target: Path, path: str | None = None) -> None:
        self._exported = path or target.name
        self.say(f"{count(number, 'person', 'people')} written to {target}")

    def close(self) -> None:
        """Close it with all widgets in it, and stop indexing."""
        self._listed.stop_reading()
        super().close()

    # -- in code, and without a kernel -------------------------------------------------

    def code(self) -> str:
        """The code that shows the same."""
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
        """The listed people as text."""
        return people_text(self.filtered)

    def static_html(self) -> str:
        """The listed people as a table."""
        return people_html(self.filtered)
