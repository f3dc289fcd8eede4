"""Searching, filtering, counting and sorting very many people, each read when first needed."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from functools import reduce
from itertools import compress
from operator import attrgetter, is_not
from typing import TYPE_CHECKING, Any

from tinyfactory.errors import InvalidInput
from tinyfactory.people.facets import AGE_BANDS, Facet, Filters, facet_of, joined, value_at
from tinyfactory.people.layout import ALIASES
from tinyfactory.people.search import Texts, fold, words_of

if TYPE_CHECKING:
    from tinyfactory.people.person import TinyPerson

# Their own dictionaries, which a change replaces and never touches: a copy of each of 100,000
# people would take longer than all else here.
persona_of = attrgetter("_persona")


class Selection:
    """Who was selected, and how many would be with other categories of a field.

    Attributes
    ----------
    rows : list of int
        Who passes the query and all filters, in their order.
    """

    def __init__(self, base: bytes, filters: Mapping[str, bytes]) -> None:
        # A byte for each person, 1 for those who pass: many are joined at the speed of memory.
        self._base = base
        self._filters = filters
        self._passing = self._without(None)
        self.rows = list(compress(range(len(base)), self._passing))

    def _without(self, field: str | None) -> bytes:
        others = (passing for name, passing in self._filters.items() if name != field)
        return reduce(joined, others, self._base)

    def count(self, facet: Facet) -> list[tuple[str, int]]:
        """The categories of a field with how many there are under all the other filters."""
        filtered = facet.field in self._filters
        return facet.count(self._without(facet.field) if filtered else self._passing)


class PeopleIndex:
    """Very many people, to be searched, filtered, counted and sorted. Threads may share it.

    People are numbered by their place, and each number stands for one person, also when others
    are equal. Who has changed since is read again.

    Parameters
    ----------
    people : iterable of TinyPerson

    Examples
    --------
    >>> from tinyfactory.people import TinyPerson
    >>> index = PeopleIndex([
    ...     TinyPerson("Ana Sá", {"age": 34, "gender": "woman"}, register=False),
    ...     TinyPerson("Bo", {"age": 60, "gender": "man"}, register=False),
    ...     TinyPerson("Cy Sato", {"age": 20, "gender": "man"}, register=False)])
    >>> found = index.select("sa", {"gender": ["man"]})
    >>> found.rows, found.count(index.facet("gender"))
    ([2], [('man', 1), ('woman', 1)])
    >>> index.ordered([0, 1, 2], ("age", True))
    [1, 0, 2]
    """

    def __init__(self, people: Iterable[TinyPerson]) -> None:
        self.people = list(people)
        self.personas: list[dict[str, Any]] = [persona_of(person) for person in self.people]
        self._texts = Texts(self.personas)
        self._facets: dict[str, Facet] = {}
        self._orders: dict[tuple[str, bool], list[int]] = {}
        self._last: tuple[list[str], list[int]] = ([], [])
        self._lock = threading.RLock()

    def refresh(self) -> list[int]:
        """Find who has changed since, forget what was read of them, and tell their rows."""
        with self._lock:
            if not any(map(is_not, map(persona_of, self.people), self.personas)):
                return []
            now = [persona_of(person) for person in self.people]
            changed = [row for row, persona in enumerate(now) if persona is not self.personas[row]]
            for row in changed:
                self.personas[row] = now[row]  # in place: the texts look here
                self._texts.forget(row)
            self._facets, self._orders, self._last = {}, {}, ([], [])
            return changed

    # -- reading ahead -----------------------------------------------------------------

    @property
    def unread(self) -> int:
        """How many pieces of text are still to be read before a search is fast."""
        return self._texts.unread

    def read_ahead(self, stop: threading.Event, pause: float = 0.002) -> None:
        """Read what a search needs, making room for other threads in between."""
        for number in range(len(self._texts)):
            if stop.wait(pause):
                return
            self._texts.read(number)

    # -- what is asked -----------------------------------------------------------------

    def select(
        self, query: str = "", filters: Filters | None = None, within: Iterable[int] | None = None
    ) -> Selection:
        """Who has every word of a query and passes every filter, in their order.

        Parameters
        ----------
        query : str
            Words, each of which stands somewhere in the person's text.
        filters : dict, optional
            Fields and the categories to let pass; a field without categories lets all pass.
        within : iterable of int, optional
            Rows to choose from.

        Raises
        ------
        InvalidInput
            For a field that people cannot be filtered by.
        """
        with self._lock:
            self.refresh()
            passing = {
                field: self.facet(field).passing(categories)
                for field, categories in (filters or {}).items()
                if categories
            }
            if within is not None:
                passing[""] = self._mask(within)  # one more filter, of no field
            words = words_of(query)
            base = self._mask(self._search(words)) if words else b"\1" * len(self.personas)
            return Selection(base, passing)

    def _mask(self, rows: Iterable[int]) -> bytes:
        mask = bytearray(len(self.personas))
        for row in rows:
            mask[row] = 1
        return bytes(mask)

    def _search(self, words: list[str]) -> list[int]:
        before, rows = self._last
        # Who has a longer word has what it begins with: typing on narrows what was found.
        narrower = before and all(any(old in word for word in words) for old in before)
        if words == before:
            return rows
        found = self._texts.search(words, rows if narrower else None)
        self._last = (words, found)
        return found

    def checked(self, filters: Mapping[str, str | Iterable[object]]) -> dict[str, list[str]]:
        """Filters as `select` takes them; a field without categories is left out.

        Raises
        ------
        InvalidInput
            For a field that people cannot be filtered by, and an age that is no band.
        """
        found = {}
        for field, categories in filters.items():
            several = [categories] if isinstance(categories, str) else [str(c) for c in categories]
            if field == "age" and (unknown := set(several) - {*AGE_BANDS, ""}):
                raise InvalidInput(
                    f"age is filtered by bands ({', '.join(AGE_BANDS)}), not {min(unknown)!r}. "
                    "Nothing was changed."
                )
            if several:
                self.facet(field)  # refuses what cannot be filtered by
                found[field] = several
        return found

    def facet(self, field: str) -> Facet:
        """One field of everyone, read once."""
        with self._lock:
            if field not in self._facets:
                self._facets[field] = facet_of(self.personas, field)
            return self._facets[field]

    def ordered(self, rows: list[int], sort: tuple[str, bool] | None) -> list[int]:
        """Rows by a field, ``(field, descending)``; who has none comes last, ties as they were."""
        if sort is None:
            return rows
        with self._lock:
            if sort not in self._orders:
                self._orders[sort] = self._order(*sort)
            order = self._orders[sort]
        wanted = self._mask(rows)
        return [row for row in order if wanted[row]]

    def _order(self, field: str, descending: bool) -> list[int]:
        path = ALIASES.get(field, field)
        keys = [_key(value_at(persona, path)) for persona in self.personas]
        some = [row for row, key in enumerate(keys) if key is not None]
        none = [row for row, key in enumerate(keys) if key is None]
        return sorted(some, key=keys.__getitem__, reverse=descending) + none  # type: ignore[arg-type]


def _key(value: Any) -> tuple[float, str] | None:
    """Numbers before words, words whatever their case; nothing for nothing."""
    if isinstance(value, int | float):
        return float(value), ""
    text = fold(shown(value)).strip()
    return (float("inf"), text) if text else None


def shown(value: Any) -> str:
    """Any JSON as a line of text: what stands in a cell.

    Examples
    --------
    >>> shown(["sewing", {"name": "Duarte", "age": 3}]), shown(None), shown(True)
    ('sewing; Duarte, 3', '', 'yes')
    """
    if isinstance(value, list):
        return "; ".join(shown(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(shown(item) for item in value.values())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
