"""The Batch API: submitted rows, result files, saved state, and rejections."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.support.batches import Batch, Batches
from tests.support.chat_server import (
    Answer,
    ChatServer,
    Request,
    answer,
    choices_null,
    quota_exhausted,
    rate_limited,
    refusal,
    rejects_json_schema_400,
    rejects_parameter,
    status,
)
from tinyfactory.errors import InvalidInput, NotConfigured, QuotaExhausted, RequestRejected
from tinyfactory.models import event_loop
from tinyfactory.models.batch import files
from tinyfactory.models.batch.batch import BatchProgress, complete_batch
from tinyfactory.models.batch.client import BatchClient
from tinyfactory.models.chat import ChatReply, ChatRequest, Json, Usage
from tinyfactory.models.http import capabilities
from tinyfactory.models.http.capabilities import Capabilities
from tinyfactory.models.http.retry import RetryPolicy
from tinyfactory.models.offline import OfflineModel
from tinyfactory.models.openai import OpenAIModel

QUICK = RetryPolicy(attempts=3, time_limit=5, wait_initial=0.01, wait_jitter=0.01)
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
KEY = "sk-test-abcdefghijklmnop"


def requests(count: int = 5, **changes: Any) -> dict[str, ChatRequest]:
    fixed = {"role": "system", "content": "Be brief."}
    return {
        f"p{number}": ChatRequest(
            (fixed, {"role": "user", "content": f"Who is {number}? \u2028 Ünlü"}),
            **{"temperature": 1.5} | changes,
        )
        for number in range(count)
    }


def echo(request: Request) -> Answer:
    """An answer that repeats its request."""
    tokens = {"prompt_tokens": 10, "completion_tokens": 7}
    return answer(f"You asked: {request.last_message}", usage=tokens)


class Asked:
    """One call of `complete_batch`, with the arguments of its callbacks."""

    def __init__(self, server: ChatServer, model: str = "test-model", **options: Any) -> None:
        self.model = OpenAIModel(model, base_url=server.base_url, retry=QUICK)
        self.notes: list[Json] = []
        self.replies: dict[str, ChatReply] = {}
        self.told: list[BatchProgress] = []
        self.looked: Callable[[BatchProgress], object] = lambda told: None
        self.noted: Callable[[Json], object] = lambda note: None
        self.options = options

    def arrive(self, name: str, reply: ChatReply) -> None:
        assert name not in self.replies, "a reply came twice"
        self.replies[name] = reply

    def note(self, note: Json) -> None:
        self.notes.append(json.loads(json.dumps(note)))
        self.noted(note)

    def tell(self, progress: BatchProgress) -> None:
        self.told.append(progress)
        self.looked(progress)

    def run(self, wanted: dict[str, ChatRequest], remembered: Json | None = None) -> dict[str, str]:
        return event_loop.run(
            lambda: complete_batch(
                self.model,
                wanted,
                remembered=remembered,
                remember=self.note,
                arrived=self.arrive,
                progress=self.tell,
                **{"poll": 0.02} | self.options,
            )
        )


def good(wanted: dict[str, ChatRequest], replies: dict[str, ChatReply]) -> bool:
    """Whether every request has its own reply."""
    own = {name: f"You asked: {r.messages[-1]['content']}" for name, r in wanted.items()}
    return own == {name: reply.text for name, reply in replies.items()}


# --- a successful batch --------------------------------------------------------------------------


def test_every_request_gets_its_own_reply_whatever_the_order():
    with ChatServer(rules=[echo], batches=Batches()) as server:
        asked, wanted = Asked(server), requests(20)
        assert asked.run(wanted) == {}
        assert good(wanted, asked.replies)
        assert (server.batches.uploaded, server.batches.created) == (1, 1)
        assert server.requests == []  # none was sent alone
    # The result file is in random order; otherwise this would prove nothing.
    assert list(asked.replies) != sorted(asked.replies)


def test_a_reply_says_that_a_batch_gave_it_and_what_it_took():
    with ChatServer(rules=[echo], batches=Batches()) as server:
        asked = Asked(server)
        asked.run(requests(1, schema=SCHEMA, schema_name="persona", max_tokens=50))
    reply = asked.replies["p0"]
    assert reply.usage == Usage(10, 7)
    assert (reply.requests, reply.model, reply.seconds) == (1, "test-model", 1.0)
    named = {"name": "persona", "strict": True}
    assert reply.sent == {
        "batch": True,
        "model": "test-model",
        "temperature": 1.5,
        "max_tokens": 50,
        "response_format": {"type": "json_schema", "json_schema": named},
    }
    assert ChatReply.from_json(json.loads(json.dumps(reply.to_json()))) == reply


@pytest.mark.parametrize("refused", [None, "temperature"])
def test_the_rows_are_exactly_what_is_sent_online(refused):
    wanted = requests(1, schema=SCHEMA, max_tokens=9)
    rules = [rejects_parameter(refused)] if refused else []
    with ChatServer(rules=[*rules, echo], batches=Batches()) as server:
        asked = Asked(server)
        event_loop.run(asked.model.complete, wanted["p0"])
        asked.run(wanted)
        streaming = {"stream": True, "stream_options": {"include_usage": True}}
        assert [body | streaming for body in server.batches.bodies] == [server.bodies[-1]]
        assert ("temperature" in server.batches.bodies[0]) is (refused is None)


def test_a_refusal_by_the_model_and_a_cut_answer_are_replies():
    with ChatServer([refusal("No."), answer("Ha", "length")], batches=Batches()) as server:
        asked = Asked(server)
        assert asked.run(requests(2)) == {}
    assert asked.replies["p0"].refusal == "No."
    assert asked.replies["p1"].finish_reason == "length"


def test_nothing_wanted_is_nothing_sent():
    with ChatServer(batches=Batches()) as server:
        assert Asked(server).run({}) == {}
        assert server.batches.uploaded == 0


def by_looks(batches: Batches) -> Batches:
    """Each poll advances a batch by a second, regardless of the wall clock."""
    batches.clock = lambda: float(batches.looks)
    return batches


def test_progress_is_told_while_it_runs():
    with ChatServer(rules=[echo], batches=by_looks(Batches(2, 5, 2))) as server:
        asked = Asked(server, poll=0.01)
        asked.run(requests(10))
    seen = list(dict.fromkeys(told.status for told in asked.told))
    assert seen == ["validating", "in_progress", "finalizing", "completed"]
    done = [told.done for told in asked.told]
    assert done == sorted(done)
    assert set(done) - {0, 10}, "no look fell between the first and the last row"
    assert asked.told[-1] == BatchProgress(10, 10, 0, "completed", ("batch_1",))


def test_the_pause_between_looks_grows_to_six_times_the_first():
    looked: list[float] = []

    class Timed(Batches):
        def now(self, batch: Batch) -> Batch:
            looked.append(time.monotonic())
            return super().now(batch)

    with ChatServer(rules=[echo], batches=by_looks(Timed(0, 20, 0))) as server:
        Asked(server, poll=0.02).run(requests(1))
    pauses = [after - before for before, after in pairwise(looked)]
    # A slow machine makes some pauses longer and none shorter. If they grew without end, each of
    # the last would exceed a second.
    assert pauses[-1] > 0.11 and min(pauses[-5:]) < 1


# --- several files -------------------------------------------------------------------------------


def test_more_requests_than_a_file_holds_make_several_batches():
    with ChatServer(rules=[echo], batches=Batches(most_rows=4)) as server:
        asked, wanted = Asked(server, most_rows=4), requests(10)
        assert asked.run(wanted) == {}
        assert good(wanted, asked.replies)
        assert [len(batch.rows) for batch in server.batches.batches] == [4, 4, 2]
    assert asked.told[-1].batches == ("batch_1", "batch_2", "batch_3")
    assert [part["rows"] for part in asked.notes[-1]["parts"]] == [4, 4, 2]


def test_a_file_holds_no_more_bytes_than_it_may():
    lines = [b"x" * 99 + b"\n"] * 10
    assert files.fill(lines, most_bytes=500) == (5, b"".join(lines[:5]))
    assert files.fill(lines, most_bytes=499)[0] == 4
    assert files.fill(lines, most_rows=3)[0] == 3
    with pytest.raises(InvalidInput, match="100 bytes"):
        files.fill(lines, most_bytes=99)
    assert (files.MOST_ROWS, files.MOST_BYTES) == (50_000, 200_000_000)


def test_a_batch_refused_for_the_length_of_the_queue_goes_in_when_another_is_done():
    with ChatServer(rules=[echo], batches=by_looks(Batches(2, 5, 2, most_waiting=5))) as server:
        asked, wanted = Asked(server, most_rows=4), requests(12)
        assert asked.run(wanted) == {}
        assert good(wanted, asked.replies)
        ends = [batch.status for batch in server.batches.batches]
        assert ends.count("completed") == 3
        assert "failed" in ends


class Late(Batches):
    """Refuses the second and the third batch; the first is done before that is known."""

    def _mistakes(self, batch: Batch) -> list[Json]:
        crowded = {"code": "token_limit_exceeded", "message": "The queue is full.", "line": None}
        return [crowded] if batch.id in ("batch_2", "batch_3") else []


def test_a_refusal_that_is_heard_when_there_is_room_again_is_not_the_end():
    with ChatServer(rules=[echo], batches=Late(0, 0, 0)) as server:
        asked, wanted = Asked(server, most_rows=4), requests(12)
        assert asked.run(wanted) == {}
        assert good(wanted, asked.replies)
        assert server.batches.created == 5


# --- rows without a reply ------------------------------------------------------------------------


def test_a_row_that_fails_is_told_and_costs_the_others_nothing():
    script = [rate_limited(), status(500), choices_null(), quota_exhausted()]

    def scripted(request: Request) -> Answer:
        return script.pop() if script else echo(request)

    with ChatServer(rules=[scripted], batches=Batches()) as server:
        asked = Asked(server)
        failed = asked.run(requests(10))
    assert sorted([*failed, *asked.replies]) == sorted(requests(10))
    reasons = sorted(reason[:9] for reason in failed.values())
    assert reasons == ["HTTP 429:", "HTTP 429:", "HTTP 500:", "bad respo"]
    assert asked.told[-1] == BatchProgress(10, 6, 4, "completed", ("batch_1",))


def test_an_expired_batch_gives_what_was_done():
    with ChatServer(rules=[echo], batches=Batches(expire_after=3)) as server:
        asked = Asked(server)
        failed = asked.run(requests(8))
    assert len(asked.replies) == 3
    assert len(failed) == 5
    assert all("batch_expired" in reason for reason in failed.values())
    assert asked.told[-1].status == "expired"


def test_a_batch_cancelled_at_the_provider_gives_what_was_done():
    with ChatServer(rules=[echo], batches=by_looks(Batches(0, 8))) as server:
        asked = Asked(server)

        def cancel(told: BatchProgress) -> None:
            if told.done:
                batch = server.batches.batches[0]
                server._loop.call_soon_threadsafe(server.batches.cancel, batch)

        asked.looked = cancel
        failed = asked.run(requests(8))
    assert asked.replies
    assert failed
    assert len(asked.replies) + len(failed) == 8


@pytest.mark.parametrize("rows", ["none", "unknown", "half"])
def test_a_request_without_a_row_is_told_and_a_row_without_a_request_is_ignored(rows):
    with ChatServer(rules=[echo], batches=Batches()) as server:
        asked = Asked(server)

        def change(note: Json) -> None:
            if note["parts"][0]["batch"]:
                batch = server.batches.batches[0]
                batch.status, batch.output = "completed", "file-made"
                row = {"id": "r", "custom_id": "someone" if rows == "unknown" else "p1"}
                half = {"response": None, "error": None}
                line = {"none": {}, "unknown": row | half, "half": row | half}[rows]
                server.batches.files["file-made"] = json.dumps(line).encode()

        asked.noted = change
        failed = asked.run(requests(2))
    assert asked.replies == {}
    assert set(failed) == {"p0", "p1"}
    assert "before it was answered" in failed["p0"]
    assert ("neither a response nor an error" in failed["p1"]) is (rows == "half")


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        (rejects_parameter("temperature"), "temperature"),
        (rejects_json_schema_400(), "json_schema"),
        (rejects_parameter("max_tokens"), '"max_tokens"'),
    ],
)
def test_what_the_endpoint_refuses_of_a_row_is_left_out_the_second_time(rule, name):
    wanted = requests(4, schema=SCHEMA, max_tokens=9)
    with ChatServer(rules=[rule, echo], batches=Batches()) as server:
        asked = Asked(server)
        failed = asked.run(wanted)
        assert set(failed) == set(wanted)
        assert all("HTTP 400" in reason for reason in failed.values())
        again = Asked(server)
        assert again.run(wanted) == {}
        first, second = (json.dumps(server.batches.bodies[n]) for n in (0, 4))
    assert name in first
    assert name not in second
    assert good(wanted, again.replies)


# --- saved state ---------------------------------------------------------------------------------


def test_it_is_remembered_before_and_after_each_submission_and_without_a_secret(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ChatServer(rules=[echo], batches=Batches()) as server:
        asked = Asked(server)
        asked.run(requests(3))
    parts = [note["parts"][0] for note in asked.notes]
    assert parts == [
        {"rows": 3, "file": "file-1", "batch": None},
        {"rows": 3, "file": "file-1", "batch": "batch_1"},
    ]
    assert KEY not in json.dumps(asked.notes)
    assert "Who is" not in json.dumps(asked.notes)


def test_the_same_requests_are_not_submitted_again():
    with ChatServer(rules=[echo], batches=Batches()) as server:
        first, wanted = Asked(server, most_rows=2), requests(5)
        first.run(wanted)
        second = Asked(server)
        assert second.run(dict(reversed(wanted.items())), first.notes[-1]) == {}
        assert good(wanted, second.replies)
        assert (server.batches.uploaded, server.batches.created) == (3, 3)
    assert second.notes == []


def test_they_are_the_same_after_something_was_learnt_of_the_endpoint():
    """A submitted batch is used, even if the capabilities have changed since."""
    with ChatServer(rules=[echo], batches=Batches()) as server:
        first, wanted = Asked(server), requests(2)
        first.run(wanted)
        less = Capabilities(dropped=frozenset({"temperature"}))
        capabilities.known.learn(first.model.target(), less)
        second = Asked(server)
        second.run(wanted, first.notes[-1])
        assert server.batches.created == 1
    assert second.replies["p0"].sent["temperature"] == 1.5


@pytest.mark.parametrize("change", ["a text", "a temperature", "one more", "the model", "version"])
def test_other_requests_are_submitted_anew(change):
    wanted = requests(3)
    with ChatServer(rules=[echo], batches=Batches()) as server:
        first = Asked(server)
        first.run(wanted)
        note = first.notes[-1]
        second = Asked(server, model="another" if change == "the model" else "test-model")
        if change == "a text":
            wanted["p1"] = ChatRequest(({"role": "user", "content": "Who else?"},), 1.5)
        elif change == "a temperature":
            wanted = requests(3, temperature=0.1)
        elif change == "one more":
            wanted = requests(4)
        elif change == "version":
            note = note | {"version": 0}
        second.run(wanted, note)
        assert server.batches.created == 2
    assert good(wanted, second.replies)


def test_answers_that_are_no_longer_kept_are_asked_for_as_failed():
    with ChatServer(rules=[echo], batches=Batches()) as server:
        first = Asked(server)
        first.run(requests(2))
        server.batches.files.clear()
        second = Asked(server)
        failed = second.run(requests(2), first.notes[-1])
    assert second.replies == {}
    assert set(failed) == {"p0", "p1"}


# --- rejections ----------------------------------------------------------------------------------


def test_an_endpoint_without_a_batch_api_says_to_ask_one_by_one():
    with ChatServer() as server:
        asked = Asked(server)
        with pytest.raises(RequestRejected, match="no Batch API") as raised:
            asked.run(requests(2))
    assert "batch=False" in str(raised.value)
    assert asked.notes == []


def test_a_batch_that_is_not_accepted_says_why_and_is_not_remembered():
    # We never send duplicate ids, but may send too many rows.
    with ChatServer(rules=[echo], batches=Batches(most_rows=4)) as server:
        asked, wanted = Asked(server), requests(5)
        with pytest.raises(RequestRejected, match="more than 4 requests") as raised:
            asked.run(wanted)
        assert "batch_1" in str(raised.value)
        assert "batch=False" in str(raised.value)
        assert "picks it up" not in str(raised.value)
        server.batches.most_rows = 5
        again = Asked(server)
        assert again.run(wanted, asked.notes[-1]) == {}
        assert server.batches.created == 2
    assert good(wanted, again.replies)


def test_a_full_queue_says_so():
    with (
        ChatServer(rules=[echo], batches=Batches(most_waiting=2)) as server,
        pytest.raises(QuotaExhausted, match="Enqueued token limit") as raised,
    ):
        Asked(server).run(requests(5))
    assert "ask for fewer" in str(raised.value)


def test_a_batch_that_this_key_does_not_see_is_not_paid_for_twice():
    with ChatServer(rules=[echo], batches=Batches()) as server:
        first = Asked(server)
        first.run(requests(2))
        server.batches.batches.clear()
        with pytest.raises(RequestRejected, match="does not know /batches/batch_1"):
            Asked(server).run(requests(2), first.notes[-1])
        assert server.batches.uploaded == 1


def test_no_key_and_no_such_model_are_said_before_anything_is_sent():
    call: dict[str, Any] = {"remembered": None, "remember": print, "arrived": print}
    with pytest.raises(NotConfigured):
        asyncio.run(complete_batch(OpenAIModel("m"), requests(1), **call))
    offline: Any = OfflineModel()
    with pytest.raises(InvalidInput, match="has no Batch API"):
        asyncio.run(complete_batch(offline, requests(1), **call))


# --- the server that these tests trust -----------------------------------------------------------


def test_the_server_refuses_a_custom_id_that_comes_twice_and_files_that_it_does_not_have():
    with ChatServer(rules=[echo], batches=Batches(0, 0, 0)) as server:
        model = OpenAIModel("test-model", base_url=server.base_url, retry=QUICK)
        endpoint = BatchClient(model.target(), QUICK)
        request = requests(1)["p0"]
        one = files.request_row("p0", endpoint.chat, model.target(), request, Capabilities())

        async def twice() -> Json:
            file = await endpoint.upload(one + one)
            made = await endpoint.create(file, {}, 0.0, look_first=False)
            return await endpoint.retrieve(made["id"])

        failed = asyncio.run(twice())
        assert failed["status"] == "failed"
        assert failed["errors"]["data"][0]["code"] == "duplicate_custom_id"
        assert asyncio.run(endpoint.download("file-99")) is None
        with pytest.raises(RequestRejected, match="Cannot find file"):
            asyncio.run(endpoint.create("file-99", {}, 0.0, look_first=False))
