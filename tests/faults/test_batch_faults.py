"""Batches and a world that fails: lost answers, cut files, dead kernels, and nobody pays twice."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import threading
from dataclasses import replace
from typing import Any

import pytest

from tests.support.batches import Batches, Fault
from tests.support.chat_server import (
    Answer,
    ChatServer,
    Request,
    answer,
    drop_connection,
    html_page,
    rate_limited,
    status,
)
from tests.support.processes import end, finish, hear, start
from tests.support.waiting import PATIENCE, until
from tinyfactory.errors import (
    AuthenticationFailed,
    Cancelled,
    EndpointUnavailable,
    RequestRejected,
)
from tinyfactory.models import event_loop
from tinyfactory.models.batch.batch import complete_batch
from tinyfactory.models.chat import ChatReply, ChatRequest, Json
from tinyfactory.models.http.retry import RetryPolicy
from tinyfactory.models.openai import OpenAIModel

QUICK = RetryPolicy(attempts=3, time_limit=60, wait_initial=0.01, wait_jitter=0.01)
WANTED = {f"p{n}": ChatRequest(({"role": "user", "content": f"{n}?"},)) for n in range(6)}
GOOD = {name: f"To {request.messages[0]['content']}" for name, request in WANTED.items()}


def echo(request: Request) -> Answer:
    return answer(f"To {request.last_message}")


class Kernel:
    """One call of `complete_batch` after another, as a notebook's kernel makes them."""

    def __init__(self, server: ChatServer, key: str | None = None, **options: Any) -> None:
        self.model = OpenAIModel("m", base_url=server.base_url, api_key=key, retry=QUICK)
        self.note: Json | None = None
        self.replies: dict[str, ChatReply] = {}
        self.options = options

    def remember(self, note: Json) -> None:
        self.note = json.loads(json.dumps(note))

    def arrive(self, name: str, reply: ChatReply) -> None:
        assert name not in self.replies, "a reply came twice"
        self.replies[name] = reply

    async def complete(self) -> dict[str, str]:
        self.replies = {}
        options: dict[str, Any] = {
            "poll": 0.01,
            "remember": self.remember,
            "arrived": self.arrive,
        }
        return await complete_batch(
            self.model, WANTED, remembered=self.note, **options | self.options
        )

    def run(self) -> dict[str, str]:
        return event_loop.run(self.complete, token=self.options.get("token"))

    @property
    def texts(self) -> dict[str, str]:
        return {name: reply.text for name, reply in self.replies.items()}


def serving(*faults: Fault, **options: Any) -> ChatServer:
    return ChatServer(rules=[echo], batches=Batches(faults=faults, **options))


# --- a network that fails ------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [status(500), status(503), drop_connection(), html_page()])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/files"), ("POST", "/batches"), ("GET", r"/batches/\w+"), ("GET", "/content")],
)
def test_a_request_that_fails_is_made_again(method, path, trouble):
    with serving(Fault(method, path, trouble)) as server:
        kernel = Kernel(server)
        assert kernel.run() == {}
        assert kernel.texts == GOOD
        assert server.batches.created == 1


def test_a_submission_that_is_limited_waits_as_it_is_told():
    fault = Fault("POST", "/batches", rate_limited(300, milliseconds=True), times=2)
    with serving(fault) as server:
        kernel = Kernel(server)
        kernel.run()
        assert kernel.texts == GOOD
        assert (fault.times, server.batches.created) == (0, 1)


@pytest.mark.parametrize("lost", [drop_connection(), status(502), html_page()])
def test_a_batch_whose_answer_was_lost_is_not_made_again(lost):
    """The endpoint heard it and made the batch; only we do not know."""
    with serving(Fault("POST", "/batches", lost, after=True)) as server:
        kernel = Kernel(server)
        assert kernel.run() == {}
        assert kernel.texts == GOOD
        assert (server.batches.created, server.batches.lists) == (1, 1)


