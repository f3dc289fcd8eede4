"""A simulation's lines in short: order, branches, what joined, what each came to."""

from __future__ import annotations

from typing import ClassVar

import pytest

from tinyfactory import Simulation, TinyFactory, TinyPersonFactory, control, transactional
from tinyfactory.errors import InvalidInput
from tinyfactory.journal.simulation import scope_of
from tinyfactory.journal.timeline import Timeline, began_as

CONTEXT = "A group of friends are on a camping trip."


class Guild(TinyFactory):
    """A method whose event has events within: it changes objects that are none of its own."""

    makers: ClassVar[tuple[TinyPersonFactory, ...]] = ()

    @transactional
    def found(self) -> list:
        return [maker.generate_person() for maker in type(self).makers]


def numbers(timeline, root, branch=None):
    return [timeline.position(event.key).number for event in timeline.events(root, branch)]


def branching(path):
    """1, 2 on the first branch; 3 after 1; 4, 5, 6 beside each other after 3; 7 after 3, too."""
    simulation = control.begin(path)
    factory = TinyPersonFactory(CONTEXT, model="offline")
    first = factory.generate_people(2)
    factory.checkout(0)
    second = [factory.generate_person("somebody else")]
    second += factory.generate_people(3, concurrency=3)
    factory.checkout(1)
    third = factory.generate_person("a third way")
    return simulation, [*first, *second, third]


def test_each_event_stands_behind_the_one_before_it_branch_by_branch(tmp_path):
    simulation, people = branching(tmp_path / "j")
    timeline = Timeline(scope_of(simulation))
    (line,) = timeline.lines
    events = timeline.events(line.root)
    assert [event.result for event in events] == [person.name for person in people]
    places = [timeline.position(event.key) for event in events]
    assert [place.branch for place in places] == [1, 1, 2, 2, 2, 2, 3]
    assert [place.following for place in places] == [2, 0, 2, 1, 1, 0, 0]
    assert places[0].before is None and places[6].before == events[2].key
    assert timeline.branches(line.root) == [1, 2, 3]
    assert numbers(timeline, line.root, 2) == [1, 3, 4, 5, 6]
    assert numbers(timeline, line.root, 3) == [1, 3, 7]


def test_what_ran_beside_each_other_and_joined_is_no_branch(tmp_path):
    simulation, _ = branching(tmp_path / "j")
    (line,) = simulation.lines()
    assert (line.events, len(line.heads)) == (7, 3)


def test_a_recording_and_an_ended_simulation_tell_the_same(tmp_path):
    simulation, _ = branching(tmp_path / "j")
    (line,) = simulation.lines()
    told = [event.key for event in Timeline(scope_of(simulation)).events(line.root)]
    path = simulation.export(tmp_path / "lesson.recording.jsonl.gz")
    control.end()
    ended = Timeline(scope_of(simulation))
    assert [event.key for event in ended.events(line.root)] == told
    assert not simulation.is_open
    with Simulation.from_recording(path) as replayed:
        timeline = Timeline(scope_of(replayed))
        # Its rows lie in another order: of equal ways on, another may come first.
        assert {event.key for event in timeline.events(line.root)} == set(told)
        assert timeline.branches(line.root) == [1, 2, 3]
        for event in timeline.events(line.root):
            before = ended.position(event.key).before
            assert timeline.position(event.key).before == before
            assert event.at is None and event.seconds == 0


def test_hits_and_misses_are_those_of_this_run(tmp_path):
    simulation, _ = branching(tmp_path / "j")
    assert Timeline(scope_of(simulation)).totals().new == 7
    simulation = control.begin(tmp_path / "j")
    timeline = Timeline(scope_of(simulation))
    (line,) = timeline.lines
    assert {event.hit for event in timeline.events(line.root)} == {None}
    TinyPersonFactory(CONTEXT, model="offline").generate_person()
    assert [event.hit for event in timeline.events(line.root)] == [True] + 6 * [None]
    totals = timeline.totals(line.root)
    assert (totals.events, totals.replayed, totals.new, totals.attempts) == (7, 1, 0, 7)
    assert totals.tokens > 0 and totals.usd == 0 and totals.unpriced == 0


def test_looking_again_reads_what_is_new_and_nothing_else(tmp_path, monkeypatch):
    simulation = control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT, model="offline")
    factory.generate_people(5)
    timeline = Timeline(scope_of(simulation))
    factory.generate_person()
    read = []
    get = scope_of(simulation).store.get

    def noted(name):
        read.append(name)
        return get(name)

    monkeypatch.setattr(scope_of(simulation).store, "get", noted)
    timeline.refresh()
    assert [name.partition(":")[0] for name in read] == ["event"]
    assert numbers(timeline, timeline.lines[0].root) == [1, 2, 3, 4, 5, 6]


def test_steps_within_an_event_are_told_with_it(tmp_path):
    simulation = control.begin(tmp_path / "j")
    Guild.makers = tuple(TinyPersonFactory(CONTEXT, model="offline") for _ in range(2))
    Guild().found()
    timeline = Timeline(scope_of(simulation))
    (line,) = [line for line in timeline.lines if timeline.title(line.root).startswith("Guild")]
    (event,) = timeline.events(line.root)
    steps = timeline.within(event.key)
    assert [step.method for step in steps] == 2 * ["TinyPersonFactory.generate_person"]
    assert event.result == ", ".join(step.result for step in steps)
    assert timeline.find(event.key[:12]) == event


def test_an_event_that_is_not_there_is_said(tmp_path):
    simulation, _ = branching(tmp_path / "j")
    timeline = Timeline(scope_of(simulation))
    for beginning in ("", "x"):
        with pytest.raises(InvalidInput, match="0 events"):
            timeline.find(beginning)


def test_a_line_is_called_by_what_it_began_from():
    person = {"class": "TinyPerson", "state": {"persona": {"name": "Ana"}, "registered": True}}
    assert began_as(person) == ("TinyPerson", "Ana")
    call = {"class": "shop.Baker", "method": "bake", "arguments": {"number": 2, "note": None}}
    assert began_as(call) == ("Baker.bake", "number=2")


def test_looking_for_the_line_of_an_object_begins_none(tmp_path):
    simulation = control.begin(tmp_path / "j")
    looked_at, other = (TinyPersonFactory(CONTEXT, model="offline") for _ in range(2))
    assert scope_of(simulation).begun_line_of(looked_at) is None
    other.generate_person()
    (line,) = simulation.lines()
    assert scope_of(simulation).begun_line_of(other).root == line.root
    looked_at.generate_person()
    assert scope_of(simulation).begun_line_of(looked_at).root != line.root
    simulation.begin()
    assert scope_of(simulation).begun_line_of(other) is None
