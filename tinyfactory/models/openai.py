"""The real model: any endpoint that speaks OpenAI's chat completions, by the official client.

The client only sends and receives. Its own retries are off (they repeat exhausted quotas), and
its parsing is not used (it loses a paid reply whose JSON is bad): the body is read here.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from tinyfactory import settings
from tinyfactory.errors import InvalidInput
from tinyfactory.models import degrade, flow
from tinyfactory.models.chat import ChatReply, ChatRequest, Json
from tinyfactory.models.completion import decoded, said
from tinyfactory.models.endpoint import Target, checked
from tinyfactory.models.failures import Failure, as_error, from_status, scrub
from tinyfactory.models.retries import Mendable, RetryPolicy, retrying

if TYPE_CHECKING:
    from openai import AsyncOpenAI

log = logging.getLogger("tinyfactory.models")

# Local servers want no key, but the client wants one to send.
_PLACEHOLDER = "no-key"
# A host that drops packets says nothing; two minutes of silence are not needed to see that.
_CONNECT_TIMEOUT = 10.0


class OpenAIModel:
    """A model at OpenAI, Azure OpenAI, or any compatible server (Ollama, vLLM, llama.cpp, ...).

    What is not given is read from the settings when it is used, so one object follows
    `tinyfactory.configure`. Can be shared between threads and event loops.

    Parameters
    ----------
    model : str, optional
        Its name at the endpoint; for Azure, the deployment.
    base_url : str, optional
        Address of the endpoint, for most servers ending in ``/v1``.
    api_key : str, optional
        Kept in memory only; it is in no repr, identity, log or error.
    retry : RetryPolicy, optional
        How long and how often to ask again.

    Examples
    --------
    >>> model = OpenAIModel("llama3.2", base_url="http://localhost:11434/v1")
    >>> model.identity
    {'kind': 'openai', 'model': 'llama3.2', 'endpoint': 'http://localhost:11434/v1'}
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        if model is not None and (not isinstance(model, str) or not model.strip()):
            raise InvalidInput(f"A model's name is a text, not {model!r}; nothing was sent.")
        self._model = model
        self._base_url = base_url
        self._api_key = api_key
        self._retry = retry or RetryPolicy()

    @property
    def identity(self) -> Json:
        """Kind, model and endpoint as JSON, known without a key; it holds no secret."""
        return self._target().identity()

    async def complete(self, request: ChatRequest) -> ChatReply:
        """Ask the endpoint and return its reply, from any event loop.

        Parameters
        ----------
        request : ChatRequest

        Returns
        -------
        ChatReply
            Its `text` as the model wrote it, not yet parsed; a refusal and a cut-off answer are
            replies too (`refusal`, `finish_reason`).

        Raises
        ------
        NotConfigured
            No key for an endpoint that wants one; raised before anything is sent.
        ModelError
            Another of its kinds, when no answer came within the limits of `RetryPolicy`.
        """
        target = self._target()
        target.check_key()
        call = _Call(target, request, self._retry)
        return await flow.arun(call.complete)

    def __repr__(self) -> str:
        return f"OpenAIModel({self._name()!r})"

    def _name(self) -> str:
        configured = self._model or settings.get("model")
        if isinstance(configured, str) and configured.strip().lower() != settings.OFFLINE:
            return configured.strip()
        return settings.DEFAULT_MODEL

    def _target(self) -> Target:
        azure = settings.azure() if self._base_url is None else None
        if azure is not None:
            return Target(
                checked(azure.endpoint),
                self._name(),
                self._api_key or azure.api_key,
                azure.api_version,
            )
        base_url = checked(self._base_url or settings.get("base_url"))
        return Target(base_url, self._name(), self._api_key or settings.get("api_key"))


