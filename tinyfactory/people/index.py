"""An index of many people: search, filter, count and sort, built as far as it is needed."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate, compress
from operator import attrgetter, is_not
from typing import Any

from tinyfactory.errors import InvalidInput
from tinyfactory.people.person import TinyPerson
from tinyfactory.people.schema.field_names import check_names
from tinyfactory.people.schema.layout import ALIASES
from tinyfactory.utils.text import fold_for_search

# People in one piece of text: building one takes some milliseconds.
PIECE = 500


def words_of(query: str) -> list[str]:
    """Return the words of a query that are not part of others, the most selective first."""
    words = sorted(set(fold_for_search(query).split()), key=len, reverse=True)
    return [word for n, word in enumerate(words) if not any(word in w for w in words[:n])]


def text_of(persona: dict[str, Any]) -> str:
    r"""Return all text of a person, folded, one line for each value, without field names.

    Examples
    --------
    >>> text_of({"name": "Zoë", "occupation": {"title": "Nurse"}, "age": 34, "skills": ["Judo"]})
    'zoe\nnurse\n34\njudo'
    """
    found: list[str] = []
    _gather(persona.values(), found)
    return fold_for_search("\n".join(found))


def _gather(values: Iterable[Any], found: list[str]) -> None:
    # Called for some fifty values of each of 100,000 people before a first search.
    for value in values:
        kind = type(value)
        if kind is str:
            found.append(value)
        elif kind is dict:
            _gather(value.values(), found)
        elif kind is list:
            _gather(value, found)
        elif value is not None:
            found.append(str(value))


@dataclass(frozen=True, slots=True)
class _Piece:
    """The text of some people in UTF-8, and the offset of each; the last offset is the end."""

    text: bytes
    starts: list[int]

    def all_with(self, word: bytes) -> Iterable[int]:
        """Yield the positions of the people whose text has a word."""
        find, starts, place, at = self.text.find, self.starts, 0, 0
        while (at := find(word, at)) >= 0:
            place = bisect_right(starts, at, place) - 1
            yield place
            place += 1
            at = starts[place]


class Texts:
    """Searchable text of people. Threads may share it.

    Parameters
    ----------
    personas : sequence of dict
        Read whenever a piece is built; after a change call `forget`.

    Examples
    --------
    >>> texts = Texts([{"name": "Ana", "skills": ["sewing"]}, {"name": "Bo", "skills": ["Saws"]}])
    >>> texts.search(["aw"]), texts.search(["s", "ana"])
    ([1], [0])
    """

    def __init__(self, personas: Sequence[dict[str, Any]]) -> None:
        self._personas = personas
        self._pieces: list[_Piece | None] = [None] * -(-len(personas) // PIECE)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """The number of pieces."""
        return len(self._pieces)

    @property
    def unread(self) -> int:
        """The number of pieces that are not built yet."""
        return self._pieces.count(None)

    def read(self, number: int) -> None:
        """Build a piece, if it is not built yet."""
        self._piece(number)

    def forget(self, row: int) -> None:
        """Drop the piece of a person who has changed; it is built again when needed."""
        self._pieces[row // PIECE] = None

    def search(self, words: Sequence[str], among: Sequence[int] | None = None) -> list[int]:
        """Return the rows of people who have every word, in order; `among` these or all."""
        rows = among
        for word in (word.encode("utf-8", "replace") for word in words):
            few = rows is not None and len(rows) * 4 < len(self._personas)
            if few and rows is not None:
                rows = self._of(rows, word)
                continue
            found = self._all_with(word)
            if rows is None:
                rows = found
            else:
                known = bytearray(len(self._personas))
                for row in rows:
                    known[row] = 1
                rows = [row for row in found if known[row]]
        return list(range(len(self._personas)) if rows is None else rows)

    def _all_with(self, word: bytes) -> list[int]:
        found: list[int] = []
        for number in range(len(self._pieces)):
            first = number * PIECE
            found += [first + place for place in self._piece(number).all_with(word)]
        return found

    def _of(self, rows: Sequence[int], word: bytes) -> list[int]:
        found = []
        for row in rows:
            number, place = divmod(row, PIECE)
            piece = self._pieces[number] or self._piece(number)
            if piece.text.find(word, piece.starts[place], piece.starts[place + 1]) >= 0:
                found.append(row)
        return found

    def _piece(self, number: int) -> _Piece:
        piece = self._pieces[number]
        if piece is None:
            with self._lock:
                piece = self._pieces[number]
                if piece is None:
                    first = number * PIECE
                    people = self._personas[first : first + PIECE]
                    # A word of a query has no line feed, so it never matches across two texts.
                    lines = [(text_of(p) + "\n").encode("utf-8", "replace") for p in people]
                    starts = [0, *accumulate(map(len, lines))]
                    piece = self._pieces[number] = _Piece(b"".join(lines), starts)
        return piece


# The fields offered as filters; `country` is the end of the residence.
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
    """Return the value at a dotted path, or None.

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
    """Return the category of a person in a field; empty if the field is missing.

    Raises
    ------
    InvalidInput
        For a field that holds a list or an object.

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
            f"{field} holds several values, so people cannot be filtered by it. Search for a word "
            "in it, or filter by a field that holds one value."
        )
    return " ".join(("" if value is None else str(value)).split())


@dataclass(frozen=True, slots=True)
class Facet:
    """One field of all people: for each the number of a category, from 1.

    Categories that differ only in case or accents are the same, with the first spelling.
    """

    field: str
    labels: list[str]
    codes: bytes | list[int]
    _by_fold: dict[str, int]

    def passing(self, categories: Iterable[str]) -> bytes:
        """Return one byte for each person, 1 for those in one of the categories."""
        flags = bytearray(max(256, len(self.labels) + 1))
        for name in categories:
            if (code := self._by_fold.get(fold_for_search(name))) is not None:
                flags[code] = 1
        if isinstance(self.codes, bytes):
            return self.codes.translate(flags)
        return bytes(map(flags.__getitem__, self.codes))

    def count(self, passing: bytes) -> list[tuple[str, int]]:
        """Count the matching people in each category.

        Bands come in their order, others with the largest first, the empty category last.
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
    """Combine two masks by AND as whole numbers, which is much faster than byte by byte."""
    bits = int.from_bytes(one, "big") & int.from_bytes(other, "big")
    return bits.to_bytes(len(one), "big")


