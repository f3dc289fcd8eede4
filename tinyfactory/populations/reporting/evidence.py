"""Read people as personas, the prose of a persona, and the value of a field for everyone."""

from __future__ import annotations

import math
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from tinyfactory.errors import InvalidInput
from tinyfactory.gazetteer.names import NOUNS, gender_of
from tinyfactory.models.offline.mark import OFFLINE_MARK
from tinyfactory.people.formats.rows import KNOWN
from tinyfactory.utils.text import fold_words

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])\s+|\n+")  # noqa: RUF001 (other scripts' signs)

# Fields with prose, written by the model; all others hold facts and labels.
_PROSE = {
    *("education", "style", "personality", "preferences", "skills", "beliefs", "behaviors"),
    *("health", "relationships", "long_term_goals", "other_facts"),
}
_TOP = {  # all top-level fields of the schema
    *("name", "age", "gender", "nationality", "residence", "occupation", "demographics"),
    *_PROSE,
}


# The fields whose values are compared by name with a person's residence.
_PLACES = frozenset({"country", "region", "state", "city", "residence", "place"})
_NOUNS = frozenset(word for words in NOUNS.values() for word in words)
_OTHER_GENDERS = frozenset({"nonbinary", "other", "diverse", "intersex", "genderqueer"})
_MINOR = frozenset("a an the of in at for and or to with on senior junior retired other".split())


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a person: its field, its text, and its words in lower case."""

    field: str
    text: str
    words: tuple[str, ...]


def personas_of(people: Any) -> list[dict[str, Any]]:
    """Read people, persona dicts or a data frame of people as a list of personas.

    Raises
    ------
    InvalidInput
        If the list is empty, or an item is neither a person nor a persona.

    Examples
    --------
    >>> personas_of([{"name": "Ana"}, {"persona": {"name": "Bo"}}])
    [{'name': 'Ana'}, {'name': 'Bo'}]
    """
    if hasattr(people, "to_dict") and hasattr(people, "columns"):
        found = [_from_row(row) for row in people.to_dict("records")]
    elif hasattr(people, "rows") and hasattr(people, "failed"):
        raise InvalidInput(
            f"people must be the people themselves, not their {type(people).__name__}, which has "
            "counted them already. Give the people, and target= for the table."
        )
    elif isinstance(people, dict | str) or not isinstance(people, Iterable):
        raise InvalidInput(
            f"people must be People, a list of persona dicts, or a data frame from "
            f"People.to_frame(), not {type(people).__name__}."
        )
    else:
        found = [_persona(person, number) for number, person in enumerate(people, 1)]
    if not found:
        raise InvalidInput("people is empty; a report needs at least one person.")
    return found


def _persona(person: Any, number: int) -> dict[str, Any]:
    persona = person if isinstance(person, dict) else getattr(person, "persona", None)
    if isinstance(persona, dict) and isinstance(persona.get("persona"), dict):
        persona = persona["persona"]
    if not isinstance(persona, dict):
        raise InvalidInput(
            f"Person {number} must be a TinyPerson or a dict, not {type(person).__name__}."
        )
    return persona


def _from_row(row: dict[str, Any]) -> dict[str, Any]:
    """Turn a row of `to_frame` into a persona: drop empty cells, nest flattened columns."""
    persona: dict[str, Any] = {}
    for column, value in row.items():
        if column in ("source", "model") or _empty(value):
            continue
        if column in KNOWN and column not in _TOP:
            part, _, key = column.rpartition("_")
            if column.startswith("big_five_"):
                big_five = persona.setdefault("personality", {}).setdefault("big_five", {})
                big_five[key] = value
            elif part == "routines":
                routines = persona.setdefault("behaviors", {}).setdefault("routines", {})
                routines[key] = value
            else:
                persona.setdefault(part, {})[key] = value
        else:
            persona[column] = value
    return persona


def _empty(value: Any) -> bool:
    # NaN differs from itself; pandas.NA has no truth value, and pandas may not be installed.
    if value is None or type(value).__name__ == "NAType":
        return True
    return isinstance(value, float) and value != value


def own_fields(persona: dict[str, Any]) -> dict[str, Any]:
    """The fields that come from a profile: `demographics`, and fields outside the schema.

    tinyfactory sets `demographics` from the profile. Data from elsewhere has such fields at the
    top.

    Examples
    --------
    >>> own_fields({"name": "Ana", "income": "low", "demographics": {"household": "alone"}})
    {'income': 'low', 'household': 'alone'}
    """
    told = persona.get("demographics")
    own = {key: value for key, value in persona.items() if key not in _TOP}
    return own | told if isinstance(told, dict) else own


def sentences(persona: dict[str, Any]) -> list[Sentence]:
    """Split the prose of a person into sentences.

    Names, numbers, labels and fields from the profile are not prose, nor is the sentence with
    which the offline model marks its texts.

    Examples
    --------
    >>> [s.words for s in sentences({"name": "Ana", "health": "Fine. Sleeps well."})]
    [('fine',), ('sleeps', 'well')]
    """
    return [
        Sentence(field, text, tuple(map(sys.intern, WORD.findall(text.casefold()))))
        for field, leaf in _prose(persona)
        if leaf != OFFLINE_MARK
        for text in _SENTENCE_END.split(leaf)
        if text.strip()
    ]


def _prose(persona: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in persona.items():
        if key == "occupation" and isinstance(value, dict):
            yield from ((key, leaf) for leaf in _leaves(value.get("description")))
        elif key == "relationships" and isinstance(value, list):
            for item in value:
                about = item.get("description") if isinstance(item, dict) else item
                yield from ((key, leaf) for leaf in _leaves(about))
        elif key in _PROSE:
            yield from ((key, leaf) for leaf in _leaves(value))


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    elif hasattr(value, "tolist"):  # a list that came out of a Parquet file
        yield from _leaves(value.tolist())


class Target(Protocol):
    """The methods of a demography that a report uses; `Demography` has them."""

    @property
    def fields(self) -> Any:
        """The names of the fields."""

    @property
    def impossible(self) -> Any:
        """Combinations that are ruled out: a list of dicts field -> category."""

    def margins(self) -> Any:
        """Field -> category -> share."""

    def joints(self) -> Any:
        """Pairs of field names and a dict: tuple of categories -> share."""

    def category_of(self, field: str, value: Any) -> str | None:
        """The category of a value; for a number, its band."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The values of one field for everyone.

    `values` holds a category, any other value, or None if the person has none; `read_from`
    counts the fields of the persona that the values came from.
    """

    field: str
    values: tuple[str | None, ...]
    categories: tuple[str, ...]
    read_from: dict[str, int]

    @property
    def not_stated(self) -> int:
        """The number of people without a value."""
        return self.values.count(None)

    @property
    def how(self) -> str:
        """The fields that the values came from, as a sentence."""
        parts = [f"{place} ({count})" for place, count in self.read_from.items()]
        if self.not_stated:
            parts.append(f"not stated ({self.not_stated})")
        return f"Read from: {'; '.join(parts)}."


def read_field(field: str, personas: list[dict[str, Any]], target: Target | None = None) -> Reading:
    """Read a field for everyone.

    Sex is read from `gender`, age from `age`, an occupation from its title (which must contain
    one significant word of the category), a place from `residence`, and nationality from
    `nationality`. Any other field is read from `demographics` or the person's own field of that
    name. tinyfactory sets those from the profile, so they say nothing about the text.

    Examples
    --------
    >>> read_field("sex", [{"gender": "woman"}, {"gender": "Male"}, {}]).values
    ('female', 'male', None)
    """
    margin = target.margins().get(field, {}) if target is not None else {}
    categories = tuple(str(category) for category in margin)
    values: list[str | None] = []
    read_from: Counter[str] = Counter()
    folded = {category: fold_words(category).split() for category in categories}
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
        found, place = _gender(persona.get("gender"), categories), "gender"
    elif name == "age":
        found, place = _age(field, persona.get("age"), target), "age"
    elif name == "occupation":
        work = persona.get("occupation")
        title = work.get("title") if isinstance(work, dict) else work
        found, place = _best(title, folded, _words_met), "occupation.title"
    elif name in _PLACES or name == "nationality":
        place = "nationality" if name == "nationality" else "residence"
        found = _best(persona.get(place), folded, _name_occurs)
    else:
        found, place = None, ""
    if found in categories or (found is not None and name == "age"):
        return found, place
    own = own_fields(persona).get(field)
    if own is not None and not isinstance(own, dict | list):
        category = target.category_of(field, own) if target is not None and categories else None
        return str(category if category is not None else own), f"{field}, set from the profile"
    return found, place


def _gender(said: Any, categories: tuple[str, ...]) -> str | None:
    """The category that means the gender; without one, the gender itself."""
    text = fold_words(str(said or ""))
    if not str(said or "").strip(" -"):
        return None
    if same := [category for category in categories if fold_words(category) == text]:
        return same[0]
    meant = _gender_word(text.replace(" ", ""))
    if meant is None:  # "trans woman", "cis male"
        words = {found for word in text.split() if (found := _gender_word(word))}
        meant = words.pop() if len(words) == 1 else None
    by_meaning = {
        _gender_word(fold_words(category).replace(" ", "")) or category: category
        for category in reversed(categories)
    }
    return by_meaning.get(meant, meant) if meant else str(said)


def _gender_word(word: str) -> str | None:
    # Statistics name categories in the plural: "females".
    singular = word.removesuffix("s") if word.removesuffix("s") in _NOUNS else word
    return "other" if word in _OTHER_GENDERS else gender_of(singular)


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
    """The category with the highest score for the text; if none fits, the text itself."""
    if not isinstance(said, str) or not said.strip():
        return None
    text = fold_words(said)
    scores = {category: score(words, text) for category, words in folded.items()}
    best = max(scores, key=lambda category: scores[category], default=None)
    return best if best is not None and scores[best] > 0 else said


def _words_met(words: list[str], text: str) -> float:
    # Only word stems are compared: "teacher" fits "teaching assistant".
    wanted = [word for word in words if word not in _MINOR] or words
    stems = [word[: max(5, len(word) - 3)] for word in wanted]
    met = sum(any(said.startswith(stem) for said in text.split()) for stem in stems)
    return met + (met / len(wanted) if wanted else 0)


def _name_occurs(words: list[str], text: str) -> float:
    # Longer names score higher: "West Virginia" contains "Virginia".
    return len(words) if f" {' '.join(words)} " in f" {text} " else 0
