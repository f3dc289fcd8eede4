"""Checks that a person in a reply was written at all: lists split, no placeholders, no repetition.

Small models copy words of the schema, put a whole list into one text, and lose track of an age.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from tinyfactory.errors import InvalidPersona
from tinyfactory.people.schema.layout import LISTS, TEXTS, reply_schema
from tinyfactory.people.schema.values import items, shown

Json = dict[str, Any]

# Lists of words; the others are lists of sentences, in which a comma means nothing.
_WORD_LISTS = (
    "preferences.interests",
    "preferences.professional_interests",
    "preferences.likes",
    "preferences.dislikes",
    "skills",
)
_MARK = re.compile(r"\A(?:\(?\d{1,2}[.):]|[-*•–])\s")
_MARKS = re.compile(r"(?:^|(?<=\s))(?:\(?\d{1,2}[.)]|•)\s+")
_SEPARATOR = re.compile(r"[^\S ]|[;,\uff1b\uff0c\u3001•]|\d[.)]")
_COMMA = re.compile(r",(?!\d)|[\uff0c\u3001]")
_AND = re.compile(r"(?:and|or|&|und|et|y|e|og|och|en)\s+", re.IGNORECASE)
_SENTENCE = re.compile(
    r"(?:i|i'm|he|she|they|we|it|my|his|her|their|(?:dis)?likes?|loves?|enjoys?|hates?|prefers?"
    r"|is|has|can|will|but|because|which|who|whose|although|though|when|while|if|so|that|where"
    r"|not|especially|including|ich|er|sie|je|il|elle|yo|eu|mas|pero|aber|mais)\b",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"string|str|text|null|undefined|todo|tbd|placeholder|example|sample(?: text)?|value"
    r"|item ?\d*|(?:first|second|third) (?:context|item|sentence)|x{3,}|lorem ipsum.*|[.…_?*]+"
    r"|insert .{1,60}|your .{1,60} here|whole years"
    r"|(?:full|your|first|last|person'?s) name(?: here)?|first ?name,? (?:and )?(?:last|sur) ?name"
    r"|name surname|city,? (?:and )?country(?: of residence)?|adjective\b.*"
    r"|(?:one|two|three|four|five) (?:to|or) (?:two|three|four|five|six|seven|eight)\b.{0,40}"
    r"|<[^<>]{1,80}>|\[[^\[\]]{1,80}\]|\{[^{}]{1,80}\}|(?:e\. ?g\.|for example,).*",
    re.IGNORECASE | re.DOTALL,
)
_STEPS = tuple((path, path.split(".")) for path in ("name", *TEXTS, *LISTS))
_MOST_TIMES = 3
_FEW_TEXTS = 6


def split_lists(value: Any, path: str = "") -> Any:
    """Split lists that a model wrote as one text, in a person or in the value at a path.

    Only if everything says that it is a list: it is the only item, and has several lines, numbers,
    or short parts with at least two commas. Sentences stay whole.

    Examples
    --------
    >>> split_lists({"skills": ["fishing, camping, and hiking"]})
    {'skills': ['fishing', 'camping', 'hiking']}
    >>> split_lists("Rain, I say, is fair.", "beliefs")
    ['Rain, I say, is fair.']
    """
    if path in LISTS:
        if isinstance(value, list) and len(value) > 1:
            return value
        found = items(value)
        if isinstance(found, list) and len(found) == 1 and isinstance(found[0], str):
            return _parts(found[0], path)
        return value
    if isinstance(value, dict):
        start = f"{path}." if path else ""
        return {key: split_lists(item, f"{start}{key}") for key, item in value.items()}
    return value


def _parts(text: str, path: str) -> list[str]:
    """Return the items in a text; the text alone if it may be one item."""
    if not _SEPARATOR.search(text):
        return [text]
    lines = [_MARK.sub("", line.strip()).strip() for line in text.splitlines() if line.strip()]
    if len(lines) > 1:
        return [line for line in lines if line]
    if _MARKS.match(text) and len(parts := _MARKS.split(text)) > 2:
        return [part.strip(" ,;") for part in parts if part.strip(" ,;")]
    parts = [part.strip() for part in re.split("[;\uff1b]", text) if part.strip()]
    whole = path in _WORD_LISTS or all(part[:1].isupper() for part in parts)
    if len(parts) > 2 and whole and all(len(part.split()) <= 8 for part in parts):
        return [_AND.sub("", part) if _AND.match(part) else part for part in parts]
    words = 4 if path in _WORD_LISTS else 2 if path == "personality.traits" else 0
    parts = [part.strip() for part in _COMMA.split(text.rstrip(" .")) if part.strip()]
    if len(parts) > 2 and words:
        parts = [_AND.sub("", part, count=1) if _AND.match(part) else part for part in parts]
        short = all(len(part.split()) <= words and len(part) <= 40 for part in parts)
        ends = any(re.search(r"[.!?:](?:\s|$)|[()]", part) for part in parts)
        if short and not ends and not any(_SENTENCE.match(part) for part in parts):
            return parts
    return [text]


def check_written(persona: Json, part: str = "") -> None:
    """Reject a person with placeholders, or whose fields merely repeat.

    With `part`, only the texts at and below that path are checked.

    Raises
    ------
    InvalidPersona
        With a reason that can be sent to the model.

    Examples
    --------
    >>> check_written({"name": "Ana", "skills": ["string"]})
    Traceback (most recent call last):
        ...
    tinyfactory.errors.InvalidPersona: skills: "string" is a placeholder. Write what this person ...
    """
    texts: Counter[str] = Counter()
    for path, text in _texts(persona):
        if part and path != part and not path.startswith(f"{part}."):
            continue
        if is_placeholder(text):
            raise InvalidPersona(
                f"{path}: {shown(text)} is a placeholder. Write what this person has there."
            )
        if path not in ("name", *TEXTS[:4]):
            texts[" ".join(text.casefold().split())] += 1
    for text, times in texts.items():
        if times > _MOST_TIMES and len(text.split()) > _MOST_TIMES:
            raise InvalidPersona(
                f"The text {shown(text)} is there {times} times. Write something of its own in "
                "each field and each item."
            )
    if texts.total() >= _FEW_TEXTS and len(texts) <= texts.total() / 2:
        raise InvalidPersona(
            "The fields repeat the same texts. Write something of its own in each field and item."
        )


def is_placeholder(text: str) -> bool:
    """Tell whether a text was copied from a schema or a prompt.

    Examples
    --------
    >>> is_placeholder("string"), is_placeholder("e.g. a nurse"), is_placeholder("a nurse")
    (True, True, False)
    """
    plain = text.strip().strip("\"'").strip()
    copied = plain.rstrip(".").casefold() in _descriptions()
    return copied or _PLACEHOLDER.fullmatch(plain) is not None


def _texts(persona: Json) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each known field and of each item of the known lists."""
    for path, steps in _STEPS:
        value: Any = persona
        for step in steps:
            value = value.get(step) if isinstance(value, dict) else None
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str):
                yield path, text
    for someone in persona.get("relationships") or []:
        for text in someone.values() if isinstance(someone, dict) else ():
            if isinstance(text, str):
                yield "relationships", text


