"""An endpoint: its address, and the connections, rate limiter and circuit breaker for it.

The official client only sends and receives. Its own retries are off (they repeat exhausted
quotas), and its parsing is not used (it loses a paid reply whose JSON is bad).
"""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import ipaddress
import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from tinyfactory import settings
from tinyfactory.errors import LimitExceeded, ModelError, NotConfigured
from tinyfactory.models import event_loop
from tinyfactory.models.chat import Json
from tinyfactory.models.http.address import no_address, read_address
from tinyfactory.models.http.circuit_breaker import CircuitBreaker
from tinyfactory.models.http.rate_limit import RateLimiter
from tinyfactory.models.http.refusals import Failure, read_error
from tinyfactory.models.http.retry import Health
from tinyfactory.models.http.route import Route, environment
from tinyfactory.models.http.stream import EventReader
from tinyfactory.models.http.transport import client_class, read_stream
from tinyfactory.models.http.wait import Wait
from tinyfactory.redaction import scrub, secrets_in
from tinyfactory.utils import bounded_json

if TYPE_CHECKING:
    from openai import AsyncOpenAI

# Local servers need no key, but the client needs one to send.
_PLACEHOLDER = "no-key"
# A host that drops packets never answers; there is no need to wait two minutes to see that.
_CONNECT_TIMEOUT = 10.0
# The code of a stream that was closed in order, and had not said that it is finished.
UNFINISHED_STREAM = "unfinished stream"
# Requests in flight over one client's connections.
_PER_CLIENT = 5
# Headers that describe this machine. Without them a request takes a seventh less processor time.
_OMITTED = (
    *("X-Stainless-Lang", "X-Stainless-Package-Version", "X-Stainless-OS", "X-Stainless-Arch"),
    *("X-Stainless-Runtime", "X-Stainless-Runtime-Version", "X-Stainless-Async"),
)


@dataclass(frozen=True)
class Target:
    """One model at one endpoint.

    Parameters
    ----------
    base_url : str
    model : str
    key : str, optional
    azure_version : str, optional
        The API version, if the endpoint is an Azure resource.
    extra : str
        Further fields for the body of each request, as JSON.
    """

    base_url: str = field(repr=False)  # may hold a password
    model: str
    key: str | None = field(repr=False)
    azure_version: str | None = None
    extra: str = field(default="", repr=False)  # may hold a secret

    @functools.cached_property
    def endpoint(self) -> str:
        """The address without credentials, query and trailing slash."""
        parts = urlsplit(self.base_url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))

    @functools.cached_property
    def what(self) -> str:
        """Model and endpoint, for messages."""
        return f"{self.model} at {self.endpoint}"

    @property
    def is_local(self) -> bool:
        """Whether this is a server on the same machine."""
        host = (urlsplit(self.base_url).hostname or "").lower()
        if host.endswith("localhost") or host == "host.docker.internal":
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    @property
    def official(self) -> bool:
        """Whether this is OpenAI itself (or a region of it) or Azure, which need a key."""
        host = urlsplit(self.base_url).hostname or ""
        return bool(self.azure_version) or f".{host}".endswith(".api.openai.com")

    def identity(self) -> Json:
        """The target as JSON, without secrets."""
        extra: Json = {}
        if self.extra:
            # Only a digest, because there may be a secret in it.
            extra = {"extra_body": hashlib.sha256(self.extra.encode()).hexdigest()[:16]}
        if self.azure_version is None:
            return {
                "kind": "openai",
                "model": self.model,
                "endpoint": self.endpoint,
            } | extra
        return {
            "kind": "azure",
            "endpoint": self.endpoint,
            "api_version": self.azure_version,
            "deployment": self.model,
        } | extra

    def extra_body(self) -> Json:
        """The further fields for the body of each request."""
        fields: Json = json.loads(self.extra) if self.extra else {}
        return fields

    def check_key(self) -> None:
        """Raise `NotConfigured` if the key is missing or malformed."""
        if self.key:
            if not (self.key.isascii() and self.key.isprintable()):
                # Checked here, because the client's own error would print the key.
                raise NotConfigured(
                    "The API key contains a line break or a character that is not allowed in a "
                    "key; nothing was sent. Set it again, without quotes or spaces around it."
                )
            return
        if not self.official or (self.azure_version and _azure_token()):
            return
        variable = "AZURE_OPENAI_API_KEY" if self.azure_version else "OPENAI_API_KEY"
        raise NotConfigured(
            f"There is no API key for {self.endpoint}; nothing was sent. Either set "
            f"{variable} or call tinyfactory.configure(api_key=getpass()); or continue without "
            "a key and a model: set TINYFACTORY_MODEL=offline or call "
            'tinyfactory.configure(model="offline").'
        )

    def secrets(self) -> tuple[str, ...]:
        """Texts that must not appear in messages."""
        parts = urlsplit(self.base_url)
        password = parts.password
        # Also as it is written in the address, with "%" before some characters.
        found = [self.key, password, unquote(password or ""), _azure_token()]
        found += [value for _, value in parse_qsl(parts.query)]
        found += [pair.partition("=")[2] for pair in parts.query.split("&")]
        found += secrets_in(self.extra_body())
        return tuple(dict.fromkeys(s for s in found if s))


