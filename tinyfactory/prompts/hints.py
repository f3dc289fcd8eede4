"""What a text probably says of a person: read where nothing depends on being right."""

from __future__ import annotations

import re
from typing import Any

from tinyfactory.prompts.statements import (
    FEW,
    PERSON_NOUN,
    YEARS_OLD,
    job_at_head,
    sentences,
)

_DECADES = "teens twenties thirties forties fifties sixties seventies eighties nineties".split()
_LOOSE_AGE = re.compile(
    r"(?:in (?:her|his|their) (?P<part>early |mid[- ]?|late )?"
    rf"(?P<decade>{'|'.join(_DECADES)}))"
    r"|(?P<low>\d{1,3})\s*(?:-|–|to|and)\s*(?P<high>\d{1,3})[- ]years?[- ]old"
    r"|\b(?:over|above|older than)\s+(?P<over>\d{2})\b(?!\s*(?:%|per|people|years? of))"
    r"|\b(?:under|below|younger than)\s+(?P<under>\d{2})\b(?!\s*(?:%|per|people))",
    re.IGNORECASE,
)
_STAGES = (
    (r"\b(?:teenage(?:r|d)?|teen|adolescent)\b", (13, 19)),
    (r"\b(?:elderly|very old|old (?:\w+ )?(?:man|woman|lady|person))\b", (70, 90)),
    (r"\b(?:retired|retiree|pensioner|senior citizen)\b", (60, 86)),
    (r"\bmiddle-?\s?aged\b", (42, 58)),
    (r"\byoung (?:\w+ )?(?:man|woman|adult|person|professional)\b", (18, 29)),
)
_WOMAN = re.compile(
    r"\b(?:(?P<f>woman|girl|lady|female|she|her|waitress|actress|businesswoman|"
    r"policewoman|widow|nun|pregnant)|(?P<m>man|boy|gentleman|male|he|his|him|businessman|fireman|"
    r"policeman|fisherman|widower|monk)|(?P<n>non-?\s?binary))\b",
    re.IGNORECASE,
)
_PARENT = re.compile(
    r"^(?:an?\s+)?(?:(?!(?:her|his|their|my|whose|who|with|and|has|of|is)\b)[\w-]+\s+){0,3}?(?:(?P<f>mother|wife|grandmother|mum|mom)|"
    r"(?P<m>father|husband|grandfather|dad))\b",
    re.IGNORECASE,
)
_LIVES = re.compile(
    r"\b(?:from|lives? in|living in|based in|resident of|born in|moved to)\s+(?:the\s+)?"
    r"(?P<place>[A-ZÀ-Þ][\w'’-]+(?:[ -](?:de|do|da|del|la|of|[A-ZÀ-Þ][\w'’-]*)){0,3})"
    r"(?:,\s*(?P<country>[A-ZÀ-Þ][\w'’-]+(?: [A-ZÀ-Þ][\w'’-]+)?))?"
)
_DEMONYM = re.compile(
    r"\b(?P<n>[A-Z][a-z]+(?:ian|ean|can|man|lian|ese|ish|ani|aqi|eli|ssian)|Dutch|French|Greek|"
    r"Swiss|Czech|Thai|Filipino|Filipina|Welsh|Icelandic|Slovak|Slovene|Croat|Pole|Dane|Swede)\b"
)
_LIKES = re.compile(
    r"\b(?:loves?|likes?|enjoys?|adores?|interested in|keen on|passionate about|fond of|"
    r"obsessed with|fan of)\s+(?P<what>[^.;:\n()]+)",
    re.IGNORECASE,
)
_HEAD_AGE = re.compile(
    rf"^(?:an?\s+)?(?P<age>\d{{1,3}}){YEARS_OLD}(?!\s+(?:\w+\s+)?(?:dog|cat|horse|car|house))"
    rf"|^{FEW}{PERSON_NOUN},\s(?P<bare>\d{{2}})(?:,|$)|^[^,]*,\s(?P<late>\d{{1,3}}){YEARS_OLD}",
    re.IGNORECASE,
)


def hints(text: str) -> dict[str, Any]:
    """Readings that are likely but not certain."""
    found: dict[str, Any] = {}
    if match := _LOOSE_AGE.search(text):
        found["age_range"] = _loose_age(match)
    else:
        stage = next((r for p, r in _STAGES if re.search(p, text, re.IGNORECASE)), None)
        if stage:
            found["age_range"] = stage
    if match := _PARENT.search(text) or _WOMAN.search(text):
        found["gender"] = {"f": "female", "m": "male", "n": "non-binary"}[match.lastgroup or "n"]
    if match := _LIVES.search(text):
        found["place"] = match["place"]
        if match["country"]:
            found["country"] = match["country"]
    if match := _DEMONYM.search(text):
        found["nationality"] = match["n"]
    if match := _LIKES.search(text):
        what = re.split(r",|\band\b|\bbut\b|\bwho\b|\bbecause\b|\bwhen\b", match["what"])
        found["interests"] = tuple(w.strip(" \"'") for w in what if w.strip(" \"'"))[:5]
    first = next(iter(sentences(text)), "")
    if match := _HEAD_AGE.search(first.removeprefix("A ").removeprefix("a ")):
        found["age"] = int(match["age"] or match["bare"] or match["late"])
        found.pop("age_range", None)
    jobs = [job for part in first.split(",")[:4] if (job := job_at_head(part.strip()))]
    if jobs:
        found["occupation"] = jobs[0]
    return found


def _loose_age(match: re.Match[str]) -> tuple[int, int]:
    if match["decade"]:
        index = _DECADES.index(match["decade"].lower())
        low, high = (13, 19) if index == 0 else (10 * (index + 1), 10 * (index + 1) + 9)
        part = (match["part"] or "").strip(" -").lower()
        third = {"early": (low, low + 3), "mid": (low + 4, low + 6), "late": (low + 7, high)}
        return third.get(part, (low, high))
    if match["low"]:
        pair = sorted((int(match["low"]), int(match["high"])))
        return max(1, pair[0]), min(120, pair[1])
    if match["over"]:
        return int(match["over"]) + 1, max(int(match["over"]) + 1, 88)
    return min(18, int(match["under"]) - 1), int(match["under"]) - 1