@lru_cache
def _descriptions() -> frozenset[str]:
    """The descriptions of the schema, which small models copy."""

    def within(schema: Any) -> Iterator[str]:
        if isinstance(schema, dict):
            if isinstance(schema.get("description"), str):
                yield schema["description"].rstrip(".").casefold()
            for part in schema.values():
                yield from within(part)

    # "Gender." is no proof.
    return frozenset(text for text in within(reply_schema()) if " " in text)


# -- doubts -----------------------------------------------------------------------------

# Scripts that write a full name without a space.
_NO_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uac00-\ud7af·・]"
)
# Words of a context in which one name is right, and places where many people have only one.
_ONE_NAME = re.compile(
    r"\b(?:mononyms?|(?:single|one)[- ](?:word )?names?|nick ?names?|(?:first|given) names?"
    r"|stage names?|code ?names?|(?:no|without) (?:an? )?(?:sur|last |family )names?|pets?|dogs?"
    r"|cats?|animals?|robots?|androids?|aliens?|elves|elf|hobbits?|gods?|vornamen?|spitznamen?"
    r"|prénoms?|surnoms?|apodos?|apelidos?|java|indonesian?|myanmar|burm\w+|afghan\w*|tibet\w*"
    r"|bhutan\w*|mongol\w*|tamil\w*|ancient|medieval|slaves?)\b",
    re.IGNORECASE,
)


