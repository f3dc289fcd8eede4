"""People made together: the same ones, in the same order, whoever's answer came first."""

from __future__ import annotations

import random
import time

import pytest

from tests.support.chat_server import answer, wrong_key
from tests.support.people import person as persona
from tinyfactory import TinyPerson, TinyPersonFactory, control
from tinyfactory.errors import AuthenticationFailed

CONTEXT = "A group of friends are on a camping trip."


def by_ordinal(request):
    """The answer depends on what is asked, and comes after a time that depends on chance."""
    time.sleep(random.random() * 0.05)
    text = request.last_message
    number = int(text.partition("<ordinal>")[2].partition("</ordinal>")[0])
    # Two of them want the same name, which only one can have.
    wanted = persona(number) | ({"name": "Ana Souza"} if number in (2, 5) else {})
    return answer(persona(50 + number) if "<rejected>" in text else wanted)


def together(folder, number=8):
    control.begin(folder)
    factory = TinyPersonFactory(CONTEXT)
    return factory, factory.generate_people(number, concurrency=8)


def test_order_of_answers_does_not_matter(serve, tmp_path):
    outcomes = []
    for run in range(3):
        serve(rules=[by_ordinal])
        factory, people = together(tmp_path / f"j{run}")
        outcomes.append([p.to_dict() for p in people])
        assert factory.generated_names == [p.name for p in people]
        assert people[1].name == "Ana Souza" != people[4].name
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_it_really_runs_together(serve, tmp_path):
    server = serve()
    with server.held_until(8):
        together(tmp_path / "j", 16)
    assert server.most_at_once == 8


def test_it_replays_whole_and_the_line_goes_on(serve, tmp_path):
    server = serve(rules=[by_ordinal])
    factory, people = together(tmp_path / "j")
    after = factory.generate_person("a last one")
    asked = len(server.requests)
    factory, again = together(tmp_path / "j")
    assert again == people and factory.generate_person("a last one") == after
    assert len(server.requests) == asked
    assert (control.cache_hits(), control.cache_misses()) == (9, 0)
    assert [event.hit for event in factory.history()] == [True] * 9


def test_more_people_asked_for_keeps_the_first(serve, tmp_path):
    server = serve(rules=[by_ordinal])
    _, people = together(tmp_path / "j", 4)
    asked = len(server.requests)
    _, more = together(tmp_path / "j", 6)
    assert more[:4] == people
    assert len(server.requests) == asked + 3  # two more, one of whom wanted a taken name


def fails_at(number):
    def rule(request):
        if f"<ordinal>{number}</ordinal>" in request.last_message:
            return wrong_key()(request)
        return None

    return rule


@pytest.mark.parametrize(("new_kernel", "journal"), [(False, False), (False, True), (True, True)])
def test_stopped_it_keeps_who_is_finished_and_the_same_again_goes_on(
    serve, tmp_path, new_kernel, journal
):
    broken = serve(rules=[fails_at(4), by_ordinal])
    rules = broken.rules
    if journal:
        control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT)
    with pytest.raises(AuthenticationFailed):
        factory.generate_people(8, concurrency=8)
    finished = list(factory.last_job.people)
    assert len(finished) == 3
    assert factory.generated_names == [p.name for p in finished]
    assert list(TinyPerson.all_people()) == finished
    rules.pop(0)
    if new_kernel:
        control.begin(tmp_path / "j")
        factory = TinyPersonFactory(CONTEXT)
    people = factory.generate_people(8, concurrency=8)
    assert len(people) == 8 and people[:3] == finished
    assert factory.generated_names == [p.name for p in people]
    if journal:
        control.begin(tmp_path / "j")
        asked = len(broken.requests)
        assert TinyPersonFactory(CONTEXT).generate_people(8, concurrency=8) == people
        assert len(broken.requests) == asked


@pytest.mark.parametrize("new_run", [False, True])
def test_checkout_reaches_people_made_together(serve, tmp_path, new_run):
    serve(rules=[by_ordinal])
    factory, people = together(tmp_path / "j", 4)
    after = factory.generate_person("a last one")
    keys = [event.key for event in factory.history()]
    if new_run:
        control.begin(tmp_path / "j")
        factory = TinyPersonFactory(CONTEXT)
    factory.checkout(keys[4])
    assert factory.generated_names == [p.name for p in [*people, after]]
    factory.checkout(keys[3])
    assert list(TinyPerson.all_people()) == people
    assert factory.generate_person("a last one") == after
    factory.checkout(keys[1])
    assert list(TinyPerson.all_people()) == people[:2]
