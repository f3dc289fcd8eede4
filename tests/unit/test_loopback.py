"""The offline writer at an address: the OpenAI protocol, as its official client sees it."""

from __future__ import annotations

import io
import json
import socket
import time

import openai
import pytest

import tinyfactory
from tinyfactory import TinyPersonFactory, control
from tinyfactory.models.loopback import OFFLINE_WRITER, serve_offline
from tinyfactory.models.offline import OFFLINE_MARK
from tinyfactory.people import TinyPerson

CONTEXT = "Regulars of a café in Lisbon, Portugal"
HELLO = [{"role": "user", "content": "Good morning"}]


@pytest.fixture
def endpoint():
    with serve_offline() as endpoint:
        use(endpoint)
        yield endpoint


@pytest.fixture
def client(endpoint):
    with openai.OpenAI(base_url=endpoint.base_url, api_key="none", max_retries=0) as client:
        yield client


def use(endpoint):
    tinyfactory.configure(base_url=endpoint.base_url, api_key="none", model=OFFLINE_WRITER)


def test_the_official_client_finds_the_model_and_has_an_answer(client):
    assert [model.id for model in client.models.list()] == [OFFLINE_WRITER]
    reply = client.chat.completions.create(model=OFFLINE_WRITER, messages=HELLO)
    assert "No language model is at work" in (reply.choices[0].message.content or "")
    assert reply.model == "offline" and reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


def test_the_people_are_those_that_the_offline_model_makes(endpoint, tmp_path):
    control.begin(tmp_path / "there")
    there = TinyPersonFactory(CONTEXT).generate_people(3)
    control.begin(tmp_path / "here")
    here = TinyPersonFactory(CONTEXT, model="offline").generate_people(3)
    assert there == here
    assert endpoint.requests == 3


def test_they_are_marked_so_that_nobody_takes_them_for_a_models(endpoint):
    people = TinyPersonFactory(CONTEXT).generate_people(2, concurrency=2)
    for person in people:
        assert person.provenance["source"] == "offline"
        assert "no language model" in str(person._repr_html_()).lower()
        assert OFFLINE_MARK in person.get("other_facts")
        assert set(person.origins().values()) <= {"offline"}
    assert isinstance(people[0], TinyPerson)


def test_a_batch_by_the_official_client(client):
    rows = [
        {
            "custom_id": f"row-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": OFFLINE_WRITER, "messages": HELLO},
        }
        for number in range(3)
    ]
    content = "\n".join(map(json.dumps, rows)).encode()
    file = client.files.create(file=("rows.jsonl", io.BytesIO(content)), purpose="batch")
    order = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
    batch = client.batches.create(input_file_id=file.id, metadata={"of": "mine"}, **order)
    found = client.batches.retrieve(batch.id)
    assert found.status == "completed" and found.request_counts is not None
    assert found.request_counts.completed == found.request_counts.total == 3
    lines = client.files.content(found.output_file_id or "").text.splitlines()
    assert [json.loads(line)["custom_id"] for line in lines] == ["row-0", "row-1", "row-2"]
    assert [b.metadata for b in client.batches.list()] == [{"of": "mine"}]
    bad = client.files.create(file=("rows.jsonl", io.BytesIO(b"{}")), purpose="batch")
    with pytest.raises(openai.BadRequestError, match="is not a chat request"):
        client.batches.create(input_file_id=bad.id, **order)
    with pytest.raises(openai.NotFoundError):
        client.batches.retrieve("batch_99")


def test_a_batch_takes_its_time_and_can_be_cancelled():
    with (
        serve_offline(batch_seconds=30) as endpoint,
        openai.OpenAI(base_url=endpoint.base_url, api_key="none", max_retries=0) as client,
    ):
        row = {"custom_id": "a", "body": {"model": "m", "messages": HELLO}}
        name = ("rows.jsonl", io.BytesIO(json.dumps(row).encode()))
        file = client.files.create(file=name, purpose="batch")
        batch = client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        assert client.batches.retrieve(batch.id).status == "in_progress"
        assert client.batches.cancel(batch.id).status == "cancelled"


def test_people_by_batch_are_the_same_people(endpoint, tmp_path):
    control.begin(tmp_path / "online")
    online = TinyPersonFactory(CONTEXT).generate_people(4, concurrency=4)
    control.begin(tmp_path / "batch")
    batched = TinyPersonFactory(CONTEXT).generate_people(4, batch=True, poll=0.01)
    assert batched == online and endpoint.requests == 4


def test_latency_is_that_of_each_answer_and_they_go_side_by_side():
    with serve_offline(latency=0.2) as endpoint:
        use(endpoint)
        start = time.perf_counter()
        TinyPersonFactory(CONTEXT).generate_people(8, concurrency=8)
        assert time.perf_counter() - start >= 0.2
        assert endpoint.most_at_once == 8


def test_more_than_it_takes_at_once_are_told_to_come_again_and_nobody_is_lost():
    with serve_offline(latency=0.1, at_once=3) as endpoint:
        use(endpoint)
        people = TinyPersonFactory(CONTEXT).generate_people(12, concurrency=12)
        assert len(people) == endpoint.requests == 12
        assert endpoint.refused > 0


def test_nobody_knows_a_price_of_it(endpoint):
    assert TinyPersonFactory(CONTEXT).estimate(3).usd is None


def test_closed_it_listens_no_longer_and_its_thread_is_gone():
    with serve_offline() as endpoint:
        port = endpoint.port
    assert endpoint._thread is not None and not endpoint._thread.is_alive()
    with socket.socket() as tried:
        assert tried.connect_ex(("127.0.0.1", port)) != 0
    endpoint.close()  # again, and nothing happens


def test_a_taken_port_is_said_at_once(endpoint):
    with pytest.raises(OSError):
        serve_offline(port=endpoint.port)


def test_what_it_does_not_have_is_a_404_and_what_it_cannot_read_a_400(client):
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model=OFFLINE_WRITER, input="a")
    with pytest.raises(openai.BadRequestError, match="messages"):
        client.post("/chat/completions", cast_to=object, body={"model": OFFLINE_WRITER})


def test_hundreds_at_once_are_served():
    with serve_offline(latency=0.3) as endpoint:
        use(endpoint)
        people = TinyPersonFactory(CONTEXT).generate_people(100, concurrency=100)
        assert len({p.name for p in people}) == 100 and endpoint.most_at_once > 50
