"""Jobs: resumed, stopped, counted, limited, and how they reach the model."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import signal
import threading
import time
import weakref
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import pytest

from tests.support.batches import Batches
from tests.support.chat_server import answer, wrong_key
from tests.support.people import person as persona
from tests.support.waiting import main_waits_in, until, when
from tinyfactory import TinyPerson, TinyPersonFactory, control
from tinyfactory.budget import Budget, Cost, Meter
from tinyfactory.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    EndpointUnavailable,
    InvalidInput,
    TimeLimitReached,
)
from tinyfactory.factory.job import PeopleJob
from tinyfactory.models.chat import ChatReply
from tinyfactory.people import PeopleWriter, iter_parquet, reply_schema

CONTEXT = "A group of friends are on a camping trip."


def counted(request):
    number = int(request.last_message.partition("<ordinal>")[2].partition("</ordinal>")[0])
    return answer(persona(number))


def names(people):
    return [person.name for person in people]


def refused_from(number, until):
    """Refuses the key from one person on, until the event is set."""

    def rule(request):
        text = request.last_message
        ordinal = int(text.partition("<ordinal>")[2].partition("</ordinal>")[0])
        return wrong_key()(request) if ordinal >= number and not until.is_set() else None

    return rule


# -- going on ---------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("concurrency", [1, 3])
def test_the_same_call_again_goes_on_where_it_was_stopped(serve, tmp_path, kept, concurrency):
    mended = threading.Event()
    server = serve(rules=[refused_from(3, mended), counted])
    if kept:
        control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT)
    with pytest.raises(AuthenticationFailed):
        factory.generate_people(5, concurrency=concurrency)
    assert (
        names(factory.last_job.people)
        == factory.generated_names
        == [
            persona(1)["name"],
            persona(2)["name"],
        ]
    )
    before = len(server.requests)
    mended.set()
    people = factory.generate_people(5, concurrency=concurrency)
    assert names(people) == [persona(number)["name"] for number in range(1, 6)]
    assert factory.generated_names == names(people)
    assert len(server.requests) == before + 3
    # It is over now: the same call makes others.
    assert len(factory.generate_people(1)) == 1
    assert len(factory.generated_names) == 6


def test_after_something_else_was_made_the_same_call_begins_anew(serve):
    mended = threading.Event()
    serve(rules=[refused_from(3, mended), counted])
    factory = TinyPersonFactory(CONTEXT)
    with pytest.raises(AuthenticationFailed):
        factory.generate_people(4)
    mended.set()
    factory.generate_person("someone else")
    assert len(factory.generate_people(4)) == 4
    assert len(factory.generated_names) == 7


# -- limits -----------------------------------------------------------------------------


def test_time_limit_keeps_what_is_done_and_the_same_call_goes_on(serve):
    server = serve(rules=[counted])
    server.allowed = 3
    factory = TinyPersonFactory(CONTEXT)
    with pytest.raises(TimeLimitReached, match=r"limit of 3 s was reached with [1-3] of 20 people"):
        factory.generate_people(20, time_limit=3)
    done = len(factory.last_job.people)
    assert 1 <= done <= 3 and factory.last_job.snapshot().state == "cancelled"
    server.allowed = math.inf
    assert len(factory.generate_people(20)) == 20 == len(factory.generated_names)


def test_budget_of_a_call_holds_within_that_of_the_simulation(serve, tmp_path):
    server = serve(rules=[counted])
    control.begin(tmp_path / "j", budget=Budget(calls=7))
    factory = TinyPersonFactory(CONTEXT)
    with pytest.raises(BudgetExceeded, match="allows 3 calls"):
        factory.generate_people(5, budget=Budget(calls=3))
    assert len(server.requests) == 3 == factory.last_job.snapshot().spent.calls
    with pytest.raises(BudgetExceeded, match="allows 7 calls"):
        factory.generate_people(9, budget=Budget(calls=6))
    assert len(server.requests) == 7 and control.current_simulation().spent.calls == 7


def test_a_meter_within_another_sets_aside_in_both():
    whole = Meter(Budget(calls=3, prices={"m": (1, 2)}))
    part = Meter(Budget(calls=2, prices={"n": (3, 4)}), whole)
    assert part.prices == {"m": (1, 2), "n": (3, 4)}
    first = part.try_reserve(Cost(1, 10, None))
    first.one_more()
    with pytest.raises(BudgetExceeded, match="allows 2 calls"):
        first.one_more()
    # What the part refused is not left set aside in the whole: one is over.
    first.settle(Cost(2, 10, None))
    assert (part.spent.calls, whole.spent.calls) == (2, 2)
    with pytest.raises(BudgetExceeded, match="allows 2 calls"):
        part.try_reserve(Cost(1, 10, None))
    whole.try_reserve(Cost(1, 10, None)).settle(Cost(1, 10, None))
    assert whole.spent.calls == 3


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ({"concurrency": 0}, "concurrency"),
        ({"budget": 5}, "Budget"),
        ({"time_limit": 0}, "time_limit"),
        ({"time_limit": True}, "time_limit"),
        ({"poll": -1}, "poll"),
        ({"on_person": "print"}, "on_person"),
        ({"progress": "bar"}, "progress"),
        ({"executor": "dask"}, "executor"),
        ({"batch": True}, "no simulation"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(server, way, said):
    with pytest.raises(InvalidInput, match=said):
        TinyPersonFactory(CONTEXT).generate_people(2, **way)
    assert server.requests == []


# -- looking on -------------------------------------------------------------------------


def test_people_come_while_others_are_being_made(serve):
    server = serve(rules=[counted])
    server.allowed = 1
    job, states = TinyPersonFactory(CONTEXT).start_people(4), []
    for _ in job:
        states.append(job.snapshot().state)
        server.allowed += 1
    assert states[:3] == ["running"] * 3
    assert len(job.wait()) == 4


def test_iterating_raises_what_stopped_the_job(serve):
    serve(rules=[refused_from(2, threading.Event()), counted])
    seen: list[Any] = []
    with pytest.raises(AuthenticationFailed):
        seen.extend(TinyPersonFactory(CONTEXT).start_people(3))
    assert names(seen) == [persona(1)["name"]]
    TinyPerson.clear_people()
    job = TinyPersonFactory(CONTEXT).start_people(1)
    assert len(list(job)) == len(list(job)) == 1  # again, after its end


def test_progress_is_told_and_ends_with_the_end(serve, capsys):
    serve(rules=[counted], slow=0.05)
    seen: list[Any] = []
    TinyPersonFactory(CONTEXT).generate_people(3, progress=seen.append)
    assert [s.done for s in seen] == sorted(s.done for s in seen)
    assert seen[-1].done == 3 and seen[-1].spent.calls == 3 and seen[0].total == 3
    TinyPerson.clear_people()  # their names may be given again
    TinyPersonFactory(CONTEXT).generate_people(2, progress=True)
    assert "2/2" in capsys.readouterr().err


def test_async_twin_and_its_cancellation(serve):
    server = serve(rules=[counted])
    server.allowed = 2
    factory = TinyPersonFactory(CONTEXT)

    async def stopped():
        task = asyncio.create_task(factory.agenerate_people(30))
        await when(lambda: len(factory.generated_names) == 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(factory.generated_names)

    done = asyncio.run(stopped())
    assert done == 2 and factory.last_job.snapshot().state == "cancelled"
    server.allowed = math.inf
    time.sleep(0.5)
    assert len(factory.generated_names) == done  # nothing goes on behind one's back


def test_who_is_missing_and_why(serve, caplog):
    def rule(request):
        return (
            answer("I would rather not.")
            if "<ordinal>2</ordinal>" in request.last_message
            else None
        )

    serve(rules=[rule, counted])
    factory = TinyPersonFactory(CONTEXT)
    people = factory.generate_people(3, attempts=2, concurrency=2)
    (missing,) = factory.last_job.missing
    assert len(people) == 2 and missing.number == 1 and "no usable reply" in missing.reason
    assert "2 of 3 people were made. Number 2 is missing: no usable reply" in caplog.text


def test_people_that_are_not_kept_go_to_a_file(serve, tmp_path):
    serve(rules=[counted])
    control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT)
    with PeopleWriter(tmp_path / "people.parquet") as writer:
        people = factory.generate_people(6, concurrency=3, keep=False, on_person=writer.add)
    assert people == [] and list(TinyPerson.all_people()) == []
    written = list(iter_parquet(tmp_path / "people.parquet"))
    assert names(written) == factory.generated_names and len(written) == 6
    with pytest.raises(InvalidInput, match="names are compared"):  # the names stay taken
        TinyPerson(written[0].name)
    with pytest.raises(InvalidInput, match="keep=False"):
        list(factory.start_people(1, keep=False))


def test_of_people_that_are_not_kept_few_are_in_memory_at_any_time():
    made, most = [], 0

    def look(person):
        nonlocal most
        made.append(weakref.ref(person))
        if len(made) % 10 == 0:
            gc.collect()  # else it depends on when Python last collected what nothing refers to
            most = max(most, sum(one() is not None for one in made))

    factory = TinyPersonFactory.from_demography("illustrative_town", model="offline")
    factory.generate_people(120, concurrency=4, keep=False, on_person=look)
    gc.collect()
    assert len(made) == 120 and 0 < most < 15
    assert sum(one() is not None for one in made) <= 1


def test_estimate_before_and_after(serve, tmp_path):
    server = serve(rules=[counted])
    control.begin(tmp_path / "j", budget=Budget(prices={"gpt-4.1-mini": (1.0, 10.0)}))
    factory = TinyPersonFactory(CONTEXT, model="gpt-4.1-mini")
    first = factory.estimate(10)
    assert server.requests == [] and first.measured == 0 and first.calls == (10, 11)
    assert first.most_calls == 50 and "no answers yet" in str(first)
    low, high = first.usd
    expected = first.prompt_tokens[0] / 1e6 + first.completion_tokens[0] / 1e5
    assert low == pytest.approx(expected) and low < high
    assert factory.estimate(10, batch=True).usd[0] == pytest.approx(low / 2)
    factory.generate_people(3)
    after = factory.estimate(10)
    tokens = [event.completion_tokens for event in factory.history()]
    assert after.measured == 3
    assert after.completion_tokens == (10 * min(tokens), 11 * max(tokens))


# -- by other ways ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"number_of_people": 0}, "number_of_people"),
        ({"agent_particularities": 3}, "agent_particularities"),
        ({"attempts": 0}, "attempts"),
        ({"budget": 3}, "Budget"),
    ],
)
def test_an_estimate_refuses_what_the_call_would(asked, said):
    with pytest.raises(InvalidInput, match=said):
        TinyPersonFactory(CONTEXT, model="offline").estimate(**{"number_of_people": 2} | asked)


def test_more_wait_for_their_turn_than_are_asked_at_a_time(serve):
    """One slow answer holds nobody's call up, and no more are under way than was said."""

    def first_is_slow(request):
        time.sleep(0.6 if "<ordinal>1</ordinal>" in request.last_message else 0.02)
        return counted(request)

    server = serve(rules=[first_is_slow])
    people = TinyPersonFactory(CONTEXT).generate_people(8, concurrency=4)
    assert names(people) == [persona(number)["name"] for number in range(1, 9)]
    assert server.most_at_once <= 4


