"""Fields of a person for display and forms: headings, labels, and values as text.

A value converts to text and back without loss. A value that plain text cannot hold, such as a
list with line breaks in its items, is edited as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from tinyfactory.errors import InvalidPersona
from tinyfactory.people.schema import edits
from tinyfactory.people.schema.big_five import TRAITS
from tinyfactory.people.schema.layout import LISTS, PARTS, TEXTS
from tinyfactory.people.schema.values import shown
from tinyfactory.utils.text import article

Json = dict[str, Any]
Kind = Literal["line", "text", "number", "list", "people", "json"]

SECTIONS = {
    "Identity": ("age", "gender", "nationality", "residence", "education", "occupation"),
    "Personality and style": ("personality", "style"),
    "Interests, skills and beliefs": ("preferences", "skills", "beliefs"),
    "Habits and routines": ("behaviors",),
    "Life": ("health", "relationships", "long_term_goals", "other_facts"),
}
MORE = "More"
HINTS = {
    "line": "",
    "text": "",
    "number": "",
    "list": "One a line.",
    "people": "One a line, as “Name: who it is”.",
    "json": "As JSON.",
}
_BIG_FIVE = tuple(f"personality.big_five.{trait}" for trait in TRAITS)
_NUMBERS = ("age", *_BIG_FIVE)
_LONG = ("education", "occupation.description", "style", "health")
# Fields of other shapes; shown if they have a value, but not offered empty.
_FOREIGN = ("preferences.professional_interests", "behaviors.routines.daily")
_OFFERED = tuple(
    path
    for path in ("name", "age", *TEXTS[:-2], LISTS[0], *_BIG_FIVE, "style", *LISTS[1:], "health")
    if path not in _FOREIGN
)
_WHOLE = re.compile(r"[+-]?[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Field:
    """A field that can be edited: its path, its kind of input, and its heading."""

    path: str
    kind: Kind
    section: str

    @property
    def label(self) -> str:
        """The name of the field in words, after its part: "Occupation: title"."""
        return path_in_words(self.path)


def in_words(key: str) -> str:
    """Write a key in words.

    Examples
    --------
    >>> in_words("long_term_goals")
    'Long term goals'
    """
    words = key.replace("_", " ").strip() or key
    return words[:1].upper() + words[1:]


def path_in_words(path: str) -> str:
    """Write the last two keys of a dotted path in words.

    Examples
    --------
    >>> path_in_words("personality.big_five.openness"), path_in_words("age")
    ('Big five: openness', 'Age')
    """
    return in_words(": ".join(path.split(".")[-2:]))


def sections(persona: Json) -> list[tuple[str, list[str]]]:
    """Return the present top-level fields by heading; unknown ones come last."""
    known = {"name", *(key for keys in SECTIONS.values() for key in keys)}
    found = [(title, [k for k in keys if k in persona]) for title, keys in SECTIONS.items()]
    return [*found, (MORE, [key for key in persona if key not in known])]


def section_of(path: str) -> str:
    """Return the heading of a field.

    Examples
    --------
    >>> section_of("occupation.title"), section_of("name"), section_of("cats")
    ('Identity', 'Identity', 'More')
    """
    key = path.split(".")[0]
    return next((title for title, keys in SECTIONS.items() if key in ("name", *keys)), MORE)


def fields(persona: Json) -> list[Field]:
    """Return all fields that a person has or could have, in the order of display.

    Examples
    --------
    >>> [f.path for f in fields({"name": "Ana", "cats": 2}) if f.section in ("Identity", "More")]
    ... # doctest: +NORMALIZE_WHITESPACE
    ['name', 'age', 'gender', 'nationality', 'residence', 'education', 'occupation.title',
     'occupation.organization', 'occupation.description', 'cats']
    """
    out = []
    for title, keys in SECTIONS.items():
        for key in ("name", *keys) if title == "Identity" else keys:
            there = dict(_leaves(persona, (key,)))
            paths = dict.fromkeys([*_offered(key), *there])
            out += [Field(path, _kind(path, there.get(path)), title) for path in paths]
    more = dict(sections(persona))[MORE]
    return out + [Field(key, _kind(key, persona[key]), MORE) for key in more]


def parts(persona: Json) -> list[tuple[str, str]]:
    """Return path and label of everything that can be rewritten: parts and single fields."""
    out: list[tuple[str, str]] = []
    for title, keys in SECTIONS.items():
        for key in keys:
            if key in PARTS:
                out.append((key, f"{in_words(key)}, the whole part"))
            out += [(f.path, f.label) for f in fields(persona) if _within(f, key, title)]
    return out + [(f.path, f.label) for f in fields(persona) if f.section == MORE]


def as_text(kind: Kind, value: Any) -> str:
    """Write a value as text for a form; None is an empty text.

    Examples
    --------
    >>> as_text("people", [{"name": "Bia", "description": "a sister"}])
    'Bia: a sister'
    """
    if value is None:
        return ""
    if kind == "list":
        return "\n".join(value)
    if kind == "people":
        return "\n".join(": ".join(item[key] for key in ("name", "description")) for item in value)
    if kind == "json":
        return json.dumps(value, ensure_ascii=False, indent=2)
    return str(value)


def from_text(field: Field, text: str) -> Any:
    r"""Read a value from the text of a form; an empty text is None, which removes the field.

    Raises
    ------
    InvalidPersona
        For a text that is not of the field's kind.

    Examples
    --------
    >>> from_text(Field("skills", "list", ""), "sewing\n\n chess")
    ['sewing', 'chess']
    """
    text = text.strip()
    if not text:
        return None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if field.kind == "list":
        return lines
    if field.kind == "people":
        return [_someone(line) for line in lines]
    if field.kind == "number":
        if not _WHOLE.fullmatch(text):
            most = 120 if field.path == "age" else 100
            raise InvalidPersona(
                f"{shown(text)} is not possible; expected a whole number from 0 to {most}."
            )
        return int(text)
    if field.kind == "json":
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidPersona(f"This is not JSON ({error}). Texts need double quotes.") from None
    return " ".join(lines) if field.kind == "line" else text


def check(persona: Json, field: Field, text: str) -> Any:
    """Read a value from the text of a form and validate it; `persona` is not changed.

    Raises
    ------
    InvalidPersona
        With the error of this field, as `normalise` writes it.
    """
    value = from_text(field, text)
    try:
        edits.defined(persona, [(field.path, value)])
    except InvalidPersona as error:
        raise InvalidPersona(reason(error)) from None
    return value


def reason(error: BaseException) -> str:
    r"""Return the message of an error without the heading of its list.

    Examples
    --------
    >>> reason(InvalidPersona("This cannot be used:\n- age: 190 is not possible."))
    'age: 190 is not possible.'
    """
    head, *lines = str(error).split("\n- ")
    return " ".join(lines) or head


def _offered(key: str) -> list[str]:
    if key == "relationships":
        return [key]
    return [path for path in _OFFERED if path == key or path.startswith(f"{key}.")]


def _within(field: Field, key: str, section: str) -> bool:
    return field.section == section and field.path.split(".")[0] == key


def _leaves(persona: Json, way: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Yield path and value of the fields at or below a path."""
    value: Any = persona
    for step in way:
        if not isinstance(value, dict) or step not in value:
            return
        value = value[step]
    path = ".".join(way)
    if path in PARTS and isinstance(value, dict) and not any("." in key for key in value):
        for key in value:
            yield from _leaves(persona, (*way, key))
    else:
        yield path, value


