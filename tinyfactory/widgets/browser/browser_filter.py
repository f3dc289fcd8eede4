"""Who is listed in the browser: found by a query and filters, narrowed from outside, in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tinyfactory.people import People, TinyPerson
from tinyfactory.people.index import PeopleIndex
from tinyfactory.widgets.parts.paged_table import Sort


class BrowserFilter:
    """People, and who of them is listed.

    Attributes
    ----------
    narrowed : str or None
        The label of what narrows the list from outside, if anything does.

    Examples
    --------
    >>> listed = BrowserFilter()
    >>> listed.take([TinyPerson("Ana", {"age": 34}, register=False),
    ...              TinyPerson("Bo", {"age": 60}, register=False),
    ...              TinyPerson("Cy", {"age": 20}, register=False)])
    >>> listed.narrow("not Bo", lambda person: person.name != "Bo")
    >>> listed.find("", {})
    >>> [person.name for person in listed.people(("age", False))], listed.count("age")
    (['Cy', 'Ana'], [('18-29', 1), ('30-44', 1)])
    """

    def __init__(self) -> None:
        self.narrowed: str | None = None
        self._keep: Callable[[TinyPerson], Any] = bool
        self._within: list[int] | None = None
        self._stop = threading.Event()
        self._index = PeopleIndex(())
        self._found = self._index.select()

    # -- who ---------------------------------------------------------------------------

    def take(self, people: Iterable[TinyPerson]) -> None:
        """List other people; what narrows the list narrows them, too."""
        self.stop_reading()
        self._stop = threading.Event()
        self._index = PeopleIndex(people)
        self.keep_again()

    def narrow(self, label: str, keep: Callable[[TinyPerson], Any]) -> None:
        """List only people of whom `keep` is true; each is asked about once."""
        self.narrowed, self._keep, self._within = label, keep, self._kept(keep)

    def widen(self) -> None:
        """Take away what `narrow` did."""
        self.narrowed = self._within = None

    def keep_again(self) -> None:
        """Ask `keep` again, about people as they are now."""
        if self.narrowed is not None:
            self._within = self._kept(self._keep)

    def _kept(self, keep: Callable[[TinyPerson], Any]) -> list[int]:
        return [row for row, person in enumerate(self._index.people) if keep(person)]

    # -- which of them -----------------------------------------------------------------

    def checked(self, filters: Mapping[str, Any]) -> dict[str, list[str]]:
        """Filters as `find` takes them, or an error for what cannot be filtered by."""
        return self._index.checked(filters)

    def find(self, query: str, filters: Mapping[str, list[str]]) -> None:
        """List who has every word of the query and passes every filter."""
        self._found = self._index.select(query, filters, self._within)

    def people(self, sort: Sort | None) -> People:
        """Everyone who is listed, in an order."""
        return self._of(self._index.ordered(self._found.rows, sort))

    def page(self, offset: int, limit: int, sort: Sort | None) -> tuple[People, int]:
        """Some of those who are listed, and how many there are in all."""
        rows = self._index.ordered(self._found.rows, sort)
        return self._of(rows[offset : offset + limit]), len(rows)

    def count(self, field: str) -> list[tuple[str, int]]:
        """The categories of a field and how many there are under everything else chosen."""
        return self._found.count(self._index.facet(field))

    def _of(self, rows: list[int]) -> People:
        return People(map(self._index.people.__getitem__, rows))

    # -- reading ahead -----------------------------------------------------------------

    @property
    def unread(self) -> int:
        """How many pieces of text are still to be read before a search is fast."""
        return self._index.unread

    def read_ahead(self) -> None:
        """Read in a thread what a search needs."""
        if self.unread > 1:
            threading.Thread(
                target=self._index.read_ahead, args=(self._stop,), name="tinyfactory-reading",
                daemon=True,
            ).start()  # fmt: skip

    def stop_reading(self) -> None:
        """Have that thread end."""
        self._stop.set()
