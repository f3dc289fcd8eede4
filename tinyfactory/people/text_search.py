"""Search in all text of very many people: every word, whatever its case and accents.

The text of some hundred people stands in one piece, which is looked through at the speed of
memory; where a word is found says whose it is. A text is written down when it is first needed.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from tinyfactory.utils.text import fold_for_search

# People in one piece of text: reading one takes some milliseconds.
PIECE = 500


def words_of(query: str) -> list[str]:
    """The words of a query that decide, the longest first: it leaves the fewest people."""
    words = sorted(set(fold_for_search(query).split()), key=len, reverse=True)
    return [word for n, word in enumerate(words) if not any(word in w for w in words[:n])]


def text_of(persona: dict[str, Any]) -> str:
    r"""All text of a person, folded, one line a value; names of fields are no part of it.

    Examples
    --------
    >>> text_of({"name": "Zoë", "occupation": {"title": "Nurse"}, "age": 34, "skills": ["Judo"]})
    'zoe\nnurse\n34\njudo'
    """
    found: list[str] = []
    _gather(persona.values(), found)
    return fold_for_search("\n".join(found))


def _gather(values: Iterable[Any], found: list[str]) -> None:
    # Each of some fifty values of each of 100,000 people comes by here before a first search.
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
    """The text of some people in UTF-8, and where each begins; the last number is the end."""

    text: bytes
    starts: list[int]

    def all_with(self, word: bytes) -> Iterable[int]:
        """The people here whose text has a word, by their place."""
        find, starts, place, at = self.text.find, self.starts, 0, 0
        while (at := find(word, at)) >= 0:
            place = bisect_right(starts, at, place) - 1
            yield place
            place += 1
            at = starts[place]


class Texts:
    """The text of people, to be searched. Threads may share it.

    Parameters
    ----------
    personas : sequence of dict
        It is looked at whenever a piece is read, and may change in between; see `forget`.

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
        """How many pieces there are."""
        return len(self._pieces)

    @property
    def unread(self) -> int:
        """How many pieces are still to be read."""
        return self._pieces.count(None)

    def read(self, number: int) -> None:
        """Read a piece, if it is not there yet."""
        self._piece(number)

    def forget(self, row: int) -> None:
        """Read the piece of this person again when it is needed: they have changed."""
        self._pieces[row // PIECE] = None

    def search(self, words: Sequence[str], among: Sequence[int] | None = None) -> list[int]:
        """Who has every word, in the order of rows; `among` these, or among all."""
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
                    # A query's word has no line feed, so it is never found across two texts.
                    lines = [(text_of(p) + "\n").encode("utf-8", "replace") for p in people]
                    starts = [0, *accumulate(map(len, lines))]
                    piece = self._pieces[number] = _Piece(b"".join(lines), starts)
        return piece
