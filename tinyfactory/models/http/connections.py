"""The connections to an endpoint, with the rate limiter and the circuit breaker they share.

The official client only sends and receives. Its own retries are off (they repeat exhausted
quotas), and its parsing is not used (it loses a paid reply whose JSON is bad).
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from tinyfactory.models import event_loop
from tinyfactory.models.http.circuit_breaker import CircuitBreaker
from tinyfactory.models.http.endpoint import Target
from tinyfactory.models.http.rate_limit import RateLimiter
from tinyfactory.models.http.responses import Failure, read_error
from tinyfactory.redaction import scrub

if TYPE_CHECKING:
    from openai import AsyncOpenAI

# Local servers need no key, but the client needs one to send.
_PLACEHOLDER = "no-key"
# A host that drops packets never answers; there is no need to wait two minutes to see that.
_CONNECT_TIMEOUT = 10.0
# Requests in flight over one client's connections.
_PER_CLIENT = 5


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
    """

    def __init__(self, target: Target) -> None:
        # Imported now, so that the first request's time limit does not include it.
        import httpx2  # slow to import
        import openai  # slow to import

        self.limiter = RateLimiter(target.endpoint)
        self.breaker = CircuitBreaker(target.endpoint)
        self._target = target
        self._clients: list[AsyncOpenAI] = []
        self._in_flight: list[int] = []
        self._openai, self._response = openai, httpx2.Response

    async def send(
        self, method: str, path: str, seconds: float, **content: Any
    ) -> tuple[bytes, Mapping[str, str]] | Failure:
        """Send one request: the body and headers of a 200, or what went wrong.

        Parameters
        ----------
        method : str
            ``"get"`` or ``"post"``.
        path : str
            Below the base URL.
        seconds : float
            How long to wait for the response.
        **content
            What the client's method of that name takes (`body`, `files`, `options`).
        """
        openai = self._openai
        connect = min(seconds, _CONNECT_TIMEOUT)
        # Only the connection has a limit of its own; `asyncio.timeout` limits the whole.
        options = {"timeout": openai.Timeout(None, connect=connect), **content.pop("options", {})}
        number = self._free_client()
        self._in_flight[number] += 1
        try:
            async with asyncio.timeout(seconds):
                # Not `.chat.completions.create`, which searches the whole request, schema
                # included, for values to convert.
                response = await getattr(self._clients[number], method)(
                    path, cast_to=self._response, options=options, **content
                )
            return response.content, response.headers
        except openai.APIStatusError as error:
            # Read here, because the client's reading drops what is beside "error".
            refused = error.response
            body = _json_or_text(refused.text)
            return read_error(error.status_code, body, refused.headers, self._target)
        except (TimeoutError, openai.APITimeoutError) as error:
            if type(error.__cause__).__name__ == "ConnectTimeout":
                return Failure(f"it took more than {connect:g} s to connect", kind="timeout")
            limit = round(seconds, 1)
            return Failure(f"it took more than {limit:g} s to answer", kind="timeout")
        except openai.APIConnectionError as error:
            cause = error.__cause__
            kind = "unreachable" if type(cause).__name__ == "ConnectError" else "dropped"
            reason = scrub(str(cause) or type(cause).__name__, *self._target.secrets())
            return Failure(f"the connection failed: {reason}", kind=kind)
        finally:
            self._in_flight[number] -= 1

    def _free_client(self) -> int:
        for number, count in enumerate(self._in_flight):
            if count < _PER_CLIENT:
                return number
        self._clients.append(_new_client(self._target))
        self._in_flight.append(0)
        return len(self._clients) - 1


# How often an address was forgotten.
_generation: Counter[str] = Counter()


def connections(target: Target) -> Connections:
    """The connections to an endpoint with a key; call it on the private loop."""
    generation = _generation[target.endpoint] if _generation else 0
    key = ("connections", target.base_url, target.azure_version, target.key, generation)
    return event_loop.loop_local(key, lambda: Connections(target))


def forget(endpoint: str) -> None:
    """Use new connections for this address, because another server has taken it over."""
    _generation[endpoint] += 1


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _new_client(target: Target) -> AsyncOpenAI:
    import httpx2  # slow to import
    import openai  # slow to import

    # Reading the certificates takes longer than a request, so all clients share them.
    certificates = event_loop.loop_local("certificates", httpx2.create_ssl_context)
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
        # In a header, because the client logs the address of each request.
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