def facet_of(personas: Iterable[dict[str, Any]], field: str) -> Facet:
    """Read one field of all people.

    Examples
    --------
    >>> facet = facet_of([{"gender": "Woman"}, {"gender": "man"}, {"gender": "woman"}], "gender")
    >>> facet.count(bytes([1, 1, 1]))
    [('Woman', 2), ('man', 1)]
    """
    codes: list[int] = []
    labels: list[str] = []
    by_fold: dict[str, int] = {}
    by_label: dict[str, int] = {}  # most people share a category, so each is folded once
    for persona in personas:
        label = category(persona, field)
        code = by_label.get(label)
        if code is None:
            code = by_label[label] = by_fold.setdefault(fold_for_search(label), len(labels) + 1)
            if code > len(labels):
                labels.append(label)
        codes.append(code)
    few = len(labels) < len(_ALL_OR_NOTHING)  # true of most fields: one byte is enough
    return Facet(field, labels, bytes(codes) if few else codes, by_fold)


# The person's own dictionary, without a copy: copies of 100,000 people would take longer than
# everything else here. A change of a person replaces the dictionary, so nothing here changes.
persona_of = attrgetter("_persona")


class Selection:
    """The selected people, and their number for other categories of a field.

    Attributes
    ----------
    rows : list of int
        The people who match the query and all filters, in their order.
    """

    def __init__(self, base: bytes, filters: Mapping[str, bytes]) -> None:
        # One byte for each person, 1 for a match: `joined` combines them fast.
        self._base = base
        self._filters = filters
        self._passing = self._without(None)
        self.rows = list(compress(range(len(base)), self._passing))

    def _without(self, field: str | None) -> bytes:
        others = (passing for name, passing in self._filters.items() if name != field)
        return reduce(joined, others, self._base)

    def count(self, facet: Facet) -> list[tuple[str, int]]:
        """Return the categories of a field with their counts under all other filters."""
        filtered = facet.field in self._filters
        return facet.count(self._without(facet.field) if filtered else self._passing)