_target = functools.lru_cache(maxsize=64)(Target)


def target(
    base_url: str,
    model: str,
    key: str | None = None,
    azure_version: str | None = None,
    extra: str = "",
) -> Target:
    """The target for a base URL as it was given; the same object for the same values.

    Raises
    ------
    InvalidInput
        If `base_url` is not the address of a server.
    """
    address = read_address(base_url)
    if not address.is_azure and azure_version is None:
        return _target(address.base_url, model, key, None, extra)
    version = address.version or azure_version or settings.azure_version()
    return _target(
        re.sub("/openai(/v1)?(?=$|[?#])", "", address.base_url),
        address.deployment or model,
        key or settings.azure_key(),
        version or settings.DEFAULT_AZURE_VERSION,
        extra,
    )


def _azure_token() -> str | None:
    """A token of Azure's directory; the openai client reads it from the same variable."""
    return os.environ.get("AZURE_OPENAI_AD_TOKEN")


def _is_token(key: str | None) -> bool:
    return key is not None and key.startswith("eyJ") and key.count(".") == 2


class Connections:
    """The clients for one endpoint and key, each with few connections.

    The connection pool of the client's HTTP library looks at all its connections twice for
    every request, and keeps only a hundred open. So requests are spread over several clients.

    Use it on the private loop only.

    Parameters
    ----------
    target : Target
        Its model does not matter.

    Attributes
    ----------
    limiter : RateLimiter
    breaker : CircuitBreaker
    health : Health
    """

    def __init__(self, target: Target) -> None:
        # Imported now, so that the first request's time limit does not include it.
        import httpx2  # slow to import
        import openai  # slow to import

        self.limiter = RateLimiter(target.endpoint)
        self.breaker = CircuitBreaker(target.endpoint)
        self.health = Health()
        self._target = target
        try:
            httpx2.URL(target.base_url)  # checks also the characters of names
        except httpx2.InvalidURL:
            raise no_address(target.base_url) from None
        self._route = Route(target.base_url)
        self._options = self._route.client_options(event_loop.loop_local)
        self._looking: asyncio.Future[Failure | None] | None = None
        self._explained = False
        self._clients: list[AsyncOpenAI] = []
        self._in_flight: list[int] = []
        self._openai, self._response = openai, httpx2.Response
        self._transport_error = httpx2.RequestError

    async def send(
        self, method: str, path: str, wait: Wait, **content: Any
    ) -> tuple[bytes | Json, Mapping[str, str]] | Failure:
        """Send one request: the body and headers of a 200, or what went wrong.

        A streamed reply is given as the completion that it makes.

        Parameters
        ----------
        method : str
            ``"get"`` or ``"post"``.
        path : str
            Below the base URL.
        wait : Wait
            How long to wait for the response.
        **content
            What the client's method of that name takes (`body`, `files`, `options`).
        """
        openai = self._openai
        connect = min(wait.seconds, _CONNECT_TIMEOUT)
        # Only the connection has a limit of its own; `asyncio.timeout` limits the whole.
        options = {"timeout": openai.Timeout(None, connect=connect), **content.pop("options", {})}
        number = self._free_client()
        self._in_flight[number] += 1
        reader = EventReader()
        try:
            async with wait.limited():
                if failure := await self._look():
                    return failure
                # Not `.chat.completions.create`, which searches the whole request, schema
                # included, for values to convert.
                response = await getattr(self._clients[number], method)(
                    path, cast_to=self._response, options=options, **content
                )
                stream = response.extensions.get("stream")
                if stream is not None:
                    await read_stream(stream, reader, wait, sum(self._in_flight))
                elif response.content.startswith((b"data:", b":")):  # by another name
                    reader.feed(response.content)
                    reader.close()
                else:
                    return response.content, response.headers
            return self._broken(reader) or (reader.completion(), response.headers)
        except (ModelError, TimeoutError, openai.OpenAIError, self._transport_error) as error:
            if reader.finished:
                return reader.completion(), {}
            found = await self._found(error, connect, wait, reader)
            if isinstance(found, ModelError):
                raise found from None
            return self._with_evidence(found, reader)
        finally:
            self._in_flight[number] -= 1

    async def _found(
        self, error: Exception, connect: float, wait: Wait, reader: EventReader
    ) -> Failure | ModelError:
        """What an exception of the client means."""
        openai = self._openai
        if isinstance(error, openai.APIStatusError):
            # Read here, because the client's reading drops what is beside "error".
            refused = error.response
            if failure := self._route.read(error.status_code, refused.text[:1000]):
                return failure
            body = _json_or_text(refused.text)
            return read_error(error.status_code, body, refused.headers, self._target)
        cause = error if isinstance(error, self._transport_error) else error.__cause__
        for each in (error, cause):
            if isinstance(each, ModelError):  # of our own transport
                return each
        if type(cause).__name__ == "ConnectTimeout":
            reason = f"it took more than {connect:g} s to connect"
            return await self._explain(cause, reason) or Failure(reason, kind="timeout")
        if isinstance(error, (TimeoutError, openai.APITimeoutError)):
            return wait.failure(reader.words, reader.comments)
        if not isinstance(error, (openai.APIConnectionError, self._transport_error)):
            raise error
        reason = scrub(str(cause) or type(cause).__name__, *self._target.secrets())
        if not reader.words and (failure := await self._explain(cause, reason)):
            return failure
        kind = "unreachable" if type(cause).__name__ == "ConnectError" else "dropped"
        return Failure(f"the connection failed: {reason}", kind=kind)

    def _broken(self, reader: EventReader) -> Failure | None:
        """The failure of a stream that was closed before its end."""
        if reader.finished or reader.error is not None or not reader.has_choices:
            return None
        fault = reader.fault or "the connection was closed before the end"
        failure = Failure(f"the reply broke off: {fault}", kind="dropped", code=UNFINISHED_STREAM)
        return self._with_evidence(failure, reader)

    def _with_evidence(self, failure: Failure, reader: EventReader) -> Failure:
        if not reader.words:
            return failure
        began = scrub(" ".join(reader.beginning.split()), *self._target.secrets())
        told = f"after about {reader.words:,} words ({reader.characters:,} characters)"
        return replace(failure, message=f"{failure.message}, {told}; it began: {began!r}")

    async def _look(self) -> Failure | None:
        """What is wrong with the protocol; found out once, and the first requests wait for it."""
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._route.look())
        failure = await asyncio.shield(self._looking)
        if failure is not None:
            self._looking = None  # the next call looks again
        return failure

    async def _explain(self, error: BaseException | None, reason: str) -> Failure | None:
        """Why there was no response, if it is the set-up; the server is asked at most once."""
        ask, self._explained = not (self.health.answered or self._explained), True
        return await self._route.explain(error, reason, ask=ask)

    def _free_client(self) -> int:
        for number, count in enumerate(self._in_flight):
            if count < _PER_CLIENT:
                return number
        self._clients.append(_new_client(self._target, self._options))
        self._in_flight.append(0)
        return len(self._clients) - 1


