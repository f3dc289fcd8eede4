"""The fields of a person that are given as JSON: home, education, work, household."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from tinyfactory.utils.text import fold

# From the narrow to the wide, as in an address.
_PLACES = "residence place location city town municipality county state province region country"
_HOUSEHOLD = (
    "household", "household type", "family", "family status", "living arrangement", "lives with",
    "marital status", "marital", "civil status", "relationship status",
)  # fmt: skip
_EDUCATION = ("education", "education level", "educational attainment", "highest education",
              "qualification", "degree", "schooling")  # fmt: skip
_WORK = ("employment", "employment status", "work status", "working status", "economic activity",
         "labour force status", "labor force status", "occupation")  # fmt: skip
_LINE = ("line of work", "field of work", "occupation group", "occupational group", "industry")
_CHILDREN = ("children", "number of children", "kids")

_LEVELS = (
    (r"\b(?:ph\.? ?d|doctora|isced 8)", "doctor"),
    (r"\b(?:master|postgraduate|isced 7|m\.?sc|mba)\b|\bmasters?\b", "master"),
    (r"\b(?:no formal|no school|none|never|illiterate|less than primary|isced 0)", "none"),
    (r"\b(?:no (?:\w+ ){0,2}diploma|less than high school)", "none"),
    (r"\b(?:vocational|apprentice|associate|trade|technical|isced [45])", "apprentice"),
    (r"\b(?:high\b|secondary|primary|elementary|middle|basic|upper|lower|isced [123])", "school"),
    (r"\b(?:a.levels?|school|gcse|abitur|some college)", "school"),
    (r"\b(?:bachelor|tertiary|university|college|degree|higher|graduate|isced [56]|b\.?sc)",
     "bachelor"),
)  # fmt: skip
_STATUSES = (
    (r"\b(?:retired|retiree|pensioner|pension)\b", "retired"),
    (r"\b(?:unemployed|jobless|out of work|seeking|job.?seeker|looking for work)\b", "seeking"),
    (r"\b(?:pupil|schoolchild|at school)\b", "pupil"),
    (r"\b(?:student|studying|in education)\b", "student"),
    (r"\b(?:homemaker|housewife|househusband|home duties|stay-at-home|caring for)\b", "home"),
    (r"\b(?:looking after|inactive|not in the labou?r force)\b", "home"),
    (r"\b(?:employed|self-employed|working|full.?time|part.?time|works|in work)\b", "work"),
)  # fmt: skip
_ALONE = (
    r"\b(?:single|alone|one.person|living alone|unmarried|never married|divorced|separated|"
    r"widow(?:ed|er)?|lone|without (?:a )?partner|shared|flat.?share|house.?share|roommates?)\b"
)
_TOGETHER = (
    r"\b(?:couple|married|partners?|cohabit\w*|spouse|husband|wife|civil union|engaged|"
    r"in a relationship|two.parent|nuclear)\b"
)
_NO_CHILDREN = (
    r"\b(?:without (?:\w+ )?(?:children|kids)|no (?:children|kids)|childless|one.person|"
    r"(?:living |lives )?alone|couple only|single.person)\b"
)
_WITH_CHILDREN = (
    r"\b(?:with (?:\w+ )*(?:children|child|kids?)|(?:single|lone|one|two).parent|parents? with|"
    r"single (?:mother|father)|nuclear|has children)\b"
)
_WITH_PARENTS = r"\b(?:with (?:\w+ )?parents?|parental home|multi.?generation\w*|extended family)\b"


@dataclass(frozen=True, slots=True)
class Profile:
    """What the fields say; None or empty where they say nothing.

    `places` run from the narrow to the wide; `words` are what stands beside the fields, or
    the whole text where there are none. `level` is an education as the tables name it, `line`
    the group of occupations that the person's belongs to.
    """

    words: str = ""
    places: tuple[str, ...] = ()
    country: str = ""
    nationality: str = ""
    education: str = ""
    level: str | None = None
    status: str | None = None
    line: str = ""
    other_gender: bool = False
    household: str = ""
    partner: bool | None = None
    married: bool = False
    children: bool | None = None
    how_many: int | None = None
    parents: bool | None = None

    @property
    def told_home(self) -> bool:
        """Whether the fields say with whom the person lives."""
        return bool(self.household) or self.children is not None


def fields_in(text: str) -> tuple[dict[str, Any], str]:
    """The JSON object that a text is or holds, and the words around it.

    Examples
    --------
    >>> fields_in('{"age": 34} She likes tea.')
    ({'age': 34}, 'She likes tea.')
    >>> fields_in("likes {braces}")
    ({}, 'likes {braces}')
    """
    start, end = text.find("{"), text.rfind("}") + 1
    if 0 <= start < end:
        try:
            data = json.loads(text[start:end])
        except (ValueError, RecursionError):
            return _lines_in(text)
        if isinstance(data, dict):
            return data, f"{text[:start]} {text[end:]}".strip()
    return {}, text


def _lines_in(text: str) -> tuple[dict[str, Any], str]:
    """The objects of a text that has one in each line, as in JSON Lines."""
    data: dict[str, Any] = {}
    rest = []
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            data |= found
        else:
            rest.append(line)
    return data, "\n".join(rest)


def read_profile(text: str) -> Profile:
    """Read the fields of a text.

    Examples
    --------
    >>> told = read_profile('{"name": "Chad Mendoza", "state": "Ohio", "household": "lone parent"}')
    >>> told.places, told.partner, told.children
    (('Ohio',), False, True)
    """
    data, words = fields_in(text)
    if not data:
        return Profile(words=text)
    for wrapper in ("persona", "_configuration"):
        if isinstance(data.get(wrapper), dict):
            data = data | data[wrapper]
    fields = {fold(str(key).replace("_", " ")): value for key, value in data.items()}

    def said(*keys: str) -> str:
        texts = [str(fields[k]) for k in keys if isinstance(fields.get(k), str | int | float)]
        return "; ".join(t.strip() for t in texts if t.strip())

    also = said("also")
    household = said(*_HOUSEHOLD)
    how_many = _count(said(*_CHILDREN))
    partner, children, parents = _household(household)
    if how_many is not None:
        children = how_many > 0
    education = said(*_EDUCATION)
    return Profile(
        words=f"{also} {words}".strip(),
        places=tuple(dict.fromkeys(p for key in _PLACES.split() if (p := said(key)))),
        country=said("country") or said("country of residence"),
        nationality=said("nationality") or said("citizenship"),
        education=education,
        level=_first(_LEVELS, education),
        status=_first(_STATUSES, said(*_WORK)),
        line=said(*_LINE),
        other_gender=bool(
            re.search(r"\b(?:other|divers\w*|x|third)\b", said("gender", "sex"), re.IGNORECASE)
        ),
        household=household,
        partner=partner,
        married=bool(
            re.search(r"(?<!un)(?<!never )\bmarried\b|husband|wife|spouse", fold(household))
        ),
        children=children,
        how_many=how_many,
        parents=parents,
    )


def _first(patterns: tuple[tuple[str, str], ...], text: str) -> str | None:
    plain = fold(text)
    return next((found for pattern, found in patterns if re.search(pattern, plain)), None)


def _count(text: str) -> int | None:
    if match := re.search(r"\d{1,2}", text):
        return int(match[0])
    if re.fullmatch(r"(?i)no|none|false", text):
        return 0
    return 1 if re.fullmatch(r"(?i)yes|true", text) else None


def _household(text: str) -> tuple[bool | None, bool | None, bool | None]:
    """Whether there are a partner, children, and parents under one roof."""
    plain = fold(text)
    if not plain:
        return None, None, None
    # "Never married" and "unmarried" hold the word, "unmarried couple" the couple.
    together = re.sub(r"\b(?:never|not|un) ?married\b|\bwithout (?:a )?partner\b", "", plain)
    partner: bool | None = None
    if re.search(_TOGETHER, together):
        partner = True
    elif re.search(_ALONE, plain):
        partner = False
    children: bool | None = None
    if re.search(_NO_CHILDREN, plain):
        children = False
    elif re.search(_WITH_CHILDREN, plain):
        children = True
    parents = True if re.search(_WITH_PARENTS, plain) else None
    return partner, children, parents
