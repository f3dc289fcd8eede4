"""Read prose about a person: statements that are certain, and hints that are only likely.

A statement is certain if the sentence can hardly mean anything else, such as "She is 34 years
old". Everything that may be about somebody else, or about the past or a wish, is not.
"""

from __future__ import annotations

import re
from typing import Any

from tinyfactory.gazetteer.names import NOUNS

__all__ = ["OTHERS", "read_prose"]

# Words for others, to whom a name or an age in the same sentence may belong.
OTHERS = re.compile(
    r"\b(?:sons?|daughters?|child(?:ren)?|kids?|bab(?:y|ies)|twins?|toddlers?|husband|wife|spouse|"
    r"partner|fianc[ée]+|boyfriend|girlfriend|mother|father|mum|mom|dad|parents?|brothers?|"
    r"sisters?|siblings?|(?:great-?)?grand\w+|aunts?|uncles?|cousins?|nieces?|nephews?|friends?|"
    r"colleagues?|boss|neighbou?rs?|roommates?|flatmates?|families|family|dogs?|cats?|horses?|"
    r"ponies|pony|pets?|parrots?|rabbits?|hamsters?|pupp(?:y|ies)|kittens?|bars?|pubs?|caf[ée]s?|"
    r"restaurants?|compan(?:y|ies)|firms?|startups?|shops?|stores?|bands?|teams?|clubs?|schools?|"
    r"hospitals?|boats?|ships?|cars?|houses?|projects?|apps?|books?|novels?|films?|shows?|games?|"
    r"villages?|towns?|streets?|patients|students|clients|customers|pupils|members|people)\b",
    re.IGNORECASE,
)
_NOT = re.compile(
    r"\b(?:not|never|no longer|without|except|unlike|nobody|than)\b|n't\b", re.IGNORECASE
)
# Work that somebody only wants, had once, or may have some day.
_UNREAL = re.compile(
    r"\b(?:dream(?:s|ed)?|want(?:s|ed)?|hope[sd]?|wish(?:es|ed)?|used to|plan(?:s|ned)?|would|"
    r"could|might|tr(?:y|ies|ied)|stop(?:s|ped)?|quit|consider(?:s|ed)?|imagine[sd]?|if|once|formerly|"
    r"previously|after|before|until|hate[sd]?|misse[sd]|pretend(?:s|ed)?)\b",
    re.IGNORECASE,
)

# Nouns for a person that are not used for things, animals or relatives.
_PERSON_NOUN = (
    r"(?:person|persona|someone|somebody|character|individual|agent|man|woman|male|female|"
    r"boy|girl|lady|gentleman|guy|teen|teenager|adult|student|pupil|retiree|pensioner|widow|"
    r"widower|nurse|chef|cook|judge|coach|guide|scribe|athlete|architect|diplomat|pilot|"
    r"midwife|vet|engineer|teacher|doctor|lawyer|clerk|monk|nun|priest|pharmacist|accountant|"
    r"assistant|consultant|attendant|merchant|economist|immigrant|"
    r"[a-z]*(?:ologist|ician|grapher|keeper|maker|worker|smith|writer|mechanic|musician|surgeon)|"
    r"[a-z]{3,}(?:ist|ian|eer)|"
    r"(?:[a-z]+-?)?(?:driver|baker|farmer|painter|plumber|singer|dancer|actor|actress|author|"
    r"editor|director|manager|officer|soldier|sailor|firefighter|fisher|tailor|butcher|carpenter|"
    r"welder|builder|programmer|developer|designer|researcher|professor|lecturer|waiter|waitress|"
    r"cleaner|hairdresser|barber|gardener|translator|interpreter|banker|cashier|seller|"
    r"entrepreneur|politician|mayor|minister|secretary|receptionist|policeman|policewoman|"
    r"fireman|fisherman|craftsman|businessman|businesswoman|salesman|saleswoman|tutor|trainer|"
    r"teller|owner|dealer|porter|realtor|investor|inventor|counsel+or|advis[eo]r|inspector|paramedic|rabbi|imam))"
)
_LEAD_IN = (  # "Please create", "I want", "The person should be"
    r"(?:(?:i (?:want|need|would like)|i'd like|please|create|generate|describe|write|make(?: me)?"
    r"|give me|imagine|invent|build|think of|about|(?:the |this )?(?:person|character|persona|agent"
    r"|new person|individual)(?: (?:is|should be|must be))?)[:,]?\s+){0,4}"
)
_IS = r"(?:(?:she|he|they|it|this) (?:is|are|should be|must be)\s+)?"
_YEARS_OLD = r"[- ]?(?:(?:years?|yrs?)[- ]?(?:old|of age)|yo|y/o)\b"
_PRONOUN = r"(?:she|he|they|i|who|(?:the |this |my )?(?:person|character|persona|agent|individual))"
_NAME = (
    r"(?P<name>[^\W\d_a-zß-öø-ÿ][\w'’.-]*"
    r"(?:[ \t]+(?:d['’])?(?:(?:de|da|do|dos|das|del|della|di|la|le|van|von|der|den|bin|al|el|y|e|"
    r"ter)[ \t]+)*"
    r"[^\W\d_a-zß-öø-ÿ][\w'’.-]*){0,5})"
)
_NOT_NAMES = frozenset(
    "a an the in on at from who she he they it with and but i this that new old".split()
)

