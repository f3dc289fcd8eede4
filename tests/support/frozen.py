"""The calls that tests/frozen has recorded: every kind of event, in one function.

`tests/support/make_frozen.py` ran it once and stored the results; `tests/unit/test_frozen.py` runs
it again on copies of the stored files. So it makes only calls that users make, and must not change:
a changed argument is another event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import tinyfactory
from tinyfactory import Simulation, TinyFactory, TinyPerson, TinyPersonFactory, transactional
from tinyfactory.errors import ReplayMiss
from tinyfactory.people import People

Json = dict[str, Any]

FOLDER = Path(__file__).parents[1] / "frozen"
JOURNAL = FOLDER / "journal.tar.xz"
RECORDING = FOLDER / "story.recording.jsonl.gz"
EXPECTED = FOLDER / "story.json.xz"

SIMULATION = "frozen"
# The endpoint's address is part of every event key, so its port is fixed.
PORT = 47653
MODEL = "frozen-writer"
# The endpoint gives no usable reply if a prompt contains the first text, and a usable one only on
# the second attempt if it contains the second.
REFUSED = "an unwritable person"
REFUSED_ONCE = "a person written at the second try"

TOWN: Json = {
    "about": {"name": "Lower Milling", "country": "United Kingdom"},
    "sex": {"female": 3, "male": 3},
    "age": {"20-29": 2, "30-59": 2, "60-79": 2},
}


class Shop(TinyFactory):
    """A factory of a user's own, with steps, a step within a step, and an awaited one."""

    def __init__(self, owner: str) -> None:
        super().__init__()
        self.owner = owner
        self.stock = 10
        self.staff: list[str] = []

    @transactional(version="1")
    def sell(self, number: int) -> int:
        if number > self.stock:
            raise ValueError("sold out")
        self.stock -= number
        return self.stock

    @transactional(version="1")
    def open_for_a_day(self, customers: list[int]) -> Json:
        left = [self.sell(number) for number in customers]
        return {"left": left, "sold": sum(customers)}

    @transactional(version="1")
    def hire(self, agency: TinyPersonFactory, role: str) -> TinyPerson | None:
        person = agency.generate_person({"occupation": role})
        if person is not None:
            self.staff.append(person.name)
        return person

    @transactional(version="1")
    async def restock(self, number: int) -> int:
        await asyncio.sleep(0)
        self.stock += number
        return self.stock

    def encode_complete_state(self) -> Json:
        own = {"owner": self.owner, "stock": self.stock, "staff": list(self.staff)}
        return super().encode_complete_state() | own

    def decode_complete_state(self, state: Json) -> Shop:
        self.owner, self.stock = state["owner"], state["stock"]
        self.staff = list(state["staff"])
        return super().decode_complete_state(state)


class MarkedPersonFactory(TinyPersonFactory):
    """A subclass that changes how people are set up."""

    def _setup_agent(self, agent: TinyPerson, configuration: Json) -> None:
        super()._setup_agent(agent, configuration | {"style": "Marked by the subclass."})


def configure() -> None:
    """The settings that the story is told under."""
    address = f"http://127.0.0.1:{PORT}/v1"
    tinyfactory.configure(base_url=address, api_key="none", model=MODEL, language="English")


def story() -> Json:
    """Do everything that is recorded, in the open simulation; all that came of it as JSON."""
    told: Json = {}
    factories = _contexts(told)
    people = _persons(factories[0], told)
    _jobs(factories[1], told)
    _offline(told)
    _demography(told)
    _twin(people, told)
    _interview(people, told)
    _edits(people, told)
    _failures(told)
    _own_steps(factories[2], told)
    _overridden(told)
    _called_alone(told)
    _branch(told)
    told["factories"] = {
        name: {"state": f.encode_complete_state(), "history": [e.key for e in f.history()]}
        for name, f in sorted(TinyFactory.all_factories.items())
    }
    told["registered"] = [person.name for person in TinyPerson.all_people()]
    return told


def lines(simulation: Simulation) -> list[Json]:
    """The lines of the journal with the keys where their branches end."""
    found = [
        {
            "root": line.root,
            "kind": line.kind,
            "origin": line.origin,
            "events": line.events,
            "heads": sorted(line.heads),
        }
        for line in simulation.lines()
    ]
    return sorted(found, key=lambda line: str(line["root"]))


def _state(person: TinyPerson) -> Json:
    return {"bio": person.minibio(), "state": person.encode_complete_state()}


def _states(people: Iterable[TinyPerson]) -> list[Json]:
    return [_state(person) for person in people]


def _contexts(told: Json) -> list[TinyPersonFactory]:
    factories = TinyPersonFactory.generate_person_factories(
        3, "A harbour town in Portugal, and those who work there."
    )
    assert factories is not None
    told["contexts"] = [factory.context_text for factory in factories]
    return factories


