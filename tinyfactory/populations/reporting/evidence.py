"""People, however they come, as personas; and the prose in a persona."""

from __future__ import annotations

import math
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from tinyfactory.errors import InvalidInput, MissingPackage
from tinyfactory.models.offline.mark import OFFLINE_MARK
from tinyfactory.people.formats.rows import KNOWN
from tinyfactory.utils.text import fold_words

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])\s+|\n+")  # noqa: RUF001 (other scripts' signs)

# What stands in these is written by the author of the person; the rest are facts and labels.
_PROSE = {
    *("education", "style", "personality", "preferences", "skills", "beliefs", "behaviors"),
    *("health", "relationships", "long_term_goals", "other_facts"),
}
_TOP = {
    *("name", "age", "gender", "nationality", "residence", "occupation", "demographics"),
    *_PROSE,
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a person: the field it stands in, its text, its words in lower case."""

    field: str
    text: str
    words: tuple[str, ...]


def personas_of(people: Any) -> list[dict[str, Any]]:
    """People, persona dicts or a data frame of people as a list of personas.

    Raises
    ------
    InvalidInput
        For what is no person, and where nobody is.

    Examples
    --------
    >>> personas_of([{"name": "Ana"}, {"persona": {"name": "Bo"}}])
    [{'name': 'Ana'}, {'name': 'Bo'}]
    """
    if hasattr(people, "to_dict") and hasattr(people, "columns"):
        found = [_from_row(row) for row in people.to_dict("records")]
    elif isinstance(people, dict | str) or not isinstance(people, Iterable):
        raise InvalidInput(
            f"A report needs several people, not {type(people).__name__}. Give it People, a "
            "list of persona dicts, or the data frame that People.to_frame() makes."
        )
    else:
        found = [_persona(person, number) for number, person in enumerate(people, 1)]
    if not found:
        raise InvalidInput("There is nobody to report on: the list of people is empty.")
    return found


def _persona(person: Any, number: int) -> dict[str, Any]:
    persona = person if isinstance(person, dict) else getattr(person, "persona", None)
    if isinstance(persona, dict) and isinstance(persona.get("persona"), dict):
        persona = persona["persona"]
    if not isinstance(persona, dict):
        raise InvalidInput(
            f"Person {number} is of type {type(person).__name__}, not a TinyPerson or a dict."
        )
    return persona


def _from_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row of `to_frame` as a persona: empty cells left out, flattened columns put back."""
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
    # NaN is the one value that differs from itself; pandas' NA does not say what it is.
    if value is None or type(value).__name__ == "NAType":
        return True
    return isinstance(value, float) and value != value


def own_fields(persona: dict[str, Any]) -> dict[str, Any]:
    """What a profile said of a person: `demographics`, and fields that the schema does not know.

    tinyfactory sets `demographics` from the profile; other people's data has such fields at
    the top.

    Examples
    --------
    >>> own_fields({"name": "Ana", "income": "low", "demographics": {"household": "alone"}})
    {'income': 'low', 'household': 'alone'}
    """
    told = persona.get("demographics")
    own = {key: value for key, value in persona.items() if key not in _TOP}
    return own | told if isinstance(told, dict) else own


def sentences(persona: dict[str, Any]) -> list[Sentence]:
    """The sentences of a person's prose, in order.

    Names, numbers, labels and the fields set from the profile are no prose, nor is the line
    by which the offline model marks what it wrote.

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


def missing(package: str, error: ImportError) -> MissingPackage:
    """The error for a package that is not installed."""
    return MissingPackage(
        f"A report card needs {package}, which is not installed. "
        f"Run: pip install 'tinyfactory[report]' (it reads: {error})"
    )


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
        words = [_SEX_OF[word] for word in fold_words(str(said)).split() if word in _SEX_OF]
        meant = words[0] if len(set(words)) == 1 else None
    by_meaning = {_SEX_OF.get(fold_words(c).replace(" ", ""), c): c for c in reversed(categories)}
    same = [c for c in categories if fold_words(c) == fold_words(str(said))]
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
    text = fold_words(said)
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