_UNITS = "one two three four five six seven eight nine".split()
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_NUMBER_WORD = re.compile(
    rf"\b(?:({'|'.join(_TENS)})(?:[- ]({'|'.join(_UNITS)}))?|({'|'.join(_TEENS)}))(?=[- ]years?\b)",
    re.IGNORECASE,
)


def read_prose(text: str) -> tuple[dict[str, Any], frozenset[str]]:
    """Read the fields of a person from prose.

    Returns
    -------
    fields : dict
        Field -> value, named as in `particularities.Constraints`.
    certain : frozenset of str
        The fields that the text states outright.

    Examples
    --------
    >>> read_prose("A nurse. She is thirty-four years old.")
    ({'gender': 'female', 'occupation': 'nurse', 'age': 34}, frozenset({'age'}))
    """
    text = _with_digits(text)
    found: dict[str, Any] = {}
    certain: set[str] = set()
    others = False
    for sentence in _sentences(text):
        for field, value, sure in _statements(sentence, others):
            if field not in found:
                found[field] = value
                if sure:
                    certain.add(field)
        others = others or bool(OTHERS.search(sentence))
    if "age" in found:
        found.pop("age_range", None)
        certain.discard("age_range")
    likely = _hints(text)
    if {"age", "age_range"} & found.keys():
        likely.pop("age", None)
        likely.pop("age_range", None)
    return likely | found, frozenset(certain)


def _with_digits(text: str) -> str:
    """Replace numbers in words before "year" by digits."""

    def number(match: re.Match[str]) -> str:
        tens, unit, teen = (g.lower() if g else g for g in match.groups())
        if teen:
            return str(10 + _TEENS.index(teen))
        return str(20 + 10 * _TENS.index(tens) + (1 + _UNITS.index(unit) if unit else 0))

    return _NUMBER_WORD.sub(number, text)


def _sentences(text: str) -> list[str]:
    """Split a text into sentences and lines."""
    return [s.strip() for s in re.split(r"(?<=[.!?])\s+|\n+|;\s*", text) if s.strip()]


