"""Compare texts word by word: pieces that both have, and pieces that only one has."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

Side = Literal["both", "left", "right"]
Pieces = tuple[tuple[Side, str], ...]
State = Literal["same", "changed", "only left", "only right"]

TOP_WORDS = 15
# Longer texts are compared as a whole: word by word, time grows with the square of the length.
_MAX_WORDS = 3000
_MAX_PAIRS = 900
# Pairs of equal words in two texts; many are there only where a few words are repeated.
_MAX_EQUAL_PAIRS = 60_000
_ALIKE = 0.4  # from this similarity on, one item counts as a rewording of the other
# Scripts written without spaces, where each character is compared as a word.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# It is compiled at the first use, because that is slow.
_WORDS = rf"\s*(?:[{_UNSPACED}]|[^\s{_UNSPACED}]+)|\s+"


@dataclass(frozen=True)
class Difference:
    """One field of two people.

    `path` is dotted (``"occupation.title"``). `left` and `right` are the values, None where
    the field is missing. `asked` says whether it was changed on purpose. `items` pairs the
    items of a list, or the one value, each split into pieces that are on ``"both"`` sides or
    on one.
    """

    path: str
    left: Any
    right: Any
    state: State
    asked: bool
    items: tuple[Pieces, ...]


def beside(left: list[str], right: list[str]) -> Iterator[Pieces]:
    """Pair items: equal ones, then similar ones; the rest stays single."""
    partner: dict[int, int] = {}
    places: dict[str, deque[int]] = defaultdict(deque)
    for j, text in enumerate(right):
        places[text].append(j)
    for i, text in enumerate(left):
        if places.get(text):
            partner[i] = places[text].popleft()
    taken = set(partner.values())
    free = [j for j in range(len(right)) if j not in taken]
    rest = [i for i in range(len(left)) if i not in partner]
    if len(left) == len(right) == 1:
        partner[0], free = 0, []  # single values are always a pair
    elif len(rest) * len(free) <= _MAX_PAIRS:
        scores = [(_similar(left[i], right[j]), i, j) for i in rest for j in free]
        for score, i, j in sorted(scores, key=lambda pair: (-pair[0], *pair[1:])):
            if score >= _ALIKE and i not in partner and j in free:
                partner[i] = j
                free.remove(j)
    for i, text in enumerate(left):
        yield _pieces(text, right[partner[i]]) if i in partner else (("left", text),)
    yield from ((("right", right[j]),) for j in free)


def _similar(left: str, right: str) -> float:
    """Return the similarity of two texts by their words in any order, from 0 to 1."""
    a, b = Counter(_keys(left)), Counter(_keys(right))
    return 2 * (a & b).total() / max(1, a.total() + b.total())


def _keys(text: str) -> list[str]:
    return [word.strip() for word in re.findall(_WORDS, text)]


def _pieces(left: str, right: str) -> Pieces:
    """Split two texts into pieces that both have and pieces that one has."""
    if left == right:
        return (("both", left),)
    a, b = re.findall(_WORDS, left), re.findall(_WORDS, right)
    left_words, right_words = _keys(left), _keys(right)
    often = Counter(right_words)
    pairs = sum(number * often[word] for word, number in Counter(left_words).items())
    if max(len(a), len(b)) > _MAX_WORDS or pairs > _MAX_EQUAL_PAIRS:
        return (("left", left), ("right", right))
    pieces: list[tuple[Side, str]] = []
    matcher = SequenceMatcher(None, left_words, right_words, autojunk=False)
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        if tag == "equal":
            pieces.append(("both", "".join(a[i:i_end])))
            continue
        if i < i_end:
            pieces.append(("left", "".join(a[i:i_end])))
        if j < j_end:
            pieces.append(("right", "".join(b[j:j_end])))
    return tuple(pieces)


def share_differing(pieces: list[tuple[Side, str]]) -> float:
    """Return the share of words on one side only, of all words of both."""
    counts: Counter[Side] = Counter()
    for side, text in pieces:
        counts[side] += sum(1 for key in _keys(text) if key)
    differ = counts["left"] + counts["right"]
    return differ / max(1, differ + 2 * counts["both"])


def words_used(pieces: list[tuple[Side, str]], side: str) -> Counter[str]:
    """Count the words of one side, in lower case and without punctuation around them."""
    words = (_bare(k) for where, text in pieces if where in ("both", side) for k in _keys(text))
    return Counter(word for word in words if word)


def _bare(word: str) -> str:
    signs = "".join({c for c in word if unicodedata.category(c)[0] in "PSC"})
    return word.strip(signs).casefold() if signs else word.casefold()


def words_only(here: Counter[str], there: Counter[str]) -> list[tuple[str, int]]:
    """Return the words that only the first text has, the most frequent first."""
    only = [(word, count) for word, count in here.items() if word not in there]
    return sorted(only, key=lambda pair: (-pair[1], pair[0]))[:TOP_WORDS]
