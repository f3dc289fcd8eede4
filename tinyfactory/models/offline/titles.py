"""Occupations that a text names."""

from __future__ import annotations

import re
from functools import cache

from tinyfactory.models.offline.load import Occupation, occupations
from tinyfactory.models.offline.words import plural
from tinyfactory.utils.text import fold

_BEFORE_VERB = re.compile(
    r"\b(?:who|that|to|he|she|they|it|i|you|not|always|often|and|can)\s*$", re.IGNORECASE
)


# Nouns that say too little by themselves: "manager", "worker".
_BARE = frozenset(
    "worker assistant officer manager agent clerk technician owner planner operator rider guard "
    "designer coordinator representative vendor presenter controller editor decorator guide coach "
    "trader supervisor analyst consultant".split()
)


@cache
def _occupation_patterns() -> tuple[tuple[Occupation, re.Pattern[str], int], ...]:
    """For each occupation: its whole title, and its last word ("nurse" of "ward nurse")."""
    found = []
    for occupation in occupations():
        title = occupation.title
        noun = title.split()[-1]
        for rank, name in enumerate([title] if noun in _BARE else [title, noun]):
            names = re.escape(name) + "|" + re.escape(plural(name))
            pattern = re.compile(rf"(?<![\w-])(?:{names})(?![\w-])", re.IGNORECASE)
            found.append((occupation, pattern, rank))
    return tuple(found)


@cache
def occupations_in(text: str) -> tuple[Occupation, ...]:
    """Occupations that a sentence names, the whole title before a part of it."""
    whole: list[Occupation] = []
    part: list[Occupation] = []
    for occupation, pattern, rank in _occupation_patterns():
        match = pattern.search(text)
        if match and not _BEFORE_VERB.search(text[: match.start()].replace(" and ", " & ")):
            (part if rank else whole).append(occupation)
    return tuple(dict.fromkeys(whole or part))


def occupation_named(text: str) -> str | None:
    """The occupation that the first sentence of a user's words names, if it is just one noun."""
    found = occupations_in(re.split(r"(?<=[.!?;])\s|\n", text.strip(), maxsplit=1)[0][:200])
    if not found or text.lstrip().startswith("{"):
        return None
    nouns = {o.title.split()[-1] for o in found}
    return found[0].title if len(found) == 1 else nouns.pop() if len(nouns) == 1 else None


_SMALL = frozenset("a an the of in at for and retired former senior junior head chief".split())
# Shared by occupations that have little to do with one another.
_COMMON = frozenset(
    "worker officer manager assistant technician engineer owner clerk operator teacher "
    "designer".split()
)
_DOCTORS = ("family doctor", "surgeon", "paediatrician")


def matching(wish: str) -> tuple[Occupation, ...]:
    """The occupations that a wish names: by title, by all its words, by its noun.

    Examples
    --------
    >>> [o.title for o in matching("nurse")]
    ['ward nurse', 'community nurse']
    """
    wanted = [w for w in fold(re.sub(r"[^\w\s'-]", " ", wish)).split() if w not in _SMALL]
    if not wanted:
        return ()
    titles = [(o, fold(o.title).split()) for o in occupations()]
    exact = tuple(o for o, title in titles if title == wanted)
    every = tuple(o for o, title in titles if all(w in title for w in wanted))
    noun = wanted[-1]
    if noun in {"doctor", "physician"}:
        return exact or tuple(o for o in occupations() if o.title in _DOCTORS)
    if noun in _COMMON:
        return exact or every
    return exact or every or tuple(o for o, title in titles if title[-1] == noun)