class Crowded(Batches):
    """Where others submit 150 batches as soon as our second one is made."""

    def _create(self, request: Request) -> Answer:
        made = super()._create(request)
        if self.created == 2:
            ours, other = self.batches[1], {"metadata": {"someone": "else"}}
            self.batches += [
                replace(ours, id=f"other_{n}", order=ours.order | other, done={})
                for n in range(150)
            ]
        return made


def test_it_is_found_among_hundreds_and_another_ones_is_not_taken():
    lost = Fault("POST", "/batches", drop_connection(), times=0, after=True)
    with ChatServer(rules=[echo], batches=Crowded(faults=(lost,))) as server:
        other = Kernel(server)
        other.run()  # the same requests, by someone else with the same account
        lost.times = 1
        kernel = Kernel(server)
        kernel.run()
        assert kernel.texts == GOOD
        assert server.batches.lists == 2  # a hundred a page
        assert kernel.note is not None
        assert kernel.note["parts"][0]["batch"] == "batch_2"


def test_an_outage_longer_than_the_retries_does_not_end_the_wait():
    with serving(Fault("GET", r"/batches/\w+", status(503), times=20)) as server:
        kernel = Kernel(server)
        assert kernel.run() == {}
        assert kernel.texts == GOOD
        assert server.batches.created == 1


def test_a_server_that_is_gone_and_comes_back_does_not_end_the_wait():
    batches = Batches(running=3600)
    with ChatServer(rules=[echo], batches=batches) as server:
        kernel = Kernel(server)
        job = threading.Thread(target=kernel.run)
        job.start()
        until(lambda: batches.looks > 1)
        port = server.port
    looked = batches.looks
    batches.finish()
    with ChatServer(rules=[echo], batches=batches, port=port):
        job.join(PATIENCE)
    assert not job.is_alive()
    assert kernel.texts == GOOD
    assert batches.looks > looked
    assert batches.created == 1


def test_an_outage_without_end_says_where_the_batch_is_and_running_again_picks_it_up():
    down = Fault("GET", r"/batches/\w+", status(503), times=10_000)
    with serving(down) as server:
        kernel = Kernel(server, poll=0.001)
        with pytest.raises(EndpointUnavailable, match="batch_1") as raised:
            kernel.run()
        assert "running the same again picks it up" in str(raised.value)
        down.times = 0
        assert kernel.run() == {}
        assert kernel.texts == GOOD
        assert (server.batches.uploaded, server.batches.created) == (1, 1)


def test_a_key_that_is_withdrawn_meanwhile_stops_at_once_and_is_not_printed():
    key = "sk-proj-abcdefghijklmnopqrstuvwxyz"
    said = {"error": {"message": f"Incorrect API key provided: {key}.", "code": "invalid_api_key"}}
    fault = Fault("GET", r"/batches/\w+", Answer(401, said), times=5)
    with serving(fault) as server:
        kernel = Kernel(server, key)
        with pytest.raises(AuthenticationFailed, match="batch_1") as raised:
            kernel.run()
        assert key not in str(raised.value)
        assert fault.times == 4
        fault.times = 0
        assert kernel.run() == {}
        assert server.batches.created == 1


# --- files that are cut --------------------------------------------------------------------------


def cut(whole: Answer) -> Answer:
    """By a proxy that then says that this is all: the last row is half a row."""
    return Answer(200, whole.encoded()[:-40])


def cut_between_rows(whole: Answer) -> Answer:
    return Answer(200, whole.encoded().split(b"\n")[0] + b"\n")


