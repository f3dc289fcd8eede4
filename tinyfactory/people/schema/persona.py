"""The schema of a person: what one may consist of, and what cannot be."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable
from functools import lru_cache
from importlib import resources
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from tinyfactory.errors import InvalidPersona
from tinyfactory.people.schema.layout import empty
from tinyfactory.people.schema.normalise import canonical

# Enough for all that are being made at one time; a digest each.
_MOST = 2_000


class Known:
    """Remembers the latest descriptions by a digest of their text, keys in their order.

    Examples
    --------
    >>> known = Known()
    >>> known.note({"name": "Ana", "age": 34})
    >>> known.copy({"name": "Ana", "age": 34}), known.copy({"age": 34, "name": "Ana"})
    ({'name': 'Ana', 'age': 34}, None)
    """

    def __init__(self) -> None:
        self._digests: dict[bytes, None] = {}
        self._lock = threading.Lock()

    def note(self, persona: Json) -> None:
        """Remember a description; of too many, the oldest is forgotten."""
        own = _digest(_text(persona))
        with self._lock:
            self._digests[own] = None
            while len(self._digests) > _MOST:
                del self._digests[next(iter(self._digests))]

    def copy(self, data: Any) -> Json | None:
        """A copy of a description that is remembered, else None."""
        if not self._digests:
            return None
        try:
            text = _text(data)
        except (TypeError, ValueError, RecursionError):
            return None  # not JSON, so it never came out of here
        if _digest(text) not in self._digests:
            return None
        found: Json = json.loads(text)
        # A key 1 and a key "1", a tuple and a list have one text.
        return found if found == data else None

    def forget(self) -> None:
        """Forget all, so that everything is gone through again."""
        with self._lock:
            self._digests.clear()


def _text(data: Any) -> str:
    return json.dumps(data)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("ascii")).digest()


Json = dict[str, Any]
Score = Annotated[int, Field(ge=0, le=100)]
Texts = Annotated[list[str], Field(default_factory=list)]
_known = Known()


class _Part(BaseModel):
    """Fields of known types, and whatever else someone adds."""

    model_config = ConfigDict(extra="allow", strict=True)

    def to_dict(self) -> Json:
        """The part as plain JSON: known fields in their order, then the others by name."""
        out: Json = {}
        for name in type(self).model_fields:
            value = _dump(getattr(self, name))
            if value not in (None, "", [], {}):
                out[name] = value
        return out | dict(sorted((self.model_extra or {}).items()))


def _dump(value: Any) -> Any:
    if isinstance(value, list):
        return [_dump(item) for item in value]
    return value.to_dict() if isinstance(value, _Part) else value


class Occupation(_Part):
    """What a person does, where, and what that is like."""

    title: str | None = None
    organization: str | None = None
    description: str | None = None


class BigFive(_Part):
    """The five traits, each from 0 to 100."""

    openness: Score | None = None
    conscientiousness: Score | None = None
    extraversion: Score | None = None
    agreeableness: Score | None = None
    neuroticism: Score | None = None


class Personality(_Part):
    """Traits in words and in numbers."""

    traits: Texts
    big_five: BigFive | None = None


class Preferences(_Part):
    """What a person cares for, and what not."""

    interests: Texts
    likes: Texts
    dislikes: Texts


class Routines(_Part):
    """What a person usually does, by the time of day or week."""

    morning: Texts
    workday: Texts
    evening: Texts
    weekend: Texts


class Behaviors(_Part):
    """Habits, and routines by the time of day."""

    general: Texts
    routines: Routines | None = None


class Relationship(_Part):
    """Someone in a person's life."""

    name: str | None = None
    description: str | None = None


