"""A little English: inflection, articles, lists."""

from __future__ import annotations

import re
from collections.abc import Sequence

_IRREGULAR_THIRD = {"have": "has", "be": "is", "do": "does", "go": "goes"}
_DOUBLING = frozenset(
    "run plan get put set cut sit swim chat jog stop shop trim dig scan map chop wrap skip knit "
    "win hit let rub tap grip strip hum quit drag ship spot fit mop stir tag log plug hop pat "
    "step nod beg bet bid dip drop drum flip format hug prop rip sip slip snap split spin spit "
    "thin trap trot tug zip begin forget ban bar star refer tap swap".split()
)


def third_person(phrase: str) -> str:
    """A verb phrase for "she": ``check the chart`` becomes ``checks the chart``.

    Examples
    --------
    >>> third_person("carry bins"), third_person("watch birds"), third_person("go out")
    ('carries bins', 'watches birds', 'goes out')
    """
    verb, _, rest = phrase.partition(" ")
    if verb in _IRREGULAR_THIRD:
        verb = _IRREGULAR_THIRD[verb]
    elif re.search(r"[^aeiou]y$", verb):
        verb = verb[:-1] + "ies"
    elif re.search(r"(s|sh|ch|x|z|o)$", verb):
        verb += "es"
    else:
        verb += "s"
    return f"{verb} {rest}".rstrip()


def gerund(phrase: str) -> str:
    """A verb phrase as a noun: ``run the bar`` becomes ``running the bar``.

    Examples
    --------
    >>> gerund("run the bar"), gerund("make tea"), gerund("tie knots"), gerund("see it")
    ('running the bar', 'making tea', 'tying knots', 'seeing it')
    """
    verb, _, rest = phrase.partition(" ")
    if "-" in verb:  # "whisper-translate"
        before, _, verb = verb.rpartition("-")
        return f"{before}-{gerund(verb)} {rest}".rstrip()
    if verb.endswith("ie"):
        verb = verb[:-2] + "ying"
    elif verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and verb != "be":
        verb = verb[:-1] + "ing"
    elif verb in _DOUBLING:
        verb += verb[-1] + "ing"
    else:
        verb += "ing"
    return f"{verb} {rest}".rstrip()


def plural(noun: str) -> str:
    """The plural of a noun phrase whose last word is the noun.

    Examples
    --------
    >>> plural("ward nurse"), plural("midwife"), plural("party"), plural("coach")
    ('ward nurses', 'midwives', 'parties', 'coaches')
    """
    if noun.endswith("fe"):
        return noun[:-2] + "ves"
    if re.search(r"[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    if noun.endswith("man"):
        return noun[:-2] + "en"
    return noun + ("es" if re.search(r"(s|sh|ch|x|z)$", noun) else "s")


def with_article(noun: str) -> str:
    """The noun with "a" or "an", by its sound.

    Examples
    --------
    >>> with_article("engineer"), with_article("university lecturer"), with_article("UX designer")
    ('an engineer', 'a university lecturer', 'a UX designer')
    """
    letters = re.match(r"[A-Z]{2}", noun)  # spelt out: "an IT", "a UX"
    vowel = re.match(
        r"[AEFHILMNORSX]" if letters else r"(?i)(?!uni|use|eu|one)[aeiou]|hono|hour", noun
    )
    return ("an " if vowel else "a ") + noun


def capitalise(text: str) -> str:
    """The text with its first letter large and all others as they are."""
    return text[:1].upper() + text[1:]


def lower_first(text: str) -> str:
    """The text with its first letter small, unless it begins with an abbreviation.

    Examples
    --------
    >>> lower_first("Ward nurse"), lower_first("UX designer")
    ('ward nurse', 'UX designer')
    """
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def listed(items: Sequence[str]) -> str:
    """Items as in a sentence: ``a, b and c``."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)
