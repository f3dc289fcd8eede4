"""Loopback only: an audit hook that refuses every other address and records the attempt.

An audit hook sees what a patched `socket` would miss, cannot be removed by the code under
test, and the note outlives an `except Exception` that swallows the refusal.
Uses the standard library alone, since it also runs as `sitecustomize` in subprocesses.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from typing import Any

VARIABLE = "NETWORK_GUARD_LOG"  # names the file of attempts; subprocesses inherit it

_with_address = {"socket.connect", "socket.sendto", "socket.sendmsg"}
_with_name = {"socket.getaddrinfo", "socket.gethostbyname"}
_state = {"installed": False, "open": False}


class NetworkForbidden(RuntimeError):
    """A test tried to reach another machine. Not an OSError, so that no code retries it."""


def is_local(host: object) -> bool:
    """Whether a host is this machine by loopback (or unspecified, as servers bind to)."""
    if isinstance(host, (bytes, bytearray)):
        host = host.decode("ascii", "replace")
    if host is None or host in {"", "localhost", socket.gethostname()}:
        return True
    try:
        address = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _refuse(event: str, host: object) -> None:
    log = os.environ.get(VARIABLE)
    if log:
        with open(log, "a", encoding="utf-8") as file:  # noqa: PTH123 (no imports in a hook)
            file.write(f"{event} {host!r} by {sys.argv[0]}\n")
    raise NetworkForbidden(f"{event} to {host!r}: tests may reach loopback only")


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event in _with_address:
        if _state["open"]:
            return
        sock, address = args
        if address is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
            host = address[0] if isinstance(address, tuple) else address
            if not is_local(host):
                _refuse(event, host)
    elif event in _with_name and not _state["open"] and not is_local(args[0]):
        _refuse(event, args[0])


def install() -> None:
    """Guard this process from now on."""
    if not _state["installed"]:
        _state["installed"] = True
        sys.addaudithook(_hook)


def set_open(value: bool) -> None:
    """Let this process through (True) or not; for the few tests that need a registry."""
    _state["open"] = value
