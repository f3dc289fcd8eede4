"""One call of an endpoint: its turn, its attempts, and what is learnt from each answer."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from tinyfactory import settings
from tinyfactory.errors import EndpointUnavailable, EndpointUnreachable, ModelError
from tinyfactory.models.chat import ChatReply, ChatRequest, Json, before_request
from tinyfactory.models.http import capabilities, circuit_breaker
from tinyfactory.models.http.completion import decoded, said
from tinyfactory.models.http.endpoint import Target
from tinyfactory.models.http.rate_limit import Ticket
from tinyfactory.models.http.responses import Failure, as_error
from tinyfactory.models.http.retry import Mendable, RetryPolicy, retrying

log = logging.getLogger("tinyfactory.models")

# Given the body and a limit in seconds: the answer's body and headers, or what went wrong.
Post = Callable[[Json, float], Awaitable[tuple[bytes, Mapping[str, str]] | Failure]]


class Call:
    """One `complete`: its attempts, what it learns of the endpoint, and what it counts.

    To be made and completed on the private loop. `requests` counts what went out: not those
    for which there was no connection.

    Parameters
    ----------
    target : Target
    request : ChatRequest
    policy : RetryPolicy
    post : callable
        Sends one HTTP request.
    before_retry : callable, optional
        Called before every HTTP request but the first; if it raises, the request is not sent.
    """

    def __init__(
        self,
        target: Target,
        request: ChatRequest,
        policy: RetryPolicy,
        post: Post,
        before_retry: Callable[[], None] | None = None,
    ) -> None:
        self.before_retry = before_retry or before_request.get()
        self.post = post
        self.target = target
        self.request = request
        self.policy = policy
        self.requests = 0
        self.server_errors = 0
        self.guesses = 0
        self.timeout: float = settings.get("timeout")
        self.clock = policy.clock()
        self.probing = False
        self.last: Failure | None = None

    async def complete(self) -> ChatReply:
        """The reply, or the `ModelError` that is left after all attempts."""
        shared = circuit_breaker.to(self.target)
        self.gate, self.breaker = shared.gate, shared.breaker
        self.probing = await self.breaker.admit()
        watched = None if self.probing else self.breaker
        try:
            reply = await retrying(
                self._attempt, self.policy, self.target.what, self.clock, watched
            )
        except (EndpointUnavailable, EndpointUnreachable):
            if self.last is None and not self.requests:  # it opened before this one's turn
                raise self.breaker.refusal() from None
            if not self._limited():
                if self.probing:
                    self.breaker.missed()
                self.breaker.failed(str(self.last or "no answer in time").rstrip("."))
            raise
        except ModelError:  # refused, but by an endpoint that is there
            self.breaker.answered()
            raise
        finally:
            if self.probing:
                self.breaker.end()
        self.breaker.answered()
        return reply

    def _limited(self) -> bool:
        """Whether the last request was refused for coming too soon, by a server that is up."""
        return self.last is not None and self.last.status == 429

    async def _attempt(self) -> ChatReply:
        try:
            return await self._ask()
        except Mendable:
            if self.probing and not self._limited():
                self.breaker.missed()
            raise

    async def _ask(self) -> ChatReply:
        """Ask in the dialect that is known, and in lesser ones while the endpoint refuses."""
        target = self.target
        dialect = capabilities.known(target.endpoint, target.model)
        first: Failure | None = None
        while True:
            sent = dialect.parameters(self.request)
            answer, ticket = await self._send(sent)
            if not isinstance(answer, Failure):
                break
            first = first or answer
            self.server_errors += (answer.status or 0) >= 500
            lesser = dialect.after(answer, sent, suspect_format=self._suspects(answer))
            if lesser is None:
                # A guess that did not help: the server's trouble is what it said first.
                failure = first if dialect.guessed and (answer.status or 0) >= 500 else answer
                error = as_error(failure, target.model, target.endpoint)
                if not isinstance(error, Mendable):
                    log.info("%s: refused: %s", target.what, failure)
                raise error
            self.guesses += lesser.guessed and not dialect.guessed
            log.info("%s: asking again with less, after %s", target.what, answer)
            dialect = lesser
        proven = sent.get("response_format", {}).get("type") == "json_schema"
        learnt = replace(dialect, proven=True) if proven else dialect
        capabilities.learn(target.endpoint, target.model, learnt)
        reply = self._reply(answer, sent)
        self.gate.took(ticket, reply.usage)
        return reply

    def _suspects(self, failure: Failure) -> bool:
        # An overloaded gateway says 502 to 504, and the official endpoints know schemas: there
        # a 5xx is first taken for the passing trouble that it most likely is. And a server
        # that is down shall not get twice the requests for long.
        at_once = failure.status in (500, 501) and not self.target.official
        return self.guesses < 2 and (at_once or self.server_errors > 1)

    async def _send(self, parameters: Json) -> tuple[Json | Failure, Ticket]:
        """One request, when it is its turn."""
        ticket = await self.gate.enter(self._tokens, self.clock.stopped)
        try:
            if self.breaker.is_open and not self.probing:  # it opened while this one waited
                raise EndpointUnavailable(self.breaker.trouble())
            if self.requests and self.before_retry is not None:
                self.before_retry()
            self.last = None
            answer = await self._exchange(parameters)
            if isinstance(answer, Failure):
                self._learn_from(answer, ticket)
            else:
                self.gate.answered(ticket)
            return answer, ticket
        finally:
            self.gate.leave(ticket)

    def _learn_from(self, failure: Failure, ticket: Ticket) -> None:
        self.last = failure
        if failure.status is not None:
            self.gate.took(ticket, None)
        if self._limited() and isinstance(as_error(failure, "", ""), Mendable):  # not for money
            # What this call is not going to wait for, others are not made to wait for.
            wait = failure.retry_after
            bearable = wait is not None and wait <= self.clock.left
            self.gate.refused(ticket, wait if bearable else None)

    def _tokens(self, mean: int) -> int:
        """What the request will take: four characters a token, and an answer."""
        characters = sum(len(message.get("content", "")) for message in self.request.messages)
        if self.request.schema is not None:
            characters += len(json.dumps(self.request.schema))
        return characters // 4 + (self.request.max_tokens or mean)

    async def _exchange(self, parameters: Json) -> Json | Failure:
        """One HTTP request: the decoded completion, or what went wrong with it."""
        self.requests += 1
        began = time.monotonic()
        answer = await self.post(body(self.target, self.request, parameters), self.timeout)
        if isinstance(answer, Failure):
            self.requests -= answer.kind == "unreachable"
            return answer
        completion = decoded(*answer, self.target)
        if not isinstance(completion, Failure):
            log.info("%s: answered in %.1f s", self.target.what, time.monotonic() - began)
        return completion

    def _reply(self, body: Json, sent: Json) -> ChatReply:
        return reply(body, self.target, sent, requests=self.requests, seconds=self.clock.used)


def body(target: Target, request: ChatRequest, parameters: Json) -> Json:
    """What is sent for a request, in the dialect that gave the parameters."""
    return {"model": target.model, "messages": request.messages, **parameters}


def reply(
    completion: Json, target: Target, sent: Json, *, requests: int, seconds: float
) -> ChatReply:
    """The reply in the body of a completion, and what was sent for it."""
    sent = {"model": target.model, **sent}
    if "json_schema" in sent.get("response_format", {}):
        # The schema is in the request as asked; here its name says that it was sent.
        schema = sent["response_format"]["json_schema"]
        named = {name: value for name, value in schema.items() if name != "schema"}
        sent["response_format"] = {"type": "json_schema", "json_schema": named}
    parts = said(completion)
    return ChatReply(
        **parts | {"model": parts["model"] or target.model},
        sent=sent,
        requests=requests,
        seconds=seconds,
    )