def _persons(factory: TinyPersonFactory, told: Json) -> People:
    people = People(
        person
        for person in (
            factory.generate_person(),
            factory.generate_person("a 34-year-old nurse named Inês Carvalho"),
            factory.generate_person({"name": "Rui Matos", "age": 61, "gender": "male"}, 0.7),
            factory.generate_person("a woman who mends nets", temperature=None, attempts=2),
        )
        if person is not None
    )
    told["persons"] = _states(people)
    return people


def _jobs(factory: TinyPersonFactory, told: Json) -> None:
    told["one by one"] = _states(factory.generate_people(2, "a quiet one"))
    told["together"] = _states(factory.generate_people(8, concurrency=4))
    told["batch"] = _states(factory.generate_people(3, {"age": 45}, batch=True, poll=0.05))
    told["in the background"] = _states(factory.start_people(2, concurrency=2).wait())


def _offline(told: Json) -> None:
    factory = TinyPersonFactory("Bakers in Vienna, Austria", model="offline", language="German")
    told["offline"] = [_state(factory.generate_person({"age": 30}))]
    told["offline"] += _states(factory.generate_people(4, concurrency=2))
    own = TinyPersonFactory(
        "Bakers in Graz, Austria",
        model="offline",
        template="<context>{{context}}</context> Person {{ordinal}}, please.",
    )
    told["own template"] = _state(own.generate_person())


def _demography(told: Json) -> None:
    factory = TinyPersonFactory.from_demography(TOWN, "People of a small English town", seed=3)
    told["demography"] = _states(factory.generate_people(6, concurrency=3))
    told["twin of a profile"] = _twins(factory.generate_people(1)[0], age=25)


def _twin(people: People, told: Json) -> None:
    told["twin"] = _twins(people[2], sex="female")


def _twins(person: TinyPerson, **changes: Any) -> Json:
    twins = person.twin(**changes)
    twin = _state(twins.twin)
    # None when it was made and the simulation's when it was replayed, so it is not compared.
    twin["state"].pop("simulation_id")
    return {"original": _state(twins.original), "twin": twin, "share": twins.share}


def _interview(people: People, told: Json) -> None:
    answers = [
        people[0].ask("What do you do on a Sunday?"),
        people[0].ask("And what are your skills?", temperature=None),
        people[1].ask("What are your skills?", model="offline"),
        asyncio.run(people[1].aask("Whom do you trust?")),
    ]
    panel = people.ask("Would you take the ferry?", concurrency=2)
    told["answers"] = {"asked": answers, "panel": panel.answers, "reasons": panel.reasons}
    told["conversation"] = people[0].conversation


def _edits(people: People, told: Json) -> None:
    first, second = people[0], people[1]
    first.define("hobby", "rowing", group="preferences")
    first.revise({"age": 52, "occupation.title": "pilot of the harbour"})
    second.revise({"residence": "Porto, Portugal"})
    second.revise({"age": 35})
    second.undo()
    proposal = first.rewrite("beliefs", wish="more hopeful")
    proposal.accept()
    second.rewrite("beliefs").reject()
    told["edited"] = _states([first, second])
    told["origins"] = [first.origins(), second.origins()]
    told["agent file"] = first.to_dict()
    told["revisions"] = [
        [[r.number, r.source, r.undone, r.changes] for r in person.revisions]
        for person in (first, second)
    ]


def _failures(told: Json) -> None:
    factory = TinyPersonFactory("Lighthouse keepers in Brittany, France")
    told["failed"] = [factory.generate_person(REFUSED, attempts=2), factory.last_failure]
    told["second try"] = _state(factory.generate_person(REFUSED_ONCE))


def _own_steps(agency: TinyPersonFactory, told: Json) -> None:
    shop = Shop("Marta")
    told["shop"] = [shop.sell(1), shop.sell(1), shop.open_for_a_day([1, 2])]
    # A step that raised is stored nowhere, so a recording refuses to do it again.
    with suppress(ValueError, ReplayMiss):
        shop.open_for_a_day([1, 99])
    told["shop"].append(shop.stock)
    told["shop"].append(asyncio.run(shop.restock(5)))
    told["hired"] = _state(shop.hire(agency, "fishmonger"))
    shop.sell(2)


def _overridden(told: Json) -> None:
    factory = MarkedPersonFactory("Ferrymen in Norway")
    told["overridden"] = _states([
        factory.generate_person(),
        *factory.generate_people(2, concurrency=2),
    ])  # fmt: skip


def _called_alone(told: Json) -> None:
    factory = TinyPersonFactory("Millers in Denmark")
    message = {"role": "user", "content": "<context>Millers in Denmark</context> Write one."}
    told["model call"] = factory._aux_model_call([message], 1.0)
    person = TinyPerson("Nils Brandt", {"age": 40})
    factory._setup_agent(person, {"skills": ["dressing millstones"], "age": 41})
    told["set up"] = _state(person)


def _branch(told: Json) -> None:
    factory = TinyPersonFactory("Postmen in Ireland")
    first = factory.generate_person()
    left = factory.generate_person("a tall one")
    factory.checkout(0)
    other = factory.generate_person("a short one")
    told["branch"] = _states([first, left, other])
