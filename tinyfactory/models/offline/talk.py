"""The offline writer asked to talk, or to write one field anew.

It cannot hold a conversation and says so; then it says what the description has on the matter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tinyfactory.models.chat import ChatRequest
from tinyfactory.models.offline.generic import instance
from tinyfactory.models.offline.reading import read_brief
from tinyfactory.models.offline.writing import write_persona
from tinyfactory.utils.random import Dice
from tinyfactory.utils.text import fold

Json = dict[str, Any]
_MOST_FIELDS = 3
_TRIES = 20
# Words of a question that say nothing of what it is about.
_STOP = frozenset(
    "a an and any are about at be been can could did do does for from had has have how i if in is "
    "it its me my of on or please so some tell that the their them there they this to us was we "
    "were what when where which who why will with would you your yours think feel much many day "
    "usual usually really very most best".split()
)
# What people ask about, and the field that tells of it.
_ABOUT = {
    "name": "called introduce yourself",
    "age": "old years born birthday",
    "residence": "live home city country town place",
    "nationality": "country",
    "education": "school study studied degree university learn learnt train",
    "occupation": "job work profession living earn office employer career money",
    "personality": "character person trait traits yourself describe temper",
    "preferences.interests": "hobby hobbies free time interest pastime sport weekend",
    "preferences.likes": "like love enjoy favourite favorite",
    "preferences.dislikes": "dislike hate annoy angry bother",
    "skills": "good skill able talent",
    "beliefs": "believe opinion view value important politics",
    "behaviors.general": "habit habits",
    "behaviors.routines.morning": "morning breakfast",
    "behaviors.routines.workday": "workday lunch",
    "behaviors.routines.evening": "evening night dinner",
    "behaviors.routines.weekend": "weekend saturday sunday",
    "health": "healthy ill sick doctor sleep",
    "relationships": "family friend friends partner wife husband child children mother father",
    "long_term_goals": "goal dream want wish future plan hope",
    "other_facts": "childhood past memory remember worry",
}


def talk(request: ChatRequest) -> str:
    """What stands in the description on what was asked, said to be that and no more.

    Examples
    --------
    >>> told = '<person>{"name": "Ana", "skills": ["sewing"], "age": 34}</person>'
    >>> asked = ({"role": "system", "content": told}, {"role": "user", "content": "What skills?"})
    >>> print(talk(ChatRequest(asked, schema_name="talk")))
    The offline writer cannot hold a conversation; it can only say what stands in the \
description: Skills: sewing.
    """
    person = _person(str(request.messages[0].get("content", "")) if request.messages else "")
    question = str(request.messages[-1].get("content", "")) if request.messages else ""
    told = _told(person, question)
    head = "The offline writer cannot hold a conversation; it can only say what stands in the"
    if told:
        return f"{head} description: {' '.join(told)}"
    known = [_sentence(path, value) for path, value in _fields(person)][:_MOST_FIELDS]
    if not known:
        return f"{head} description, and that is empty."
    return f"{head} description, and finds nothing there on this. It begins: {' '.join(known)}"


def rewrite(request: ChatRequest, seed: int, dice: Dice) -> Json:
    """The field asked for, as it stands in another person of whom the rest is the same."""
    text = str(request.messages[-1].get("content", "")) if request.messages else ""
    path, key, wish = _part(text, "field"), _part(text, "key"), _part(text, "wish")
    person = _person(text)
    language = re.search(r"Write all text in (.+?)\. Keep", str(request.messages[0]["content"]))
    now = _json(_part(text, "now"))
    for _ in range(_TRIES):
        brief = read_brief(_brief(_part(text, "context"), person, wish, language))
        found: Any = write_persona(brief, seed, Dice(dice.integer(0, 2**53)))
        for step in path.split("."):
            found = found.get(step) if isinstance(found, dict) else None
        if found is None:  # no field of the layout
            break
        if found not in (now, "", []):
            return {key: found}
    made: Json = instance(request.schema or {}, dice)
    return made


def _brief(context: str, person: Json, wish: str, language: re.Match[str] | None) -> ChatRequest:
    """A request for a person of whom the same is fixed."""
    fixed = {
        "name": person.get("name"),
        "age": person.get("age"),
        "gender": person.get("gender"),
        "nationality": person.get("nationality"),
        "residence": person.get("residence"),
        "occupation": (person.get("occupation") or {}).get("title"),
        "also": wish,
    }
    kept = {key: value for key, value in fixed.items() if value not in (None, "")}
    text = (
        f"<context>{context or 'People of everyday life'}</context>"
        f"<language>{language[1] if language else 'English'}</language>"
        f"<particularities>{json.dumps(kept, ensure_ascii=False)}</particularities>"
    )
    return ChatRequest(({"role": "user", "content": text},), schema_name="persona")


def _told(person: Json, question: str) -> list[str]:
    """Fields that have to do with the question, the likeliest first."""
    words = {_stem(word) for word in _words(question)} - {_stem(word) for word in _STOP}
    scored = []
    for place, (path, value) in enumerate(_fields(person)):
        about = {_stem(word) for word in _words(f"{path} {_ABOUT.get(path, '')}")}
        about |= {_stem(word) for word in _words(_ABOUT.get(path.split(".")[0], ""))}
        items = value if isinstance(value, list) else [value]
        hits = [item for item in items if words & {_stem(word) for word in _words(_text(item))}]
        score = 3 * len(words & about) + len(hits)
        if score:
            shown = value if words & about else hits if isinstance(value, list) else value
            scored.append((-score, place, _sentence(path, shown)))
    # A field that is about it tells more than one that happens to hold a word of the question.
    least = 3 if any(-score >= 3 for score, *_ in scored) else 1
    told = [sentence for score, _, sentence in sorted(scored) if -score >= least]
    return told[:_MOST_FIELDS]


def _fields(part: Json, way: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in part.items():
        path = f"{way}.{key}" if way else key
        if isinstance(value, dict):
            yield from _fields(value, path)
        elif value not in (None, "", []):
            yield path, value


def _sentence(path: str, value: Any) -> str:
    label = path.replace("_", " ").replace(".", ", ")
    told = "; ".join(
        _text(item).rstrip(".") for item in (value if isinstance(value, list) else [value])
    )
    return f"{label[:1].upper()}{label[1:]}: {told}."


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ": ".join(_text(item) for item in value.values())
    return str(value)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+|\d+", fold(text))


def _stem(word: str) -> str:
    """A word without its commonest endings, so that "skills" meets "skill"."""
    for ending in ("ing", "ies", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def _person(text: str) -> Json:
    found = _json(_part(text, "person"))
    return found if isinstance(found, dict) else {}


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _part(text: str, tag: str) -> str:
    # At the beginning of a line, where no text within JSON can stand.
    found = re.search(rf"^<{tag}>\n?(.*?)\n?</{tag}>$", text, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""