class PersonaSpec(_Part):
    """Who a person is. Only the name is required.

    Validating takes any shape that `people.schema.normalise` understands, and keeps fields that
    are not declared here. The layout follows the agent files of TinyTroupe, so that each side can
    read the other's.

    Examples
    --------
    >>> PersonaSpec.model_validate({"name": "Ana", "age": "34"}).age
    34
    """

    name: Annotated[str, Field(max_length=200)]
    age: Annotated[int, Field(ge=0, le=120)] | None = None
    gender: str | None = None
    nationality: str | None = None
    residence: str | None = None
    education: str | None = None
    occupation: Occupation | None = None
    style: str | None = None
    personality: Personality | None = None
    preferences: Preferences | None = None
    skills: Texts
    beliefs: Texts
    behaviors: Behaviors | None = None
    health: str | None = None
    relationships: Annotated[list[Relationship], Field(default_factory=list)]
    long_term_goals: Texts
    other_facts: Texts

    @model_validator(mode="before")
    @classmethod
    def _any_shape(cls, data: Any) -> Any:
        return canonical(data) if isinstance(data, dict) else data

    @field_validator("name")
    @classmethod
    def _not_blank(cls, name: str) -> str:
        # Spaces that do not show, or punctuation alone, are as good as blank.
        if not any(character.isalnum() for character in name):
            raise ValueError("blank")
        return name


_FIELDS = {
    "": list(PersonaSpec.model_fields),
    "occupation": list(Occupation.model_fields),
    "personality": list(Personality.model_fields),
    "big_five": list(BigFive.model_fields),
    "preferences": list(Preferences.model_fields),
    "behaviors": list(Behaviors.model_fields),
    "routines": list(Routines.model_fields),
    "relationships": list(Relationship.model_fields),
}


def normalise(data: Any, *, partial: bool = False) -> Json:
    """A person in any known shape as plain JSON in the one layout.

    Parameters
    ----------
    data : dict
        See `PersonaSpec`. What is unknown is kept; what is empty is left out.
    partial : bool
        Whether the name may be missing, as in a fragment or a person not yet finished.

    Returns
    -------
    dict
        Known fields in the order of the schema, then the others sorted by name.
        Normalising it again changes nothing.

    Raises
    ------
    InvalidPersona
        For what cannot be (age 190, a blank name), in words that can be sent to a model.

    Examples
    --------
    >>> normalise({"skills": [{"skill": "sewing"}], "Age": "34", "name": " Ana "})
    {'name': 'Ana', 'age': 34, 'skills': ['sewing']}
    >>> normalise({"name": "Ana", "age": 190})
    Traceback (most recent call last):
        ...
    tinyfactory.errors.InvalidPersona: This description of a person cannot be used:
    - age: 190 is not possible; expected a whole number from 0 to 120.
    """
    if (known := _known.copy(data)) is not None:
        return known
    if partial and isinstance(data, dict):
        data = canonical(data)
        if empty(data.get("name")):
            whole = normalise({**data, "name": "nobody"})
            return {key: value for key, value in whole.items() if key != "name"}
    try:
        found = PersonaSpec.model_validate(data).to_dict()
    except ValidationError as error:
        raise InvalidPersona(explain(error.errors(include_url=False), _FIELDS)) from None
    _known.note(found)
    return found


def merge(persona: Json, fragment: Any) -> Json:
    """The person with a fragment merged in: objects deeply, lists appended, the rest replaced.

    Raises
    ------
    InvalidPersona
        When the outcome cannot be; `persona` is never changed.

    Examples
    --------
    >>> merge({"name": "Ana", "skills": ["chess"]}, {"type": "Fragment",
    ...       "persona": {"skills": ["chess", "sewing"]}})
    {'name': 'Ana', 'skills': ['chess', 'sewing']}
    """
    if not isinstance(fragment, dict):
        raise InvalidPersona(f"A fragment is an object with fields, not {shown(fragment)}.")
    old, new = (_known.copy(one) or canonical(one) for one in (persona, fragment))
    return normalise(_merged(old, new))


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        both = {key: _merged(old[key], new[key]) for key in old if key in new}
        return old | new | both
    if isinstance(old, list) and isinstance(new, list):
        return old + [item for item in new if item not in old]
    return new


