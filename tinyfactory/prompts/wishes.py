"""What a user's words fix about a person: what is certain, and what is only a hint.

A reply that contradicts something *certain* is rejected, and a rejection costs a request.
So a reading is certain only where the words can hardly mean anything else: a key with a
value (``age: 40``), or a statement whose subject is plainly the person. Everything else
("a retired teacher", "in her sixties") stays a hint.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass, fields, replace
from typing import Any

__all__ = ["Wishes", "contradiction", "read_wishes"]

_LONGEST = 20_000  # characters that are read; wishes stand at the beginning of a text


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a text says of a person; None or an empty tuple where it says nothing.

    Parameters
    ----------
    name, gender, nationality, country, place, occupation : str, optional
    age : int, optional
    age_range : tuple of int, optional
        Youngest and oldest age, both included.
    interests : tuple of str
    certain : frozenset of str
        The fields that the text states outright.
    """

    name: str | None = None
    age: int | None = None
    age_range: tuple[int, int] | None = None
    gender: str | None = None
    nationality: str | None = None
    country: str | None = None
    place: str | None = None
    occupation: str | None = None
    interests: tuple[str, ...] = ()
    certain: frozenset[str] = frozenset()

    def fixed(self) -> Wishes:
        """Only what is certain.

        Examples
        --------
        >>> read_wishes("a nurse in her sixties").fixed() == Wishes()
        True
        """
        names = {f.name for f in fields(self)} - self.certain - {"certain"}
        return replace(self, **{n: () if n == "interests" else None for n in names})


# Keys of "key: value" lines and of JSON objects, and the field that each means.
_KEYS = {
    "name": "name", "full name": "name", "age": "age", "gender": "gender", "sex": "gender",
    "nationality": "nationality", "citizenship": "nationality", "country": "country",
    "country of residence": "country", "residence": "place", "city": "place", "place": "place",
    "location": "place", "home town": "place", "hometown": "place", "lives in": "place",
    "occupation": "occupation", "profession": "occupation", "job": "occupation",
    "job title": "occupation", "interests": "interests", "interest": "interests",
    "hobbies": "interests", "hobby": "interests",
}  # fmt: skip
_KEY_LINE = re.compile(
    rf"(?:^|[\n;,.{{(|])[\s\-*•\"']{{0,12}}(?P<key>{'|'.join(sorted(_KEYS, key=len, reverse=True))})"
    r"[\"'*]{0,3}\s{0,3}[:=]\s{0,5}(?P<value>[^\n;|]+)",
    re.IGNORECASE,
)
_NEXT_KEY = re.compile(r"[,.]\s*[\"']?[A-Za-z][A-Za-z _]{1,24}[\"']?\s*[:=]")

