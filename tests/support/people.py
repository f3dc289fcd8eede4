"""Valid people for the chat server to answer with: person(0), person(1), ..., all different."""

from __future__ import annotations

from typing import Any

# fmt: off
FIRST = [
    "Amara", "Bruno", "Carla", "Dmitri", "Elif", "Farid", "Greta", "Hana", "Ivan", "Joana",
    "Kofi", "Leila", "Mateo", "Nadia", "Oskar", "Priya", "Quentin", "Rosa", "Samir", "Tuuli",
    "Uma", "Viktor", "Wanda", "Ximena", "Yusuf", "Zofia", "Aiko", "Bilal", "Chiara", "Dawit",
]
LAST = [
    "Abara", "Bianchi", "Carvalho", "Dahl", "Eriksen", "Fofana", "Gruber", "Haddad", "Ivanova",
    "Jensen", "Kowalski", "Lindqvist", "Moreau", "Nakamura", "Okafor", "Petrov", "Quispe",
    "Rossi", "Santos", "Tanaka", "Ueda", "Vasquez", "Weber", "Xu", "Yilmaz", "Zhang",
    "Acheampong", "Brandt", "Castillo", "Duarte",
]
# fmt: on
PLACES = (
    ("Portuguese", "Porto, Portugal"),
    ("Kenyan", "Kisumu, Kenya"),
    ("Polish", "Gdańsk, Poland"),
    ("Peruvian", "Arequipa, Peru"),
    ("Japanese", "Kanazawa, Japan"),
)
WORK = (
    ("carpenter", "a joinery of six", "builds staircases and repairs old window frames"),
    ("nurse", "the district hospital", "works nights on the ward for older patients"),
    ("teacher", "a village school", "teaches mathematics to children of ten to fourteen"),
    ("bus driver", "the city's transport company", "drives the early line to the harbour"),
    ("soil scientist", "a research station", "measures how fields keep water in dry years"),
)


def name(number: int) -> str:
    first, rest = FIRST[number % len(FIRST)], number // len(FIRST)
    last, rest = LAST[rest % len(LAST)], rest // len(LAST)
    # Past 900 the family name is doubled, with another one each time.
    return f"{first} {last}" + (
        f"-{LAST[rest % len(LAST)]} {'I' * (rest // len(LAST))}".rstrip() if rest else ""
    )


def person(number: int) -> dict[str, Any]:
    """A person in the layout of the persona schema."""
    nationality, residence = PLACES[number % len(PLACES)]
    title, organization, description = WORK[number % len(WORK)]
    return {
        "name": name(number),
        "age": 21 + number % 45,
        "gender": ("woman", "man")[number % 2],
        "nationality": nationality,
        "residence": residence,
        "education": "Left school at eighteen and learnt on the job.",
        "occupation": {"title": title, "organization": organization, "description": description},
        "style": "Speaks slowly, and asks one question more than others would.",
        "personality": {
            "traits": [
                "patient until it is about punctuality",
                "keeps promises, forgets birthdays",
            ],
            "big_five": {
                "openness": 40 + number % 50,
                "conscientiousness": 70,
                "extraversion": 30 + number % 60,
                "agreeableness": 55,
                "neuroticism": 45,
            },
        },
        "preferences": {
            "interests": ["old maps", "rowing"],
            "likes": ["rain on a tent"],
            "dislikes": ["loud phones"],
        },
        "skills": ["reads the weather", "repairs stoves"],
        "beliefs": ["People who share food share news."],
        "behaviors": {
            "general": ["hums when nervous"],
            "routines": {
                "morning": ["makes tea before anything else"],
                "workday": ["eats lunch outside"],
                "evening": ["reads ten pages"],
                "weekend": ["walks along the river"],
            },
        },
        "health": "Well, with a knee that foretells rain.",
        "relationships": [{"name": f"Noor {number}", "description": "a friend from school"}],
        "long_term_goals": ["to own a small boat"],
        "other_facts": ["won a quiz on local history once"],
    }
