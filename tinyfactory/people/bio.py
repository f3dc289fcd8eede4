"""A person in one line of English."""

from __future__ import annotations

import re
from typing import Any

# Words that begin with a vowel in writing but not in speaking, and the other way round.
_CONSONANT = re.compile(
    r"(?i)eu|ewe|one\b|once|uk\b|us\b|uni(?!n|m)|us[aeiu]|ukr|ugan|uro|uru|ut[ie]"
)
_VOWEL = re.compile(r"(?i)[aeiouàáâãäåæèéêëìíîïòóôõöø]|heir|honest|honou?r|hour")
_SPELT_OUT = re.compile(r"[AEFHILMNORSX][A-Z]{1,4}\b")  # an MP, an HR officer
# Words for what someone does that are no nouns.
_ADJECTIVES = frozenset(("retired", "unemployed", "self-employed", "freelance", "employed"))


def article(word: str) -> str:
    """The word with "a" or "an" before it, as it is spoken.

    Examples
    --------
    >>> [article(w) for w in ("nurse", "Italian", "Ukrainian", "11-year-old", "hourly worker")]
    ['a nurse', 'an Italian', 'a Ukrainian', 'an 11-year-old', 'an hourly worker']
    """
    if number := re.match(r"[0-9]+", word):
        vowel = number[0].startswith("8") or number[0] in ("11", "18")
    elif _SPELT_OUT.match(word):
        vowel = True
    else:
        vowel = bool(_VOWEL.match(word)) and not _CONSONANT.match(word)
    return f"{'an' if vowel else 'a'} {word}"


def minibio(persona: dict[str, Any]) -> str:
    """One line from name, age, nationality, occupation and residence; any may be missing.

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
    """A value in one line, without the full stop, and not so long that it fills a prompt."""
    words = " ".join(str(value or "").split()).rstrip(".;, ")
    return words if len(words) <= 120 else words[:119].rstrip() + "…"


def _title(title: str) -> str:
    """A title as it stands within a sentence."""
    title = re.sub(r"(?i)^(?:an?|the)\s+", "", title)
    if title.lower() in _ADJECTIVES:
        return f"{title.lower()} person"
    # "Nurse" begins no sentence here; "English teacher" and "CEO" keep their capitals.
    if re.fullmatch(r"[^\W\d_][a-zà-ÿ'-]*", title) or re.match(r"[A-Z][a-z-]+ [a-z]", title):
        first = title.split()[0]
        return title if first in _PROPER else title[:1].lower() + title[1:]
    return title


_PROPER = (
    *("Arabic", "Catholic", "Chinese", "English", "French", "German", "Hindi", "Italian"),
    *("Japanese", "Korean", "Latin", "Portuguese", "Russian", "Spanish", "Turkish"),
)
