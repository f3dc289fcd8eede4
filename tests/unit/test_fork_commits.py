"""How the steps of slots reach the disk: many in one write, and in their order."""

from __future__ import annotations

import threading
import time

import pytest

from tests.support.chat_server import answer
from tests.support.people import person as persona
from tinyfactory import TinyPerson, TinyPersonFactory, control
from tinyfactory.errors import NameTaken
from tinyfactory.journal.canonical import digest
from tinyfactory.journal.rows import unseal_text
from tinyfactory.journal.store import Store

CONTEXT = "A group of friends are on a camping trip."


def by_ordinal(request):
    text = request.last_message
    number = int(text.partition("<ordinal>")[2].partition("</ordinal>")[0])
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
    writer = simulation.store._writer
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


class OtherKernel:
    """Stores an event of its own, of a person of another name, before one of ours is."""

    def __init__(self, writer, folder, name):
        self.commit, self.folder, self.name = writer._commit, folder, name
        self.sent, self.key, self.together = threading.Event(), None, 0
        writer._commit = self

    def __call__(self, batches):
        rows = [row for batch in batches for row in batch if row[0].startswith("event:")]
        if rows and self.key is None:
            # The others wait for their turn, or are behind this one in the queue.
            self.key, record = rows[0][0], unseal_text(rows[0][1])
            record["result"]["state"]["persona"]["name"] = self.name
            record["changes"]["self"]["append"]["generated_names"] = [self.name]
            record["head"] = digest("another", record["head"])
            other = Store(self.folder)
            other.add(self.key, record)
            other.close()
            time.sleep(0.5)
        return self.commit(batches)


def met_by_another_kernel(serve, folder, name):
    server = serve(rules=[by_ordinal])
    simulation = control.begin(folder)
    store = simulation.store
    other = OtherKernel(store._writer, store.folder, name)
    return server, other, TinyPersonFactory(CONTEXT)


def test_when_another_kernel_was_first_its_person_counts_and_those_behind_stay(serve, tmp_path):
    server, other, factory = met_by_another_kernel(serve, tmp_path / "j", "Rosa Lima")
    with server.held_until(8):
        people = factory.generate_people(8, concurrency=8)
    expected = ["Rosa Lima", *(persona(n)["name"] for n in range(2, 9))]
    assert other.key is not None
    assert [p.name for p in people] == factory.generated_names == expected
    assert {p.name for p in TinyPerson.all_people()} == set(expected)
    control.begin(tmp_path / "j")
    assert TinyPersonFactory(CONTEXT).generate_people(8, concurrency=8) == people
    assert len(server.requests) == 8


def test_when_the_others_person_bears_the_name_of_one_behind_the_same_again_mends_it(
    serve, tmp_path
):
    taken = persona(5)["name"]
    server, _, factory = met_by_another_kernel(serve, tmp_path / "j", taken)
    with server.held_until(8), pytest.raises(NameTaken, match="the same again"):
        factory.generate_people(8, concurrency=8)
    people = factory.generate_people(8, concurrency=8)
    expected = [taken, *(persona(n)["name"] for n in (2, 3, 4, 55, 6, 7, 8))]
    assert [p.name for p in people] == factory.generated_names == expected
    control.begin(tmp_path / "j")
    assert TinyPersonFactory(CONTEXT).generate_people(8, concurrency=8) == people
    assert len(server.requests) == 8 + 2  # the name was taken, and then it was told so
