"""Ending a simulation, or beginning it again, beside calls and jobs that are under way."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading

import pytest

from tests.support.waiting import main_waits_in, until
from tests.unit.test_locks import CONTEXT, Shop
from tinyfactory import Simulation, TinyPerson, TinyPersonFactory, control, transactional
from tinyfactory.errors import InvalidInput
from tinyfactory.journal.parallel.work import WorkUnderWay
from tinyfactory.people import People


class Slow(Shop):
    @transactional(version="1", ignore=("started", "go_on"))
    def put_slowly(self, item, started, go_on):
        self.items.append(item)
        started.set()
        assert go_on.wait(20)
        return item

    @transactional(version="1", ignore=("started", "go_on"))
    async def put_async(self, item, started, go_on):
        self.items.append(item)
        started.set()
        await go_on.wait()


def end(folder):
    control.end()


def begin(folder):
    control.begin(folder)


def another(folder):
    control.begin(folder.parent / "another")


def reset(folder):
    control.reset()


@pytest.mark.parametrize("leave", [end, begin, another])
@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("free", [False, True])
def test_people_who_were_handed_out_are_not_paid_again(serve, tmp_path, leave, concurrency, free):
    server, folder = serve(), tmp_path / "j"
    server.slow = 0.02
    before = TinyPersonFactory(CONTEXT) if free else None
    control.begin(folder)
    factory = before or TinyPersonFactory(CONTEXT)
    job = factory.start_people(12, concurrency=concurrency)
    until(lambda: len(job.people) >= 2)
    leave(folder)
    people = job.wait()
    assert len(people) == 12 and len(server.requests) == 12
    control.reset()
    simulation = control.begin(folder)
    assert TinyPersonFactory(CONTEXT).generate_people(12, concurrency=concurrency) == people
    assert (simulation.hits, simulation.misses) == (12, 0)


@pytest.mark.parametrize("leave", [end, begin])
def test_a_call_is_stored_in_the_simulation_in_which_it_began(tmp_path, leave, caplog):
    folder = tmp_path / "j"
    control.begin(folder)
    shop, started, go_on = Slow(), threading.Event(), threading.Event()
    thread = threading.Thread(target=shop.put_slowly, args=("a", started, go_on))
    thread.start()
    assert started.wait(10)
    caplog.set_level(logging.WARNING)
    threading.Timer(1.0, go_on.set).start()
    leave(folder)
    thread.join()
    assert "Slow.put_slowly" in caplog.text and "Ctrl-C" in caplog.text
    control.reset()
    simulation = control.begin(folder)
    assert Slow().put_slowly("a", None, None) == "a" and simulation.hits == 1


def test_ctrl_c_stops_the_waiting_and_the_simulation_stays_open(tmp_path):
    simulation = control.begin(tmp_path / "j")
    shop, started, go_on = Slow(), threading.Event(), threading.Event()
    thread = threading.Thread(target=shop.put_slowly, args=("a", started, go_on))
    thread.start()
    assert started.wait(10)

    def interrupt():
        until(lambda: main_waits_in(WorkUnderWay.wait_until_none))
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        control.end()
    assert simulation.is_open and control.current_simulation() is simulation
    go_on.set()
    thread.join()
    control.end()
    assert not simulation.is_open


def test_within_a_call_or_a_job_it_is_refused(tmp_path):
    simulation = control.begin(tmp_path / "j")

    class Ending(Shop):
        @transactional(version="1")
        def end_it(self):
            with pytest.raises(InvalidInput, match="within one"):
                control.end()
            with pytest.raises(InvalidInput, match="within one"):
                simulation.begin()
            with pytest.raises(InvalidInput, match="within one"):
                control.begin(tmp_path / "another")
            assert not (tmp_path / "another").exists()
            return "open"

    assert Ending().end_it() == "open" and simulation.is_open
    refused = []

    def look(person):
        with pytest.raises(InvalidInput, match="within one"):
            control.end()
        refused.append(person)

    factory = TinyPersonFactory(CONTEXT, model="offline")
    factory.generate_people(1, on_person=look)
    factory.generate_people(1, concurrency=2, on_person=look)
    factory.start_people(1, on_person=look).wait()
    assert len(refused) == 3


def test_beside_a_coroutine_of_this_loop_it_is_refused(tmp_path):
    simulation = control.begin(tmp_path / "j")

    async def go():
        started, go_on = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(Slow().put_async("a", started, go_on))
        await started.wait()
        with pytest.raises(InvalidInput, match=r"Slow\.put_async"):
            control.end()
        assert simulation.is_open
        go_on.set()
        await task
        person = TinyPerson("Ana", {"age": 30})
        asked = asyncio.create_task(person.aask("Tea?", model="offline"))
        await asyncio.sleep(0)
        with pytest.raises(InvalidInput, match="aask"):
            control.end()
        await asked
        control.end()

    asyncio.run(go())
    assert not simulation.is_open


def test_a_panel_ends_in_its_simulation(server, tmp_path):
    server.slow = 0.05
    folder = tmp_path / "j"

    def people():
        return People([TinyPerson(name, {"age": 30}) for name in ("Ana", "Bo", "Cy", "Di")])

    with Simulation(folder):
        thread = threading.Thread(target=lambda: asked.append(everyone.ask("Tea?", model="test")))
        everyone, asked = people(), []
        thread.start()
        until(lambda: server.requests)
    thread.join()
    assert len(server.requests) == 4
    with Simulation(folder) as simulation:
        people().ask("Tea?", model="test")
        assert simulation.misses == 0


def test_reset_cancels_jobs(server, tmp_path):
    control.begin(tmp_path / "j")
    server.allowed = 0
    job = TinyPersonFactory(CONTEXT).start_people(4, concurrency=2)
    until(lambda: server.requests)
    control.reset()
    assert job.snapshot().state == "cancelled"
    assert control.current_simulation() is None


def test_a_job_started_after_its_simulation_ended_works(tmp_path):
    control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT, model="offline")
    job = factory.start_people(2)
    people = job.wait()
    control.end()
    assert job.wait() == people and list(job) == list(people)
    assert len(factory.start_people(2).wait()) == 2