# How often an address was forgotten.
_generation: Counter[str] = Counter()


def connections(target: Target) -> Connections:
    """The connections to an endpoint with a key; call it on the private loop."""
    generation = _generation[target.endpoint] if _generation else 0
    route = environment()
    key = ("connections", target.base_url, target.azure_version, target.key, generation, route)
    return event_loop.loop_local(key, lambda: Connections(target))


def forget(endpoint: str) -> None:
    """Use new connections for this address, because another server has taken it over."""
    _generation[endpoint] += 1


def _json_or_text(text: str) -> Any:
    try:
        return bounded_json.parse(text)
    except (ValueError, LimitExceeded):
        return text


def _new_client(target: Target, options: dict[str, Any]) -> AsyncOpenAI:
    import openai  # slow to import

    http_client = client_class()(**options)
    headers: dict[str, Any] = dict.fromkeys(_OMITTED, openai.omit)
    if target.azure_version is not None:
        return openai.AsyncAzureOpenAI(
            azure_endpoint=target.endpoint,
            api_version=target.azure_version,
            # A token of Azure's directory is sent in another header than a key.
            api_key=None if _is_token(target.key) else target.key,
            azure_ad_token=target.key if _is_token(target.key) else None,
            default_headers=headers,
            default_query=dict(parse_qsl(urlsplit(target.base_url).query)),
            max_retries=0,
            http_client=http_client,
        )
    parts = urlsplit(target.base_url)
    url = urlunsplit(parts._replace(query="", fragment=""))
    if parts.username:
        # In a header, because the client logs the address of each request.
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        url = target.endpoint
    return openai.AsyncOpenAI(
        base_url=url,
        api_key=target.key or _PLACEHOLDER,
        default_headers=headers,
        default_query=dict(parse_qsl(parts.query)),
        max_retries=0,
        http_client=http_client,
    )