def _kind(path: str, value: Any) -> Kind:
    """Return the kind of input of a field: the usual one, unless its value needs JSON."""
    kind: Kind = "json"
    if path in _NUMBERS:
        kind = "number"
    elif path in LISTS:
        kind = "list"
    elif path == "relationships":
        kind = "people"
    elif path in _LONG:
        kind = "text"
    elif path == "name" or path in TEXTS:
        kind = "line"
    elif isinstance(value, str):
        kind = "text"
    elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        kind = "list"
    return kind if value is None or _held(Field(path, kind, ""), value) else "json"


def _held(field: Field, value: Any) -> bool:
    """Tell whether a value converts to text and back without loss."""
    try:
        return bool(from_text(field, as_text(field.kind, value)) == value)
    except (InvalidPersona, KeyError, TypeError):
        return False


def _someone(line: str) -> Json:
    name, colon, description = (part.strip() for part in line.partition(": "))
    if not colon:
        return {"description": line}
    return {"name": name, "description": description}


# Occupations that are not nouns.
_ADJECTIVES = frozenset(("retired", "unemployed", "self-employed", "freelance", "employed"))


def minibio(persona: dict[str, Any]) -> str:
    """Write name, age, nationality, occupation and residence in one line; any may be missing.

    Examples
    --------
    >>> minibio({"name": "Ana Souza", "age": 34, "nationality": "Brazilian",
    ...          "occupation": {"title": "Nurse"}, "residence": "São Paulo, Brazil"})
    'Ana Souza is a 34-year-old Brazilian nurse who lives in São Paulo, Brazil.'
    >>> minibio({"name": "Ana Souza"})
    'Ana Souza.'
    """
    name = _short(persona.get("name"))
    age = persona.get("age")
    nationality = _short(persona.get("nationality"))
    title = _title(_short((persona.get("occupation") or {}).get("title")))
    residence = _short(persona.get("residence"))
    who = ""
    if nationality or title:
        words = [f"{age}-year-old" if age is not None else "", nationality, title or "person"]
        who = "is " + article(" ".join(word for word in words if word))
    elif age is not None:
        who = f"is {age} year{'' if age == 1 else 's'} old"
    lives = f"lives in {residence}" if residence else ""
    if nationality or title:
        joined = " who ".join(part for part in (who, lives) if part)
    else:
        joined = " and ".join(part for part in (who, lives) if part)
    return " ".join(part for part in (name, joined) if part).rstrip(".") + "."


def _short(value: Any) -> str:
    """Write a value in one line without a full stop, and short, as it enters prompts."""
    words = " ".join(str(value or "").split()).rstrip(".;, ")
    return words if len(words) <= 120 else words[:119].rstrip() + "…"


def _title(title: str) -> str:
    """Write an occupation's title as part of a sentence."""
    title = re.sub(r"(?i)^(?:an?|the)\s+", "", title)
    if title.lower() in _ADJECTIVES:
        return f"{title.lower()} person"
    # "Nurse" is not at the start of a sentence; "English teacher" and "CEO" keep capitals.
    if re.fullmatch(r"[^\W\d_][a-zà-ÿ'-]*", title) or re.match(r"[A-Z][a-z-]+ [a-z]", title):
        first = title.split()[0]
        return title if first in _PROPER else title[:1].lower() + title[1:]
    return title


_PROPER = (
    *("Arabic", "Catholic", "Chinese", "English", "French", "German", "Hindi", "Italian"),
    *("Japanese", "Korean", "Latin", "Portuguese", "Russian", "Spanish", "Turkish"),
)
