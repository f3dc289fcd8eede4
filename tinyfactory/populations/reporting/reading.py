"""Which category of a field each person is in, and where that was read."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import Any, Protocol

from tinyfactory.populations.reporting.personas import own_fields

PLACES = frozenset({"country", "region", "state", "city", "residence", "place"})
_SEX = {
    "female": "female f woman women girl lady females",
    "male": "male m man men boy gentleman males",
    "other": "nonbinary other diverse intersex genderqueer",
}
_SEX_OF = {word: sex for sex, words in _SEX.items() for word in words.split()}
_MINOR = frozenset("a an the of in at for and or to with on senior junior retired other".split())


class Target(Protocol):
    """What a report asks of a demography; `tinyfactory.populations.Demography` is one."""

    @property
    def fields(self) -> Any:
        """The names of the fields."""

    @property
    def impossible(self) -> Any:
        """Combinations that must not be: a list of dicts field -> category."""

    def margins(self) -> Any:
        """Field -> category -> proportion."""

    def joints(self) -> Any:
        """Pairs of the fields' names and a dict: tuple of categories -> proportion."""

    def category_of(self, field: str, value: Any) -> str | None:
        """The category that a value is in; a number is put into its band."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One field of everyone.

    `values` holds a category, a value that is none of the categories, or None for what is
    not stated; `read_from` counts the places it was read from.
    """

    field: str
    values: tuple[str | None, ...]
    categories: tuple[str, ...]
    read_from: dict[str, int]

    @property
    def not_stated(self) -> int:
        """How many people do not say."""
        return self.values.count(None)

    @property
    def how(self) -> str:
        """Where the values stand, as a sentence."""
        parts = [f"{place} ({count})" for place, count in self.read_from.items()]
        if self.not_stated:
            parts.append(f"not stated ({self.not_stated})")
        return f"Read from: {'; '.join(parts)}."


def read_field(field: str, personas: list[dict[str, Any]], target: Target | None = None) -> Reading:
    """Read a field of everyone.

    Sex is read from `gender`, age from `age`, an occupation from its title (one significant
    word of the category has to stand in it), a place from `residence`, nationality from
    `nationality`; any other field from `demographics` or the person's own field of that name,
    which tinyfactory sets from the profile and which is therefore no evidence about the text.

    Examples
    --------
    >>> read_field("sex", [{"gender": "woman"}, {"gender": "Male"}, {}]).values
    ('female', 'male', None)
    """
    asked = target.margins().get(field, {}) if target is not None else {}
    categories = tuple(str(category) for category in asked)
    values: list[str | None] = []
    read_from: Counter[str] = Counter()
    folded = {category: _fold(category).split() for category in categories}
    for persona in personas:
        value, place = _read(field, persona, categories, folded, target)
        values.append(value)
        if value is not None:
            read_from[place] += 1
    return Reading(field, tuple(values), categories, dict(read_from.most_common()))


def _read(
    field: str,
    persona: dict[str, Any],
    categories: tuple[str, ...],
    folded: dict[str, list[str]],
    target: Target | None,
) -> tuple[str | None, str]:
    name = field.lower()
    found: str | None
    if name in ("sex", "gender"):
        found, place = _sex(persona.get("gender"), categories), "gender"
    elif name == "age":
        found, place = _age(field, persona.get("age"), target), "age"
    elif name == "occupation":
        work = persona.get("occupation")
        title = work.get("title") if isinstance(work, dict) else work
        found, place = _best(title, folded, _words_met), "occupation.title"
    elif name in PLACES or name == "nationality":
        place = "nationality" if name == "nationality" else "residence"
        found = _best(persona.get(place), folded, _name_stands)
    else:
        found, place = None, ""
    if found in categories or (found is not None and name == "age"):
        return found, place
    own = own_fields(persona).get(field)
    if own is not None and not isinstance(own, dict | list):
        category = target.category_of(field, own) if target is not None and categories else None
        return str(category if category is not None else own), f"{field}, set from the profile"
    return found, place


def _sex(said: Any, categories: tuple[str, ...]) -> str | None:
    key = re.sub(r"[\s-]", "", str(said or "").casefold())
    if not key:
        return None
    meant = _SEX_OF.get(key)
    if meant is None:  # "trans woman", "cis male"
        words = [_SEX_OF[word] for word in _fold(str(said)).split() if word in _SEX_OF]
        meant = words[0] if len(set(words)) == 1 else None
    by_meaning = {_SEX_OF.get(_fold(c).replace(" ", ""), c): c for c in reversed(categories)}
    same = [c for c in categories if _fold(c) == _fold(str(said))]
    if same:
        return same[0]
    return by_meaning.get(meant, meant) if meant else str(said)


def _age(field: str, age: Any, target: Target | None) -> str | None:
    if isinstance(age, bool) or not (isinstance(age, int | float) or hasattr(age, "item")):
        return None
    if not math.isfinite(age):
        return None
    years = int(age)
    if target is not None and field in target.fields:
        band = target.category_of(field, years)
        return str(band) if band is not None else f"{years} (in no band)"
    return f"{years // 10 * 10}-{years // 10 * 10 + 9}"


def _best(said: Any, folded: dict[str, list[str]], score: Any) -> str | None:
    """The category that the text says most of; without categories, the text itself."""
    if not isinstance(said, str) or not said.strip():
        return None
    text = _fold(said)
    scores = {category: score(words, text) for category, words in folded.items()}
    best = max(scores, key=lambda category: scores[category], default=None)
    return best if best is not None and scores[best] > 0 else said


def _words_met(words: list[str], text: str) -> float:
    # The beginning of a word is enough: "teacher" is met by "teaching assistant".
    wanted = [word for word in words if word not in _MINOR] or words
    stems = [word[: max(5, len(word) - 3)] for word in wanted]
    met = sum(any(said.startswith(stem) for said in text.split()) for stem in stems)
    return met + (met / len(wanted) if wanted else 0)


def _name_stands(words: list[str], text: str) -> float:
    # "West Virginia" says more than "Virginia".
    return len(words) if f" {' '.join(words)} " in f" {text} " else 0


def _fold(text: str) -> str:
    """A text as it is compared: without accents, case and punctuation."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(re.sub(r"[^\w\s]", " ", bare.casefold()).split())
