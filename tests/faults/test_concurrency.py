"""Faults 17 to 23: kernels, threads and tasks that share a journal, or a factory."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support import products
from tests.support.chat_server import answer
from tests.support.people import person
from tests.support.processes import end, finish, hear, start, tell
from tests.support.products import ProductFactory
from tests.support.waiting import until
from tinyfactory import TinyPersonFactory, control
from tinyfactory.journal.simulation import scope_of

CONTEXT = "A group of friends are on a camping trip."
# A kernel that has opened the journal and makes one person when it is told to.
KERNEL = f"""
simulation = control.begin(folder)
factory = TinyPersonFactory({CONTEXT!r})
say("ready")
wait()
person = factory.generate_person()
say(person.name, factory.generated_names, simulation.model_calls)
"""


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "journal"
    control.reset()


@pytest.fixture
def kernels(folder):
    """Starts kernels that are ready; they do not outlive the test."""
    started = []

    def begin(program=KERNEL):
        kernel = start(program, folder)
        started.append(kernel)
        assert hear(kernel) == "ready"
        return kernel

    yield begin
    for kernel in started:
        end(kernel)


def test_fault_17_two_kernels_at_one_step_go_on_with_one_winner(folder, server, kernels):
    server.allowed = 0
    both = [kernels(), kernels()]
    for kernel in both:
        tell(kernel)
    until(lambda: len(server.requests) == 2)  # both were asked for before either was there
    server.allowed = math.inf
    first, second = (finish(kernel)[0] for kernel in both)
    assert first[:2] == second[:2]
    simulation = control.begin(folder)
    factory = TinyPersonFactory(CONTEXT)
    assert factory.generate_person().name == first[0]
    assert factory.generate_person().name != first[0]
    assert simulation.hits == 1


def test_fault_17_two_kernels_that_commit_different_results(folder, kernels):
    """No model is in between: the step itself gives something else in each kernel."""
    program = """
from tests.support import products
simulation = control.begin(folder)
factory = ProductFactory()
products.on_the_way[:] = [lambda: (factory.products.append(os.getpid()), say("in"), wait())]
say("ready")
wait()
factory.make("a")
say(factory.products)
"""
    both = [kernels(program), kernels(program)]
    for kernel in both:
        tell(kernel)
        assert hear(kernel) == "in"
    results = []
    for kernel in both:
        tell(kernel)
        results += finish(kernel)
    assert results[0] == results[1]


def test_fault_17_two_kernels_in_a_step_that_changes_another_factory(folder, kernels):
    program = """
from tests.support import products
simulation = control.begin(folder)
company = products.Company()
supplier = company.supplier
products.on_the_way[:] = [lambda: (supplier.products.append(os.getpid()), say("in"), wait())]
say("ready")
wait()
company.order("a")
say(supplier.products, company.orders, simulation.hits, simulation.misses)
"""
    both = [kernels(program), kernels(program)]
    for kernel in both:
        tell(kernel)
        assert hear(kernel) == "in"
    results = []
    for kernel in both:
        tell(kernel)
        results += finish(kernel)
    assert results[0] == results[1]
    assert results[0][1:] == [1, 0, 1]
    simulation = control.begin(folder)
    company = products.Company()
    company.order("a")
    assert [company.supplier.products, simulation.hits] == [results[0][0], 1]


def test_fault_18_a_kernel_killed_before_its_commit_holds_up_nobody(folder, server, kernels):
    other = kernels()
    victim = kernels(
        """
