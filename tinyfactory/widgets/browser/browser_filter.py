"""`BrowserFilter`: which people are listed, by query, filters and order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tinyfactory.people import People, TinyPerson
from tinyfactory.people.index import PeopleIndex
from tinyfactory.widgets.parts.paged_table import Sort


class BrowserFilter:
    """People, and which of them are listed.

    Attributes
    ----------
    narrowed : str or None
        The label given to `narrow`, while it applies.

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
        """Use other people; the filter of `narrow` applies to them, too."""
        self.stop_reading()
        self._stop = threading.Event()
        self._index = PeopleIndex(people)
        self.keep_again()

    def narrow(self, label: str, keep: Callable[[TinyPerson], Any]) -> None:
        """List only people for whom `keep` returns true; it is called once for each."""
        self.narrowed, self._keep, self._within = label, keep, self._kept(keep)

    def widen(self) -> None:
        """Remove the filter of `narrow`."""
        self.narrowed = self._within = None

    def keep_again(self) -> None:
        """Apply the filter of `narrow` again, after people were changed."""
        if self.narrowed is not None:
            self._within = self._kept(self._keep)

    def _kept(self, keep: Callable[[TinyPerson], Any]) -> list[int]:
        return [row for row, person in enumerate(self._index.people) if keep(person)]

    # -- which of them -----------------------------------------------------------------

    def checked(self, filters: Mapping[str, Any]) -> dict[str, list[str]]:
        """Filters as `find` takes them; invalid ones raise an error."""
        return self._index.checked(filters)

    def find(self, query: str, filters: Mapping[str, list[str]]) -> None:
        """List the people who have every word of the query and pass every filter."""
        self._found = self._index.select(query, filters, self._within)

    def people(self, sort: Sort | None) -> People:
        """All listed people, sorted."""
        return self._of(self._index.ordered(self._found.rows, sort))

    def page(self, offset: int, limit: int, sort: Sort | None) -> tuple[People, int]:
        """Some of the listed people, and the number of all listed people."""
        rows = self._index.ordered(self._found.rows, sort)
        return self._of(rows[offset : offset + limit]), len(rows)

    def count(self, field: str) -> list[tuple[str, int]]:
        """The categories of a field, with the number of people under all other filters."""
        return self._found.count(self._index.facet(field))

    def _of(self, rows: list[int]) -> People:
        return People(map(self._index.people.__getitem__, rows))

    # -- reading ahead -----------------------------------------------------------------

    @property
    def unread(self) -> int:
        """How many texts must still be indexed before a search is fast."""
        return self._index.unread

    def read_ahead(self) -> None:
        """Index the texts for a search, in a thread."""
        if self.unread > 1:
            threading.Thread(
                target=self._index.read_ahead, args=(self._stop,), name="tinyfactory-reading",
                daemon=True,
            ).start()  # fmt: skip

    def stop_reading(self) -> None:
        """Stop that thread."""
        self._stop.set()
