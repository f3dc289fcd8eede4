"""Servers that pass connections on: a proxy, and one that speaks TLS before a plain server."""

from __future__ import annotations

import asyncio
import ssl
import threading
from pathlib import Path
from typing import Self

CERTIFICATES = Path(__file__).parent / "certificates"


class Tunnel:
    """Passes each connection on to a port of this machine; `with` starts and closes it.

    Parameters
    ----------
    port : int
        The port of the server behind it.
    certificate : str, optional
        Speak TLS with this certificate of `CERTIFICATES`.

    Attributes
    ----------
    port : int
        Its own port.
    connections : int
        How many were accepted.
    """

    def __init__(self, port: int, certificate: str | None = None) -> None:
        self.behind = port
        self.port = self.connections = 0
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(CERTIFICATES / f"{certificate}.pem")

    async def begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """The first bytes to send to the server behind; ConnectionError to send none."""
        return b""

    def __enter__(self) -> Self:
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main(started)))
        self._thread.start()
        started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    async def _main(self, started: threading.Event) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        # Failed handshakes are a part of the tests.
        self._loop.set_exception_handler(lambda *_: None)
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await self._closing.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        connection = writer.transport
        try:
            if self._tls is not None:
                await writer.start_tls(self._tls)
            first = await self.begin(reader, writer)
            behind, to_behind = await asyncio.open_connection("127.0.0.1", self.behind)
            to_behind.write(first)
            try:
                await asyncio.gather(_pass_on(reader, to_behind), _pass_on(behind, writer))
            finally:
                to_behind.transport.abort()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()
            connection.abort()
            self._tasks.discard(task)


class Proxy(Tunnel):
    """An HTTP proxy that takes every host for the one server behind it.

    Parameters
    ----------
    port : int
        The port of the server behind it.
    refuse : str, optional
        The status line with which it refuses all requests, e.g. ``"407 Login"``.

    Attributes
    ----------
    heads : list of str
        The first lines and headers of the requests so far.
    """

    def __init__(self, port: int, refuse: str = "", certificate: str | None = None) -> None:
        super().__init__(port, certificate)
        self.refuse = refuse
        self.heads: list[str] = []

    async def begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode())
        if self.refuse:
            writer.write(f"HTTP/1.1 {self.refuse}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            raise ConnectionError
        if head.startswith(b"CONNECT"):
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            return b""
        method, address, rest = head.split(b" ", 2)
        return b" ".join([method, b"/" + address.split(b"/", 3)[3], rest])


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