class _Call:
    """One `complete`: its attempts, what it learns of the endpoint, and what it counts."""

    def __init__(self, target: Target, request: ChatRequest, policy: RetryPolicy) -> None:
        self.target = target
        self.request = request
        self.policy = policy
        self.requests = 0
        self.server_errors = 0
        self.guesses = 0
        self.timeout: float = settings.get("timeout")
        self.started = 0.0

    async def complete(self) -> ChatReply:
        self.client = _client(self.target)
        self.started = time.monotonic()  # not counting the first import of the client
        return await retrying(self._attempt, self.policy, self.target.what)

    async def _attempt(self) -> ChatReply:
        """Ask in the dialect that is known, and in lesser ones while the endpoint refuses."""
        target = self.target
        dialect = degrade.known(target.endpoint, target.model)
        first: Failure | None = None
        while True:
            sent = dialect.parameters(self.request)
            answer = await self._send(sent)
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
        degrade.learn(target.endpoint, target.model, learnt)
        return self._reply(answer, sent)

    def _suspects(self, failure: Failure) -> bool:
        # An overloaded gateway says 502 to 504, and the official endpoints know schemas: there
        # a 5xx is first taken for the passing trouble that it most likely is. And a server
        # that is down shall not get twice the requests for long.
        at_once = failure.status in (500, 501) and not self.target.official
        return self.guesses < 2 and (at_once or self.server_errors > 1)

    async def _send(self, parameters: Json) -> Json | Failure:
        """One HTTP request: the decoded completion, or what went wrong with it."""
        import openai

        self.requests += 1
        began = time.monotonic()
        connect = min(self.timeout, _CONNECT_TIMEOUT)
        secrets = self.target.secrets()
        try:
            async with asyncio.timeout(self.timeout):
                response = await self.client.chat.completions.with_raw_response.create(
                    model=self.target.model,
                    messages=[dict(m) for m in self.request.messages],  # type: ignore[misc]
                    timeout=openai.Timeout(self.timeout, connect=connect),
                    **parameters,
                )
                content, headers = response.content, response.headers
        except openai.APIStatusError as error:
            # The client's own reading of the body loses what stands beside "error".
            refused = error.response
            return from_status(
                error.status_code, _json_or_text(refused.text), refused.headers, *secrets
            )
        except (TimeoutError, openai.APITimeoutError) as error:
            connecting = type(error.__cause__).__name__ == "ConnectTimeout"
            limit, to = (connect, "be reached") if connecting else (self.timeout, "answer")
            return Failure(f"it took more than {limit:g} s to {to}", kind="timeout")
        except openai.APIConnectionError as error:
            cause = error.__cause__
            kind = "unreachable" if type(cause).__name__ == "ConnectError" else "dropped"
            reason = scrub(str(cause) or type(cause).__name__, *secrets)
            return Failure(f"the connection failed: {reason}", kind=kind)
        answer = decoded(content, headers, self.target)
        if not isinstance(answer, Failure):
            log.info("%s: answered in %.1f s", self.target.what, time.monotonic() - began)
        return answer

    def _reply(self, body: Json, sent: Json) -> ChatReply:
        sent = {"model": self.target.model, **sent}
        if "json_schema" in sent.get("response_format", {}):
            # The schema is in the request as asked; here its name says that it was sent.
            schema = sent["response_format"]["json_schema"]
            named = {name: value for name, value in schema.items() if name != "schema"}
            sent["response_format"] = {"type": "json_schema", "json_schema": named}
        parts = said(body)
        return ChatReply(
            **parts | {"model": parts["model"] or self.target.model},
            sent=sent,
            requests=self.requests,
            seconds=time.monotonic() - self.started,
        )


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _client(target: Target) -> AsyncOpenAI:
    """The client for a target, made once for the loop, endpoint and key."""
    return flow.kept(
        (target.base_url, target.azure_version, target.key), lambda: _new_client(target)
    )


def _new_client(target: Target) -> AsyncOpenAI:
    import openai

    if target.azure_version is not None:
        return openai.AsyncAzureOpenAI(
            azure_endpoint=target.endpoint,
            api_version=target.azure_version,
            api_key=target.key,
            max_retries=0,
        )
    parts = urlsplit(target.base_url)
    url, headers = target.base_url, {}
    if parts.username:
        # In a header the password is not in the line that the client logs for a request.
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return openai.AsyncOpenAI(
        base_url=url,
        api_key=target.key or _PLACEHOLDER,
        default_headers=headers,
        max_retries=0,
    )