def one_word_name(persona: Json, told: str) -> str | None:
    """Say that a full name is missing, unless the prompt or the place of the person allow it.

    Examples
    --------
    >>> one_word_name({"name": "Ana"}, "Nurses in Lisbon")
    'The name "Ana" is one word. Give the full name: first and last name.'
    >>> one_word_name({"name": "Rex"}, "Dogs of Lisbon") is None
    True
    """
    name = str(persona.get("name") or "")
    around = f"{told} {persona.get('nationality', '')} {persona.get('residence', '')}"
    if len(name.split()) > 1 or _NO_SPACES.search(name) or _ONE_NAME.search(around):
        return None
    return f"The name {shown(name)} is one word. Give the full name: first and last name."


_CHILD, _OLD, _YOUNG = 15, 80, 35
_ADULT_WORK = re.compile(
    r"\b(?:surgeon|physician|doctor|dentist|pharmacist|nurse|midwife|lawyer|attorney|judge|notary"
    r"|professor|lecturer|teacher|manager|director|executive|ceo|cfo|engineer|architect|accountant"
    r"|banker|economist|pilot|captain|officer|detective|soldier|firefighter|scientist|psychologist"
    r"|therapist|consultant|minister|senator|mayor|bus driver|truck driver|electrician)\b",
    re.IGNORECASE,
)
_LEARNING = re.compile(
    r"\b(?:student|pupil|school\w*|aspiring|future|wannabe|would-be|dream\w*|trainee|apprentice"
    r"|intern|child|kid|pretend\w*|toy|game|prodigy|wants to|hopes to)\b",
    re.IGNORECASE,
)
_NO_JOB = re.compile(
    r"\b(?:young|player|play|club|team|class|volunteer|actor|actress|helper|assistant)\b",
    re.IGNORECASE,
)
_EMPLOYED = re.compile(
    r"\b(?:manager|director|nurse|midwife|surgeon|teacher|engineer|police\w*|officer|detective"
    r"|soldier|firefighter|paramedic|pilot|driver|electrician|plumber|mechanic|miner|welder"
    r"|cashier|receptionist|clerk|analyst|accountant|developer|programmer|technician|banker"
    r"|administrator|supervisor|foreman|postman|waiter|waitress|flight attendant)\b",
    re.IGNORECASE,
)
_NOT_EMPLOYED = re.compile(
    r"\b(?:retire[ds]?|retirement|former(?:ly)?|ex|emerit\w+|pension\w*|used to|once|was|had been"
    r"|worked|honorary|volunteer\w*|own\w*|found(?:er|ed)|family|part[- ]time|self-employed"
    r"|consult\w*|advis\w*|semi-retired|till \d|until \d|no longer|still|occasional\w*)\b",
    re.IGNORECASE,
)
_RETIRED = re.compile(r"(?:retired|retiree|pensioner)\b", re.IGNORECASE)
_EARLY_END = re.compile(
    r"injur|disab|illness|sick|disease|accident|military|army|navy|soldier|veteran|athlet|football"
    r"|soccer|player|boxer|gymnast|skater|swimmer|cyclist|champion|dancer|ballet|model|actor"
    r"|actress|sold |start-?up|crypto|lotter|inherit|invest|wealth|rich|early|early retire|burn",
    re.IGNORECASE,
)


def age_against_work(persona: Json) -> str | None:
    """Say that age and work cannot both be right, only where that is certain.

    Examples
    --------
    >>> age_against_work({"age": 90, "occupation": {"title": "Senior Bank Manager"}})
    'A person of 90 is not employed as Senior Bank Manager. Change the age or the occupation, ...'
    >>> age_against_work({"age": 90, "occupation": {"title": "Retired bank manager"}}) is None
    True
    """
    age, work = persona.get("age"), persona.get("occupation") or {}
    if not isinstance(age, int) or not isinstance(work, dict):
        return None
    title, told = str(work.get("title", "")), " ".join(map(str, work.values()))
    reason = None
    learns = _LEARNING.search(told) or _NO_JOB.search(title)
    if age <= _CHILD and _ADULT_WORK.search(title) and not learns:
        reason = f"A child of {age} is not employed as {title}."
    elif age >= _OLD and _EMPLOYED.search(title) and not _NOT_EMPLOYED.search(told):
        reason = f"A person of {age} is not employed as {title}."
    elif age <= _YOUNG and _RETIRED.match(title) and not _EARLY_END.search(str(persona)):
        reason = f"A person of {age} is not retired without a reason."
    if reason is None:
        return None
    return f"{reason} Change the age or the occupation, or say in the occupation how that came."
