"""People for benchmarks, and a model that answers with them at once and costs nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tinyfactory.models.chat import ChatReply, ChatRequest
from tinyfactory.people import TinyPerson

_SYLLABLES = "ba de fi go lu ma ne pi ro su ta ve wi zo ka le mi no ru sa".split()

# One to each person in turn, so that a search of one finds every tenth.
WORDS = "amber birch cedar quarter quartz fjord grove harbour island jasper".split()
_TRADES = "carpenter nurse teacher driver baker".split()


def name_of(number: int) -> str:
    """A name that nobody of another number bears, of the same length for all below 160,000."""
    parts = []
    for _ in range(4):
        number, rest = divmod(number, len(_SYLLABLES))
        parts.append(_SYLLABLES[rest])
    return f"{parts[0]}{parts[1]}n {parts[2]}{parts[3]}r".title()


def person(number: int) -> dict[str, Any]:
    """A person of about 2 kB, as a model would write one."""
    return {
        "name": name_of(number),
        "age": 21 + number % 45,
        "gender": "woman",
        "nationality": "Portuguese",
        "residence": "Porto, Portugal",
        "education": "Left school at eighteen, then learnt the trade from an aunt in Braga.",
        "occupation": {
            "title": "carpenter",
            "organization": "a joinery of six people by the river",
            "description": "Builds staircases, repairs old window frames, and trains apprentices.",
        },
        "style": "Speaks slowly, answers in whole sentences, and asks one question more than most.",
        "personality": {
            "traits": [
                "Patient with people, and impatient with tools that were put away dirty.",
                "Would rather measure three times than admit that the plan was wrong.",
                "Remembers every customer by the wood that they chose.",
            ],
            "big_five": {
                "openness": 61,
                "conscientiousness": 84,
                "extraversion": 35,
                "agreeableness": 58,
                "neuroticism": 27,
            },
        },
        "preferences": {
            "interests": [
                "Old bridges, and how they were paid for",
                "Growing tomatoes on a balcony that faces north",
                "Second-division football, followed by radio",
            ],
            "likes": ["The smell of fresh chestnut", "Trains that leave early", "Salted cod"],
            "dislikes": ["Particle board", "Meetings without an end", "Being called an artist"],
        },
        "skills": ["Dovetail joints by hand", "Reading a floor plan", "Driving a small lorry"],
        "beliefs": [
            "A thing that cannot be repaired was not finished when it was sold.",
            "Neighbours should know each other's first names.",
        ],
        "behaviors": {
            "routines": {
                "morning": ["Coffee standing up, then the workshop before the others come."],
                "evening": ["Sweeps the floor, walks home along the river, cooks for two."],
            }
        },
        "health": "A back that announces the weather.",
        "relationships": [{"name": "Duarte", "description": "Brother, drives the harbour bus."}],
    }


def many(number: int) -> Iterator[TinyPerson]:
    """People of about 2 kB each who share nothing, made in seconds; they differ in what is listed.

    The first is checked. The others are as it is but for some words, and are not: checking
    100,000 takes a minute, and is not what is measured with them.
    """
    text = json.dumps(TinyPerson(persona=person(0), register=False).persona)
    for n in range(number):
        persona = json.loads(text)
        persona |= {"name": name_of(n), "age": 18 + n % 70, "gender": ("man", "woman")[n % 2]}
        persona["nationality"] = ("Portuguese", "Kenyan", "Polish", "Peruvian")[n % 4]
        persona["occupation"]["title"] = _TRADES[n % 5]
        persona["health"] += f" Once, {n:,} steps from {WORDS[n % len(WORDS)]}, it did not."
        one = TinyPerson(register=False)
        one._persona = persona  # noqa: SLF001 - as its documentation here says
        one.provenance = {"source": "offline"}
        yield one


class InstantModel:
    """Answers each request with the next person, and counts."""

    identity = {"kind": "benchmark", "model": "instant", "endpoint": None}  # noqa: RUF012

    def __init__(self) -> None:
        self.calls = 0

    async def complete(self, request: ChatRequest) -> ChatReply:  # noqa: ARG002 - the protocol's
        self.calls += 1
        return ChatReply(json.dumps(person(self.calls)), model="instant")