def test_people_behind_a_gap_are_shown_as_arrived(serve):
    """The first reply is held back: those behind it are there, and not yet made."""

    def first_is_held(request):
        first = "<ordinal>1</ordinal>" in request.last_message
        return replace(counted(request), delay=2.0 * first)

    serve(rules=[first_is_held])
    job = TinyPersonFactory(CONTEXT).start_people(4, concurrency=4)
    until(lambda: job.snapshot().arrived == 3)
    assert (job.snapshot().done, len(job.people)) == (0, 0)
    assert len(job.wait()) == 4 and job.snapshot().arrived == 0


def test_worker_processes_ask_and_the_caller_commits(serve, tmp_path):
    server = serve(rules=[counted])
    control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        people = factory.generate_people(4, concurrency=2, executor=executor)
    assert names(people) == [persona(number)["name"] for number in range(1, 5)]
    assert len(server.requests) == 4
    assert [event.attempts for event in factory.history()] == [1] * 4
    assert factory.last_job.snapshot().spent.calls == 4


class Loses(Executor):
    """Hands requests to a thread, and loses the first so many."""

    def __init__(self, lost):
        self.lost, self.threads = lost, ThreadPoolExecutor(4)

    def submit(self, function, /, *args, **kwargs):
        if self.lost > 0:
            self.lost -= 1
            future: Future[Any] = Future()
            future.set_exception(RuntimeError("the worker died"))
            return future
        return self.threads.submit(function, *args, **kwargs)