# Others who may be meant by a name or an age in the same breath.
_OTHERS = re.compile(
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
_NOT = re.compile(r"\b(?:not|never|no longer|without|except|unlike|nobody|than)\b|n't\b", re.I)

# Nouns that name a person and no thing, animal or relative.
_PERSON_NOUN = (
    r"(?:person|persona|someone|somebody|character|individual|agent|man|woman|male|female|"
    r"boy|girl|lady|gentleman|guy|teen|teenager|adult|student|pupil|retiree|pensioner|widow|"
    r"widower|nurse|chef|cook|judge|coach|guide|scribe|athlete|architect|diplomat|pilot|"
    r"midwife|vet|engineer|teacher|doctor|lawyer|clerk|monk|nun|priest|pharmacist|accountant|"
    r"assistant|consultant|attendant|merchant|economist|immigrant|"
    r"[a-z]{2,}(?:ologist|ician|grapher|keeper|maker|worker|smith|writer|mechanic|musician|surgeon)|"
    r"[a-z]{3,}(?:ist|ian|eer)|"
    r"(?:[a-z]+-?)?(?:driver|baker|farmer|painter|plumber|singer|dancer|actor|actress|author|"
    r"editor|director|manager|officer|soldier|sailor|firefighter|fisher|tailor|butcher|carpenter|"
    r"welder|builder|programmer|developer|designer|researcher|professor|lecturer|waiter|waitress|"
    r"cleaner|hairdresser|barber|gardener|translator|interpreter|banker|cashier|seller|"
    r"entrepreneur|politician|mayor|minister|secretary|receptionist|policeman|policewoman|"
    r"fireman|fisherman|craftsman|businessman|businesswoman|salesman|saleswoman|tutor|trainer|"
    r"teller|owner|dealer|porter|realtor|investor|inventor|counsel+or|advis[eo]r|inspector|paramedic|rabbi|imam))"
)
_LEAD = (  # "Please create", "I want", "The person should be"
    r"(?:(?:i (?:want|need|would like)|i'd like|please|create|generate|describe|write|make(?: me)?"
    r"|give me|imagine|invent|build|think of|about|(?:the |this )?(?:person|character|persona|agent"
    r"|new person|individual)(?: (?:is|should be|must be))?)[:,]?\s+){0,4}"
)
_IS = r"(?:(?:she|he|they|it|this) (?:is|are|should be|must be)\s+)?"
_YEARS_OLD = r"[- ]?(?:(?:years?|yrs?)[- ]?(?:old|of age)|yo|y/o)\b"
_PRONOUN = r"(?:she|he|they|i|who|(?:the |this |my )?(?:person|character|persona|agent|individual))"
_NAME = (
    r"(?P<name>[^\W\d_a-zß-öø-ÿ][\w'’.-]*"  # noqa: RUF001 - both apostrophes occur in names
    r"(?:[ \t]+(?:d['’])?(?:(?:de|da|do|dos|das|del|della|di|la|le|van|von|der|den|bin|al|el|y|e|ter)[ \t]+)*"
    r"[^\W\d_a-zß-öø-ÿ][\w'’.-]*){0,5})"  # noqa: RUF001
)
_NOT_NAMES = frozenset(
    "a an the in on at from who she he they it with and but i this that new old".split()
)

_UNITS = "one two three four five six seven eight nine".split()
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_DECADES = "teens twenties thirties forties fifties sixties seventies eighties nineties".split()
_NUMBER_WORD = re.compile(
    rf"\b(?:({'|'.join(_TENS)})(?:[- ]({'|'.join(_UNITS)}))?|({'|'.join(_TEENS)}))(?=[- ]years?\b)",
    re.IGNORECASE,
)


def read_wishes(text: str | None) -> Wishes:
    """Read what a user's words say of a person.

    Parameters
    ----------
    text : str or None
        Free text, lines of ``key: value``, or a JSON object.

    Returns
    -------
    Wishes
        Hints and certainties; `Wishes.fixed` keeps the certainties.

    Examples
    --------
    >>> wishes = read_wishes("A 34-year-old nurse named Ana Souza from Lisbon who loves chess")
    >>> wishes.name, wishes.age, wishes.occupation, wishes.place, wishes.interests
    ('Ana Souza', 34, 'nurse', 'Lisbon', ('chess',))
    >>> fixed = wishes.fixed()
    >>> fixed.name, fixed.age, fixed.occupation
    ('Ana Souza', 34, None)
    >>> read_wishes("She drinks in a bar called Blue Moon with a dog named Rex.").name is None
    True
    """
    text = (text or "").strip()[:_LONGEST]
    if not text:
        return Wishes()
    keyed = _from_json(text)
    if keyed is None:
        keyed, text = _from_lines(text)
        loose = _from_prose(_digits(text))
    else:
        loose = Wishes()
    found = {n: getattr(keyed, n) for n in keyed.certain}
    if "age_range" in found:
        loose = replace(loose, age=None, certain=loose.certain - {"age"})
    if "age" in found:
        loose = replace(loose, age_range=None, certain=loose.certain - {"age_range"})
    return replace(loose, **found, certain=loose.certain | keyed.certain)


def _digits(text: str) -> str:
    """Numbers written as words before "year", as digits."""

    def number(match: re.Match[str]) -> str:
        tens, unit, teen = (g.lower() if g else g for g in match.groups())
        if teen:
            return str(10 + _TEENS.index(teen))
        return str(20 + 10 * _TENS.index(tens) + (1 + _UNITS.index(unit) if unit else 0))

    return _NUMBER_WORD.sub(number, text)


def _from_json(text: str) -> Wishes | None:
    if not text.startswith("{"):
        return None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    for wrapper in ("persona", "_configuration"):
        if isinstance(data.get(wrapper), dict):
            data = data | data[wrapper]
    found: dict[str, Any] = {}
    for key, value in data.items():
        field = _KEYS.get(str(key).replace("_", " ").strip().lower())
        if field == "occupation" and isinstance(value, dict):
            value = value.get("title")
        if field is not None and field not in found:
            _take(found, field, value)
    return Wishes(**found, certain=frozenset(found))


def _from_lines(text: str) -> tuple[Wishes, str]:
    """The `key: value` pairs of a text, and what is left of it."""
    found: dict[str, Any] = {}
    rest: list[str] = []
    position = 0
    while match := _KEY_LINE.search(text, position):
        value = match["value"]
        clause = re.split(r"[;\n]|\.\s", text[position : match.start("key")])[-1]
        if _OTHERS.search(clause):  # "with a dog (name: Rex)"
            rest.append(text[position : match.end()])
            position = match.end()
            continue
        if following := _NEXT_KEY.search(value):
            value = value[: following.start()]
        field = _KEYS[match["key"].lower()]
        if field != "interests":
            # "age: 40, married" and "name: Ana. She ..." end where the value does.
            value = re.split(r",\s|(?<=[^\W\d_]{3})\.\s|\s[-–—]\s", value, maxsplit=1)[0]  # noqa: RUF001
        _take(found, field, value.strip(" \t\"'*_.,})"))
        rest.append(text[position : match.start()])
        position = match.start("value") + len(value)
    rest.append(text[position:])
    return Wishes(**found, certain=frozenset(found)), "\n".join(p for p in rest if p.strip())


def _take(found: dict[str, Any], field: str, value: Any) -> None:
    """Put a stated value under its field, when it can be one."""
    if field == "interests":
        parts = value if isinstance(value, list) else re.split(r",|;|\band\b", str(value))
        kept = tuple(str(p).strip(" .\"'") for p in parts if str(p).strip(" .\"'"))
        if kept:
            found["interests"] = kept
    elif field == "age":
        if isinstance(value, bool):
            return
        numbers = [int(n) for n in re.findall(r"\d+", str(value))]
        loose = re.search(r"[^\d\s.–-]", re.sub(r"(?i)years?|old|to|and", "", str(value)))  # noqa: RUF001
        if loose or not numbers or not all(0 < n <= 120 for n in numbers):
            return
        if len(numbers) == 1:
            found["age"] = numbers[0]
        elif len(numbers) == 2 and numbers[0] <= numbers[1] and not isinstance(value, float):
            found["age_range"] = (numbers[0], numbers[1])
    elif field == "gender":
        if gender := _gender(str(value)):
            found["gender"] = gender
    elif isinstance(value, str):
        plain = value.strip()
        unsaid = {"any", "unknown", "none", "anything", "random", "n/a", "?", "-", "tbd"}
        if plain and plain.lower() not in unsaid and len(plain) <= 120:
            found[field] = plain


def _gender(text: str) -> str | None:
    words = text.lower()
    if re.search(r"\bnon-?\s?binary\b", words):
        return "non-binary"
    if re.search(r"\b(?:female|woman|girl|lady|f)\b", words):
        return "female"
    return "male" if re.search(r"\b(?:male|man|boy|gentleman|m)\b", words) else None


def _sentences(text: str) -> list[str]:
    return [s.strip() for s in re.split(r"(?<=[.!?])\s+|\n+|;\s*", text) if s.strip()]


def _from_prose(text: str) -> Wishes:
    found: dict[str, Any] = {}
    certain: set[str] = set()
    others = False  # once someone else was mentioned, "she" may be anyone
    for sentence in _sentences(text):
        for field, value, sure in _statements(sentence, others):
            if field not in found:
                found[field] = value
                if sure:
                    certain.add(field)
        others = others or bool(_OTHERS.search(sentence))
    if "age" in found:
        found.pop("age_range", None)
        certain.discard("age_range")
    hints = _hints(text)
    if {"age", "age_range"} & found.keys():
        hints.pop("age", None)
        hints.pop("age_range", None)
    found = hints | found
    return Wishes(**found, certain=frozenset(certain))


# Words between an article and the noun: no verb, no preposition, no second article.
_ADJECTIVE = (
    r"(?!(?:an?|the|in|of|for|to|at|on|by|with|from|his|her|their|my|has|had|have|is|was|were|are|"
    r"and|or|who|that|whose|met|saw|cared|taught|raised|helped|\w+ing|\w*[a-rt-z]s)\b)[\w'’-]+,?[ \t]+"  # noqa: RUF001
)
_FEW = rf"(?:{_ADJECTIVE}){{0,5}}?"
_HEAD = rf"^{_LEAD}{_IS}(?:(?:an?|the|one|another)\s+{_FEW}|(?:retired |single |married )?)"
_SOMEONE = rf"^{_LEAD}{_IS}(?:(?:an?|the|one|another)\s+)?{_FEW}{_PERSON_NOUN}[,\s]+"
_AGE_NOUN = re.compile(
    rf"{_HEAD}(?P<age>\d{{1,3}}){_YEARS_OLD}"
    rf"(?:\s*(?:$|[,.;:!)(])|[\s,]+(?:who|from|living|working|with|named|called|and)\b"
    rf"|[\s,]+(?:{_ADJECTIVE}){{0,4}}?{_PERSON_NOUN}\b(?!['’-]))",  # noqa: RUF001
    re.IGNORECASE,
)
_AGE_SUBJECT = re.compile(
    rf"^{_PRONOUN}(?:'s|'re|'m| is| are| am| should be| must be)\s+(?:exactly\s+)?"
    rf"(?:(?P<age>\d{{1,3}}){_YEARS_OLD}|(?P<bare>\d{{2,3}})\s*(?:$|[,.!]))",
    re.IGNORECASE,
)
_AGED = re.compile(
    rf"(?:^{_LEAD}{_IS}|{_SOMEONE}(?:who is\s+)?)(?:aged|age|age of)\s+"
    r"(?:between\s+)?(?P<age>\d{1,3})(?:\s*(?:-|–|to|and)\s*(?P<to>\d{1,3}))?\b(?!\s*%)",  # noqa: RUF001
    re.IGNORECASE,
)
_NAMED = re.compile(
    rf"(?i:(?:^{_LEAD}|{_SOMEONE}(?:who is\s+|should be\s+|must be\s+)?)(?:named|called)\s+)"
    rf"{_NAME}"
)
_NAME_IS = re.compile(
    rf"^(?i:(?:the\s+|my\s+)?(?:(?:person|character|persona|agent)['’]s\s+)?name\s+"  # noqa: RUF001
    rf"(?:is|should be|must be)\s+|{_PRONOUN}(?:'s| is| should be| must be)\s+"
    rf"(?:named|called)\s+){_NAME}"
)
_WORKS_AS = re.compile(
    rf"\b(?:works|work|working|employed)(?:\s+\w+ly)?\s+as\s+(?:an?|the)\s+"
    r"(?P<job>[\w'’/ -]+)",  # noqa: RUF001
    re.IGNORECASE,
)
_BY_PROFESSION = re.compile(
    rf"(?:^(?:{_PRONOUN} (?:is|am|are) )?|\b(?:is|am) )(?:an?\s+)?"
    rf"(?P<job>(?:{_ADJECTIVE}){{1,4}})by\s+(?:profession|trade|occupation)\b",
    re.IGNORECASE,
)
_JOB_ENDS = re.compile(
    r"\s+(?:in|at|for|who|whose|with|and|or|from|named|called|but|since|of|on|near|by|because|"
    r"while|when|to|aged|living|based)\b.*|\s+(?:full|part)[- ]time\b.*",
    re.IGNORECASE,
)
_NO_JOBS = frozenset("team unit couple group pair whole charm rule result volunteer".split())


def _statements(sentence: str, others: bool) -> list[tuple[str, Any, bool]]:
    """What one sentence states: field, value, and whether it is certain."""
    found: list[tuple[str, Any, bool]] = []

    def sure(match: re.Match[str], end: int) -> bool:
        before = sentence[:end]
        pronoun = re.match(rf"{_PRONOUN}\b", sentence, re.IGNORECASE)
        return not (_OTHERS.search(before) or _NOT.search(before) or (others and pronoun))

    for pattern in (_AGE_NOUN, _AGE_SUBJECT, _AGED):
        match = pattern.search(sentence)
        if match is None or not sure(match, match.end()):
            continue
        age = int(match["age"] or match["bare"])
        to = match.groupdict().get("to")
        if to is not None and 0 < age <= int(to) <= 120:
            found.append(("age_range", (age, int(to)), True))
        elif to is None and 0 < age <= 120:
            found.append(("age", age, True))
    for pattern in (_NAMED, _NAME_IS):
        match = pattern.search(sentence)
        if match is not None and sure(match, match.start("name")):
            name = match["name"].rstrip(".,'’-")  # noqa: RUF001
            title = sentence[match.end() :].startswith(" of ")  # "named Employee of the Month"
            if not title and name.split()[0].lower() not in _NOT_NAMES:
                found.append(("name", name, True))
    for pattern in (_WORKS_AS, _BY_PROFESSION):
        match = pattern.search(sentence)
        if match is not None and sure(match, match.start("job")):
            job = _JOB_ENDS.sub("", match["job"]).strip(" -'")
            if job and len(job.split()) <= 5 and job.split()[-1].lower() not in _NO_JOBS:
                # "A waiter who works as a DJ": two jobs, so neither is certain.
                two = pattern is _WORKS_AS and _job_at_head(sentence) is not None
                found.append(("occupation", job, not two))
    return found


_LOOSE_AGE = re.compile(
    r"(?:in (?:her|his|their) (?P<part>early |mid[- ]?|late )?"
    rf"(?P<decade>{'|'.join(_DECADES)}))"
    r"|(?P<low>\d{1,3})\s*(?:-|–|to|and)\s*(?P<high>\d{1,3})[- ]years?[- ]old"  # noqa: RUF001
    r"|\b(?:over|above|older than)\s+(?P<over>\d{2})\b(?!\s*(?:%|per|people|years? of))"
    r"|\b(?:under|below|younger than)\s+(?P<under>\d{2})\b(?!\s*(?:%|per|people))",
    re.IGNORECASE,
)
_STAGES = (
    (r"\b(?:teenage(?:r|d)?|teen|adolescent)\b", (13, 19)),
    (r"\b(?:retired|retiree|pensioner|elderly|senior citizen|old (?:man|woman|lady))\b", (60, 88)),
    (r"\bmiddle-?\s?aged\b", (42, 58)),
    (r"\byoung (?:man|woman|adult|person|professional)\b", (18, 29)),
)
_WOMAN = re.compile(
    r"\b(?:(?P<f>woman|girl|lady|female|she|her|waitress|actress|businesswoman|"
    r"policewoman|widow|nun)|(?P<m>man|boy|gentleman|male|he|his|him|businessman|fireman|"
    r"policeman|fisherman|widower|monk)|(?P<n>non-?\s?binary))\b",
    re.IGNORECASE,
)
_LIVES = re.compile(
    r"\b(?:from|lives? in|living in|based in|resident of|born in|moved to)\s+(?:the\s+)?"
    r"(?P<place>[A-ZÀ-Þ][\w'’-]+(?:[ -](?:de|do|da|del|la|of|[A-ZÀ-Þ][\w'’-]*)){0,3})"  # noqa: RUF001
    r"(?:,\s*(?P<country>[A-ZÀ-Þ][\w'’-]+(?: [A-ZÀ-Þ][\w'’-]+)?))?"  # noqa: RUF001
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
_HEAD_JOB = re.compile(
    rf"^{_LEAD}{_IS}(?:(?:an?|the|one|another)\s+)?(?P<job>{_FEW}{_PERSON_NOUN})\b(?!['’-])",  # noqa: RUF001
    re.IGNORECASE,
)
_HEAD_AGE = re.compile(
    rf"^(?:an?\s+)?(?P<age>\d{{1,3}}){_YEARS_OLD}(?!\s+(?:\w+\s+)?(?:dog|cat|horse|car|house))"
    rf"|^{_FEW}{_PERSON_NOUN},\s(?P<bare>\d{{2}}),",
    re.IGNORECASE,
)
_NO_OCCUPATION = re.compile(
    r"(?i)^(?:.*\b)?(?:person|people|persona|someone|somebody|character|individual|agent|man|woman|"
    r"male|female|boy|girl|lady|gentleman|guy|teen|teenager|adult|widow|widower|immigrant)$"
)


def _hints(text: str) -> dict[str, Any]:
    """Readings that are likely but not certain."""
    found: dict[str, Any] = {}
    if match := _LOOSE_AGE.search(text):
        found["age_range"] = _loose_age(match)
    else:
        stage = next((r for p, r in _STAGES if re.search(p, text, re.IGNORECASE)), None)
        if stage:
            found["age_range"] = stage
    if match := _WOMAN.search(text):
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
        found["age"] = int(match["age"] or match["bare"])
        found.pop("age_range", None)
    if job := _job_at_head(first):
        found["occupation"] = job
    return found


def _job_at_head(sentence: str) -> str | None:
    """The occupation that a sentence's first noun names ("A young night nurse ...")."""
    match = _HEAD_JOB.search(sentence)
    if match is None or _OTHERS.search(match["job"]):
        return None
    job = re.sub(rf"(?i)\b\d{{1,3}}{_YEARS_OLD}|\b(?:retired|young|old)\b", "", match["job"])
    words = [w for w in job.replace(",", " ").split() if w[0].islower() or w.isupper()]
    if not words or _NO_OCCUPATION.match(words[-1]):
        return None
    return " ".join(words[-3:])


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


def _fold(text: str) -> str:
    """A text as it is compared: without accents, case and punctuation."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(re.sub(r"[^\w\s]", " ", bare.casefold()).split())


_MINOR = frozenset("a an the of in at for and or to with on senior junior retired".split())


def contradiction(wishes: Wishes, persona: dict[str, Any]) -> str | None:
    """Say where a person differs from what the user fixed, in words for the model.

    Parameters
    ----------
    wishes : Wishes
        What is fixed (`Wishes.fixed`).
    persona : dict
        With `name`, `age` and `occupation` (a text, or an object with `title` and
        `description`); what is missing is not compared.

    Returns
    -------
    str or None
        None when nothing contradicts. A name agrees when all its words stand in the
        person's name; an occupation when one significant word of it stands there.

    Examples
    --------
    >>> fixed = read_wishes("name: Ana Souza; age: 34").fixed()
    >>> contradiction(fixed, {"name": "ana maria SOUZA", "age": 34}) is None
    True
    >>> contradiction(fixed, {"name": "Ana Souza", "age": 43})
    'The age must be 34, as was asked for, not 43.'
    """
    name, age, occupation = (persona.get(k) for k in ("name", "age", "occupation"))
    if wishes.name and isinstance(name, str):
        has = _fold(name).split()
        if not all(word in has for word in _fold(wishes.name).split()):
            return f"The name must be {wishes.name!r}, as was asked for, not {name!r}."
    if isinstance(age, int):
        if wishes.age is not None and age != wishes.age:
            return f"The age must be {wishes.age}, as was asked for, not {age}."
        if wishes.age_range and not wishes.age_range[0] <= age <= wishes.age_range[1]:
            low, high = wishes.age_range
            return f"The age must be from {low} to {high}, as was asked for, not {age}."
    if wishes.occupation and occupation:
        told = (
            " ".join(str(occupation.get(k) or "") for k in ("title", "description"))
            if isinstance(occupation, dict)
            else str(occupation)
        )
        wanted = [w for w in _fold(wishes.occupation).split() if w not in _MINOR]
        # The beginning of a word is enough: "teacher" is met by "teaching assistant".
        if wanted and not any(w[: max(5, len(w) - 3)] in _fold(told) for w in wanted):
            shown = occupation.get("title") if isinstance(occupation, dict) else occupation
            return f"The occupation must be {wishes.occupation!r}, as was asked for, not {shown!r}."
    return None
