"""The address of an endpoint, as people paste it: mended where only one meaning is possible.

An address that works as it is stays as it is, because it enters the keys of events.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qs, urlencode, urlsplit

from tinyfactory.errors import InvalidInput
from tinyfactory.redaction import scrub

# Quotes and brackets around an address, marks after it, and characters that nobody sees.
_AROUND = "\"'`<>(){}“”\u2018’«»,;\u200b\u200c\u200d\u2060\ufeff"
_SCHEME = re.compile(r"(?:(https?)(?::/*|/{2,}))+", re.IGNORECASE)
_DOMAIN = re.compile(r"\.[a-z]{2,}$", re.IGNORECASE)
# Pages of an OpenAI-compatible server below its base URL.
_PAGE = re.compile(r"/(chat/completions|completions?|responses|embeddings)$", re.IGNORECASE)
# These may be a part of a base URL, unless they follow a version.
_PAGE_OF_VERSION = re.compile(
    r"(?<=/)(v\d+\w*|openai)/(models(/.*)?|chat|messages|batches|files|moderations)$",
    re.IGNORECASE,
)
_TWICE = re.compile(r"(/v\d+)\1$")
_PAGE_OF_OLLAMA = re.compile(r"/api/(chat|generate|tags|show|embed|embeddings|ps|version)$")
_DEPLOYMENT = re.compile(r"^(.*?)/openai/deployments/([^/]+)", re.IGNORECASE)
_AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".openai.azure.us")
# Ports of servers whose base URL ends in /v1: Ollama, LM Studio, Jan and GPT4All.
_PORTS = (11434, 1234, 1337, 4891)
# The path of the base URL of providers, and the paths that lead nowhere.
_PROVIDERS = {
    "api.openai.com": ("/v1", ("",)),
    "api.anthropic.com": ("/v1", ("",)),
    "api.cerebras.ai": ("/v1", ("",)),
    "api.groq.com": ("/openai/v1", ("", "/v1", "/openai")),
    "api.mistral.ai": ("/v1", ("",)),
    "api.moonshot.ai": ("/v1", ("",)),
    "api.moonshot.cn": ("/v1", ("",)),
    "api.together.xyz": ("/v1", ("",)),
    "api.x.ai": ("/v1", ("",)),
    "api.z.ai": ("/api/paas/v4", ("",)),
    "generativelanguage.googleapis.com": ("/v1beta/openai", ("", "/v1beta", "/v1")),
    "ollama.com": ("/v1", ("", "/api")),
    "open.bigmodel.cn": ("/api/paas/v4", ("",)),
    "openrouter.ai": ("/api/v1", ("", "/v1", "/api")),
}


class Address(NamedTuple):
    """A base URL; for a resource of Azure also deployment and API version, as far as given."""

    base_url: str
    is_azure: bool = False
    deployment: str = ""
    version: str = ""


@functools.lru_cache(maxsize=64)
def read_address(given: str) -> Address:
    """The base URL that an address means.

    Raises
    ------
    InvalidInput
        If it is not the address of a server. Secrets in it are not shown.

    Examples
    --------
    >>> read_address("http://localhost:11434/v1/chat/completions").base_url
    'http://localhost:11434/v1'
    >>> read_address(" localhost:1234 ").base_url
    'http://localhost:1234/v1'
    """
    text = "".join(given.split()).strip(_AROUND).replace("\\", "/")
    scheme = _SCHEME.match(text)
    rest = (text[scheme.end() :] if scheme else text).lstrip("/")
    name = scheme[1].lower() if scheme else _scheme_for(rest)
    try:
        parts = urlsplit(f"{name}://{rest}")
        valid = "://" not in rest and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is not a number, or a bracket is open
        valid = False
    if not valid or name is None:
        raise no_address(given)
    return _read(parts)


def no_address(given: str) -> InvalidInput:
    """The error for a text that is not the address of a server."""
    return InvalidInput(
        f"{shown(given)!r} is not the address of a server; nothing was sent. A base URL looks "
        "like http://localhost:11434/v1, with http:// or https://. Correct it in "
        "OPENAI_BASE_URL, AZURE_OPENAI_ENDPOINT or tinyfactory.configure(base_url=...)."
    )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine.

    Examples
    --------
    >>> [is_loopback(host) for host in ("localhost", "127.8.8.8", "::1", "example.org")]
    [True, True, True, False]
    """
    if host.lower().rstrip(".") == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def shown(address: str) -> str:
    """An address without user, password and query, in which a key may be; for messages."""
    start, _, rest = address.partition("?")[0].rpartition("@")
    scheme = start.partition("://")[0] + "://" if "://" in start else ""
    return scrub(scheme + rest)[:200]


def _scheme_for(rest: str) -> str | None:
    """The scheme of an address without one; None if it cannot be told."""
    server = rest.partition("/")[0].rpartition("@")[2]
    host, _, port = server.rpartition(":")
    if not port.isdecimal():
        host, port = server, ""
    host = host.strip("[]")
    try:
        private = is_loopback(host) or ipaddress.ip_address(host).is_private
        return "http" if private else "https"
    except ValueError:  # a name
        pass
    if "." not in host:  # in the own network
        return "http" if host and port else None
    return "https" if _DOMAIN.search(host) and port in ("", "443") else None


def _read(parts: SplitResult) -> Address:
    host, given = parts.hostname or "", re.sub("/{2,}", "/", parts.path).rstrip("/")
    path, before = given, None
    while path != before:
        before = path
        path = _PAGE_OF_VERSION.sub(r"\1", _PAGE.sub("", path)).rstrip("/")
    path = _TWICE.sub(r"\1", _PAGE_OF_OLLAMA.sub("/v1", path))
    is_azure = host.endswith(_AZURE_HOSTS)
    deployment = _DEPLOYMENT.match(given)
    if deployment and (is_azure or path != given):
        fields = parse_qs(parts.query)
        version = fields.pop("api-version", [""])[0]
        parts = parts._replace(path=deployment[1], query=urlencode(fields, doseq=True))
        return Address(parts.geturl(), True, deployment[2], version)
    if is_azure and path in ("", "/openai"):
        return Address(parts._replace(path="").geturl(), True)
    for provider, (right, wrong) in _PROVIDERS.items():
        if f".{host}".endswith(f".{provider}") and path in wrong:
            path = right
    if parts.port in _PORTS and (path in ("", "/api") or path.startswith("/api/v1")):
        path = "/v1"
    return Address(parts._replace(path=path).geturl())