def test_a_lost_worker_is_replaced_and_too_many_are_said(serve):
    server = serve(rules=[counted])
    factory = TinyPersonFactory(CONTEXT)
    assert len(factory.generate_people(2, executor=Loses(2))) == 2
    assert len(server.requests) == 2
    with pytest.raises(EndpointUnavailable, match=r"3 workers in a row were lost.*worker died"):
        factory.generate_people(1, executor=Loses(3))


def test_errors_of_the_model_come_back_from_a_worker(serve):
    serve(rules=[wrong_key()])
    with pytest.raises(AuthenticationFailed, match="key"):
        TinyPersonFactory(CONTEXT).generate_people(2, executor=Loses(0))


# -- by batch ---------------------------------------------------------------------------


def by_batch(number=4, **options):
    factory = TinyPersonFactory(CONTEXT, model="gpt-4.1-mini")
    return factory, factory.generate_people(number, batch=True, poll=0.02, **options)


def test_a_batch_makes_the_same_people_for_half_the_price(serve, tmp_path):
    batches = Batches()
    server = serve(rules=[counted], batches=batches)
    prices = Budget(prices={"gpt-4.1-mini": (1.0, 10.0)})
    control.begin(tmp_path / "one", budget=prices)
    together = TinyPersonFactory(CONTEXT, model="gpt-4.1-mini")
    alike = together.generate_people(4, concurrency=2)
    whole = together.last_job.snapshot().spent
    asked = len(server.requests)
    control.begin(tmp_path / "two", budget=prices)
    factory, people = by_batch()
    assert people == alike and len(server.requests) == asked and batches.created == 1
    spent = factory.last_job.snapshot().spent
    assert (spent.calls, spent.tokens) == (4, whole.tokens)
    assert spent.usd == pytest.approx(whole.usd / 2)
    assert [event.usd for event in factory.history()] == [
        pytest.approx(event.usd / 2) for event in together_history(tmp_path, together)
    ]
    control.begin(tmp_path / "two", budget=prices)
    factory, again = by_batch()
    assert again == people and batches.created == 1
    assert (control.cache_hits(), control.cache_misses()) == (4, 0)