class PeopleIndex:
    """An index of many people. Threads may share it.

    A row number stands for one person, also if others are equal. People who have changed are
    indexed again.

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
        """Find people who have changed, drop their entries, and return their rows."""
        with self._lock:
            if not any(map(is_not, map(persona_of, self.people), self.personas)):
                return []
            now = [persona_of(person) for person in self.people]
            changed = [row for row, persona in enumerate(now) if persona is not self.personas[row]]
            for row in changed:
                self.personas[row] = now[row]  # in place: `Texts` reads this list
                self._texts.forget(row)
            self._facets, self._orders, self._last = {}, {}, ([], [])
            return changed

    # -- reading ahead -----------------------------------------------------------------

    @property
    def unread(self) -> int:
        """The number of pieces of text that are not built yet; with 0 a search is fast."""
        return self._texts.unread

    def read_ahead(self, stop: threading.Event, pause: float = 0.002) -> None:
        """Build all pieces of text, with pauses for other threads."""
        for number in range(len(self._texts)):
            if stop.wait(pause):
                return
            self._texts.read(number)

    # -- queries -----------------------------------------------------------------------

    def select(
        self, query: str = "", filters: Filters | None = None, within: Iterable[int] | None = None
    ) -> Selection:
        """Select the people who have every word of a query and match every filter.

        Parameters
        ----------
        query : str
            Words; each must be somewhere in the person's text.
        filters : dict, optional
            Fields and their accepted categories; a field without categories accepts all.
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
                passing[""] = self._mask(within)  # one more filter, without a field
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
        # A longer word contains its beginning: typing on narrows the last result.
        narrower = before and all(any(old in word for word in words) for old in before)
        if words == before:
            return rows
        found = self._texts.search(words, rows if narrower else None)
        self._last = (words, found)
        return found

    def checked(self, filters: Mapping[str, str | Iterable[object]]) -> dict[str, list[str]]:
        """Check filters and return them as `select` takes them, without empty ones.

        Raises
        ------
        InvalidInput
            For a field that people cannot be filtered by, and an age that is not a band.
        """
        found = {}
        check_names(filters, {key for persona in self.personas for key in persona})
        for field, categories in filters.items():
            several = [categories] if isinstance(categories, str) else [str(c) for c in categories]
            if field == "age" and (unknown := set(several) - {*AGE_BANDS, ""}):
                raise InvalidInput(
                    f"age is filtered by bands ({', '.join(AGE_BANDS)}), not {min(unknown)!r}. "
                    "Nothing was changed."
                )
            if several:
                self.facet(field)  # raises for a field that cannot be filtered by
                found[field] = several
        return found

    def facet(self, field: str) -> Facet:
        """Return one field of all people, read once."""
        with self._lock:
            if field not in self._facets:
                self._facets[field] = facet_of(self.personas, field)
            return self._facets[field]

    def ordered(self, rows: list[int], sort: tuple[str, bool] | None) -> list[int]:
        """Sort rows by ``(field, descending)``, stably; people without the field come last."""
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
    """Return a sort key: numbers before words, words without case; None for an empty value."""
    if isinstance(value, int | float):
        return float(value), ""
    text = fold_for_search(shown(value)).strip()
    return (float("inf"), text) if text else None


def shown(value: Any) -> str:
    """Write any JSON as one line of text, for a cell of a table.

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
