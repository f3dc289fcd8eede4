"""Read particularities, the user's words about a person, as constraints on the reply.

A reply that violates a constraint is rejected, and a rejection costs a request. So only what can
hardly mean anything else is a constraint: a key with a value (``age: 40``), or a statement whose
subject is clearly the person. Everything else ("a retired teacher", "in her sixties") is a hint;
the offline model follows hints as well.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

from tinyfactory.gazetteer.names import gender_in
from tinyfactory.utils.text import fold_words

__all__ = [
    "Constraints",
    "Particularities",
    "constraints_in",
    "contradiction",
    "particularities_text",
    "read_constraints",
    "read_particularities",
]

_LONGEST = 20_000  # characters that are read


# What a user wants of a person: words, fields, or nothing.
Particularities = str | dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Constraints:
    """The fields that a text says about a person; None or an empty tuple for all others.

    Parameters
    ----------
    name, gender, nationality, country, place, occupation : str, optional
    age : int, optional
    age_range : tuple of int, optional
        Youngest and oldest age, both included.
    interests : tuple of str
    certain : frozenset of str
        The fields that the text states outright; the others are hints.
    """

    name: str | None = None
    age: int | None = None
    age_range: tuple[int, int] | None = None
    gender: str | None = None
    nationality: str | None = None
    country: str | None = None
    place: str | None = None
    occupation: str | None = None
    interests: tuple[str, ...] = ()
    certain: frozenset[str] = frozenset()


# The keys of "key: value" lines and of JSON objects, with their fields.
_KEYS = {
    "name": "name", "full name": "name", "age": "age", "gender": "gender", "sex": "gender",
    "nationality": "nationality", "citizenship": "nationality", "country": "country",
    "country of residence": "country", "residence": "place", "city": "place", "place": "place",
    "location": "place", "home town": "place", "hometown": "place", "lives in": "place",
    "occupation": "occupation", "profession": "occupation", "job": "occupation",
    "job title": "occupation", "interests": "interests", "interest": "interests",
    "hobbies": "interests", "hobby": "interests",
}  # fmt: skip
_KEY_LINE = re.compile(
    rf"(?:^|[\n;,.{{(|])[\s\-*•\"']{{0,12}}"
    rf"(?P<key>{'|'.join(sorted(_KEYS, key=len, reverse=True))})"
    r"[\"'*]{0,3}\s{0,3}[:=]\s{0,5}(?P<value>[^\n;|]+)",
    re.IGNORECASE,
)
_NEXT_KEY = re.compile(r"[,.]\s*[\"']?[A-Za-z][A-Za-z _]{1,24}[\"']?\s*[:=]")


def particularities_text(particularities: Particularities) -> str:
    """The particularities as prompt text: words unchanged, fields as JSON."""
    if particularities is None:
        return ""
    if isinstance(particularities, dict):
        return json.dumps(particularities, ensure_ascii=False) if particularities else ""
    return particularities.strip()


def constraints_in(particularities: Particularities) -> Constraints:
    """Read the constraints in particularities."""
    return read_constraints(particularities_text(particularities))


@lru_cache(maxsize=256)
def read_constraints(text: str | None) -> Constraints:
    """Read the constraints in a text: only the fields that it states outright.

    Parameters
    ----------
    text : str or None
        Free text, lines of ``key: value``, or a JSON object.

    Examples
    --------
    >>> constraints = read_constraints("A 34-year-old nurse named Ana Souza from Lisbon")
    >>> constraints.name, constraints.age, constraints.occupation
    ('Ana Souza', 34, None)
    >>> read_constraints("a nurse in her sixties") == Constraints()
    True
    """
    found = read_particularities(text)
    hints = {f.name for f in fields(found)} - found.certain - {"certain"}
    without: dict[str, Any] = {name: () if name == "interests" else None for name in hints}
    return replace(found, **without)


@lru_cache(maxsize=256)
def read_particularities(text: str | None) -> Constraints:
    """Read all that a text says about a person, hints included.

    Parameters
    ----------
    text : str or None
        Free text, lines of ``key: value``, or a JSON object.

    Returns
    -------
    Constraints
        `Constraints.certain` names the fields that are not hints.

    Examples
    --------
    >>> found = read_particularities("A 34-year-old nurse named Ana Souza who loves chess")
    >>> found.name, found.age, found.occupation, found.interests
    ('Ana Souza', 34, 'nurse', ('chess',))
    >>> sorted(found.certain)
    ['age', 'name']
    >>> read_particularities("She drinks in a bar called Blue Moon.").name is None
    True
    """
    text = (text or "").strip()[:_LONGEST]
    if not text:
        return Constraints()
    keyed = _from_json(text)
    if keyed is None:
        keyed, text = _from_lines(text)
    else:
        # The key "also" has words beside the fields; the fields take precedence.
        also = json.loads(text).get("also")
        text = also if isinstance(also, str) else ""
    prose, certain = _from_prose(text) if text else ({}, frozenset())
    if "age_range" in keyed:
        prose.pop("age", None)
    if "age" in keyed:
        prose.pop("age_range", None)
    found = prose | keyed
    return Constraints(**found, certain=(certain & found.keys()) | keyed.keys())


def _from_prose(text: str) -> tuple[dict[str, Any], frozenset[str]]:
    from tinyfactory.prompts.statements import read_prose  # slow to import: it compiles patterns

    return read_prose(text)


def _from_json(text: str) -> dict[str, Any] | None:
    """Read the fields of a JSON object; None if the text is not one."""
    if not text.startswith("{"):
        return None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    for wrapper in ("persona", "_configuration"):
        if isinstance(data.get(wrapper), dict):
            data = data | data[wrapper]
    found: dict[str, Any] = {}
    for key, value in data.items():
        field = _KEYS.get(str(key).replace("_", " ").strip().lower())
        if field == "occupation" and isinstance(value, dict):
            value = value.get("title")
        if field is not None and field not in found:
            _take(found, field, value)
    return found


def _from_lines(text: str) -> tuple[dict[str, Any], str]:
    """Read the `key: value` pairs of a text; returns them and the rest of the text."""
    from tinyfactory.prompts.statements import OTHERS  # slow to import: it compiles patterns

    found: dict[str, Any] = {}
    rest: list[str] = []
    position = 0
    while match := _KEY_LINE.search(text, position):
        value = match["value"]
        clause = re.split(r"[;\n]|\.\s", text[position : match.start("key")])[-1]
        if OTHERS.search(clause):  # "with a dog (name: Rex)"
            rest.append(text[position : match.end()])
            position = match.end()
            continue
        if following := _NEXT_KEY.search(value):
            value = value[: following.start()]
        field = _KEYS[match["key"].lower()]
        if field != "interests":
            # The value ends at the comma of "age: 40, married" and at the dot of "name: Ana. She".
            value = re.split(r",\s|(?<=[^\W\d_]{3})\.\s|\s[-–—]\s", value, maxsplit=1)[0]
        _take(found, field, value.strip(" \t\"'*_.,})"))
        rest.append(text[position : match.start()])
        position = match.start("value") + len(value)
    rest.append(text[position:])
    return found, "\n".join(p for p in rest if p.strip())


def _take(found: dict[str, Any], field: str, value: Any) -> None:
    """Add a value under its field, unless it is not a possible value."""
    if field == "interests":
        parts = value if isinstance(value, list) else re.split(r",|;|\band\b", str(value))
        kept = tuple(str(p).strip(" .\"'") for p in parts if str(p).strip(" .\"'"))
        if kept:
            found["interests"] = kept
    elif field == "age":
        if isinstance(value, bool):
            return
        numbers = [int(n) for n in re.findall(r"\d+", str(value))]
        said = re.sub(r"(?i)years?|old|to|and", "", str(value))
        loose = re.search(r"^\s*-|[^\d\s.–-]", said)
        if loose or not numbers or not all(0 < n <= 120 for n in numbers):
            return
        if len(numbers) == 1:
            found["age"] = numbers[0]
        elif len(numbers) == 2 and numbers[0] <= numbers[1] and not isinstance(value, float):
            found["age_range"] = (numbers[0], numbers[1])
    elif field == "gender":
        if gender := gender_in(str(value)):
            found["gender"] = gender
    elif isinstance(value, str):
        plain = value.strip()
        blank = {"any", "unknown", "none", "anything", "random", "n/a", "?", "-", "tbd"}
        if plain and plain.lower() not in blank and len(plain) <= 120:
            found[field] = plain


_MINOR = frozenset("a an the of in at for and or to with on senior junior retired".split())


def contradiction(constraints: Constraints, persona: dict[str, Any]) -> str | None:
    """Say which constraint a persona violates, in words for the model.

    Parameters
    ----------
    constraints : Constraints
        From `read_constraints`.
    persona : dict
        With `name`, `age` and `occupation` (a text, or an object with `title` and
        `description`); missing fields are not compared.

    Returns
    -------
    str or None
        None if there is no contradiction. A name agrees if the person's name contains all its
        words, an occupation if the person's occupation contains one of its significant words.

    Examples
    --------
    >>> constraints = read_constraints("name: Ana Souza; age: 34")
    >>> contradiction(constraints, {"name": "ana maria SOUZA", "age": 34}) is None
    True
    >>> contradiction(constraints, {"name": "Ana Souza", "age": 43})
    'The age must be 34, as was asked for, not 43.'
    """
    name, age, occupation = (persona.get(k) for k in ("name", "age", "occupation"))
    if constraints.name and isinstance(name, str):
        has = fold_words(name).split()
        if not all(word in has for word in fold_words(constraints.name).split()):
            return f"The name must be {constraints.name!r}, as was asked for, not {name!r}."
    if isinstance(age, int):
        if constraints.age is not None and age != constraints.age:
            return f"The age must be {constraints.age}, as was asked for, not {age}."
        if (
            constraints.age_range
            and not constraints.age_range[0] <= age <= constraints.age_range[1]
        ):
            low, high = constraints.age_range
            return f"The age must be from {low} to {high}, as was asked for, not {age}."
    if constraints.occupation and occupation:
        told = (
            " ".join(str(occupation.get(k) or "") for k in ("title", "description"))
            if isinstance(occupation, dict)
            else str(occupation)
        )
        wanted = [w for w in fold_words(constraints.occupation).split() if w not in _MINOR]
        # Only word stems are compared: "teacher" agrees with "teaching assistant".
        if wanted and not any(w[: max(5, len(w) - 3)] in fold_words(told) for w in wanted):
            shown = occupation.get("title") if isinstance(occupation, dict) else occupation
            must = f"The occupation must be {constraints.occupation!r}, as was asked for"
            return f"{must}, not {shown!r}."
    return None
