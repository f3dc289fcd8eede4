"""A real OpenAI-compatible HTTP server on loopback, with the behaviour that a test sets.

    with ChatServer(script=[rate_limited(1)], rules=[rejects_parameter("temperature")]) as server:
        ...  # OPENAI_BASE_URL = server.base_url
        assert len(server.requests) == 3

For each request the `rules` are tried first, then the `script` (a list of one-off behaviours, or a
function). If neither answers, the request gets a good answer: a valid new person, or the requested
number of contexts. The behaviours are in `tests.support.answers` and `tests.support.misbehaviour`,
and can also be imported from here.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.answers import (
    Behaviour,
    Request,
    answer,
    choices_null,
    empty,
    fenced,
    good_answer,
    html_page,
    huge,
    message_null,
    no_choices,
    prefixed,
    refusal,
    trailing_comma,
    truncated,
)
from tests.support.batches import Batches
from tests.support.misbehaviour import (
    drop_connection,
    hang,
    llama_cpp_500_on_json_schema,
    quota_exhausted,
    rate_limited,
    rejects_json_schema_400,
    rejects_parameter,
    status,
    unknown_model,
    wrong_key,
)
from tests.support.waiting import until, when
from tinyfactory.models.loopback import server
from tinyfactory.models.loopback.server import Answer

__all__ = [
    "Answer",
    "Behaviour",
    "ChatServer",
    "Request",
    "answer",
    "choices_null",
    "drop_connection",
    "empty",
    "fenced",
    "good_answer",
    "hang",
    "html_page",
    "huge",
    "llama_cpp_500_on_json_schema",
    "message_null",
    "no_choices",
    "prefixed",
    "quota_exhausted",
    "rate_limited",
    "refusal",
    "rejects_json_schema_400",
    "rejects_parameter",
    "status",
    "trailing_comma",
    "truncated",
    "unknown_model",
    "wrong_key",
]

Script = Iterable[Answer | Behaviour] | Behaviour

# Azure has a path for each deployment.
_CHAT = re.compile(r"/(v1|openai/deployments/[^/]+)/chat/completions(\?|$)")
_NOT_FOUND = Answer(404, {"detail": "Not Found"})


class ChatServer(server.LoopbackServer):
    """A server in a thread of its own; `with` starts it and closes it completely.

    Parameters
    ----------
    script : list or callable
        One-off answers in the order of the requests that no rule answered; or a function of
        the request that returns an answer, or None for the default.
    rules : list
        What holds for every request: the first that does not return None answers.
    slow : float
        Seconds of latency of every answer.
    port : int
        0 takes a free one.
    batches : Batches, optional
        Serves `/files` and `/batches`; without it the server has no Batch API.

    Attributes
    ----------
    requests : list of Request
        All chat requests so far: `body`, `headers` (lower-case names), `path`, `at`.
    allowed : float
        How many requests may have been answered in all; who comes later waits until it is more.
    """

    def __init__(
        self,
        script: Script = (),
        *,
        rules: Iterable[Answer | Behaviour] = (),
        slow: float = 0.0,
        port: int = 0,
        batches: Batches | None = None,
    ) -> None:
        super().__init__(latency=slow, port=port)
        self._script = script if callable(script) else list(script)
        self.rules = list(rules)
        self.batches = batches
        self.requests: list[Request] = []
        self.allowed = math.inf
        self._answered = 0
        self.good = good_answer()

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [request.body for request in self.requests]

    @property
    def slow(self) -> float:
        return self.latency

    @slow.setter
    def slow(self, seconds: float) -> None:
        self.latency = seconds

    async def linger(self, reply: Answer) -> None:
        await super().linger(reply)
        await when(lambda: self._answered < self.allowed, math.inf)
        self._answered += 1

    @contextmanager
    def held_until(self, number: int) -> Iterator[None]:
        """During the block, answer only when so many requests are in flight at the same time."""
        self.allowed = 0

        def open_it() -> None:
            try:
                until(lambda: self.under_way >= number)
            finally:
                self.allowed = math.inf

        opener = threading.Thread(target=open_it)
        opener.start()
        yield
        opener.join()

    def answer(self, request: server.Request) -> Answer:
        request = Request(**vars(request))
        if request.method == "GET" and request.path.endswith("/models"):
            return Answer(200, {"object": "list", "data": [{"id": "test", "object": "model"}]})
        if self.batches and (found := self.batches.answer(request, self._complete)):
            return found
        if not _CHAT.match(request.path):
            return _NOT_FOUND
        self.requests.append(request)
        return self._complete(request)

    def _complete(self, request: Request) -> Answer:
        for rule in self.rules:
            if (found := _ask(rule, request)) is not None:
                return found
        if (found := self._scripted(request)) is not None:
            return found
        good = self.good(request)
        assert good is not None
        return good

    def _scripted(self, request: Request) -> Answer | None:
        if callable(self._script):
            return self._script(request)
        return _ask(self._script.pop(0), request) if self._script else None


def _ask(behaviour: Answer | Behaviour, request: Request) -> Answer | None:
    return behaviour if isinstance(behaviour, Answer) else behaviour(request)


def serve_for_ever(make: Callable[[], ChatServer]) -> None:
    """Run a server until Ctrl-C, to try things by hand."""
    with make() as server:
        print(f"export OPENAI_BASE_URL={server.base_url}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    serve_for_ever(lambda: ChatServer(port=8099))