def together_history(tmp_path, _factory):
    control.begin(tmp_path / "one")
    factory = TinyPersonFactory(CONTEXT, model="gpt-4.1-mini")
    factory.generate_people(4, concurrency=2)
    history = factory.history()
    control.begin(tmp_path / "two")
    factory = TinyPersonFactory(CONTEXT, model="gpt-4.1-mini")
    factory.generate_people(4, concurrency=2)
    return history


def test_rejected_rows_are_asked_again_with_the_reason(serve, tmp_path):
    def twins(request):  # two of them want one name
        text = request.last_message
        number = int(text.partition("<ordinal>")[2].partition("</ordinal>")[0])
        if "<rejected>" in text:
            return answer(persona(50 + number))
        return answer(persona(number) | ({"name": "Ana Souza"} if number in (2, 3) else {}))

    batches = Batches()
    serve(rules=[twins], batches=batches)
    control.begin(tmp_path / "j")
    factory, people = by_batch()
    assert names(people) == [
        persona(1)["name"],
        "Ana Souza",
        persona(53)["name"],
        persona(4)["name"],
    ]
    assert batches.created == 2 and control.cache_misses() == 4
    assert [event.attempts for event in factory.history()] == [1, 1, 2, 1]


class FirstExpires(Batches):
    """Of the first batch two rows are done when it expires; those after it end well."""

    @property
    def expire_after(self):
        return 2 if self.created == 1 else None

    @expire_after.setter
    def expire_after(self, value):
        assert value is None


