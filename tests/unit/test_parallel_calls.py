"""Calls that overlap, in threads or tasks, are found again whatever the schedule."""

from __future__ import annotations

import asyncio
import contextvars
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.chat_server import answer
from tests.support.people import person as persona
from tests.support.waiting import when
from tests.unit.test_locks import CONTEXT, Shop
from tinyfactory import TinyFactory, TinyPerson, TinyPersonFactory, control, transactional
from tinyfactory.journal.simulation import scope_of
from tinyfactory.journal.timeline import Timeline
from tinyfactory.journal.transactions.transaction import current_transaction

PERSONA = {"age": 34, "occupation": "nurse"}


def twice(folder, run):
    """What a run gives, done anew and then replayed with nothing paid."""
    simulation = control.begin(folder)
    first = run()
    assert simulation.hits == 0
    control.end()
    for _ in range(3):
        simulation = control.begin(folder)
        again = run()
        assert (simulation.misses, simulation.model_calls) == (0, 0)
        control.end()
        yield first, again


def random_delays(server):
    number, lock = [0], threading.Lock()

    def reply(request):
        with lock:
            number[0] += 1
            mine = number[0]
        found = answer(persona(mine))
        return type(found)(found.status, found.body, found.headers, delay=random.uniform(0, 0.2))

    server.good = reply


def ana():
    return TinyPerson("Ana Souza", PERSONA)


# -- one object --------------------------------------------------------------------------------


def test_questions_asked_at_once_are_answered_in_their_order(tmp_path):
    questions = ["Tea?", "Where?", "Tea?", "Why?"]

    def run():
        person = ana()

        async def ask():
            return await asyncio.gather(*(person.aask(q, model="offline") for q in questions))

        return asyncio.run(ask()), [m["content"] for m in person.conversation[::2]]

    for first, again in twice(tmp_path, run):
        assert first == again and first[1] == questions


def test_a_question_in_the_queue_can_be_cancelled(server):
    async def ask():
        person = ana()
        server.allowed = 0
        asked = [asyncio.create_task(person.aask(q, model="test")) for q in "abc"]
        await when(lambda: server.requests)
        asked[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asked[1], 10)
        server.allowed = 10
        await asyncio.gather(asked[0], asked[2])
        return [m["content"] for m in person.conversation[::2]]

    server.good = lambda request: answer("Yes.")
    assert asyncio.run(ask()) == ["a", "c"]


@pytest.mark.parametrize("wishes", [[None] * 6, ["a nurse", "a cook", "a vet"] * 2])
def test_people_from_six_threads_on_one_factory(serve, tmp_path, wishes):
    random_delays(serve())

    def run():
        factory = TinyPersonFactory(CONTEXT)
        with ThreadPoolExecutor(6) as pool:
            people = list(pool.map(factory.generate_person, wishes))
        after = [factory.generate_person("the last one").name for _ in range(2)]
        return sorted(p.name for p in people), factory.generated_names, after

    for first, again in twice(tmp_path, run):
        assert first == again


def test_two_rounds_of_threads_on_one_factory(serve, tmp_path):
    random_delays(serve())

    def run():
        factory = TinyPersonFactory(CONTEXT)
        for _ in range(2):
            with ThreadPoolExecutor(6) as pool:
                list(pool.map(lambda _: factory.generate_person(), range(6)))
        return factory.generated_names

    for first, again in twice(tmp_path, run):
        assert first == again and len(set(first)) == 12


def test_more_calls_than_threads(serve, tmp_path):
    random_delays(serve())

    def run():
        factory = TinyPersonFactory(CONTEXT)
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda _: factory.generate_person(), range(12)))
        return factory.generated_names

    for first, again in twice(tmp_path, run):
        assert first == again and len(set(first)) == 12


def test_threads_then_one_after_another(serve, tmp_path):
    """The same calls, made one by one in a later run, are found, too."""
    random_delays(serve())
    control.begin(tmp_path)
    factory = TinyPersonFactory(CONTEXT)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: factory.generate_person(), range(4)))
    names = factory.generated_names
    control.end()
    simulation = control.begin(tmp_path)
    factory = TinyPersonFactory(CONTEXT)
    for _ in range(4):
        factory.generate_person()
    assert (simulation.misses, factory.generated_names) == (0, names)


def test_calls_one_after_another_are_not_taken_for_parallel_ones(tmp_path):
    """A changed call makes those that follow it new."""
    control.begin(tmp_path)
    factory = TinyPersonFactory(CONTEXT, model="offline")
    factory.generate_person("a nurse")
    factory.generate_person("a cook")
    control.end()
    simulation = control.begin(tmp_path)
    factory = TinyPersonFactory(CONTEXT, model="offline")
    factory.generate_person("a vet")
    factory.generate_person("a nurse")
    factory.generate_person("a cook")
    assert (simulation.hits, simulation.misses) == (0, 3)