# A word between an article and its noun: not a verb, a preposition or another article.
_ADJECTIVE = (
    r"(?!(?:an?|the|in|of|for|to|at|on|by|with|from|his|her|their|my|has|had|have|is|was|were|are|"
    r"and|or|who|that|whose|met|saw|cared|taught|raised|helped|\w+ing|\w*[a-rt-z]s)\b)"
    r"[\w'’-]+,?[ \t]+"
)
_FEW = rf"(?:{_ADJECTIVE}){{0,5}}?"
_HEAD = rf"^{_LEAD_IN}{_IS}(?:(?:an?|the|one|another)\s+{_FEW}|(?:retired |single |married )?)"
_SOMEONE = rf"^{_LEAD_IN}{_IS}(?:(?:an?|the|one|another)\s+)?{_FEW}{_PERSON_NOUN}[,\s]+"
_AGE_NOUN = re.compile(
    rf"{_HEAD}(?P<age>\d{{1,3}}){_YEARS_OLD}"
    rf"(?:\s*(?:$|[,.;:!)(])|[\s,]+(?:who|from|living|working|with|named|called|and)\b"
    rf"|[\s,]+(?:{_ADJECTIVE}){{0,4}}?{_PERSON_NOUN}\b(?!['’-]))",
    re.IGNORECASE,
)
_AGE_SUBJECT = re.compile(
    rf"^{_PRONOUN}(?:'s|'re|'m| is| are| am| should be| must be)\s+(?:exactly\s+)?"
    rf"(?:(?P<age>\d{{1,3}}){_YEARS_OLD}|(?P<bare>\d{{2,3}})\s*(?:$|[,.!]))",
    re.IGNORECASE,
)
# A place between a person and an age: "a nurse from Recife, Brazil, aged 40".
_FROM = (
    r"(?:from|in)\s+(?!(?:an?|the|his|her|their|my)\b)[\w'’-]{1,30}(?:\s[\w'’-]{1,30}){0,2}"
    r"(?:,\s*[\w'’-]{1,30}(?:\s[\w'’-]{1,30}){0,2})?,\s+"
)
_AGED = re.compile(
    rf"(?:^{_LEAD_IN}{_IS}|{_SOMEONE}(?:{_FROM})?(?:who is\s+)?)(?:aged|age|age of)\s+"
    r"(?:between\s+)?(?P<age>\d{1,3})(?:\s*(?:-|–|to|and)\s*(?P<to>\d{1,3}))?\b(?!\s*%)",
    re.IGNORECASE,
)
_NAMED = re.compile(
    rf"(?i:(?:^{_LEAD_IN}|{_SOMEONE}(?:who is\s+|should be\s+|must be\s+)?)(?:named|called)\s+)"
    rf"{_NAME}"
)
_NAME_IS = re.compile(
    rf"^(?i:(?:the\s+|my\s+)?(?:(?:person|character|persona|agent)['’]s\s+)?name\s+"
    rf"(?:is|should be|must be)\s+|{_PRONOUN}(?:'s| is| should be| must be)\s+"
    rf"(?:named|called)\s+){_NAME}"
)
_WORKS_AS = re.compile(
    r"\b(?:works|work|working|employed)(?:\s+\w+ly)?\s+as\s+(?:an?|the)\s+"
    r"(?P<job>[\w'’/ -]+)",
    re.IGNORECASE,
)
_BY_PROFESSION = re.compile(
    rf"(?:^(?:{_PRONOUN} (?:is|am|are) )?|\b(?:is|am) )(?:an?\s+)?"
    rf"(?P<job>(?:{_ADJECTIVE}){{1,4}})by\s+(?:profession|trade|occupation)\b",
    re.IGNORECASE,
)
_JOB_ENDS = re.compile(
    r"(?<!\s)\s+(?:in|at|for|who|whose|with|and|or|from|named|called|but|since|of|on|near|by|because|"
    r"while|when|to|aged|living|based)\b.*|(?<!\s)\s+(?:full|part)[- ]time\b.*",
    re.IGNORECASE,
)
_NO_JOBS = frozenset("team unit couple group pair whole charm rule result volunteer".split())


_HEAD_JOB = re.compile(
    rf"^{_LEAD_IN}{_IS}(?:(?:an?|the|one|another)\s+)?(?P<job>{_FEW}{_PERSON_NOUN})\b(?!['’-])",
    re.IGNORECASE,
)
_NO_OCCUPATION = re.compile(
    r"(?i)^(?:.*\b)?(?:person|people|persona|someone|somebody|character|individual|agent|man|woman|"
    r"male|female|boy|girl|lady|gentleman|guy|teen|teenager|adult|widow|widower|immigrant)$"
)