def cut_off(whole: Answer) -> Answer:
    """By a connection that breaks."""
    content = whole.encoded()
    length = {"content-length": str(len(content)), "connection": "close"}
    return Answer(200, content[: len(content) // 2], length)


@pytest.mark.parametrize("how", [cut, cut_between_rows, cut_off])
def test_a_file_that_comes_in_part_is_fetched_again(how):
    with serving(Fault("GET", "/content", how, after=True)) as server:
        kernel = Kernel(server)
        assert kernel.run() == {}
        assert kernel.texts == GOOD
        assert server.batches.downloads == 2


@pytest.mark.parametrize("how", [cut, cut_between_rows])
def test_a_file_that_always_comes_in_part_gives_what_it_has(how):
    with serving(Fault("GET", "/content", how, times=100, after=True)) as server:
        kernel = Kernel(server)
        failed = kernel.run()
        assert server.batches.downloads == 3
    assert 1 <= len(kernel.texts) < len(GOOD)
    assert {**dict.fromkeys(failed, "lost"), **kernel.texts}.keys() == GOOD.keys()
    assert all(GOOD[name] == text for name, text in kernel.texts.items())


def test_answers_that_are_announced_but_not_there_yet_are_waited_for():
    def not_yet(shown: Answer) -> Answer:
        hidden = {"output_file_id": None} if shown.body["status"] == "completed" else {}
        return Answer(200, shown.body | hidden)

    fault = Fault("GET", r"/batches/\w+", not_yet, times=8, after=True)
    with serving(fault, validating=0, running=0, finalizing=0) as server:
        kernel = Kernel(server)
        assert kernel.run() == {}
        assert kernel.texts == GOOD


# --- a kernel that ends --------------------------------------------------------------------------

PROGRAM = """
from tinyfactory.models import event_loop
from tinyfactory.models.batch.batch import complete_batch
from tinyfactory.models.chat import ChatRequest
from tinyfactory.models.openai import OpenAIModel
from pathlib import Path

place, die_at = Path(folder) / "note.json", arguments[1]
model = OpenAIModel("m", base_url=arguments[0])
wanted = {f"p{n}": ChatRequest(({"role": "user", "content": f"{n}?"},)) for n in range(6)}
notes, texts = [], {}

def remember(note):
    notes.append(note)
    if die_at == "created" and note["parts"][0]["batch"]:
        os.kill(os.getpid(), signal.SIGKILL)  # it is made, and nothing says so
    place.write_text(json.dumps(note))
    if die_at == "uploaded":
        os.kill(os.getpid(), signal.SIGKILL)

def arrived(name, reply):
    texts[name] = reply.text
    if die_at == "reading" and len(texts) == 3:
        os.kill(os.getpid(), signal.SIGKILL)

def looked(progress):
    say(progress.status)

remembered = json.loads(place.read_text()) if place.exists() else None
failed = event_loop.run(
    lambda: complete_batch(
        model, wanted, remembered=remembered, remember=remember, arrived=arrived,
        progress=looked, poll=0.05,
    )
)
say({"texts": texts, "failed": failed})
"""


@pytest.fixture
def children():
    """Processes that do not outlive the test."""
    started = []

    def child(*arguments):
        started.append(start(PROGRAM, *arguments))
        return started[-1]

    yield child
    for process in started:
        end(process)


@pytest.mark.parametrize("moment", ["uploaded", "created", "reading"])
def test_a_killed_kernels_batch_is_taken_up_by_the_next(moment, children, tmp_path):
    with serving() as server:
        first = children(tmp_path, server.base_url, moment)
        assert first.wait(PATIENCE) == -signal.SIGKILL, first.stderr.read()
        assert server.batches.created == (0 if moment == "uploaded" else 1)
        said = finish(children(tmp_path, server.base_url, "never"))[-1]
        assert said == {"texts": GOOD, "failed": {}}
        assert (server.batches.uploaded, server.batches.created) == (1, 1)
        assert server.requests == []


def test_a_kernel_killed_while_the_endpoint_makes_the_batch_finds_it(children, tmp_path):
    hanging = Fault("POST", "/batches", lambda made: Answer(200, made.body, delay=60), after=True)
    with serving(hanging) as server:
        first = children(tmp_path, server.base_url, "never")
        until(lambda: server.batches.created == 1)
        first.kill()
        first.wait()
        said = finish(children(tmp_path, server.base_url, "never"))[-1]
        assert said == {"texts": GOOD, "failed": {}}
        assert (server.batches.uploaded, server.batches.created) == (1, 1)


def test_an_interrupted_kernel_leaves_the_batch_running_and_says_so(children, tmp_path):
    with serving(running=3600) as server:
        first = children(tmp_path, server.base_url, "never")
        assert hear(first) in ("validating", "in_progress")
        first.send_signal(signal.SIGINT)
        _, errors = first.communicate(timeout=PATIENCE)
        assert "KeyboardInterrupt" in errors
        assert "batch_1" in errors
        assert "running the same again picks it up" in errors
        assert server.batches.now(server.batches.batches[0]).status == "in_progress"
        server.batches.finish()
        assert finish(children(tmp_path, server.base_url, "never"))[-1]["texts"] == GOOD
        assert server.batches.created == 1


def test_a_file_that_was_deleted_before_the_batch_was_made_is_uploaded_anew():
    with serving() as server:
        kernel = Kernel(server)

        class Dead(BaseException):
            pass

        def die(note: Json) -> None:
            kernel.note = note
            raise Dead

        kernel.options["remember"] = die
        with pytest.raises(Dead):
            kernel.run()
        server.batches.files.clear()
        del kernel.options["remember"]
        assert kernel.run() == {}
        assert kernel.texts == GOOD
        assert (server.batches.uploaded, server.batches.created) == (2, 1)


# --- stopped on request --------------------------------------------------------------------------


@pytest.mark.parametrize("loop", ["private", "own"])
def test_a_cancelled_wait_leaves_the_batch_running(loop):
    with serving(running=3600) as server:
        switch = event_loop.CancelToken()
        kernel = Kernel(server, token=switch)

        def wait() -> None:
            with pytest.raises(Cancelled, match="batch_1") as raised:
                kernel.run() if loop == "private" else asyncio.run(kernel.complete())
            assert "picks it up" in str(raised.value)
            done.append(True)

        done: list[bool] = []
        job = threading.Thread(target=wait)
        job.start()
        until(lambda: server.batches.looks > 2)
        switch.cancel()
        job.join(PATIENCE)
        assert done == [True]
        assert server.batches.now(server.batches.batches[0]).status == "in_progress"
        server.batches.finish()
        kernel.options.clear()
        assert kernel.run() == {}
        assert kernel.texts == GOOD
        assert (server.batches.uploaded, server.batches.created) == (1, 1)


def test_a_cancelled_task_is_cancelled_and_the_log_says_where_the_batch_is(caplog):
    with serving(running=3600) as server:
        kernel = Kernel(server)

        async def main() -> None:
            task = asyncio.ensure_future(kernel.complete())
            await asyncio.to_thread(until, lambda: server.batches.looks > 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        with caplog.at_level(logging.WARNING):
            asyncio.run(main())
    assert "batch_1" in caplog.text


def test_a_callers_error_passes_and_the_reply_comes_again():
    with serving() as server:
        kernel = Kernel(server)

        def full(name: str, reply: ChatReply) -> None:
            raise OSError("no space left on the device")

        kernel.options["arrived"] = full
        with pytest.raises(OSError, match="no space"):
            kernel.run()
        del kernel.options["arrived"]
        assert kernel.run() == {}
        assert kernel.texts == GOOD
        assert server.batches.created == 1


def test_what_the_endpoint_says_is_passed_on_without_a_key():
    key = "sk-proj-abcdefghijklmnopqrstuvwxyz"
    said = {"error": {"message": f"No batches for {key} here.", "code": "nope"}}
    with serving(Fault("POST", "/batches", Answer(400, said))) as server:
        with pytest.raises(RequestRejected, match="No batches for") as raised:
            Kernel(server, key).run()
        assert key not in str(raised.value)
        assert server.batches.created == 0
