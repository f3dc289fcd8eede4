"""How the steps of slots reach the disk: many in one write, and in their order."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import nullcontext
from dataclasses import replace

import pytest

from tests.support.batches import Batches
from tests.support.chat_server import answer
from tests.support.people import person as persona
from tests.support.waiting import until
from tinyfactory import TinyPerson, TinyPersonFactory, control
from tinyfactory.errors import NameTaken, NobodyMade
from tinyfactory.factory.job_runner import JobRunner
from tinyfactory.journal.simulation import scope_of
from tinyfactory.journal.storage.store import Store
from tinyfactory.journal.transactional import transactional
from tinyfactory.journal.values.stored_text import digest, unseal_text

CONTEXT = "A group of friends are on a camping trip."


def names(first, last):
    return [persona(number)["name"] for number in range(first, last + 1)]


def ordinal(request):
    return int(request.last_message.partition("<ordinal>")[2].partition("</ordinal>")[0])


def by_ordinal(request):
    text, number = request.last_message, ordinal(request)
    return answer(persona(50 + number if "<rejected>" in text else number))


class SlowDisk:
    """The writer's lock, on a disk that takes a tenth of a second for each commit."""

    def __init__(self, lock):
        self.lock, self.commits = lock, 0

    def __enter__(self):
        self.lock.__enter__()
        self.commits += 1
        time.sleep(0.1)

    def __exit__(self, *error):
        self.lock.__exit__(*error)


def test_on_a_slow_disk_one_commit_takes_many_people(serve, tmp_path):
    server = serve(rules=[by_ordinal])
    simulation = control.begin(tmp_path / "j")
    writer = scope_of(simulation).store._writer
    disk = writer.lock = SlowDisk(writer.lock)
    factory = TinyPersonFactory(CONTEXT)
    with server.held_until(40):
        people = factory.generate_people(40, concurrency=40)
    # Each has a reply and an event; one by one they would be 80.
    assert disk.commits < 40
    assert [p.name for p in people] == [persona(n)["name"] for n in range(1, 41)]
    control.begin(tmp_path / "j")
    assert TinyPersonFactory(CONTEXT).generate_people(40, concurrency=40) == people
    assert len(server.requests) == 40


def first_is_last(server):
    """The first answer comes when all others are there, so that all are kept as one group."""

    def rule(request):
        late = ordinal(request) == 1 and "<rejected>" not in request.last_message
        return replace(by_ordinal(request), delay=1.5 * late)

    server.rules[:] = [rule]


class Meanwhile:
    """Does something before the first event is stored, when so many are on their way."""

    def __init__(self, writer, number, do):
        self.writer, self.number = writer, number
        self.commit, self.submit = writer._commit, writer.submit
        self.sent, self.do, self.done = 0, do, False
        writer._commit, writer.submit = self.store, self.send

    def send(self, work):
        self.sent += not callable(work) and any(key.startswith("event:") for key, _ in work)
        return self.submit(work)

    def store(self, batches):
        rows = [row for batch in batches for row in batch if row[0].startswith("event:")]
        if rows and not self.done:
            self.done = True
            until(lambda: self.sent >= self.number)
            self.do(*rows[0])
        return self.commit(batches)


def met_by_another_kernel(serve, folder, name):
    """Before the first event is stored another kernel stores it, of a person of that name."""
    server = serve()
    first_is_last(server)
    store = scope_of(control.begin(folder)).store

    def another(key, row):
        record = unseal_text(row)
        record["result"]["state"]["persona"]["name"] = name
        record["changes"]["self"]["append"]["generated_names"] = [name]
        record["head"] = digest("another", record["head"])
        other = Store(store.folder)
        other.add(key, record)
        other.close()

    return server, Meanwhile(store._writer, 8, another), TinyPersonFactory(CONTEXT)


