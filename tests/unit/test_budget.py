"""Budgets: checked before each call, enforced, and resumable."""

from __future__ import annotations

import re
import threading
import time

import pytest

from tests.support.chat_server import (
    answer,
    empty,
    hang,
    rate_limited,
    status,
    wrong_key,
)
from tests.support.people import person as persona
from tests.support.waiting import PATIENCE, until
from tinyfactory import Budget, Simulation, TinyPersonFactory, control
from tinyfactory.budget import Cost, Meter
from tinyfactory.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    EndpointUnreachable,
    InvalidInput,
    TinyFactoryError,
    UnknownPrice,
)
from tinyfactory.journal.scopes.scope import scope

CONTEXT = "Nurses of a night shift in a small town"
PRICED = {"test-model": (1.0, 2.0)}


@pytest.fixture(autouse=True)
def model(monkeypatch):
    monkeypatch.setenv("OPENAI_MODEL", "test-model")


# -- the limits ----------------------------------------------------------------------------


def test_calls_stop_before_the_limit_is_exceeded_and_finished_people_are_kept(serve, tmp_path):
    server = serve()
    simulation = control.begin(tmp_path / "j", budget=Budget(calls=3))
    factory = TinyPersonFactory(CONTEXT)
    with pytest.raises(BudgetExceeded) as caught:
        factory.generate_people(5)
    assert len(server.requests) == 3
    assert len(factory.last_job.people) == len(factory.generated_names) == 3
    assert simulation.spent.calls == 3
    said = str(caught.value)
    for part in ("allows 3 calls", "3 are spent", "saved", "Budget(calls=...)", "run again"):
        assert part in said


def test_with_a_higher_budget_it_goes_on_and_what_was_finished_costs_nothing(serve, tmp_path):
    server = serve()
    control.begin(tmp_path / "j", budget=Budget(calls=3))
    with pytest.raises(BudgetExceeded):
        TinyPersonFactory(CONTEXT).generate_people(5)
    first = list(scope().people)
    simulation = control.begin(tmp_path / "j", budget=Budget(calls=2))
    people = TinyPersonFactory(CONTEXT).generate_people(5)
    assert len(people) == 5 and list(people[:3]) == first
    assert len(server.requests) == 5 and simulation.spent.calls == 2


def test_a_replay_needs_no_budget(serve, tmp_path):
    server = serve()
    with Simulation(path=tmp_path / "j"):
        people = TinyPersonFactory(CONTEXT).generate_people(2)
    with Simulation(path=tmp_path / "j", budget=Budget(calls=0, tokens=0, usd=0)) as simulation:
        assert list(TinyPersonFactory(CONTEXT).generate_people(2)) == list(people)
    assert len(server.requests) == 2
    assert simulation.spent.calls == simulation.spent.tokens == simulation.spent.usd == 0


def test_tokens_are_reserved_at_their_upper_bound_and_settled_at_what_they_were(serve, tmp_path):
    server = serve([answer(persona(1), usage={"prompt_tokens": 700, "completion_tokens": 300})])
    simulation = control.begin(tmp_path / "j", budget=Budget(tokens=7_000))
    factory = TinyPersonFactory(CONTEXT)
    factory.generate_person()
    assert simulation.spent.tokens == 1_000
    control.begin(tmp_path / "j2", budget=Budget(tokens=4_000))  # the reply alone may take that
    with pytest.raises(BudgetExceeded, match="allows 4,000 tokens; 0 are spent") as caught:
        TinyPersonFactory(CONTEXT).generate_person()
    assert len(server.requests) == 1
    body = server.bodies[0]
    characters = sum(len(message["content"]) for message in body["messages"])
    bound = int(re.search(r"may take ([\d,]+)", str(caught.value))[1].replace(",", ""))
    assert 4_000 + characters / 4 <= bound < 4_000 + characters / 2 + 2_500  # and the schema


def test_a_rejected_reply_is_paid_for_too(serve, tmp_path):
    server = serve([empty(), empty()])
    simulation = control.begin(tmp_path / "j", budget=Budget(calls=2))
    factory = TinyPersonFactory(CONTEXT)
    before = factory.encode_complete_state()
    with pytest.raises(BudgetExceeded):
        factory.generate_person()
    assert len(server.requests) == 2 and simulation.spent.calls == 2
    assert factory.encode_complete_state() == before
    # Finished calls are saved: a second run makes only the missing ones.
    simulation = control.begin(tmp_path / "j", budget=Budget(calls=1))
    assert TinyPersonFactory(CONTEXT).generate_person() is not None
    assert len(server.requests) == 3


def test_requests_that_had_to_be_repeated_count_each(serve, tmp_path):
    server = serve([rate_limited(0.01)])
    simulation = control.begin(tmp_path / "j", budget=Budget(calls=10))
    TinyPersonFactory(CONTEXT).generate_person()
    assert simulation.spent.calls == len(server.requests) == 2


