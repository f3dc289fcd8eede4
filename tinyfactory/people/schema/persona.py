"""`PersonaSpec`: the fields of a person, their types and their limits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from tinyfactory.errors import InvalidPersona
from tinyfactory.people.schema.foreign_layouts import canonical
from tinyfactory.people.schema.layout import empty
from tinyfactory.people.schema.values import shown

Json = dict[str, Any]
Score = Annotated[int, Field(ge=0, le=100)]
Texts = Annotated[list[str], Field(default_factory=list)]


class _Part(BaseModel):
    """Fields of known types, and any others."""

    model_config = ConfigDict(extra="allow", strict=True)

    def to_dict(self) -> Json:
        """Return the part as plain JSON: known fields in their order, then the others by name."""
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
    """The work of a person: title, employer, description."""

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
    """Interests, likes and dislikes."""

    interests: Texts
    likes: Texts
    dislikes: Texts


class Routines(_Part):
    """Habits by the time of day or week."""

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
    """The fields of a person. Only the name is required.

    Validation accepts any shape that `people.schema.shapes` knows, and keeps fields that are
    not declared here. The layout follows the agent files of TinyTroupe, so that each tool can
    read the files of the other.

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
        # Invisible spaces or punctuation alone count as blank.
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


def validated(data: Any, *, partial: bool = False) -> Json:
    """Validate a person in any known shape; see `people.schema.normalise.normalise`."""
    if partial and isinstance(data, dict):
        data = canonical(data)
        if empty(data.get("name")):
            whole = validated({**data, "name": "nobody"})
            return {key: value for key, value in whole.items() if key != "name"}
    try:
        return PersonaSpec.model_validate(data).to_dict()
    except ValidationError as error:
        raise InvalidPersona(explain(error.errors(include_url=False), _FIELDS)) from None


def explain(errors: Iterable[Any], fields: dict[str, list[str]]) -> str:
    """Describe each invalid field: its value, and what is expected instead.

    Parameters
    ----------
    errors : iterable of dict
        The result of pydantic's `ValidationError.errors()`.
    fields : dict
        The fields of each part by its key; those of the person under ``""``.
    """
    lines = ["This description of a person cannot be used:"]
    for item in errors:
        path = ".".join(str(step) for step in item["loc"])
        if item["type"] == "value_error" and not path:  # not JSON: the error's own message
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
