"""The HTTP client below the official one: what it reads of a response, and where it redirects to.

A server may send without end, send a small file that unpacks into a huge one, or redirect the
request with its prompt and key to another server. The client's HTTP library allows all of this.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tinyfactory import settings
from tinyfactory.errors import BadResponse, RedirectRefused, ResponseTooLarge
from tinyfactory.limits import how_to_raise
from tinyfactory.models.http.stream import EventReader
from tinyfactory.models.http.wait import Wait

if TYPE_CHECKING:
    import httpx2

# Redirects of one request; a server that needs more sends it in circles.
_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
# Seconds to wait for the count of tokens after a reply, and for the end of a response after that.
_LAST_EVENTS = 5.0
_LAST_WORD = 0.5
# Seconds between two pieces of a stream.
_LONGEST_PAUSE = 0.5
_PAUSE_PER_REQUEST = 0.002
# A piece that took longer was not in the buffer yet.
_WAITED = 0.0005


@functools.cache
def client_class() -> Any:
    """The class of HTTP clients, which is made when it is first used."""
    import httpx2  # slow to import
    import openai  # slow to import

    logging.getLogger("httpx2").addFilter(_without_query)

    class BoundedClient(openai.DefaultAsyncHttpxClient):
        """Reads responses up to a limit, and follows redirects to the same server only."""

        async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
            options |= {"stream": True, "follow_redirects": False}
            for _ in range(_MOST_REDIRECTS + 1):
                response = await super().send(request, **options)
                if response.status_code == 200 and _is_stream(response):
                    # Read by `Connections`, event by event; the official client reads nothing.
                    return httpx2.Response(
                        200,
                        headers=_described(response.headers),
                        request=request,
                        extensions={"stream": response},
                    )
                try:
                    check_redirect(response)
                    content = await _read(response)
                finally:
                    await response.aclose()
                following = response.next_request
                if following is None:
                    return httpx2.Response(
                        response.status_code,
                        headers=_described(response.headers),
                        content=content,
                        request=request,
                    )
                request = following
            raise BadResponse(
                f"{_address(request.url)} redirected the request more than {_MOST_REDIRECTS} "
                "times. Check the base URL (OPENAI_BASE_URL or "
                "tinyfactory.configure(base_url=...))."
            )

    return BoundedClient


def check_redirect(response: httpx2.Response) -> None:
    """Raise `RedirectRefused` for a redirect to another scheme, host or port."""
    if response.status_code not in _REDIRECTS or "location" not in response.headers:
        return
    here, there = response.request.url, None
    try:
        there = here.join(response.headers["location"])
        same = (here.scheme, here.host, here.port) == (there.scheme, there.host, there.port)
    except Exception:  # noqa: BLE001 - any text may be in the header
        same = False
    if same:
        return
    to = _address(there) if there is not None else "something that is no address"
    raise RedirectRefused(
        f"{_address(here)} redirects to {to}. The redirect was not followed, because the other "
        "server would get the prompt and the key. If that server is the right one, set its "
        "address: OPENAI_BASE_URL or tinyfactory.configure(base_url=...)."
    )


def _is_stream(response: httpx2.Response) -> bool:
    kind: str = response.headers.get("content-type", "")
    return kind.strip().lower().startswith("text/event-stream")


async def read_stream(
    response: httpx2.Response, reader: EventReader, wait: Wait, in_flight: int
) -> None:
    """Read a stream of events to its end, and close it.

    Between two pieces it pauses, so that words gather in the system's buffer: a wake-up for each
    word would take more processor time than all else about a person. A pause is a tenth of the
    time so far at most, and shorter the fewer requests there are.
    """
    longest = min(_LONGEST_PAUSE, _PAUSE_PER_REQUEST * in_flight)
    try:
        encoding = response.headers.get("content-encoding", "")
        if "," in encoding:
            raise _packed_twice(response)
        pieces = response.aiter_bytes() if encoding else response.aiter_raw()
        characters, asked = 0, wait.passed
        async for piece in pieces:
            was_finished, was_ended = reader.finished, reader.ended
            reader.feed(piece)
            if reader.ended and not reader.at_end:
                return  # the rest is not wanted
            if reader.finished and (not was_finished or reader.ended != was_ended):
                # The connection can be used again if the server ends the response now.
                wait.at_most(_LAST_WORD if reader.ended else _LAST_EVENTS)
            elif reader.characters > characters and (
                not characters or wait.passed - asked > _WAITED
            ):
                characters = reader.characters
                wait.arrived(reader.words)
                await asyncio.sleep(min(longest, wait.passed / 10))
            asked = wait.passed
        reader.close()
    finally:
        wait.end()
        await response.aclose()


async def _read(response: httpx2.Response) -> bytes:
    """The unpacked body of a response; at most so many bytes are received and unpacked."""
    import httpx2  # slow to import

    # The one long download is the result file of a batch.
    is_file = response.request.url.path.endswith("/content")
    limit = "download_bytes" if is_file else "response_bytes"
    most: int = getattr(settings.limits(), limit)
    received = 0
    pieces: list[bytes] = []
    async for piece in response.aiter_raw():
        received += len(piece)
        if received > most:
            raise _too_large(response, most, limit)
        pieces.append(piece)
    encoding = response.headers.get("content-encoding", "")
    if not encoding:
        return b"".join(pieces)
    if "," in encoding:  # packed several times: a small response could take hours to unpack
        raise _packed_twice(response)

    class Pieces(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return iter(pieces)

    packed = httpx2.Response(200, headers={"content-encoding": encoding}, stream=Pieces())
    unpacked = bytearray()
    for piece in packed.iter_bytes():
        unpacked += piece
        if len(unpacked) > most:
            raise _too_large(response, most, limit)
    return bytes(unpacked)


def _described(headers: httpx2.Headers) -> list[tuple[bytes, bytes]]:
    """The headers without those that describe the packed body."""
    dropped = (b"content-encoding", b"content-length", b"transfer-encoding")
    return [(name, value) for name, value in headers.raw if name.lower() not in dropped]


def _packed_twice(response: httpx2.Response) -> BadResponse:
    return BadResponse(
        f"{_address(response.request.url)} sent a response that is packed more than once. It "
        "was not read. Check the base URL; a proxy may answer instead."
    )


def _too_large(response: httpx2.Response, most: int, limit: str) -> ResponseTooLarge:
    return ResponseTooLarge(
        f"The response of {_address(response.request.url)} has more than {most:,} bytes, which is "
        f"the limit {limit}. The rest of it was not read. {how_to_raise(limit, 4 * most)}"
    )


def _address(url: Any) -> str:
    """An address without user, password, query and fragment, in which a key may be."""
    return str(url.copy_with(userinfo=b"", query=None, fragment=None))[:300]


class _WithoutQuery(logging.Filter):
    """Removes the query from the addresses that the HTTP library logs: it may hold a key."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                _address(arg) if type(arg).__name__ == "URL" else arg for arg in record.args
            )
        return True


_without_query = _WithoutQuery()
