"""What a user's words fix about a person: what is certain, and what is only a hint.

A reply that contradicts something *certain* is rejected, and a rejection costs a request.
So a reading is certain only where the words can hardly mean anything else: a key with a
value (``age: 40``), or a statement whose subject is plainly the person. Everything else
("a retired teacher", "in her sixties") stays a hint.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

from tinyfactory.prompts.statements import OTHERS, hints, sentences, statements, with_digits
from tinyfactory.utils.text import fold_words

__all__ = ["Wishes", "contradiction", "read_wishes"]

_LONGEST = 20_000  # characters that are read; wishes stand at the beginning of a text


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a text says of a person; None or an empty tuple where it says nothing.

    Parameters
    ----------
    name, gender, nationality, country, place, occupation : str, optional
    age : int, optional
    age_range : tuple of int, optional
        Youngest and oldest age, both included.
    interests : tuple of str
    certain : frozenset of str
        The fields that the text states outright.
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

    def fixed(self) -> Wishes:
        """Only what is certain.

        Examples
        --------
        >>> read_wishes("a nurse in her sixties").fixed() == Wishes()
        True
        """
        open_fields = {f.name for f in fields(self)} - self.certain - {"certain"}
        unsaid: dict[str, Any] = {n: () if n == "interests" else None for n in open_fields}
        return replace(self, **unsaid)


# Keys of "key: value" lines and of JSON objects, and the field that each means.
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


@lru_cache(maxsize=256)
def read_wishes(text: str | None) -> Wishes:
    """Read what a user's words say of a person.

    Parameters
    ----------
    text : str or None
        Free text, lines of ``key: value``, or a JSON object.

    Returns
    -------
    Wishes
        Hints and certainties; `Wishes.fixed` keeps the certainties.

    Examples
    --------
    >>> wishes = read_wishes("A 34-year-old nurse named Ana Souza from Lisbon who loves chess")
    >>> wishes.name, wishes.age, wishes.occupation, wishes.place, wishes.interests
    ('Ana Souza', 34, 'nurse', 'Lisbon', ('chess',))
    >>> fixed = wishes.fixed()
    >>> fixed.name, fixed.age, fixed.occupation
    ('Ana Souza', 34, None)
    >>> read_wishes("She drinks in a bar called Blue Moon with a dog named Rex.").name is None
    True
    """
    text = (text or "").strip()[:_LONGEST]
    if not text:
        return Wishes()
    keyed = _from_json(text)
    if keyed is None:
        keyed, text = _from_lines(text)
        loose = _from_prose(with_digits(text))
    else:
        # Words beside the fields; the fields count before them.
        also = json.loads(text).get("also")
        loose = _from_prose(with_digits(also)) if isinstance(also, str) else Wishes()
    found = {n: getattr(keyed, n) for n in keyed.certain}
    if "age_range" in found:
        loose = replace(loose, age=None, certain=loose.certain - {"age"})
    if "age" in found:
        loose = replace(loose, age_range=None, certain=loose.certain - {"age_range"})
    return replace(loose, **found, certain=loose.certain | keyed.certain)


def _from_json(text: str) -> Wishes | None:
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
    return Wishes(**found, certain=frozenset(found))


def _from_lines(text: str) -> tuple[Wishes, str]:
    """The `key: value` pairs of a text, and what is left of it."""
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
            # "age: 40, married" and "name: Ana. She ..." end where the value does.
            value = re.split(r",\s|(?<=[^\W\d_]{3})\.\s|\s[-–—]\s", value, maxsplit=1)[0]
        _take(found, field, value.strip(" \t\"'*_.,})"))
        rest.append(text[position : match.start()])
        position = match.start("value") + len(value)
    rest.append(text[position:])
    return Wishes(**found, certain=frozenset(found)), "\n".join(p for p in rest if p.strip())


def _take(found: dict[str, Any], field: str, value: Any) -> None:
    """Put a stated value under its field, when it can be one."""
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
        if gender := _gender(str(value)):
            found["gender"] = gender
    elif isinstance(value, str):
        plain = value.strip()
        unsaid = {"any", "unknown", "none", "anything", "random", "n/a", "?", "-", "tbd"}
        if plain and plain.lower() not in unsaid and len(plain) <= 120:
            found[field] = plain


def _gender(text: str) -> str | None:
    words = text.lower()
    if re.search(r"\bnon-?\s?binary\b", words):
        return "non-binary"
    if re.search(r"\b(?:female|woman|girl|lady|f)\b", words):
        return "female"
    return "male" if re.search(r"\b(?:male|man|boy|gentleman|m)\b", words) else None


def _from_prose(text: str) -> Wishes:
    found: dict[str, Any] = {}
    certain: set[str] = set()
    others = False  # once someone else was mentioned, "she" may be anyone
    for sentence in sentences(text):
        for field, value, sure in statements(sentence, others):
            if field not in found:
                found[field] = value
                if sure:
                    certain.add(field)
        others = others or bool(OTHERS.search(sentence))
    if "age" in found:
        found.pop("age_range", None)
        certain.discard("age_range")
    likely = hints(text)
    if {"age", "age_range"} & found.keys():
        likely.pop("age", None)
        likely.pop("age_range", None)
    found = likely | found
    return Wishes(**found, certain=frozenset(certain))


_MINOR = frozenset("a an the of in at for and or to with on senior junior retired".split())


def contradiction(wishes: Wishes, persona: dict[str, Any]) -> str | None:
    """Say where a person differs from what the user fixed, in words for the model.

    Parameters
    ----------
    wishes : Wishes
        What is fixed (`Wishes.fixed`).
    persona : dict
        With `name`, `age` and `occupation` (a text, or an object with `title` and
        `description`); what is missing is not compared.

    Returns
    -------
    str or None
        None when nothing contradicts. A name agrees when all its words stand in the
        person's name; an occupation when one significant word of it stands there.

    Examples
    --------
    >>> fixed = read_wishes("name: Ana Souza; age: 34").fixed()
    >>> contradiction(fixed, {"name": "ana maria SOUZA", "age": 34}) is None
    True
    >>> contradiction(fixed, {"name": "Ana Souza", "age": 43})
    'The age must be 34, as was asked for, not 43.'
    """
    name, age, occupation = (persona.get(k) for k in ("name", "age", "occupation"))
    if wishes.name and isinstance(name, str):
        has = fold_words(name).split()
        if not all(word in has for word in fold_words(wishes.name).split()):
            return f"The name must be {wishes.name!r}, as was asked for, not {name!r}."
    if isinstance(age, int):
        if wishes.age is not None and age != wishes.age:
            return f"The age must be {wishes.age}, as was asked for, not {age}."
        if wishes.age_range and not wishes.age_range[0] <= age <= wishes.age_range[1]:
            low, high = wishes.age_range
            return f"The age must be from {low} to {high}, as was asked for, not {age}."
    if wishes.occupation and occupation:
        told = (
            " ".join(str(occupation.get(k) or "") for k in ("title", "description"))
            if isinstance(occupation, dict)
            else str(occupation)
        )
        wanted = [w for w in fold_words(wishes.occupation).split() if w not in _MINOR]
        # The beginning of a word is enough: "teacher" is met by "teaching assistant".
        if wanted and not any(w[: max(5, len(w) - 3)] in fold_words(told) for w in wanted):
            shown = occupation.get("title") if isinstance(occupation, dict) else occupation
            return f"The occupation must be {wishes.occupation!r}, as was asked for, not {shown!r}."
    return None
