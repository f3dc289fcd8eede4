"""Find the name of a person in a text about them, for data sets that have no column for it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

_LONGEST = 1_000  # characters of a text that are searched
_MOST_WORDS = 5
# Words that begin a sentence and are no names; particles stand within names in lower case.
_NO_NAMES = frozenset(
    "A An The As At In On By For From With Without When While Although Though Despite After Before "
    "Born Known Raised This That These Those His Her Their My Our I He She They It Meet Now Once "
    "Today Every Each Having Being Living Working Mr Mrs Ms Miss Dr Prof Professor".split()
)
_PARTICLES = frozenset(
    "de da do das dos del della di du la le las los y e van von der den ter ten zu bin binti ibn "
    "al el bint ben af av".split()
)
_EDGES = "\"'\u201c\u201d\u2018()[]*_"
# Scripts without capital letters: the word after a name shows where it ends.
# They are compiled at the first use, because that is slow.
_CASELESS = (
    r"([가-힣]{2,4}(?: [가-힣]{1,4})?) ?씨",
    (
        r"([\u4e00-\u9fff\u3005\u30f6]{1,4}[ \u3000]?[\u4e00-\u9fff\u3040-\u30ff\u3005]{1,5}?)"
        r"(?:さん|氏|は|、)"
    ),
    r"([\u0900-\u097f]+(?: [\u0900-\u097f]+){1,2}?)(?:,| एक\b)",
)
_TOLD = re.compile(r"\b(?:named|called|[Nn]ame is|[Nn]ame's|I am|I'm|I\u2019m|Meet|Name:)\s+")


def name_in_texts(texts: Iterable[str], places: Iterable[str] = ()) -> str:
    """Return the name of the person that the texts are about, or an empty text.

    The name is at the beginning of a text, or after words such as "named", or in several of the
    texts. `places` are capitalised words of the row that are no names.

    Examples
    --------
    >>> name_in_texts(["Mary Alberti, a cook, likes jazz."])
    'Mary Alberti'
    >>> name_in_texts(["A cook in New York, Maria de la Cruz likes jazz."])
    'Maria de la Cruz'
    >>> name_in_texts(["A cook from Reno who likes jazz."])
    ''
    """
    told = [text.strip()[:_LONGEST] for text in texts]
    others = {place.strip() for place in places}
    for text in told:
        if found := _leading(text):
            return found
    for text in told:
        for mark in _TOLD.finditer(text):
            if found := _leading(text[mark.end() :], ends=True):
                return found
    seen: Counter[str] = Counter()
    after_comma = ""
    for text in told:
        found_here = dict(_names_within(text))
        seen.update(found_here.keys() - others)
        after_comma = after_comma or next(
            (name for name, alone in found_here.items() if alone and name not in others), ""
        )
    often = seen.most_common(1)
    return often[0][0] if often and often[0][1] > 1 else after_comma


def _leading(text: str, *, ends: bool = False) -> str:
    """Return the name that a text begins with; `ends` says that any word may follow it."""
    for pattern in _CASELESS:
        if found := re.match(pattern, text):
            return found[1]
    name, rest, closed = _run(text.split(None, _MOST_WORDS + 1))
    if not name or not (closed or ends or rest[:1].islower()):
        return ""
    return name


def _names_within(text: str) -> Iterator[tuple[str, bool]]:
    """Give the names in a text, and whether each follows a comma and a small word follows it."""
    words = text.split()
    number = 0
    while number < len(words):
        name, rest, closed = _run(words[number : number + _MOST_WORDS + 1])
        if name:
            comma = number > 0 and words[number - 1].endswith(",")
            yield name, comma and not closed and rest[:1].islower()
            number += len(name.split())
        else:
            number += 1


def _run(words: list[str]) -> tuple[str, str, bool]:
    """Return the name at the beginning of the words, the next word, and whether a sign ended it."""
    found: list[str] = []
    closed = False
    for word in words[:_MOST_WORDS]:
        bare = word.strip(_EDGES)
        core = re.sub(r"['\u2019]s$", "", bare.rstrip(",;:.!?"))
        if bare in _PARTICLES and found:
            found.append(bare)
            continue
        if not core[:1].isupper() or core in _NO_NAMES or not _is_word(core):
            break
        initial = len(core) == 1 and bare.endswith(".")
        found.append(bare if initial else core)
        if bare != core and not initial:
            closed = True
            break
    while found and found[-1] in _PARTICLES:
        found.pop()
        closed = False
    if sum(word not in _PARTICLES for word in found) < 2:
        return "", "", False
    rest = words[len(found)] if len(found) < len(words) else ""
    return " ".join(found), rest, closed


def _is_word(word: str) -> bool:
    return all(c.isalpha() or c in "'\u2019-." for c in word)