def test_rows_that_failed_or_expired_are_asked_again(serve, tmp_path):
    batches = FirstExpires()
    serve(rules=[counted], batches=batches)
    control.begin(tmp_path / "j")
    _, people = by_batch(5)
    assert names(people) == [persona(number)["name"] for number in range(1, 6)]
    assert batches.created == 2 and len(batches.bodies) == 5 + 3


def test_a_kernel_that_comes_back_finds_its_batch(serve, tmp_path):
    batches = Batches(running=3600)
    serve(rules=[counted], batches=batches)
    control.begin(tmp_path / "j")
    with pytest.raises(TimeLimitReached):
        by_batch(4, time_limit=4)
    assert batches.created == 1
    control.begin(tmp_path / "j")  # as another kernel does
    batches.finish()
    _, people = by_batch(4)
    assert names(people) == [persona(number)["name"] for number in range(1, 5)]
    assert batches.created == 1 and len(batches.bodies) == 4


def test_a_batch_stopped_and_called_again_in_the_same_kernel(serve, tmp_path):
    batches = Batches(running=3600)
    serve(rules=[counted], batches=batches)
    control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT, model="gpt-4.1-mini")
    with pytest.raises(TimeLimitReached):
        factory.generate_people(3, batch=True, poll=0.02, time_limit=4)
    batches.finish()
    assert len(factory.generate_people(3, batch=True, poll=0.02)) == 3
    assert batches.created == 1


def test_a_batch_beyond_the_budget_is_not_sent(serve, tmp_path):
    batches = Batches()
    serve(rules=[counted], batches=batches)
    control.begin(tmp_path / "j")
    with pytest.raises(BudgetExceeded, match="allows 3 calls"):
        by_batch(4, budget=Budget(calls=3))
    assert batches.uploaded == 0
    assert len(by_batch(3, budget=Budget(calls=3))[1]) == 3


def test_an_interrupt_of_a_wait_is_raised_when_the_job_has_ended(serve):
    server = serve()
    server.allowed = 2
    job = TinyPersonFactory(CONTEXT).start_people(5)

    def interrupt():
        until(lambda: job.people and main_waits_in(PeopleJob.wait))
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        job.wait()
    assert job.snapshot().state == "cancelled" and 1 <= len(job.people) < 5
    interrupter.join()


def test_a_model_that_changes_what_it_is_given_spoils_it_for_nobody():
    class Careless:
        identity = {"kind": "own"}  # noqa: RUF012 - as a user writes it
        schemas: list[Any] = []  # noqa: RUF012

        async def complete(self, request):
            self.schemas.append(dict(request.schema))
            request.schema.clear()
            return ChatReply(json.dumps(persona(len(self.schemas))))

    people = TinyPersonFactory(CONTEXT, model=Careless()).generate_people(3, concurrency=2)
    assert len(people) == 3
    assert Careless.schemas == [reply_schema()] * 3