def check_generated(persona: Json) -> None:
    """Demand of a person that a model wrote what every generated person has.

    Raises
    ------
    InvalidPersona
        Listing what is missing of age, nationality or residence, and occupation title.

    Examples
    --------
    >>> check_generated({"name": "Ana", "age": 34, "residence": "Recife"})
    Traceback (most recent call last):
        ...
    tinyfactory.errors.InvalidPersona: This description of a person is not complete:
    - occupation.title: missing; expected what the person does, as text.
    """
    missing = []
    if persona.get("age") is None:
        missing.append("age: missing; expected a whole number from 0 to 120.")
    if not persona.get("nationality") and not persona.get("residence"):
        missing.append("nationality or residence: missing; expected at least one, as text.")
    if not persona.get("occupation", {}).get("title"):
        missing.append("occupation.title: missing; expected what the person does, as text.")
    if missing:
        head = "This description of a person is not complete:"
        raise InvalidPersona("\n- ".join([head, *missing]))


@lru_cache
def _schema_text(name: str) -> str:
    folder = resources.files("tinyfactory.people")
    return (folder / f"{name}.schema.json").read_text(encoding="utf-8")


def _schema(name: Literal["persona", "contexts"]) -> Json:
    found: Json = json.loads(_schema_text(name))
    return found


def reply_schema() -> Json:
    """The strict JSON schema that a model is asked to fill; a copy, free to change.

    It is a committed file, not a rendering of `PersonaSpec`: another version of pydantic must
    not change what is sent, nor what the journal looks up.

    Examples
    --------
    >>> list(reply_schema()["properties"])[:3]
    ['name', 'age', 'gender']
    """
    return _schema("persona")


@lru_cache
def shared_reply_schema() -> Json:
    """The same schema, one object for all who only read it.

    Hundreds of requests wait at a time. With copies of their own, collecting garbage took a
    fifth of the time that a person takes.
    """
    return reply_schema()


def contexts_schema() -> Json:
    """The strict JSON schema of a list of contexts.

    Examples
    --------
    >>> contexts_schema()["required"]
    ['contexts']
    """
    return _schema("contexts")


def explain(errors: Iterable[Any], fields: dict[str, list[str]]) -> str:
    """What is wrong and what is expected, field by field, as one would tell the author.

    Parameters
    ----------
    errors : iterable of dict
        What pydantic's `ValidationError.errors()` gives.
    fields : dict
        The fields of each part, by the part's last name; of the whole under ``""``.
    """
    lines = ["This description of a person cannot be used:"]
    for item in errors:
        path = ".".join(str(step) for step in item["loc"])
        if item["type"] == "value_error" and not path:  # not even JSON: its own words
            lines.append(str(item["ctx"]["error"]))
        elif item["type"] == "missing":
            lines.append(f"{path}: missing; expected {_expected(path, item['type'], fields)}.")
        else:
            what = shown(item["input"])
            expected = _expected(path, item["type"], fields)
            lines.append(f"{path or 'the whole'}: {what} is not possible; expected {expected}.")
    more = len(lines) - 11
    if more > 0:
        lines[11:] = [f"and {more} more."]
    return "\n- ".join(lines)


def _expected(path: str, kind: str, fields: dict[str, list[str]]) -> str:
    if path == "name":
        return "a name of 1 to 200 characters that has letters"
    if path == "age":
        return "a whole number from 0 to 120"
    if ".big_five." in path:
        return "a whole number from 0 to 100"
    if kind == "list_type":
        return "a list of people" if path == "relationships" else "a list of texts"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        part = [step for step in path.split(".") if not step.isdigit()][-1]
        return f"an object with {', '.join(fields[part])}"
    return "text"


def shown(value: Any) -> str:
    """A value as JSON, cut short."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
