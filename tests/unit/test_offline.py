"""The offline model: the same on every machine, varied, and true to what was asked."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest

from tinyfactory.gazetteer.countries import countries, find_place
from tinyfactory.models.chat import ChatModel, ChatRequest
from tinyfactory.models.offline import OFFLINE_MARK, OfflineModel
from tinyfactory.models.offline.casting import cast
from tinyfactory.models.offline.lines import occupations_of
from tinyfactory.models.offline.load import interests, occupations
from tinyfactory.models.offline.profile import read_profile
from tinyfactory.models.offline.reading import read_brief
from tinyfactory.models.offline.theme import read_theme
from tinyfactory.people.schema.layout import contexts_schema, reply_schema
from tinyfactory.utils.random import Dice, digest
from tinyfactory.utils.text import normalise_name

CAMPING = "A group of friends are on a camping trip."


def request(context, particularities=None, ordinal=None, name="persona", **tags):
    tags = {"context": context, "particularities": particularities, "ordinal": ordinal, **tags}
    text = "\n".join(f"<{k}>\n{v}\n</{k}>" for k, v in tags.items() if v is not None)
    return ChatRequest(({"role": "user", "content": text},), 1.5, None, name)


def answer(asked, seed=0):
    return asyncio.run(OfflineModel(seed).complete(asked)).text


def person(context, particularities=None, ordinal=None, seed=0, **tags):
    return json.loads(answer(request(context, particularities, ordinal, **tags), seed))


def people(context, number, **kwargs):
    return [person(context, ordinal=i, **kwargs) for i in range(1, number + 1)]


def specific(context, number, **tags):
    return json.loads(answer(request(context, name="contexts", number=number, **tags)))["contexts"]


def sentences(p):
    habits = p["behaviors"]
    texts = [
        p["occupation"]["description"], p["style"], p["health"], *p["beliefs"],
        *habits["general"], *p["long_term_goals"],
        *[s for part in habits["routines"].values() for s in part],
    ]  # fmt: skip
    return [s for text in texts for s in re.split(r"(?<=[.!?])\s+", text) if s]


# -- the protocol ----------------------------------------------------------------------------


def test_it_is_a_chat_model():
    model = OfflineModel(seed=3)
    assert isinstance(model, ChatModel)
    assert model.identity == {"kind": "offline", "model": "offline", "version": 1, "seed": 3}


def test_usage_is_four_characters_a_token():
    reply = asyncio.run(OfflineModel().complete(request(CAMPING)))
    assert reply.model == "offline" and reply.finish_reason == "stop"
    assert reply.usage.completion_tokens == len(reply.text) // 4
    assert reply.usage.prompt_tokens == len(request(CAMPING).messages[0]["content"]) // 4


def test_without_a_schema_it_says_that_no_model_is_at_work():
    asked = ChatRequest(({"role": "user", "content": "How are you?"},))
    assert "No language model is at work" in answer(asked)


# -- the same everywhere ---------------------------------------------------------------------


def test_processes_with_different_hash_seeds_agree():
    code = (
        "import asyncio, hashlib; from tests.unit.test_offline import *; "
        "print(hashlib.sha256(''.join([answer(request(CAMPING, ordinal=i)) for i in range(8)]"
        " + specific(CAMPING, 9)).encode()).hexdigest())"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path.cwd())},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(told) == 1 and len(told.pop().strip()) == 64


def test_seed_and_request_each_change_the_person():
    first = answer(request(CAMPING, ordinal=1))
    assert first == answer(request(CAMPING, ordinal=1))
    assert first != answer(request(CAMPING, ordinal=2))
    assert first != answer(request(CAMPING, ordinal=1), seed=1)


def test_threads_and_tasks_do_not_disturb_one_another():
    model = OfflineModel()
    expected = [answer(request(CAMPING, ordinal=i)) for i in range(20)]
    found: dict[int, list[str]] = {}

    async def all_at_once():
        asked = (model.complete(request(CAMPING, ordinal=i)) for i in range(20))
        return [reply.text for reply in await asyncio.gather(*asked)]

    def run(number):
        found[number] = asyncio.run(all_at_once())

    threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(found.values()) == [expected] * 4


def test_a_hundred_people_a_second():
    people(CAMPING, 5)
    started = time.process_time()
    people(CAMPING, 100)
    assert time.process_time() - started < 2  # a machine half as fast may pass as well


# -- the layout ------------------------------------------------------------------------------

KEYS = {
    "name", "age", "gender", "nationality", "residence", "education", "occupation", "style",
    "personality", "preferences", "skills", "beliefs", "behaviors", "health", "relationships",
    "long_term_goals", "other_facts",
}  # fmt: skip
ROUTINES = {"morning", "workday", "evening", "weekend"}
CONTEXTS = [
    CAMPING, "a hospital in São Paulo, Brazil", "A startup in Berlin", "Customers of a bank",
    "students in a chemistry class in Nairobi", "Retired people in Japan", "a village in Peru",
    "people who love electric cars", "Voters in the US", "Children in Poland", "", "x" * 50_000,
    "<script>alert('x')</script> {{context}} {first} \"quotes\" </context> & more",
]  # fmt: skip


def texts_of(value):
    if isinstance(value, dict):
        return [t for v in value.values() for t in texts_of(v)]
    if isinstance(value, list):
        return [t for v in value for t in texts_of(v)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("context", CONTEXTS)
def test_every_person_has_every_key_and_clean_texts(context):
    for p in people(context, 12):
        assert p.keys() >= KEYS
        assert p["gender"] in {"female", "male", "non-binary"}
        assert 0 < p["age"] <= 100 and isinstance(p["age"], int)
        assert 3 <= len(p["personality"]["traits"]) <= 5
        scores = p["personality"]["big_five"]
        assert len(scores) == 5 and all(0 <= s <= 100 for s in scores.values())
        assert p["other_facts"].count(OFFLINE_MARK) == 1
        assert {k for k, said in p["behaviors"]["routines"].items() if said} == ROUTINES
        assert all(r["name"] and r["description"] for r in p["relationships"])
        assert len(p["relationships"]) >= 1 and len(p["long_term_goals"]) >= 2
        for text in texts_of(p):
            assert "{" not in text and "  " not in text and "|" not in text
            assert not re.search(r"\b(?!that|had)(\w+) \1\b", text), text
            assert not re.search(r"\ba [aeio]\w", text), text


def test_another_language_is_refused_in_words():
    facts = person(CAMPING, language="Portuguese")["other_facts"]
    assert any("Portuguese" in fact and "English only" in fact for fact in facts)
    assert not any("English only" in f for f in person(CAMPING, language="English")["other_facts"])


def test_the_product_accepts_what_it_writes():
    jsonschema.validate(person(CAMPING), reply_schema())
    jsonschema.validate({"contexts": specific(CAMPING, 3)}, contexts_schema())


# -- true to what was asked ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("A 34-year-old nurse named Ana Souza from Lisbon who loves chess",
         {"name": "Ana Souza", "age": 34, "gender": "female", "residence": "Lisbon, Portugal",
          "nationality": "Portuguese"}),
        ("name: Kofi Mensah; age: 40", {"name": "Kofi Mensah", "age": 40, "gender": "male"}),
        ("a Japanese engineer living in Berlin",
         {"nationality": "Japanese", "residence": "Berlin, Germany"}),
        ('{"name": "Zé Silva", "age": 41, "nationality": "Brazilian"}',
         {"name": "Zé Silva", "age": 41, "nationality": "Brazilian"}),
        ("non-binary artist", {"gender": "non-binary"}),
        ("from Kabul, Afghanistan", {"residence": "Kabul, Afghanistan"}),
        ("a 7-year-old girl", {"age": 7, "gender": "female"}),
        ("a 19-year-old surgeon", {"age": 19}),
    ],
)  # fmt: skip
def test_particularities_win(wish, expected):
    for ordinal in (1, 2, 3):
        found = person("a hospital in São Paulo, Brazil", wish, ordinal)
        assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("wish", "word"),
    [
        ("occupation: marine biologist", "marine biologist"),
        ("occupation: astronaut, age: 29", "astronaut"),
        ("works as a beekeeper", "beekeeper"),
        ("a retired teacher", "retired teacher"),
        ("a 70-year-old student", "student"),
        ("unemployed roofer", "unemployed"),
        ("high school pupil", "pupil"),
        ("an Uber driver in Accra", "driver"),
    ],
)
def test_occupations_asked_for_are_taken_up(wish, word):
    assert word in person(CAMPING, wish, 1)["occupation"]["title"].lower()


def test_ages_asked_for_are_taken_up():
    assert all(30 <= person(CAMPING, "aged 30 to 40", i)["age"] <= 40 for i in range(20))
    assert all(60 <= person(CAMPING, "a woman in her sixties", i)["age"] <= 69 for i in range(20))
    assert all(person("Retired people in Japan", None, i)["age"] >= 58 for i in range(20))


def test_interests_asked_for_come_first():
    found = person(CAMPING, "a man who enjoys sailing and basket weaving", 1)
    assert found["preferences"]["interests"][:2] == ["sailing", "basket weaving"]


def test_a_hospital_is_staffed_and_stands_where_it_stands():
    staff = {o.title for o in occupations() if "hospital" in o.organizations}
    found = people("a hospital in São Paulo, Brazil", 60)
    assert all(p["residence"] == "São Paulo, Brazil" for p in found)
    assert all(p["occupation"]["title"].lower() in {t.lower() for t in staff} for p in found)
    assert sum(p["nationality"] == "Brazilian" for p in found) >= 50
    assert all(18 <= p["age"] <= 70 for p in found)


def test_students_are_of_an_age_to_be_students():
    found = people("students in a chemistry class in Nairobi", 30)
    assert all(12 <= p["age"] <= 30 and p["residence"] == "Nairobi, Kenya" for p in found)
    assert all("chemistry" in json.dumps(p) for p in found)


def test_ages_fit_occupations():
    youngest = {o.title.lower(): o.ages[0] for o in occupations()}
    for p in people("a hospital in Italy", 60) + people("people in Ghana", 60):
        title = p["occupation"]["title"].lower()
        assert p["age"] >= youngest.get(title, 0), (title, p["age"])
        if title.startswith("retired"):
            assert p["age"] >= 58


def test_the_theme_shows_in_every_person():
    for p in people(CAMPING, 30):
        about = texts_of([p["other_facts"], p["long_term_goals"], p["preferences"]])
        assert sum("camping" in text for text in about) >= 2
        assert CAMPING not in json.dumps(p)


def test_relatives_have_possible_ages():
    for p in people(CAMPING, 150):
        for r in p["relationships"]:
            if match := re.match(r"(Daughter|Son|Mother|Father), (\d+)", r["description"]):
                gap = p["age"] - int(match[2])
                assert gap >= 18 if match[1] in {"Daughter", "Son"} else -50 <= gap <= -18


def test_traits_are_drawn_from_the_scores():
    for p in people(CAMPING, 80):
        scores, text = p["personality"]["big_five"], " ".join(p["personality"]["traits"])
        if re.search(r"Sociable|Talkative|energy from company", text):
            assert scores["extraversion"] >= 60
        if re.search(r"Untidy|Easy-going|Spontaneous", text):
            assert scores["conscientiousness"] <= 40


# -- varied ----------------------------------------------------------------------------------


@pytest.mark.parametrize("context", [CAMPING, "a hospital in São Paulo, Brazil",
                                     "students in a chemistry class in Nairobi"])  # fmt: skip
def test_fewer_than_15_percent_of_sentences_are_repeated(context):
    found = people(context, 200)
    bearers: Counter[str] = Counter()
    for p in found:
        bearers.update(set(sentences(p)))
    every = [s for p in found for s in sentences(p)]
    assert sum(bearers[s] > 1 for s in every) / len(every) < 0.15


@pytest.mark.parametrize("context", [CAMPING, "Fishers in Japan"])
def test_ten_thousand_people_have_ten_thousand_names(context):
    # The part of the writer that decides on names; the texts would take a minute.
    names = [
        normalise_name(cast(read_brief(request(context, ordinal=i)), 0, Dice(digest(i))).name)
        for i in range(1, 10_001)
    ]
    assert len(set(names)) > 10_000 * 0.995


def test_whole_people_have_their_names_for_themselves():
    names = [normalise_name(p["name"]) for p in people("A choir in Vietnam", 700)]
    assert len(set(names)) == len(names)


def test_taken_names_are_not_given_again():
    name = person("A bakery in Lisbon", ordinal=5)["name"]
    again = person("A bakery in Lisbon", ordinal=5, taken_names=f"Someone Else; {name.upper()}")
    assert normalise_name(again["name"]) != normalise_name(name)


def test_a_rejected_person_comes_back_as_another():
    name = person(CAMPING, ordinal=5)["name"]
    assert person(CAMPING, ordinal=5, rejected="The name is taken.")["name"] != name


def test_people_made_before_are_differed_from():
    others = "\n".join(f"- A N, 40, {o.title}" for o in occupations() if o.title != "baker")
    found = {person("people in Ghana", "aged 40", i, others=others)["occupation"]["title"]
             for i in range(12)}  # fmt: skip
    assert found <= {"Baker", "Unemployed baker", "Homemaker"}


def test_names_bear_no_titles():
    for p in people("people in Germany", 60) + people("people in Brazil", 60):
        assert not re.search(r"\b(?:Dr|Sr|Sra|Prof|Dipl|Ing|Herr|Frau|Mr|Mrs|B\.)\b|\.", p["name"])


def test_a_state_is_no_part_of_a_country_that_begins_like_it():
    # Niger is a state of Nigeria, and stands in its name only by its letters.
    for region, country in (("Niger", "Nigeria"), ("Île-de-France", "France")):
        home = person("Residents", f'{{"region": "{region}", "country": "{country}"}}')["residence"]
        assert re.search(rf"\b{region}\b", home), home
        assert country in home


LINES = (
    "management, professional work, office and clerical work, sales, crafts and repair, machine "
    "operation, transport, labouring and cleaning, services, technical work, farming and fishing, "
    "protective services, domestic work, armed forces, health, education, finance, construction"
).split(", ")


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_work_is_kept_to(line):
    titles = {occupation.title.lower() for occupation in occupations_of(line)}
    assert titles
    for ordinal in range(1, 6):
        asked = json.dumps({"line_of_work": line, "age": 40, "employment": "self-employed"})
        assert person("Residents", asked, ordinal)["occupation"]["title"].lower() in titles


@pytest.mark.parametrize(
    ("line", "among", "not_among"),
    [
        ("services", {"waiter", "hairdresser", "care assistant"}, {"truck driver", "cashier"}),
        ("Protective services", {"firefighter"}, {"waiter"}),
        ("professional work", {"lawyer", "ward nurse"}, {"marketing manager", "cleaner"}),
        ("transport", {"bus driver"}, {"football coach"}),
        ("Machine operators", {"factory worker"}, {"nanny"}),
    ],
)
def test_lines_of_work_hold_what_belongs_to_them(line, among, not_among):
    titles = {occupation.title for occupation in occupations_of(line)}
    assert among <= titles
    assert not not_among & titles


def test_an_occupation_counts_before_its_line_and_an_unknown_line_for_nothing():
    both = '{"occupation": "nurse", "line_of_work": "transport", "age": 40}'
    assert "nurse" in person("Residents", both)["occupation"]["title"].lower()
    odd = '{"name": "Ana Lima", "line_of_work": "magic", "age": 40}'
    plain = '{"name": "Ana Lima", "age": 40}'
    assert person("Residents", odd)["occupation"]["title"]
    assert occupations_of("magic") == occupations_of("") == ()
    assert person("Residents", plain)["name"] == "Ana Lima"


@pytest.mark.parametrize(
    ("said", "level"),
    [("no high school diploma", "none"), ("high school diploma", "school"),
     ("some college, no degree", "school"), ("associate degree", "apprentice"),
     ("bachelor's degree", "bachelor"), ("professional degree or doctorate", "doctor")],
)  # fmt: skip
def test_levels_of_education_as_tables_call_them(said, level):
    assert read_profile(json.dumps({"education": said})).level == level


def test_the_tables_are_large_enough():
    assert len(countries()) >= 35 and len(occupations()) >= 120 and len(interests()) >= 80
    assert all(len(c.cities) >= 4 for c in countries())


# -- places ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "city", "country", "nation"),
    [
        ("a startup in berlin", "Berlin", "Germany", None),
        ("Sao Paulo", "São Paulo", "Brazil", None),
        ("people from Naples, Italy", "Naples", "Italy", None),
        ("friends split the bill", None, None, None),
        ("English teachers in Cork", "Cork", "Ireland", None),
        ("An Italian restaurant in Tokyo", "Tokyo", "Japan", None),
        ("a turkey dinner for us", None, None, None),
        ("voters in the US", None, "United States", None),
        ("A Kenyan nurse in Lyon", "Lyon", "France", "Kenya"),
    ],
)
def test_places_are_found_and_false_friends_are_not(text, city, country, nation):
    place = find_place(text)
    assert place.city == city
    assert (place.country and place.country.name) == country
    assert (place.nation and place.nation.name) == nation


# -- contexts --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("context", "number", "kept"),
    [
        (CAMPING, 40, "camping trip"),
        ("a hospital in São Paulo, Brazil", 25, "São Paulo"),
        ("A startup in Berlin", 5, "Berlin"),
        ("Customers of a bank", 12, "bank"),
        ("students in a chemistry class in Nairobi", 30, "chemistry class"),
        ("Farmers in Kenya", 20, "farmers in Kenya"),
        ("", 3, ""),
        ("<b>{x}</b>", 3, ""),
    ],
)
def test_contexts_are_many_different_and_keep_what_is_given(context, number, kept):
    found = specific(context, number)
    assert len(found) == len(set(found)) == number
    for text in found:
        assert kept in text
        assert 2 <= len(re.findall(r"[.!?](?:\s|$)", text)) <= 5
        assert "{" not in text


def test_contexts_already_written_are_not_written_again():
    first = specific(CAMPING, 6)
    again = specific(CAMPING, 6, already="\n".join(f"- {text}" for text in first))
    assert not set(first) & set(again)


@pytest.mark.parametrize("context", [CAMPING, "a hospital in São Paulo, Brazil", "A bank in Ghana",
                                     "Customers of a bank", "Farmers in Kenya"])  # fmt: skip
def test_a_specific_context_is_read_as_the_general_one(context):
    general = read_theme(context)
    for text in specific(context, 20):
        found = read_theme(text)
        assert (found.kind, found.role) == (general.kind, general.role), text
        assert found.archetype is not None, text
        place = find_place(context)
        if place.country:
            assert find_place(text).country is place.country


# -- any other schema ------------------------------------------------------------------------

TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 3, "maxLength": 8},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
            "required": ["name", "children", "next"],
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/node",
}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 5, "maximum": 7},
        {"type": "integer", "exclusiveMinimum": 5, "exclusiveMaximum": 7},
        {"type": "integer", "minimum": -9, "maximum": -3, "multipleOf": 3},
        {"type": "number", "minimum": 0.5, "maximum": 0.75},
        {"type": "string", "enum": ["a", "b"]},
        {"const": 42},
        {"type": ["string", "null"]},
        {"type": "boolean"},
        {"type": "array", "items": {"type": "string"}, "minItems": 4, "maxItems": 5},
        {"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True, "minItems": 3},
        {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "maxItems": 2},
        {"oneOf": [{"type": "object", "properties": {"k": {"const": 1}}, "required": ["k"]}]},
        {"allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"properties": {"b": {"type": "string"}}, "required": ["b"]},
        ]},
        {"type": "string", "minLength": 200},
        TREE,
    ],
)  # fmt: skip
def test_any_schema_is_filled_validly(schema):
    for seed in range(10):
        asked = ChatRequest(({"role": "user", "content": "x"},), None, schema, "thing")
        jsonschema.validate(json.loads(answer(asked, seed)), schema)