def test_a_request_that_would_exceed_the_calls_is_not_repeated(serve, tmp_path):
    server = serve([status(500), status(500)])
    simulation = control.begin(tmp_path / "j", budget=Budget(calls=2))
    with pytest.raises(BudgetExceeded, match="allows 2 calls") as caught:
        TinyPersonFactory(CONTEXT).generate_person()
    assert len(server.requests) == simulation.spent.calls == 2
    assert "not retried" in str(caught.value) and "Budget(calls=...)" in str(caught.value)
    control.begin(tmp_path / "j", budget=Budget(calls=1))
    assert TinyPersonFactory(CONTEXT).generate_person() is not None
    assert len(server.requests) == 3


def test_a_request_is_repeated_as_long_as_the_calls_last(serve, tmp_path):
    server = serve([status(500), status(500)])
    simulation = control.begin(tmp_path / "j", budget=Budget(calls=3))
    assert TinyPersonFactory(CONTEXT).generate_person() is not None
    assert len(server.requests) == simulation.spent.calls == 3


def test_people_made_together_on_a_server_in_trouble_stay_within_the_calls(serve, tmp_path):
    troubles = iter([status(503)] * 6)
    server = serve(rules=[lambda _: next(troubles, None)], slow=0.02)
    simulation = control.begin(tmp_path / "j", budget=Budget(calls=10))
    with pytest.raises(BudgetExceeded):
        TinyPersonFactory(CONTEXT).generate_people(12, concurrency=4)
    assert len(server.requests) == simulation.spent.calls <= 10


def test_an_endpoint_that_does_not_count_tokens_is_not_taken_for_free(serve, tmp_path):
    serve(rules=[lambda _: answer(persona(1), usage={})])
    simulation = control.begin(tmp_path / "j")
    TinyPersonFactory(CONTEXT).generate_person()
    assert simulation.spent.tokens > 500


# -- money ---------------------------------------------------------------------------------


def test_dollars_are_counted_with_the_prices_given(serve, tmp_path):
    usage = {"prompt_tokens": 1_000, "completion_tokens": 500}
    server = serve([answer(persona(number), usage=usage) for number in range(10)])
    budget = Budget(
        usd=0.012, prices=PRICED
    )  # the bound of one call is 0.009, its actual cost 0.002
    simulation = control.begin(tmp_path / "j", budget=budget)
    factory = TinyPersonFactory(CONTEXT)
    with pytest.raises(BudgetExceeded, match=r"allows 0\.012 USD"):
        factory.generate_people(10)
    assert len(factory.last_job.people) == len(server.requests) >= 1
    assert simulation.spent.usd == pytest.approx(0.002 * len(server.requests))
    assert simulation.spent.usd <= 0.012 and not simulation.spent.unknown_price
    event = factory.history()[0]
    assert event.usd == pytest.approx(0.002)


def test_an_unknown_price_is_refused_before_the_call_and_told_how_to_give_one(serve, tmp_path):
    server = serve()
    control.begin(tmp_path / "j", budget=Budget(usd=100))
    with pytest.raises(UnknownPrice, match=r"prices=\{") as caught:
        TinyPersonFactory(CONTEXT).generate_person()
    assert server.requests == []
    assert isinstance(caught.value, BudgetExceeded)


def test_without_a_limit_in_dollars_an_unknown_price_is_said_and_is_not_free(serve, tmp_path):
    serve()
    simulation = control.begin(tmp_path / "j", budget=Budget(calls=5))
    factory = TinyPersonFactory(CONTEXT)
    factory.generate_person()
    assert simulation.spent.usd is None and simulation.spent.unknown_price
    assert "price unknown" in str(simulation.spent)
    assert factory.history()[0].usd is None


def test_a_sum_with_something_of_unknown_price_says_so():
    meter = Meter()
    meter.try_reserve(Cost(1, 10, 0.5)).settle(Cost(1, 10, 0.5))
    meter.try_reserve(Cost(1, 10, None)).settle(Cost(1, 10, None))
    assert meter.spent.usd == 0.5 and meter.spent.unknown_price
    assert str(meter.spent) == "2 calls, 20 tokens, 0.5000 USD and more of unknown price"


def test_the_offline_model_costs_nothing(tmp_path):
    simulation = control.begin(tmp_path / "j", budget=Budget(usd=0))
    factory = TinyPersonFactory(CONTEXT, model="offline")
    assert factory.generate_person() is not None
    assert simulation.spent.usd == 0.0 and not simulation.spent.unknown_price
    assert factory.history()[0].usd == 0.0


# -- calls that end otherwise --------------------------------------------------------------


