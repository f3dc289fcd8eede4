"""Prices: dated, overridable, and never free because they are unknown."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys

import pytest

import tinyfactory
from tinyfactory.errors import InvalidInput
from tinyfactory.models.chat import Usage
from tinyfactory.models.http.endpoint import Target
from tinyfactory.models.pricing import price

USAGE = Usage(prompt_tokens=1_000_000, completion_tokens=1_000_000)


def identity(model="gpt-4.1-mini", endpoint="https://api.openai.com/v1"):
    return Target(endpoint, model, None).identity()


def test_a_known_model_has_a_price_with_its_day_and_source():
    found = price(identity(), USAGE)
    assert found.usd == pytest.approx(0.40 + 1.60)
    assert found.dated == dt.datetime.now(dt.UTC).date().isoformat()
    assert found.source.startswith("genai-prices ")


def test_the_price_grows_with_the_tokens_and_the_cached_ones_cost_less():
    thousandth = price(identity(), Usage(1000, 1000))
    assert thousandth.usd == pytest.approx(0.002)
    cached = price(identity(), Usage(1000, 1000, cached_tokens=1000))
    assert 0 < cached.usd < thousandth.usd
    # An endpoint that counts more cached tokens than there were does not end the work.
    assert price(identity(), Usage(1000, 1000, cached_tokens=5000)).usd == cached.usd


@pytest.mark.parametrize(
    "unknown",
    [
        identity("a-model-that-nobody-lists"),
        identity("gpt-4.1-mini", "http://localhost:11434/v1"),
        identity("llama3.2", "http://127.0.0.1:8000/v1"),
        {"kind": "mine", "model": "gpt-4.1-mini"},
        {},
    ],
)
def test_an_unknown_model_or_endpoint_has_no_price(unknown):
    assert price(unknown, USAGE) is None


def test_the_offline_model_is_free():
    assert price(tinyfactory.models.resolve("offline").identity, USAGE).usd == 0.0


def test_the_name_that_answered_counts_where_a_deployment_has_a_name_of_its_own():
    azure = Target("https://x.openai.azure.com", "our-deployment", None, "2024-10-21").identity()
    assert price(azure, USAGE) is None
    assert price(azure, USAGE, answered_by="gpt-4.1-mini-2025-04-14").usd > 0


def test_given_prices_come_before_configured_ones_and_those_before_the_lists():
    tinyfactory.configure(prices={"gpt-4.1-mini": (5, 5)})
    found = price(identity(), USAGE, given={"gpt-4.1-mini": (1, 2)})
    assert (found.usd, found.source) == (3.0, "given")
    assert price(identity(), USAGE, given={"another": (1, 2)}).usd == 10.0
    tinyfactory.configure(prices=None)
    assert price(identity(), USAGE).usd == pytest.approx(2.0)


def test_a_price_of_zero_is_one_that_was_given():
    local = identity("llama3.2", "http://localhost:11434/v1")
    assert price(local, USAGE, given={"llama3.2": (0, 0)}).usd == 0.0


@pytest.mark.parametrize("bad", [{"x": 1}, {"x": (1,)}, {"x": (-1, 2)}, {"x": ("1", 2)}, [1], "x"])
def test_what_is_no_price_is_refused_when_it_is_given(bad):
    with pytest.raises(InvalidInput, match="million"):
        tinyfactory.configure(prices=bad)
    with pytest.raises(InvalidInput, match="million"):
        tinyfactory.Budget(prices=bad)


def test_the_lists_are_loaded_when_a_price_is_wanted_and_not_before():
    program = (
        "import sys, tinyfactory.models.pricing as p\n"
        "from tinyfactory.models.chat import Usage\n"
        "assert 'genai_prices' not in sys.modules\n"
        "p.price({'kind': 'openai', 'model': 'gpt-4.1-mini',"
        " 'endpoint': 'https://api.openai.com/v1'}, Usage(1, 1))\n"
        "assert 'genai_prices' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("model", ["gpt-4.1-mini", "gpt-4o-mini", "gpt-5-mini"])
def test_a_batch_costs_half(model):
    assert price(identity(model), USAGE, batch=True).usd == pytest.approx(
        price(identity(model), USAGE).usd / 2
    )
    azure = Target("https://x.openai.azure.com", model, None, "2024-10-21").identity()
    assert price(azure, USAGE, batch=True).usd == pytest.approx(price(azure, USAGE).usd / 2)


def test_a_given_price_is_halved_for_a_batch_and_says_so():
    found = price(identity(), USAGE, given={"gpt-4.1-mini": (1, 2)}, batch=True)
    assert (found.usd, found.source) == (1.5, "given, halved for a batch")


def test_an_endpoint_that_names_no_price_for_batches_is_taken_to_charge_in_full():
    groq = identity("llama-3.1-8b-instant", "https://api.groq.com/openai/v1")
    full = price(groq, USAGE)
    assert full.usd > 0
    assert price(groq, USAGE, batch=True).usd == full.usd
    assert price(identity("a-model-that-nobody-lists"), USAGE, batch=True) is None
