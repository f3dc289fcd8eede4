"""One chat completion over HTTP: the steps of a call in their order.

The circuit breaker admits the call, the rate limiter lets a request through, the endpoint's
capabilities shape its body, it is sent, the response is read, and after a failure the retry policy
decides whether to go on.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace

from tinyfactory import settings
from tinyfactory.errors import (
    BadResponse,
    EndpointUnavailable,
    EndpointUnreachable,
    ModelError,
    NoChatEndpoint,
)
from tinyfactory.models.chat import TOO_LONG, ChatReply, ChatRequest, Json, Usage
from tinyfactory.models.http import capabilities
from tinyfactory.models.http.capabilities import LENGTHS, Capabilities
from tinyfactory.models.http.endpoint import UNFINISHED_STREAM, Target, connections
from tinyfactory.models.http.refusals import Failure
from tinyfactory.models.http.responses import (
    Retryable,
    as_error,
    failed_reply,
    read_completion,
    read_reply,
)
from tinyfactory.models.http.retry import Clock, Retry, RetryPolicy
from tinyfactory.models.http.wait import Wait, first_words
from tinyfactory.models.progress import Progress
from tinyfactory.utils.logs import get_logger

log = get_logger("tinyfactory.models")
# Statuses of refusals that may give no reason.
_UNEXPLAINED = (400, 422, 500, 501)
# Words for "the bound on the length was reached".
_CUT = ("length", "max_tokens", "max_output_tokens")
_REASONING = ("reasoning_content", "reasoning", "thinking")
# After so many, no stream is asked for: some servers never say that one is finished.
_MOST_UNFINISHED = 2
# The fewest tokens in which a person can be written; less room is no use.
_LEAST_ROOM = 1_000


async def complete(
    target: Target,
    request: ChatRequest,
    policy: RetryPolicy,
    before_retry: Callable[[], None] | None = None,
    progress: Progress | None = None,
) -> ChatReply:
    """Ask an endpoint for one chat completion; call it on the private loop.

    Parameters
    ----------
    target : Target
    request : ChatRequest
    policy : RetryPolicy
    before_retry : callable, optional
        Called before every HTTP request but the first; if it raises, the request is not sent.
    progress : Progress, optional
        Kept up to date while the reply is awaited.

    Raises
    ------
    ModelError
        The one that remains after all attempts.
    """
    call = Call(target, request, policy, before_retry, progress or Progress())
    return await call.complete()


class Call:
    """One chat completion: all its attempts and HTTP requests; see `complete`."""

    def __init__(
        self,
        target: Target,
        request: ChatRequest,
        policy: RetryPolicy,
        before_retry: Callable[[], None] | None,
        progress: Progress,
    ) -> None:
        self.target = target
        self.request = request
        self.policy = policy
        self.connections = connections(target)
        self.breaker, self.limiter = self.connections.breaker, self.connections.limiter
        self.before_retry = before_retry
        self.progress = progress
        self.first, self.setting = first_words(is_local=target.is_local)
        self.writing = 0.0  # seconds during which words arrived
        self.cut_by_reasoning = False
        self.paid = Usage()  # by a reply that was cut
        self.most: int | None = None  # the bound on the length for the next requests
        self.is_probe = False
        self.requests = 0  # that were sent; without those that found no connection
        self.server_error: Failure | None = None
        self.guesses = 0
        settings.get("give_up_after")  # a wrong value is told before anything is sent
        self.unfinished = 0  # streams that the server closed without an end
        self.shortened = False
        self.last: Failure | None = None
        self.retry: Retry | None = None

    async def complete(self) -> ChatReply:
        """The reply, or the `ModelError` that remains after all attempts."""
        self.is_probe = await self.breaker.admit()
        try:
            reply = await self._with_retries()
        except (EndpointUnavailable, EndpointUnreachable):
            if self.last is None and not self.requests:  # the breaker opened before the first
                raise self.breaker.not_sent() from None
            if not self._was_throttled():
                if self.is_probe:
                    self.breaker.probe_failed()
                reason = str(self.last or "no answer in time").rstrip(".")
                hopeless = self.retry is not None and self.retry.is_hopeless
                seen = f" (seen: {self.retry.counts})" if self.retry and hopeless else ""
                self.breaker.record_failure(reason + seen, for_all=hopeless)
            raise
        except ModelError as error:  # refused, but by an endpoint that is up
            self.breaker.record_success()
            if type(error) is BadResponse and not self.connections.health.answered:
                raise NoChatEndpoint(
                    f"{error} So far nothing else came from this address, so nothing more is sent."
                ) from None
            raise
        finally:
            if self.is_probe:
                self.breaker.end_probe()
        self.breaker.record_success()
        return reply

    async def _with_retries(self) -> ChatReply:
        self.clock = Clock(self.policy, least=1.5 * self.first)
        try:
            return await self._attempt()
        except Retryable as failure:
            first = failure
        watched = None if self.is_probe else self.breaker
        health = self.connections.health
        what = self.target.what
        self.retry = Retry(self.policy, self.clock, what, watched, health, self.progress)
        return await self.retry.run(self._attempt, first)

    async def _attempt(self) -> ChatReply:
        try:
            return await self._ask()
        except Retryable:
            if self.is_probe and not self._was_throttled():
                self.breaker.probe_failed()
            raise

    async def _ask(self) -> ChatReply:
        """Ask with all that is known to be accepted; with less as long as the endpoint refuses."""
        known = capabilities.known.get(self.target)
        accepted = known.without_stream() if self.unfinished >= _MOST_UNFINISHED else known
        first: Failure | None = None
        doubted = False
        while True:
            parameters = accepted.parameters(self.request)
            outcome = await self._send(accepted, parameters)
            if not isinstance(outcome, Failure):
                if self.cut_by_reasoning and accepted.can_be_raised(self.request):
                    log.info("%s: its reasoning used up the bound; asking again", self.target.what)
                    self.paid, accepted = outcome.usage, replace(accepted, roomy=True)
                    continue
                learnt = accepted.after_reply(parameters)
                if outcome.finish_reason.lower() in (*_CUT, TOO_LONG) and not learnt.lengths:
                    learnt = replace(learnt, lengths=True)
                self._learn(learnt, known, doubted)
                return replace(outcome, usage=self.paid + outcome.usage)
            first = first or outcome
            less: Capabilities | None
            if outcome.cause == "generation":
                often = capabilities.known.failed(self.target)
                less = accepted.lowered() if often and not accepted.proven else None
                if less is None or "response_format" not in parameters:
                    return failed_reply(
                        outcome,
                        self.target,
                        parameters,
                        requests=self.requests,
                        seconds=self.seconds,
                    )
            elif self._is_shortened(outcome, parameters):
                continue
            else:
                suspect = self._suspects_format(outcome)
                sent = parameters | accepted.streaming()
                less = accepted.after_refusal(outcome, sent, suspect_format=suspect)
                doubted = doubted or (less is not None and suspect and not outcome.cause)
            if less is None:
                # If a guess did not help, the first failure tells more than the last.
                vain = accepted.guessed and not outcome.cause and outcome.status in _UNEXPLAINED
                raise self._error(first if vain else outcome)
            log.info("%s: asking again with less, after %s", self.target.what, outcome)
            accepted = less

    def _learn(self, learnt: Capabilities, known: Capabilities, doubted: bool) -> None:
        """Remember what the endpoint accepted."""
        capabilities.known.succeeded(self.target)
        if self.most is not None:
            learnt = replace(learnt, most=self.most)
        if doubted and not capabilities.known.doubts(self.target):
            capabilities.known.doubt(self.target)
        elif learnt is not known:
            capabilities.known.learn(self.target, learnt)

    def _is_shortened(self, failure: Failure, sent: Json) -> bool:
        """Whether the same request may be sent once more with a lower bound on its length."""
        bound = sent.get("max_tokens") or sent.get("max_completion_tokens") or 0
        room = failure.room(bound)
        if self.shortened or room is None or room < _LEAST_ROOM or (bound and room >= bound):
            return False
        log.info("%s: asking for at most %d tokens, after %s", self.target.what, room, failure)
        self.request, self.shortened = replace(self.request, max_tokens=room), True
        # Other prompts are a little longer, and each reply costs a part of the balance.
        self.most = room - room // 10
        return True

    async def _send(self, accepted: Capabilities, parameters: Json) -> ChatReply | Failure:
        """Wait for the rate limiter, then send one HTTP request and read the response."""
        permit = await self.limiter.acquire(self._estimate_tokens, self._queueing)
        try:
            if self.breaker.is_open and not self.is_probe:  # it opened in the meantime
                raise self.breaker.given_up(self.requests)
            if self.requests and self.before_retry is not None:
                self.before_retry()
            self.last = None
            reply = await self._post(accepted, parameters)
            if not isinstance(reply, Failure):
                self.limiter.succeeded(permit, reply.usage)
                return reply
            self.last = reply
            if reply.status is not None:
                self.limiter.failed(permit)
            # Not for an exhausted quota, which is a 429 too.
            if reply.status == 429 and isinstance(as_error(reply, self.target), Retryable):
                # If this call is not going to wait that long, others need not wait either.
                wait = reply.retry_after
                bearable = wait is not None and wait <= self.clock.left
                self.limiter.throttled(permit, wait if bearable else None)
            return reply
        finally:
            self.limiter.release(permit)

    async def _post(self, accepted: Capabilities, parameters: Json) -> ChatReply | Failure:
        self.requests += 1
        began = time.monotonic()
        wait = self._wait(accepted)
        response = await self.connections.send(
            "post",
            "/chat/completions",
            wait,
            body=body(self.target, accepted.messages(self.request), parameters)
            | accepted.streaming(),
        )
        self.writing += wait.writing
        if isinstance(response, Failure):
            self.requests -= response.kind in ("unreachable", "set-up")
            self.unfinished += response.code == UNFINISHED_STREAM
            return response
        completion = read_completion(*response, self.target)
        if isinstance(completion, Failure):
            return completion
        self.cut_by_reasoning = _is_cut_by_reasoning(completion)
        health = self.connections.health
        health.answered, health.told = True, False
        log.info("%s: answered in %.1f s", self.target.what, time.monotonic() - began)
        return read_reply(
            completion,
            self.target,
            parameters,
            requests=self.requests,
            seconds=self.seconds,
            structured=self.request.schema is not None,
        )

    @property
    def seconds(self) -> float:
        """Seconds of all requests, without waits in our own queue."""
        return self.clock.used + self.writing

    def _wait(self, accepted: Capabilities) -> Wait:
        """How long the next request waits."""
        silence = settings.get("timeout")
        seconds, setting = self.first, self.setting
        if not accepted.streams:  # the whole reply comes at once
            seconds = settings.given("timeout") or max(seconds, silence)
            setting = "timeout"
        if self.clock.left < seconds:
            seconds, setting = self.clock.left, ""
        return Wait(seconds, setting, silence=silence, clock=self.clock, progress=self.progress)

    @asynccontextmanager
    async def _queueing(self) -> AsyncIterator[None]:
        """While the request waits here, no time counts, and it gives up if the breaker opens."""
        try:
            with self.clock.paused():
                async with asyncio.timeout(None) as wait:

                    def give_up() -> None:
                        if not wait.expired():
                            wait.reschedule(0.0)

                    with nullcontext() if self.is_probe else self.breaker.on_open(give_up):
                        yield
        except TimeoutError:
            raise self.breaker.given_up(self.requests) from None

    def _estimate_tokens(self, mean_reply: int) -> int:
        """Tokens that the request will take, at four characters a token."""
        characters = sum(len(message.get("content", "")) for message in self.request.messages)
        if self.request.schema is not None:
            characters += len(json.dumps(self.request.schema))
        return characters // 4 + (self.request.max_tokens or mean_reply)

    def _was_throttled(self) -> bool:
        """Whether the last request was sent too soon, to an endpoint that is up."""
        return self.last is not None and self.last.status == 429

    def _suspects_format(self, failure: Failure) -> bool:
        """Whether a 500 may come from the schema: the second alike, or one at a doubtful endpoint.

        Gateways send 502 to 504 when they are overloaded. There are two guesses, so that an
        endpoint that is down does not get twice the requests.
        """
        if failure.status not in (500, 501) or self.guesses == 2:
            return False
        alike = self.server_error == failure
        self.server_error = failure
        suspected = alike or capabilities.known.doubts(self.target)
        self.guesses += suspected
        return suspected

    def _error(self, failure: Failure) -> ModelError | Retryable:
        error = as_error(failure, self.target)
        if isinstance(error, Retryable):
            error.label, error.throttled = failure.label, failure.status == 429
        else:
            log.info("%s: refused: %s", self.target.what, failure)
        return error


def body(target: Target, messages: list[dict[str, str]], parameters: Json) -> Json:
    """The body of a request: the messages and parameters, and the user's own fields."""
    extra = target.extra_body()
    if extra.keys() & set(LENGTHS):  # two bounds on the length would be refused
        parameters = {name: value for name, value in parameters.items() if name not in LENGTHS}
    return {"model": target.model, "messages": messages, **parameters, **extra}


def _is_cut_by_reasoning(completion: Json) -> bool:
    """Whether a reply reached the bound on its length and its reasoning is to blame."""
    choice = completion["choices"][0]
    message, reason = choice["message"], choice.get("finish_reason")
    if not isinstance(reason, str) or reason.lower() not in _CUT:
        return False
    usage = completion.get("usage")
    details = usage.get("completion_tokens_details") if isinstance(usage, dict) else None
    text = message.get("content")
    return (
        not text
        or any(message.get(name) for name in _REASONING)
        or (isinstance(details, dict) and bool(details.get("reasoning_tokens")))
        or (isinstance(text, str) and "<think" in text[:200] and "</think" not in text)
    )
