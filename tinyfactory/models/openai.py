"""The real model: any endpoint that speaks OpenAI's chat completions, by the official client.

The client only sends and receives. Its own retries are off (they repeat exhausted quotas), and
its parsing is not used (it loses a paid reply whose JSON is bad): the body is read here.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from tinyfactory import settings
from tinyfactory.errors import InvalidInput
from tinyfactory.models import event_loop
from tinyfactory.models.chat import ChatReply, ChatRequest, Json
from tinyfactory.models.http.endpoint import Target, checked
from tinyfactory.models.http.request import Call
from tinyfactory.models.http.responses import Failure, from_status, scrub
from tinyfactory.models.http.retry import RetryPolicy

if TYPE_CHECKING:
    import openai
    from openai import AsyncOpenAI

# Local servers want no key, but the client wants one to send.
_PLACEHOLDER = "no-key"
# A host that drops packets says nothing; two minutes of silence are not needed to see that.
_CONNECT_TIMEOUT = 10.0
# Requests at once over one client's connections.
_AT_ONCE = 5


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
        self._target: Target | None = None
        self.retry = retry or RetryPolicy()

    @property
    def identity(self) -> Json:
        """Kind, model and endpoint as JSON, known without a key; it holds no secret."""
        return self.target().identity()

    async def complete(
        self, request: ChatRequest, *, before_retry: Callable[[], None] | None = None
    ) -> ChatReply:
        """Ask the endpoint and return its reply, from any event loop.

        Parameters
        ----------
        request : ChatRequest
        before_retry : callable, optional
            Called before every HTTP request of this call but the first. If it raises, the
            request is not sent and the error is passed on.

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
        target = self.target()
        target.check_key()
        return await event_loop.arun(self._complete, target, request, before_retry)

    async def _complete(
        self, target: Target, request: ChatRequest, before_retry: Callable[[], None] | None
    ) -> ChatReply:
        call = Call(target, request, self.retry, clients(target).post, before_retry)
        return await call.complete()

    def __repr__(self) -> str:
        return f"OpenAIModel({self._name()!r})"

    def bound(self) -> OpenAIModel:
        """The model as it is now, key included; for a process with other settings."""
        copied = OpenAIModel(self._model, retry=self.retry)
        copied._target = self.target()
        return copied

    def _name(self) -> str:
        configured = self._model or settings.get("model")
        if isinstance(configured, str) and configured.strip().lower() != settings.OFFLINE:
            return configured.strip()
        return settings.DEFAULT_MODEL

    def target(self) -> Target:
        """Where its requests go, as the settings are now."""
        if self._target is not None:
            return self._target
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


def clients(target: Target) -> Clients:
    """The ones for this endpoint and key; to be called on the private loop."""
    import openai  # noqa: F401 -- now, so that its first import counts against no limit

    key = ("clients", target.base_url, target.azure_version, target.key)
    return event_loop.kept(key, lambda: Clients(target))


class Clients:
    """Clients for one target, of which each has few connections.

    A pool of the client's HTTP library looks at all its connections, twice for every request,
    and keeps only a hundred open. So requests at the same time are spread over several.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._clients: list[AsyncOpenAI] = []
        self._under_way: list[int] = []

    async def post(self, body: Json, seconds: float) -> tuple[bytes, Mapping[str, str]] | Failure:
        """Ask for a chat completion: the answer's body and headers, or what went wrong."""
        return await self.send("post", "/chat/completions", seconds, body=body)

    async def send(
        self, method: str, path: str, seconds: float, **content: Any
    ) -> tuple[bytes, Mapping[str, str]] | Failure:
        """Any request, with what the client's `get` and `post` take (`body`, `options`, ...)."""
        import openai

        connect = min(seconds, _CONNECT_TIMEOUT)
        secrets = self._target.secrets()
        try:
            async with asyncio.timeout(seconds):
                limits = openai.Timeout(seconds, connect=connect)
                return await self._send(method, path, limits, **content)
        except openai.APIStatusError as error:
            # The client's own reading of the body loses what stands beside "error".
            refused = error.response
            return from_status(
                error.status_code, _json_or_text(refused.text), refused.headers, *secrets
            )
        except (TimeoutError, openai.APITimeoutError) as error:
            connecting = type(error.__cause__).__name__ == "ConnectTimeout"
            limit, to = (connect, "be reached") if connecting else (seconds, "answer")
            return Failure(f"it took more than {limit:g} s to {to}", kind="timeout")
        except openai.APIConnectionError as error:
            cause = error.__cause__
            kind = "unreachable" if type(cause).__name__ == "ConnectError" else "dropped"
            reason = scrub(str(cause) or type(cause).__name__, *secrets)
            return Failure(f"the connection failed: {reason}", kind=kind)

    async def _send(
        self, method: str, path: str, limits: openai.Timeout, **content: Any
    ) -> tuple[bytes, Mapping[str, str]]:
        import httpx2

        number = next((n for n, u in enumerate(self._under_way) if u < _AT_ONCE), None)
        if number is None:
            number = len(self._clients)
            self._clients.append(_new_client(self._target))
            self._under_way.append(0)
        self._under_way[number] += 1
        try:
            # Not `.chat.completions.create`, which walks through the whole request, schema and
            # all, to find what needs no change.
            response: httpx2.Response = await getattr(self._clients[number], method)(
                path,
                cast_to=httpx2.Response,
                **content | {"options": {"timeout": limits} | content.get("options", {})},
            )
            return response.content, response.headers
        finally:
            self._under_way[number] -= 1


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _new_client(target: Target) -> AsyncOpenAI:
    import httpx2
    import openai

    # Reading the certificates takes longer than a request, so all share them.
    certificates = event_loop.kept("certificates", httpx2.create_ssl_context)
    http_client = openai.DefaultAsyncHttpxClient(verify=certificates)
    if target.azure_version is not None:
        return openai.AsyncAzureOpenAI(
            azure_endpoint=target.endpoint,
            api_version=target.azure_version,
            api_key=target.key,
            max_retries=0,
            http_client=http_client,
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
        http_client=http_client,
    )