def test_a_call_that_failed_among_parallel_ones_is_made_again(serve, tmp_path):
    server = serve()
    random_delays(server)
    good, failed = server.good, threading.Event()
    server.good = lambda r: (
        answer("no person") if "a vet" in r.last_message and not failed.is_set() else good(r)
    )
    wishes = ["a nurse", "a vet", "a cook"]

    def run():
        factory = TinyPersonFactory(CONTEXT)
        with ThreadPoolExecutor(3) as pool:
            return list(pool.map(lambda w: factory.generate_person(w, attempts=1), wishes))

    control.begin(tmp_path)
    assert run()[1] is None
    failed.set()
    simulation = control.begin(tmp_path, retry_failures=True)
    assert None not in run() and simulation.misses == 1
    simulation = control.begin(tmp_path)
    assert None not in run() and simulation.misses == 0


def test_tasks_on_one_object_with_staged_changes(tmp_path):
    class Later(Shop):
        @transactional(version="1", touches=())
        async def put_slowly(self, item):
            await asyncio.sleep(random.uniform(0, 0.02))
            current_transaction().stage({"append": {"items": [item]}})
            return item

    def run():
        shop = Later()

        async def go():
            return await asyncio.gather(*(shop.put_slowly(n % 4) for n in range(8)))

        done = asyncio.run(go())
        shop.put("after")
        return done, shop.items

    for first, again in twice(tmp_path, run):
        assert first == again


def test_parallel_calls_are_one_line_without_branches(serve, tmp_path):
    random_delays(serve())
    simulation = control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT)
    factory.generate_person()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: factory.generate_person(), range(4)))
    factory.generate_person()
    (line,) = simulation.lines()
    assert (line.events, len(line.heads)) == (6, 1)
    timeline = Timeline(scope_of(simulation))
    results = [event.result for event in timeline.events(line.root)]
    assert results == factory.generated_names
    assert [event.result for event in factory.history()] == results
    # A checkout goes through them.
    factory.checkout(5)
    names = factory.generated_names
    factory.checkout(0)
    assert factory.generated_names == names[:1]
    factory.checkout(timeline.keys(line.root)[-1])
    assert factory.generated_names == names
    path = simulation.export(tmp_path / "lesson.recording.jsonl.gz")
    control.end()
    with control.begin(recording=path) as replayed:
        factory = TinyPersonFactory(CONTEXT)
        factory.generate_person()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: factory.generate_person(), range(4)))
        factory.generate_person()
        assert replayed.misses == 0 and factory.generated_names == names


# -- one call that fans out --------------------------------------------------------------------


class Boss(Shop):
    """Changes other shops in threads or tasks within one call."""

    workers: list[Any]

    @transactional(version="1")
    def fan_out(self, number):
        contexts = [contextvars.copy_context() for _ in self.workers]
        with ThreadPoolExecutor(number) as pool:
            done = [
                pool.submit(context.run, worker.work, "job")
                for context, worker in zip(contexts, self.workers, strict=True)
            ]
            found = [one.result() for one in done]
        self.items.append(found)
        return [*found, self.workers[0].work("last")]

    @transactional(version="1")
    async def fan_out_in_tasks(self):
        found = await asyncio.gather(*(worker.work_async("job") for worker in self.workers))
        return [*found, self.workers[0].work("last")]


class Worker(Shop):
    drawn = 0

    def _draw(self):
        Worker.drawn += 1
        return Worker.drawn

    @transactional(version="1")
    def work(self, what):
        time.sleep(random.uniform(0, 0.02))
        self.items.append([what, self._draw()])
        return self.items[-1]

    @transactional(version="1")
    async def work_async(self, what):
        await asyncio.sleep(random.uniform(0, 0.02))
        self.items.append([what, self._draw()])
        return self.items[-1]


@pytest.mark.parametrize("how", ["threads", "tasks"])
def test_a_call_that_fans_out_to_several_objects(tmp_path, how):
    def run():
        boss = Boss()
        boss.workers = [Worker(f"brand {n}") for n in range(5)]
        if how == "threads":
            boss.fan_out(5)
        else:
            asyncio.run(boss.fan_out_in_tasks())
        boss.put("after")
        return boss.items, [worker.items for worker in boss.workers]

    Worker.drawn = 0
    for first, again in twice(tmp_path, run):
        assert Worker.drawn == 6
        assert first == again


class Crew(TinyFactory):
    order = ""  # in which its workers come, as by chance

    def __init__(self):
        super().__init__()
        self.workers = {name: Worker(name) for name in "abcd"}

    @transactional(version="1")
    def in_threads(self):
        for name in Crew.order:
            here = contextvars.copy_context()
            thread = threading.Thread(target=here.run, args=(self.workers[name].work, name))
            thread.start()
            thread.join()

    @transactional(version="1")
    async def in_tasks(self):
        for name in Crew.order:
            await asyncio.create_task(self.workers[name].work_async(name))


