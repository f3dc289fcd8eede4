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

from tinyfactory import settings
from tinyfactory.errors import EndpointUnavailable, EndpointUnreachable, ModelError
from tinyfactory.models.chat import ChatReply, ChatRequest, Json
from tinyfactory.models.http import capabilities
from tinyfactory.models.http.endpoint import Target, connections
from tinyfactory.models.http.responses import (
    Failure,
    Retryable,
    as_error,
    read_completion,
    read_reply,
)
from tinyfactory.models.http.retry import Clock, Retry, RetryPolicy
from tinyfactory.models.progress import Progress
from tinyfactory.utils.logs import get_logger

log = get_logger("tinyfactory.models")


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
        self.timeout: float = settings.get("timeout")
        self.is_probe = False
        self.requests = 0  # that were sent; without those that found no connection
        self.server_errors = self.guesses = 0
        self.last: Failure | None = None

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
                self.breaker.record_failure(str(self.last or "no answer in time").rstrip("."))
            raise
        except ModelError:  # refused, but by an endpoint that is up
            self.breaker.record_success()
            raise
        finally:
            if self.is_probe:
                self.breaker.end_probe()
        self.breaker.record_success()
        return reply

    async def _with_retries(self) -> ChatReply:
        self.clock = Clock(self.policy)
        try:
            return await self._attempt()
        except Retryable as failure:
            first = failure
        watched = None if self.is_probe else self.breaker
        retry = Retry(self.policy, self.clock, self.target.what, watched)
        return await retry.run(self._attempt, first)

    async def _attempt(self) -> ChatReply:
        try:
            return await self._ask()
        except Retryable:
            if self.is_probe and not self._was_throttled():
                self.breaker.probe_failed()
            raise

    async def _ask(self) -> ChatReply:
        """Ask with all that is known to be accepted; with less as long as the endpoint refuses."""
        known = accepted = capabilities.known.get(self.target)
        first: Failure | None = None
        while True:
            parameters = accepted.parameters(self.request)
            outcome = await self._send(parameters)
            if not isinstance(outcome, Failure):
                learnt = accepted.after_reply(parameters)
                if learnt is not known:
                    capabilities.known.learn(self.target, learnt)
                return outcome
            first = first or outcome
            self.server_errors += (outcome.status or 0) >= 500
            less = accepted.after_refusal(
                outcome, parameters, suspect_format=self._suspects_format(outcome)
            )
            if less is None:
                # If a guess did not help, the first failure tells more than the last.
                guess_failed = accepted.guessed and (outcome.status or 0) >= 500
                raise self._error(first if guess_failed else outcome)
            self.guesses += less.guessed and not accepted.guessed
            log.info("%s: asking again with less, after %s", self.target.what, outcome)
            accepted = less

    async def _send(self, parameters: Json) -> ChatReply | Failure:
        """Wait for the rate limiter, then send one HTTP request and read the response."""
        permit = await self.limiter.acquire(self._estimate_tokens, self._queueing)
        try:
            if self.breaker.is_open and not self.is_probe:  # it opened in the meantime
                raise self.breaker.given_up(self.requests)
            if self.requests and self.before_retry is not None:
                self.before_retry()
            self.last = None
            reply = await self._post(parameters)
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

    async def _post(self, parameters: Json) -> ChatReply | Failure:
        self.requests += 1
        began = time.monotonic()
        response = await self.connections.send(
            "post",
            "/chat/completions",
            min(self.timeout, self.clock.left),
            body=body(self.target, self.request, parameters),
        )
        if isinstance(response, Failure):
            self.requests -= response.kind in ("unreachable", "set-up")
            return response
        completion = read_completion(*response, self.target)
        if isinstance(completion, Failure):
            return completion
        self.connections.answered = True
        log.info("%s: answered in %.1f s", self.target.what, time.monotonic() - began)
        return read_reply(
            completion,
            self.target,
            parameters,
            requests=self.requests,
            seconds=self.clock.used,
        )

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
        """Whether a 5xx may come from the strict schema.

        Official endpoints support schemas, and gateways return 502 to 504 when overloaded: then a
        first 5xx is taken as temporary. Two guesses are allowed, so that an endpoint that is down
        does not get twice the requests.
        """
        likely = failure.status in (500, 501) and not self.target.official
        return self.guesses < 2 and (likely or self.server_errors > 1)

    def _error(self, failure: Failure) -> ModelError | Retryable:
        error = as_error(failure, self.target)
        if not isinstance(error, Retryable):
            log.info("%s: refused: %s", self.target.what, failure)
        return error


def body(target: Target, request: ChatRequest, parameters: Json) -> Json:
    """The body of a request with the parameters that the endpoint accepts."""
    return {"model": target.model, "messages": request.messages, **parameters}
