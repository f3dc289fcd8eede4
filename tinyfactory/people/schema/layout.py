"""The layout of a person: paths of fields, their other names, and the JSON schemas."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

Json = dict[str, Any]

TIMES = ("morning", "workday", "evening", "weekend")

# Paths of fields that hold one text, and of fields that hold a list of texts.
TEXTS = (
    "gender",
    "nationality",
    "residence",
    "education",
    "occupation.title",
    "occupation.organization",
    "occupation.description",
    "style",
    "health",
)
LISTS = (
    "personality.traits",
    "preferences.interests",
    "preferences.professional_interests",
    "preferences.likes",
    "preferences.dislikes",
    "skills",
    "beliefs",
    "behaviors.general",
    *(f"behaviors.routines.{time}" for time in (*TIMES, "daily")),
    "long_term_goals",
    "other_facts",
)
# Objects that hold other fields, and the field for a bare text or list in their place.
PARTS = {
    "occupation": "title",
    "personality": "traits",
    "personality.big_five": "",
    "preferences": "interests",
    "behaviors": "general",
    "behaviors.routines": "daily",
}
# Older and foreign names at the top level, and the paths they stand for.
ALIASES = {
    "sex": "gender",
    "country_of_residence": "residence",
    "education_level": "education",
    "job": "occupation.title",
    "job_title": "occupation.title",
    "profession": "occupation.title",
    "occupation_title": "occupation.title",
    "occupation_organization": "occupation.organization",
    "occupation_description": "occupation.description",
    "personality_traits": "personality.traits",
    "traits": "personality.traits",
    "big_five": "personality.big_five",
    "big5": "personality.big_five",
    "interests": "preferences.interests",
    "hobbies": "preferences.interests",
    "personal_interests": "preferences.interests",
    "hobbies_and_interests_list": "preferences.interests",
    "professional_interests": "preferences.professional_interests",
    "likes": "preferences.likes",
    "dislikes": "preferences.dislikes",
    "skills_and_expertise_list": "skills",
    "behaviours": "behaviors",
    "routines": "behaviors.routines",
    "goals": "long_term_goals",
    "career_goals_and_ambitions": "long_term_goals",
}
# The same within an object.
PART_ALIASES = {
    "occupation": {
        "job_title": "title",
        "position": "title",
        "role": "title",
        "organisation": "organization",
        "employer": "organization",
        "company": "organization",
    },
    "personality": {"big5": "big_five", "personality_traits": "traits"},
    "preferences": {"hobbies": "interests", "personal_interests": "interests"},
}
TOP = tuple(
    dict.fromkeys(
        [
            "name",
            "age",
            "relationships",
            *(path.split(".")[0] for path in (*TEXTS, *LISTS, *PARTS)),
        ]
    )
)


def holder(person: dict[str, Any], path: str) -> tuple[dict[str, Any] | None, str]:
    """Return the object that holds the field at a dotted path, or None, and the last key.

    Examples
    --------
    >>> holder({"occupation": {"title": "nurse"}}, "occupation.title")
    ({'title': 'nurse'}, 'title')
    """
    *way, leaf = path.split(".")
    here: Any = person
    for step in way:
        here = here.get(step) if isinstance(here, dict) else None
    return (here if isinstance(here, dict) and leaf in here else None), leaf


def empty(value: Any) -> bool:
    """Tell whether a value is None, a blank text, an empty list or an empty object."""
    return value is None or value in ([], {}) or (isinstance(value, str) and not value.strip())


@lru_cache
def _schema_text(name: str) -> str:
    return Path(__file__).with_name(f"{name}.schema.json").read_text(encoding="utf-8")


def _schema(name: Literal["persona", "contexts"]) -> Json:
    found: Json = json.loads(_schema_text(name))
    return found


def reply_schema() -> Json:
    """Return a copy of the strict JSON schema of a reply that describes a person.

    It is a committed file, not generated from `PersonaSpec`: another version of pydantic must
    not change requests, nor the keys of events.

    Small models deliver what the schema says, not what the prompt says, so each list has bounds:
    without `maxItems` some write on without end. There is no `minLength` and no `maxLength`,
    because OpenAI refuses schemas with them, and no `pattern` for names, because some people have
    one name only.

    Examples
    --------
    >>> list(reply_schema()["properties"])[:3]
    ['name', 'age', 'gender']
    """
    return _schema("persona")


@lru_cache
def shared_reply_schema() -> Json:
    """Return the same schema as one shared object, which must not be changed.

    Hundreds of requests wait at a time. With a copy for each, garbage collection took a fifth
    of the time of a person.
    """
    return reply_schema()


def contexts_schema() -> Json:
    """Return the strict JSON schema of a reply with a list of contexts.

    Examples
    --------
    >>> contexts_schema()["required"]
    ['contexts']
    """
    return _schema("contexts")


def schema_of_contexts(number: int) -> Json:
    """Return the same schema for so many contexts.

    Examples
    --------
    >>> schema_of_contexts(2)["properties"]["contexts"]["maxItems"]
    2
    """
    schema = contexts_schema()
    schema["properties"]["contexts"] |= {"minItems": number, "maxItems": number}
    return schema