@pytest.mark.parametrize("how", ["threads", "tasks"])
@pytest.mark.parametrize("orders", [("abc", "cab"), ("cba", "abc"), ("abc", "abcd"), ("bca", "ab")])
def test_calls_within_one_are_found_in_another_order(tmp_path, how, orders):
    """They do not overlap, so each was recorded at a place of its own."""
    Worker.drawn = 0
    found, drawn = [], []
    for Crew.order in (*orders, orders[0]):
        control.begin(tmp_path)
        crew = Crew()
        if how == "tasks":
            asyncio.run(crew.in_tasks())
        else:
            crew.in_threads()
        found.append({name: crew.workers[name].items for name in "abcd"})
        drawn.append(Worker.drawn)
        control.end()
    first, second = map(set, orders)
    assert all(found[0][name] == found[1][name] for name in first & second)
    assert drawn[1] - drawn[0] == len(second - first)
    assert found[2] == found[0] and drawn[2] == drawn[1]


def test_threads_within_one_call_that_do_not_overlap_are_found_in_any_order(tmp_path):
    class Line(Boss):
        order = (0, 1, 2)

        @transactional(version="1")
        def one_by_one(self):
            for n in Line.order:
                context = contextvars.copy_context()
                thread = threading.Thread(target=context.run, args=(self.workers[n].work, "job"))
                thread.start()
                thread.join()
            return [worker.items for worker in self.workers]

    def run():
        boss = Line()
        boss.workers = [Worker(f"brand {n}") for n in range(3)]
        found = boss.one_by_one()
        Line.order = (*Line.order[1:], Line.order[0])
        return found, boss.one_by_one()

    for first, again in twice(tmp_path, run):
        assert first == again


class Relay(TinyFactory):
    """Its runners begin together and commit in a given order; each changes another object."""

    order = ""
    go: Any
    begun: Any

    def __init__(self):
        super().__init__()
        self.total = 0
        self.runners = []
        self.friend = None

    @transactional(version="1")
    def put(self):
        self.total += 1

    @transactional(version="1")
    def run(self, name):
        Relay.begun.wait(10)
        assert Relay.go[name].wait(10)
        self.friend.put()
        return name

    @transactional(version="1")
    def race(self):
        def one(runner, name):
            found = runner.run(name)
            after = Relay.order[Relay.order.index(name) + 1 :]
            if after:
                Relay.go[after[0]].set()
            return found

        with ThreadPoolExecutor(3) as pool:
            names = "abc"
            done = [
                pool.submit(contextvars.copy_context().run, one, runner, name)
                for runner, name in zip(self.runners, names, strict=True)
            ]
        return [each.result() for each in done]


def test_calls_beside_each_other_whose_bodies_run_again_end_in_any_order(tmp_path):
    for order in ("abc", "cab", "bca"):
        Relay.order, Relay.begun = order, threading.Barrier(3)
        Relay.go = {name: threading.Event() for name in order}
        Relay.go[order[0]].set()
        simulation = control.begin(tmp_path)
        relay = Relay()
        relay.runners = [Relay() for _ in range(3)]
        for number, runner in enumerate(relay.runners):
            runner.total, runner.friend = number, Relay()
        assert relay.race() == ["a", "b", "c"]
        assert [runner.friend.total for runner in relay.runners] == [1, 1, 1]
        assert (simulation.hits, simulation.misses) == ((0, 1) if order == "abc" else (1, 0))
        control.end()


def test_equal_tasks_on_equal_objects(tmp_path):
    def run():
        boss = Boss()
        boss.workers = [Worker("same") for n in range(5)]
        found = asyncio.run(boss.fan_out_in_tasks())
        return found, [worker.items for worker in boss.workers]

    for first, again in twice(tmp_path, run):
        assert first == again


def test_equal_threads_on_equal_objects_share_the_stored_events(tmp_path):
    """Which thread gets which event is not promised, but none is made again."""
    Worker.drawn = 0
    for _ in range(4):
        control.begin(tmp_path)
        boss = Boss()
        boss.workers = [Worker("same") for n in range(5)]
        boss.fan_out(5)
        assert sorted(worker.items[0] for worker in boss.workers) == [
            ["job", n] for n in range(1, 6)
        ]
        assert Worker.drawn == 6
        control.end()


def test_people_of_several_factories_in_one_call(serve, tmp_path):
    random_delays(serve())

    class Head(TinyPersonFactory):
        a: Any
        b: Any

        @transactional(version="1")
        def found(self):
            contexts = [contextvars.copy_context() for _ in range(6)]
            makers = [self.a, self.b] * 3
            with ThreadPoolExecutor(6) as pool:
                done = [
                    pool.submit(c.run, m.generate_person)
                    for c, m in zip(contexts, makers, strict=True)
                ]
                return sorted(one.result().name for one in done)

    def run():
        head = Head("the head")
        head.a, head.b = TinyPersonFactory(CONTEXT), TinyPersonFactory("Bakers in Vienna")
        people = head.found()
        more = head.a.generate_person()
        return (
            people,
            head.a.generated_names,
            head.b.generated_names,
            more.name,
        )

    for first, again in twice(tmp_path, run):
        assert first == again