def test_when_another_kernel_was_first_its_person_counts_and_those_behind_stay(serve, tmp_path):
    server, other, factory = met_by_another_kernel(serve, tmp_path / "j", "Rosa Lima")
    people = factory.generate_people(8, concurrency=8)
    expected = ["Rosa Lima", *(persona(n)["name"] for n in range(2, 9))]
    assert other.done
    assert [p.name for p in people] == factory.generated_names == expected
    assert {p.name for p in TinyPerson.all_people()} == set(expected)
    control.begin(tmp_path / "j")
    assert TinyPersonFactory(CONTEXT).generate_people(8, concurrency=8) == people
    assert len(server.requests) == 8


def test_when_the_others_person_bears_the_name_of_one_behind_the_same_again_mends_it(
    serve, tmp_path
):
    taken = persona(5)["name"]
    server, other, factory = met_by_another_kernel(serve, tmp_path / "j", taken)
    # Those behind are stored after the first has failed; who goes on is to find them.
    other.writer.lock = SlowDisk(other.writer.lock)
    with pytest.raises(NameTaken, match="the same call again"):
        factory.generate_people(8, concurrency=8)
    people = factory.generate_people(8, concurrency=8)
    expected = [taken, *(persona(n)["name"] for n in (2, 3, 4, 55, 6, 7, 8))]
    assert [p.name for p in people] == factory.generated_names == expected
    control.begin(tmp_path / "j")
    assert TinyPersonFactory(CONTEXT).generate_people(8, concurrency=8) == people
    assert len(server.requests) == 8 + 2  # the name was taken, and then it was told so


def test_when_one_is_not_stored_those_behind_stay_and_the_same_again_makes_it(serve, tmp_path):
    server = serve()
    first_is_last(server)
    simulation = control.begin(tmp_path / "j")

    def fail(key, row):
        raise MemoryError("no room for the first")

    Meanwhile(scope_of(simulation).store._writer, 8, fail)
    factory = TinyPersonFactory(CONTEXT)
    with pytest.raises(MemoryError):
        factory.generate_people(8, concurrency=8)
    assert factory.generated_names == list(TinyPerson.all_people()) == []
    people = factory.generate_people(8, concurrency=8)
    assert [p.name for p in people] == factory.generated_names == names(1, 8)
    control.begin(tmp_path / "j")
    assert TinyPersonFactory(CONTEXT).generate_people(8, concurrency=8) == people
    assert (control.cache_hits(), control.cache_misses(), len(server.requests)) == (8, 0, 8)


def test_who_was_kept_meanwhile_does_not_show_in_the_events(serve, tmp_path):
    server, changes, commits = serve(), [], []

    def one_after_another(request):
        return replace(by_ordinal(request), delay=0.3 * ordinal(request))

    for together in (False, True):
        simulation = control.begin(tmp_path / f"together-{together}")
        factory = TinyPersonFactory(CONTEXT)
        server.rules[:] = [answer({"no": "person"})]
        assert factory.generate_person(attempts=1) is None
        # The first who is made takes this back.
        assert factory.last_failure is not None
        server.requests.clear()
        server.rules[:] = [one_after_another]
        if together:
            first_is_last(server)
        writer = scope_of(simulation).store._writer
        disk = writer.lock = SlowDisk(writer.lock)
        assert len(factory.generate_people(8, concurrency=8)) == 8
        commits.append(disk.commits)
        keys = ["event:" + event.key for event in factory.history()]
        changes.append([scope_of(simulation).store.get(key)["changes"] for key in keys])
    assert changes[0] == changes[1]
    assert commits[1] < commits[0]


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("number", [1, 8])
def test_after_an_error_in_on_person_the_same_again_makes_nobody_twice(
    serve, tmp_path, concurrency, number
):
    server, seen = serve(rules=[by_ordinal]), []
    control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT)

    def look(person):
        seen.append(person.name)
        if len(seen) == number:
            raise LookupError("not to be shown")

    with pytest.raises(LookupError):
        factory.generate_people(8, concurrency=concurrency, on_person=look)
    people = factory.generate_people(8, concurrency=concurrency, on_person=look)
    assert [p.name for p in people] == factory.generated_names == seen
    assert len(people) == len(server.requests) == len(factory.history()) == 8