def _statements(sentence: str, others: bool) -> list[tuple[str, Any, bool]]:
    """Read one sentence: field, value, and whether it is certain.

    `others` says whether the text mentioned somebody else before; then "she" may be anyone.
    """
    found: list[tuple[str, Any, bool]] = []

    def sure(end: int) -> bool:
        before = sentence[:end]
        pronoun = re.match(rf"{_PRONOUN}\b", sentence, re.IGNORECASE)
        return not (OTHERS.search(before) or _NOT.search(before) or (others and pronoun))

    for pattern in (_AGE_NOUN, _AGE_SUBJECT, _AGED):
        match = pattern.search(sentence)
        if match is None or not sure(match.end()):
            continue
        age = int(match["age"] or match["bare"])
        to = match.groupdict().get("to")
        if to is not None and 0 < age <= int(to) <= 120:
            found.append(("age_range", (age, int(to)), True))
        elif to is None and 0 < age <= 120:
            found.append(("age", age, True))
    for pattern in (_NAMED, _NAME_IS):
        match = pattern.search(sentence)
        if match is not None and sure(match.start("name")):
            name = match["name"].rstrip(".,'’-")
            title = sentence[match.end() :].startswith(" of ")  # "named Employee of the Month"
            if not title and name.split()[0].lower() not in _NOT_NAMES:
                found.append(("name", name, True))
    for pattern in (_WORKS_AS, _BY_PROFESSION):
        match = pattern.search(sentence)
        unreal = match is not None and _UNREAL.search(sentence[: match.start("job")])
        if match is not None and not unreal and sure(match.start("job")):
            job = _JOB_ENDS.sub("", match["job"]).strip(" -'")
            if job and len(job.split()) <= 5 and job.split()[-1].lower() not in _NO_JOBS:
                # "A waiter who works as a DJ" has two jobs, so neither is certain.
                two = pattern is _WORKS_AS and _job_at_head(sentence) is not None
                found.append(("occupation", job, not two))
    return found


def _job_at_head(sentence: str) -> str | None:
    """Read the first noun of a sentence as an occupation ("A young night nurse ...")."""
    match = _HEAD_JOB.search(sentence)
    if match is None or OTHERS.search(match["job"]):
        return None
    job = re.sub(rf"(?i)\b\d{{1,3}}{_YEARS_OLD}|\b(?:retired|young|old)\b", "", match["job"])
    words = [w for w in job.replace(",", " ").split() if w[0].islower() or w.isupper()]
    if not words or _NO_OCCUPATION.match(words[-1]):
        return None
    return " ".join(words[-3:])


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
_GENDERED = re.compile(
    rf"\b(?:(?P<f>{'|'.join(NOUNS['female'])}|she|her|waitress|actress|businesswoman|policewoman|"
    rf"widow|nun|pregnant)|(?P<m>{'|'.join(NOUNS['male'])}|he|his|him|businessman|fireman|"
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
    rf"^(?:an?\s+)?(?P<age>\d{{1,3}}){_YEARS_OLD}(?!\s+(?:\w+\s+)?(?:dog|cat|horse|car|house))"
    rf"|^{_FEW}{_PERSON_NOUN},\s(?P<bare>\d{{2}})(?:,|$)|^[^,]*,\s(?P<late>\d{{1,3}}){_YEARS_OLD}",
    re.IGNORECASE,
)


def _hints(text: str) -> dict[str, Any]:
    """Read fields that are likely but not certain."""
    found: dict[str, Any] = {}
    if match := _LOOSE_AGE.search(text):
        found["age_range"] = _loose_age(match)
    else:
        stage = next((r for p, r in _STAGES if re.search(p, text, re.IGNORECASE)), None)
        if stage:
            found["age_range"] = stage
    if match := _PARENT.search(text) or _GENDERED.search(text):
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
    first = next(iter(_sentences(text)), "")
    if match := _HEAD_AGE.search(first.removeprefix("A ").removeprefix("a ")):
        found["age"] = int(match["age"] or match["bare"] or match["late"])
        found.pop("age_range", None)
    jobs = [job for part in first.split(",")[:4] if (job := _job_at_head(part.strip()))]
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
