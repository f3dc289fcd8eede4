"""How a job runs its slots: budgets, cancellation, failures, and what must not happen twice."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.chat_server import answer, wrong_key
from tests.support.people import person as persona
from tests.support.waiting import until
from tinyfactory import TinyPerson, TinyPersonFactory, control
from tinyfactory.budget import Budget, Cost, Meter
from tinyfactory.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    Cancelled,
    InvalidInput,
    NameTaken,
)
from tinyfactory.generation.pipeline import Sender
from tinyfactory.journal.simulation import scope_of
from tinyfactory.journal.transactional import transactional
from tinyfactory.journal.transactions.transaction import Transaction
from tinyfactory.models.chat import ChatRequest

CONTEXT = "A group of friends are on a camping trip."


def ordinal(request):
    return int(request.last_message.partition("<ordinal>")[2].partition("</ordinal>")[0])


def by_ordinal(request):
    text, number = request.last_message, ordinal(request)
    return answer(persona(50 + number if "<rejected>" in text else number))


def names(first, last):
    return [persona(number)["name"] for number in range(first, last + 1)]


def threads(name):
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


# -- calls of the user's methods and callbacks within a job --------------------------------


class Own(TinyPersonFactory):
    def _aux_model_call(self, messages, temperature):
        return super()._aux_model_call(messages, temperature)


def test_an_overridden_call_counts_in_the_budget_of_the_job(serve):
    server = serve(rules=[by_ordinal])
    with pytest.raises(BudgetExceeded):
        Own(CONTEXT).generate_people(6, concurrency=2, budget=Budget(calls=3))
    assert len(server.requests) == 3


def test_an_overridden_call_ends_when_the_job_is_cancelled(serve):
    server = serve(rules=[by_ordinal])
    server.allowed = 1
    job = Own(CONTEXT).start_people(6, concurrency=2)
    until(lambda: len(server.requests) == 3)
    job.cancel()
    job.join()
    until(lambda: not threads("tinyfactory-model"))


def test_calls_in_on_person_count_in_the_budget_of_the_job(serve):
    server = serve(rules=[by_ordinal])
    others = TinyPersonFactory("Others")
    with pytest.raises(BudgetExceeded):
        TinyPersonFactory(CONTEXT).generate_people(
            3,
            concurrency=3,
            budget=Budget(calls=3),
            on_person=lambda _: others.generate_person(),
        )
    assert len(server.requests) == 3


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_call_in_on_person_ends_when_the_job_is_stopped(serve, interrupted):
    server = serve(rules=[by_ordinal])
    factory, others = TinyPersonFactory(CONTEXT), TinyPersonFactory("Others")

    def stop():
        until(lambda: len(server.requests) == 4)
        if interrupted:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        else:
            factory.last_job.cancel()

    def ask(_):
        server.allowed = 0
        others.generate_person()

    stopping, giving_up = threading.Thread(target=stop), threading.Timer(10, server.close)
    stopping.start()
    giving_up.start()
    with pytest.raises(KeyboardInterrupt if interrupted else Cancelled):
        factory.generate_people(3, concurrency=3, on_person=ask)
    assert giving_up.is_alive()
    giving_up.cancel()
    stopping.join()


class Team(TinyPersonFactory):
    @transactional
    def build(self):
        return [person.name for person in self.generate_people(3, concurrency=3)]


def test_a_job_in_a_call_that_locks_the_factory_is_refused(serve):
    server, team = serve(), Team(CONTEXT)
    # If the job waits for the lock, this ends it.
    giving_up = threading.Timer(5, lambda: team.last_job.cancel())
    giving_up.start()
    with pytest.raises(InvalidInput, match="build locks this factory"):
        team.build()
    giving_up.cancel()
    assert server.requests == []


# -- failures ----------------------------------------------------------------------------------


class Stubborn:
    """A model whose calls are cancelled by something other than the job."""

    def __init__(self):
        self.identity = {"kind": "own", "model": "stubborn"}
        self.calls = 0

    async def complete(self, request):
        self.calls += 1
        if self.calls > 20:
            raise LookupError("asked for ever")
        raise asyncio.CancelledError


def test_a_call_that_is_cancelled_by_something_else_is_a_failure(tmp_path):
    model = Stubborn()
    with pytest.raises(Cancelled, match="not by this job"):
        TinyPersonFactory(CONTEXT, model=model).generate_people(3, concurrency=3)
    assert model.calls <= 3


def test_after_an_error_in_on_person_nobody_behind_is_asked_again(serve):

    def rule(request):
        if ordinal(request) == 2 and "<rejected>" not in request.last_message:
            return replace(answer({"no": "person"}), delay=0.5)
        return by_ordinal(request)

    def look(_):
        raise LookupError("not to be shown")

    server = serve(rules=[rule])
    with pytest.raises(LookupError):
        TinyPersonFactory(CONTEXT).generate_people(2, concurrency=2, on_person=look)
    assert len(server.requests) == 2


def test_who_waits_for_the_budget_is_not_asked_after_a_failure(serve):
    def rule(request):
        if ordinal(request) == 1:
            return replace(wrong_key()(request), delay=0.3)
        return replace(by_ordinal(request), delay=0.8)

    server = serve(rules=[rule])
    with pytest.raises(AuthenticationFailed):
        # Two calls fit at a time; one that failed costs no tokens.
        TinyPersonFactory(CONTEXT).generate_people(4, concurrency=4, budget=Budget(tokens=12_000))
    assert len(server.requests) == 2


def test_a_slot_that_waits_for_the_budget_is_given_up_when_one_before_it_fails():
    asked: list[ChatRequest] = []
    model = SimpleNamespace(identity={"kind": "own"}, complete=asked.append)
    meter = Meter(Budget(calls=1))
    sender, other = Sender(model, meter), meter.try_reserve(Cost(1, 10, None))
    slot = SimpleNamespace(number=3)
    locks = SimpleNamespace(waiting_for_model=nullcontext)
    tx: Any = SimpleNamespace(key="k", slot=slot, scope=SimpleNamespace(store=None), locks=locks)

    async def fail_while_it_waits():
        waiting = asyncio.create_task(sender.reply(ChatRequest(()), tx))
        await asyncio.sleep(0)  # it runs until it waits
        sender.last_slot = 2
        other.release()
        await waiting

    with pytest.raises(Cancelled, match="before this one"):
        asyncio.run(fail_while_it_waits())
    assert asked == []
    assert meter.try_reserve(Cost(1, 10, None)) is not None


def test_an_overridden_call_in_flight_at_a_failure_is_not_made_twice(serve):
    refuse = [True]

    def rule(request):
        if ordinal(request) == 1 and refuse:
            refuse.clear()
            return replace(wrong_key()(request), delay=0.3)
        return replace(by_ordinal(request), delay=0.8)

    server = serve(rules=[rule])
    factory = Own(CONTEXT)
    control.begin()
    with pytest.raises(AuthenticationFailed):
        factory.generate_people(4, concurrency=3)
    assert len(factory.generate_people(4, concurrency=3)) == 4
    assert sorted(map(ordinal, server.requests)) == [1, 1, 2, 3, 4]


def test_a_slot_that_could_not_begin_keeps_its_key(serve, tmp_path):
    serve(rules=[lambda _: answer(persona(1) | {"name": "Ana Souza"})])
    keys = []
    for taken in (False, True):
        control.begin(tmp_path / f"taken-{taken}")
        factory = TinyPersonFactory(CONTEXT)
        asked = (1, "a nurse named Ana Souza")
        if taken:
            TinyPerson("Ana Souza")
            with pytest.raises(NameTaken):
                factory.generate_people(*asked, concurrency=2)
            TinyPerson.clear_people()
        factory.generate_people(*asked, concurrency=2)
        keys.append([event.key for event in factory.history()])
    assert keys[0] == keys[1] and len(keys[0]) == 1


def test_people_stay_in_order_when_one_is_twice_not_stored(serve, tmp_path):
    server = serve(rules=[lambda r: replace(by_ordinal(r), delay=1.0 * (ordinal(r) == 1))])
    writer = scope_of(control.begin(tmp_path / "j")).store._writer
    commit, submit = writer._commit, writer.submit
    sent: list[str] = []
    failures: list[str] = []

    def note(work):
        sent.extend([] if callable(work) else [key for key, _ in work if key.startswith("event:")])
        return submit(work)

    def fail(batches):
        keys = [key for batch in batches for key, _ in batch if key.startswith("event:")]
        if keys and len(failures) < 2 and keys[0] in {*failures, sent[0]}:
            until(lambda: len(sent) >= 4)
            failures.append(keys[0])
            raise MemoryError("no room for the first")
        return commit(batches)

    writer.submit, writer._commit = note, fail
    factory = TinyPersonFactory(CONTEXT)
    for _ in range(2):
        with pytest.raises(MemoryError):
            factory.generate_people(4, concurrency=4)
        assert factory.generated_names == []
    people = factory.generate_people(4, concurrency=4)
    assert [person.name for person in people] == factory.generated_names == names(1, 4)
    assert len(server.requests) == 4


# -- threads -----------------------------------------------------------------------------------


def test_a_slot_that_ends_slowly_is_not_begun_again(serve, monkeypatch):
    def late(request):
        return replace(by_ordinal(request), delay=0.05 * ordinal(request))

    release = Transaction.release

    def slow(tx):  # the other replies arrive meanwhile
        time.sleep(0.1 * (threading.current_thread().name.startswith("tinyfactory-commit")))
        release(tx)

    server = serve(rules=[late])
    monkeypatch.setattr(Transaction, "release", slow)
    people = TinyPersonFactory(CONTEXT).generate_people(8, concurrency=8)
    assert [person.name for person in people] == names(1, 8)
    assert len(server.requests) == 8


class SlowDisk:
    def __init__(self, lock):
        self.lock, self.waiting = lock, threading.Event()

    def __enter__(self):
        self.lock.__enter__()
        self.waiting.set()
        time.sleep(0.5)

    def __exit__(self, *error):
        self.lock.__exit__(*error)


def test_a_job_cancelled_while_a_reply_is_written_keeps_the_reply_silently(serve, tmp_path, caplog):
    server = serve(rules=[by_ordinal])
    writer = scope_of(control.begin(tmp_path / "j")).store._writer
    factory = TinyPersonFactory(CONTEXT)
    factory.scope().line_of(factory)
    disk = writer.lock = SlowDisk(writer.lock)
    job = factory.start_people(1, concurrency=2)
    assert disk.waiting.wait(10)
    job.cancel()
    job.join()
    writer.call(lambda: None)
    assert caplog.messages == []
    assert len(factory.generate_people(1, concurrency=2)) == len(server.requests) == 1