from tinyfactory.factory import person_generator
person_generator.read_reply = lambda *_: (say("has the reply"), wait())
"""
        + KERNEL
    )
    tell(victim)
    assert hear(victim) == "has the reply"
    victim.send_signal(signal.SIGKILL)
    began = time.monotonic()
    tell(other)
    name, _, model_calls = finish(other)[0]
    assert time.monotonic() - began < 50  # a lock would be waited for 60 s
    assert name and model_calls == 0
    assert len(server.requests) == 1  # its reply was not lost


def test_fault_19_thirty_two_threads_on_one_factory_lose_no_update(folder, server):
    """Every answer comes twice, so that names clash all the time."""
    taken, lock = [-1], threading.Lock()

    def twice(request):
        with lock:
            taken[0] += 1
        return answer(person(taken[0] // 2))

    server.good = twice
    simulation = control.begin(folder)
    factory = TinyPersonFactory(CONTEXT)
    with ThreadPoolExecutor(32) as pool:
        people = list(pool.map(lambda _: factory.generate_person(attempts=20), range(32)))
    names = [one.name for one in people]
    assert len(set(names)) == 32
    assert sorted(factory.generated_names) == sorted(names)
    assert len(factory.generated_minibios) == 32
    assert simulation.misses == 32 and len(scope_of(simulation).people) == 32


def test_fault_19_a_rollback_takes_nobody_elses_update_along(folder, monkeypatch):
    """Every third step fails, and would put back what it saw at its beginning."""
    monkeypatch.setattr(products, "on_the_way", [lambda: time.sleep(0.001)])
    control.begin(folder)
    factory = ProductFactory()

    def make(number):
        with contextlib.suppress(ValueError):
            factory.make(f"p{number}", fail="ValueError" if number % 3 == 0 else None)

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(make, range(96)))
    assert sorted(factory.products) == sorted(f"p{n}" for n in range(96) if n % 3)


def test_fault_20_a_parallel_run_replays_whole_in_any_order(folder, server):
    good = server.good

    def some_time_later(request):
        found = good(request)
        return type(found)(found.status, found.body, found.headers, delay=random.uniform(0, 0.3))

    server.good = some_time_later
    control.begin(folder)
    factory = TinyPersonFactory(CONTEXT)
    names = [one.name for one in factory.generate_people(12, concurrency=6)]
    after = factory.generate_person().name
    asked = len(server.requests)
    simulation = control.begin(folder)
    factory = TinyPersonFactory(CONTEXT)
    assert [one.name for one in factory.generate_people(12, concurrency=3)] == names
    assert factory.generate_person().name == after
    assert len(server.requests) == asked and simulation.misses == 0
    assert factory.generated_names == [*names, after]


def test_fault_21_a_cancelled_task_rolls_back_itself_alone(folder):
    async def main(factories):
        tasks = [asyncio.create_task(f.make_later("late", 1.0)) for f in factories]
        await asyncio.sleep(0.1)
        tasks[1].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    simulation = control.begin(folder)
    factories = [ProductFactory(brand) for brand in "abc"]
    for factory in factories:
        factory.make("early")
    results = asyncio.run(main(factories))
    assert [str(result) for result in results] == ["late!", "", "late!"]
    assert isinstance(results[1], asyncio.CancelledError)
    assert [f.products for f in factories] == [["early", "late"], ["early"], ["early", "late"]]
    assert asyncio.run(factories[1].make_later("late")) == "late!"  # no lock is left
    simulation = control.begin(folder)
    factories = [ProductFactory(brand) for brand in "abc"]
    for factory in factories:
        factory.make("early")
    assert [asyncio.run(f.make_later("late", 1.0)) for f in (factories[0], factories[2])] == [
        "late!"
    ] * 2
    assert (simulation.hits, simulation.misses) == (5, 0)


def test_fault_22_a_new_event_loop_in_the_same_process_works(folder, server):
    async def in_a_loop(factory):
        loop = asyncio.get_running_loop()
        return factory.generate_person().name, id(loop)

    control.begin(folder)
    factory = TinyPersonFactory(CONTEXT)
    names = []
    for _ in range(3):
        loop = asyncio.new_event_loop()
        names.append(loop.run_until_complete(in_a_loop(factory))[0])
        loop.close()  # the loop of the call before is closed by now
    names.append(factory.generate_person().name)
    assert factory.generated_names == names and len(set(names)) == 4
    other = ProductFactory()
    for name in "ab":
        assert asyncio.run(other.make_later(name)) == name + "!"
    assert other.products == ["a", "b"]


def test_fault_23_a_slow_model_call_blocks_no_other_kernel(folder, server, kernels):
    slow = kernels()
    quick = kernels(
        """
control.begin(folder)
factory = ProductFactory()
say("ready")
wait()
began = time.monotonic()
for number in range(10):
    factory.make(str(number))
say(time.monotonic() - began)
"""
    )
    server.allowed = 0
    tell(slow)
    until(lambda: len(server.requests) == 1)
    tell(quick)
    seconds = hear(quick)
    assert slow.poll() is None and seconds < 50  # a lock would be waited for 60 s
    server.allowed = 1
    assert finish(slow)[0][0]