class Pairs(TinyPersonFactory):
    """Whose every person comes with a friend: two steps in one slot, and notes taken before."""

    notes = 0

    @transactional
    def note(self):
        self.notes += 1

    def generate_person(self, *asked):
        self.note()
        person = super().generate_person(*asked)
        super().generate_person("a friend")
        return person

    def encode_complete_state(self):
        return super().encode_complete_state() | {"notes": self.notes}

    def decode_complete_state(self, state):
        self.notes = state["notes"]
        return super().decode_complete_state(state)


@pytest.mark.parametrize("late", [False, True])
def test_slots_of_several_steps_come_one_after_another(serve, tmp_path, late):
    def pairs(request):
        number, friend = ordinal(request), "a friend" in request.last_message
        if "<rejected>" in request.last_message:
            return answer(persona(50 + number))
        # The first one's friend and the second want the same name; one of them comes late.
        wanted = {"name": "Ana Souza"} if number == 1 + (not friend) else {}
        slow = friend is late and number == 1 + (not friend)
        good = answer(persona(number + 20 * friend) | wanted)
        return replace(good, delay=0.3 * slow)

    server = serve(rules=[pairs])
    control.begin(tmp_path / "j")
    factory = Pairs(CONTEXT)
    people = factory.generate_people(3, concurrency=3)
    expected = [
        n for number in (1, 2, 3) for n in (persona(number)["name"], persona(20 + number)["name"])
    ]
    expected[1:3] = ["Ana Souza", persona(52)["name"]]
    assert factory.generated_names == expected and factory.notes == 3
    assert [p.name for p in people] == expected[::2]
    asked = len(server.requests)
    control.begin(tmp_path / "j")
    assert Pairs(CONTEXT).generate_people(3, concurrency=3) == people
    assert len(server.requests) == asked


def committing_threads():
    return [t for t in threading.enumerate() if t.name.startswith("tinyfactory-commit")]


def test_an_interrupt_while_the_slots_are_begun_leaves_none_running(serve, tmp_path, monkeypatch):
    server, draft, begun = serve(rules=[by_ordinal]), JobRunner.draft, []

    def interrupted(runner, slot):
        begun.append(slot)
        if len(begun) == 3:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        return draft(runner, slot)

    control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT)
    server.allowed = 0
    monkeypatch.setattr(JobRunner, "draft", interrupted)
    with pytest.raises(KeyboardInterrupt):
        factory.generate_people(8, concurrency=8)
    assert committing_threads() == []
    server.allowed = float("inf")
    people = factory.generate_people(8, concurrency=8)
    assert [p.name for p in people] == factory.generated_names == names(1, 8)
    assert list(TinyPerson.all_people()) == people


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("way", [{}, {"batch": True, "poll": 0.01}])
def test_an_interrupt_while_a_person_is_stored_makes_nobody_twice(serve, tmp_path, way, answered):
    """The main thread itself waits for the disk, and hears of it when the person is kept."""
    good_or_none = by_ordinal if answered else (lambda _: answer({"no": "person"}))
    server = serve(rules=[good_or_none], batches=Batches())
    writer = scope_of(control.begin(tmp_path / "j")).store._writer

    def interrupt(key, row):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    Meanwhile(writer, 1, interrupt)
    factory = TinyPersonFactory(CONTEXT)
    with pytest.raises(KeyboardInterrupt):
        factory.generate_people(4, attempts=1, **way)
    assert factory.last_job.ended == 1 or way  # by a batch it may come on the way to the disk
    server.rules[:] = [by_ordinal]
    # By a batch, all had been asked when it was interrupted.
    with nullcontext() if answered or not way else pytest.raises(NobodyMade):
        factory.generate_people(4, attempts=1, **way)
    people = factory.last_job.people
    assert len(people) + len(factory.last_job.missing) == len(factory.history()) == 4
    assert [p.name for p in people] == factory.generated_names
