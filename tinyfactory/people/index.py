"""Searching, filtering, counting and sorting very many people, each read when first needed."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from functools import reduce
from itertools import compress
from operator import attrgetter, is_not
from typing import TYPE_CHECKING, Any

from tinyfactory.errors import InvalidInput
from tinyfactory.people.schema.layout import ALIASES
from tinyfactory.people.text_search import Texts, words_of
from tinyfactory.utils.text import fold_for_search

if TYPE_CHECKING:
    from tinyfactory.people.person import TinyPerson
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

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
    text = fold_for_search(shown(value)).strip()
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


# What people are most often looked through by; `country` is the end of the residence.
FACETS = {
    "gender": "Gender",
    "age": "Age",
    "nationality": "Nationality",
    "occupation.title": "Occupation",
    "country": "Country of residence",
}
_BANDS = {"under 18": 18, "18-29": 30, "30-44": 45, "45-59": 60, "60-74": 75, "75+": 1000}
AGE_BANDS = tuple(_BANDS)
_BAND_OF = [next(band for band, end in _BANDS.items() if age < end) for age in range(1000)]

_ALL_OR_NOTHING = bytes([0] + [255] * 255)

Filters = Mapping[str, Sequence[str]]


def value_at(persona: dict[str, Any], path: str) -> Any:
    """What stands at a dotted path, or None.

    Examples
    --------
    >>> value_at({"occupation": {"title": "nurse"}}, "occupation.title")
    'nurse'
    """
    here: Any = persona
    for step in path.split("."):
        here = here.get(step) if isinstance(here, dict) else None
    return here


def category(persona: dict[str, Any], field: str) -> str:
    """The category of a person in a field; empty where nothing is said.

    Raises
    ------
    InvalidInput
        For a field that holds a list or parts.

    Examples
    --------
    >>> ana = {"age": 34, "residence": "Porto, Portugal", "gender": " woman "}
    >>> [category(ana, field) for field in ("age", "country", "gender", "nationality")]
    ['30-44', 'Portugal', 'woman', '']
    """
    if field == "age":
        age = persona.get("age")
        return _BAND_OF[min(max(age, 0), 999)] if isinstance(age, int) else ""
    if field == "country":
        return str(persona.get("residence") or "").rpartition(",")[2].strip()
    value = value_at(persona, ALIASES.get(field, field))
    if isinstance(value, list | dict):
        raise InvalidInput(
            f"{field} holds several things, so people cannot be filtered by it. Search for a word "
            "in it, or filter by a field that holds one value."
        )
    return " ".join(("" if value is None else str(value)).split())


@dataclass(frozen=True, slots=True)
class Facet:
    """One field of everyone: a number of a category, from 1, for each person.

    Categories that differ only in case or accents are one, under its first spelling.
    """

    field: str
    labels: list[str]
    codes: bytes | list[int]
    _by_fold: dict[str, int]

    def passing(self, categories: Iterable[str]) -> bytes:
        """A byte for each person, 1 for those who are in one of the categories."""
        flags = bytearray(max(256, len(self.labels) + 1))
        for name in categories:
            if (code := self._by_fold.get(fold_for_search(name))) is not None:
                flags[code] = 1
        if isinstance(self.codes, bytes):
            return self.codes.translate(flags)
        return bytes(map(flags.__getitem__, self.codes))

    def count(self, passing: bytes) -> list[tuple[str, int]]:
        """How many of those who pass are in each category.

        Bands stand in their order, others with the largest first; nothing said comes last.
        """
        numbers = range(1, len(self.labels) + 1)
        counts: Mapping[int, int]
        if isinstance(self.codes, bytes):
            found = joined(self.codes, passing.translate(_ALL_OR_NOTHING))
            counts = {code: found.count(code) for code in numbers}
        else:
            counts = Counter(compress(self.codes, passing))
        named = [(self.labels[code - 1], counts[code]) for code in numbers if counts[code]]
        if self.field == "age":
            order = [*AGE_BANDS, ""]
            return sorted(named, key=lambda one: order.index(one[0]))
        return sorted(named, key=lambda one: (not one[0], -one[1], fold_for_search(one[0])))


def joined(one: bytes, other: bytes) -> bytes:
    """The bits that both have, at the speed of memory: 100,000 people one by one are not."""
    bits = int.from_bytes(one, "big") & int.from_bytes(other, "big")
    return bits.to_bytes(len(one), "big")


def facet_of(personas: Iterable[dict[str, Any]], field: str) -> Facet:
    """Read one field of everyone.

    Examples
    --------
    >>> facet = facet_of([{"gender": "Woman"}, {"gender": "man"}, {"gender": "woman"}], "gender")
    >>> facet.count(bytes([1, 1, 1]))
    [('Woman', 2), ('man', 1)]
    """
    codes: list[int] = []
    labels: list[str] = []
    by_fold: dict[str, int] = {}
    by_label: dict[str, int] = {}  # most people share a category, which is then folded once
    for persona in personas:
        label = category(persona, field)
        code = by_label.get(label)
        if code is None:
            code = by_label[label] = by_fold.setdefault(fold_for_search(label), len(labels) + 1)
            if code > len(labels):
                labels.append(label)
        codes.append(code)
    few = len(labels) < len(_ALL_OR_NOTHING)  # as in most fields: a byte is enough
    return Facet(field, labels, bytes(codes) if few else codes, by_fold)