def test_a_refused_call_counts_as_a_call_without_tokens(serve, tmp_path):
    serve([wrong_key()])
    simulation = control.begin(tmp_path / "j")
    with pytest.raises(AuthenticationFailed):
        TinyPersonFactory(CONTEXT).generate_person()
    assert (simulation.spent.calls, simulation.spent.tokens) == (1, 0)


def test_what_never_went_out_counts_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    simulation = control.begin(tmp_path / "j", budget=Budget(calls=1))
    for _ in range(2):
        with pytest.raises(EndpointUnreachable):
            TinyPersonFactory(CONTEXT).generate_person()
    assert simulation.spent.calls == simulation.spent.tokens == 0


def test_a_call_that_is_broken_off_counts_with_its_bound(serve, tmp_path):
    server = serve([hang()])
    simulation = control.begin(tmp_path / "j")
    job = TinyPersonFactory(CONTEXT).start_people(1)
    until(lambda: server.requests)
    job.cancel()
    with pytest.raises(TinyFactoryError):
        job.wait(PATIENCE)
    assert simulation.spent.calls == 1 and simulation.spent.tokens > 4_000


def test_a_call_that_times_out_counts_with_its_bound(serve, tmp_path, monkeypatch):
    serve(rules=[lambda _: hang()])
    monkeypatch.setenv("TINYFACTORY_TIMEOUT", "1")
    monkeypatch.setenv("TINYFACTORY_TIME_LIMIT", "2")
    simulation = control.begin(tmp_path / "j")
    with pytest.raises(TinyFactoryError):
        TinyPersonFactory(CONTEXT).generate_person()
    assert simulation.spent.calls >= 1 and simulation.spent.tokens > 4_000


# -- together ------------------------------------------------------------------------------


def test_people_made_together_stay_within_the_calls(serve, tmp_path):
    server = serve(slow=0.05)
    simulation = control.begin(tmp_path / "j", budget=Budget(calls=6))
    with pytest.raises(BudgetExceeded):
        TinyPersonFactory(CONTEXT).generate_people(12, concurrency=8)
    assert len(server.requests) == simulation.spent.calls == 6
    control.begin(tmp_path / "j")
    assert len(TinyPersonFactory(CONTEXT).generate_people(12, concurrency=8)) == 12
    assert len(server.requests) == 12


def test_a_call_waits_for_others_under_way_when_that_decides(serve, tmp_path):
    """The bounds of eight calls at once exceed the budget; their actual cost does not."""
    server = serve(slow=0.05)
    simulation = control.begin(tmp_path / "j", budget=Budget(tokens=20_000))
    assert len(TinyPersonFactory(CONTEXT).generate_people(16, concurrency=8)) == 16
    assert len(server.requests) == 16 and simulation.spent.tokens < 20_000


def test_many_threads_never_reserve_more_than_there_is():
    meter = Meter(Budget(calls=50))
    won, refused = [], []

    def work():
        for _ in range(20):
            try:
                reservation = meter.try_reserve(Cost(1, 10, None))
            except BudgetExceeded as error:
                refused.append(error)
            else:
                if reservation is not None:
                    time.sleep(0)
                    reservation.settle(Cost(1, 7, None))
                    won.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == meter.spent.calls == 50 and meter.spent.tokens == 350
    assert refused


def test_a_reservation_is_settled_once():
    meter = Meter(Budget(calls=2))
    reservation = meter.try_reserve(Cost(1, 10, None))
    reservation.settle(Cost(1, 5, None))
    reservation.keep()
    assert meter.spent.calls == 1 and meter.spent.tokens == 5


def test_it_is_open_while_it_depends_on_a_call_under_way_and_then_decided():
    meter = Meter(Budget(tokens=100))
    first = meter.try_reserve(Cost(1, 80, None))
    assert meter.try_reserve(Cost(1, 80, None)) is None
    first.settle(Cost(1, 10, None))
    second = meter.try_reserve(Cost(1, 80, None))
    second.settle(Cost(1, 80, None))
    with pytest.raises(BudgetExceeded, match="90 are spent"):
        meter.try_reserve(Cost(1, 80, None))


# -- what is no budget ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [{"calls": -1}, {"calls": 1.5}, {"calls": True}, {"tokens": "9"}, {"usd": -0.1},
     {"usd": float("nan")}, {"usd": "1"}, {"usd": True}],
)  # fmt: skip
def test_what_cannot_be_a_limit_is_refused(bad):
    with pytest.raises(InvalidInput, match=next(iter(bad))):
        Budget(**bad)


def test_a_budget_holds_for_one_run(serve, tmp_path):
    serve()
    simulation = Simulation(path=tmp_path / "j", budget=Budget(calls=1))
    for context in ("one", "another"):
        simulation.begin()
        assert TinyPersonFactory(context).generate_person() is not None
        assert simulation.spent.calls == 1
    simulation.end()
