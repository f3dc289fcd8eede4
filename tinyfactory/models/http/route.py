"""The route to an endpoint: proxy and certificates of the environment, checked before use.

The HTTP library reads these variables too, but raises errors that name no variable, sends
requests for this machine through proxies, and ignores `REQUESTS_CA_BUNDLE`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import ipaddress
import os
import re
import ssl
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tinyfactory.errors import NotConfigured
from tinyfactory.models.http.address import is_loopback, shown
from tinyfactory.models.http.refusals import Failure

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", *_BUNDLES)
_VARIABLES = (*_CERTIFICATES, *_PROXIES, *(name.upper() for name in _PROXIES))
# The names of OpenSSL for files in a folder of certificates.
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")
# Seconds to find out whether a server speaks HTTP or TLS.
_LOOK = 1.0
_WANTS_TLS = re.compile(r"http request\b.{0,40}\bhttps (port|server)", re.IGNORECASE | re.DOTALL)
# OpenSSL's numbers: self-signed, self-signed in the chain, unknown authority.
_UNTRUSTED = (18, 19, 20, 21)
_OUTDATED = (9, 10)
_OTHER_NAME = (62, 64)


def environment() -> tuple[str | None, ...]:
    """The values of all variables that a route depends on."""
    return tuple(map(os.environ.get, _VARIABLES))


class Route:
    """How requests reach a server.

    Parameters
    ----------
    url : str
        The base URL.

    Attributes
    ----------
    proxy : str or None
        The address of the proxy.

    Raises
    ------
    NotConfigured
        If a variable names a proxy that cannot be used.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.scheme, self.host = parts.scheme, parts.hostname or ""
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.server = f"{self.scheme}://{parts.netloc.rpartition('@')[2]}"
        self.proxy, self.variable = self._find_proxy()

    @property
    def through(self) -> str:
        """The proxy in words, for messages; "" if there is none."""
        return f"the proxy {shown(self.proxy)} ({self.variable})" if self.proxy else ""

    def client_options(self, contexts: Callable[..., ssl.SSLContext]) -> dict[str, Any]:
        """The options of an HTTP client.

        Parameters
        ----------
        contexts : callable
            Returns the object in a cache for a key, from a function that makes it.

        Raises
        ------
        NotConfigured
            If a variable names certificates that cannot be used.
        """
        import httpx2  # slow to import

        if "https" in (self.scheme, (self.proxy or "").partition("://")[0]):
            # Reading the certificates takes longer than a request, so all clients share them.
            key = ("certificates", *map(os.environ.get, _CERTIFICATES))
            context = contexts(key, trusted_certificates)
        else:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # no certificate is needed
        proxy = httpx2.Proxy(self.proxy, ssl_context=context) if self.proxy else None
        if proxy is not None and not self.proxy.startswith("https"):  # type: ignore[union-attr]
            proxy.ssl_context = None
        return {"verify": context, "proxy": proxy, "trust_env": False}

    # -- proxies ------------------------------------------------------------------------

    def _find_proxy(self) -> tuple[str | None, str]:
        """The address of the proxy for this server, and the variable that names it."""
        found = urllib.request.getproxies()  # also the settings of Windows and macOS
        kind = next((kind for kind in (self.scheme, "all") if found.get(kind)), None)
        if kind is None or is_loopback(self.host) or self._is_excepted(found.get("no", "")):
            return None, ""
        names = (f"{kind}_proxy", f"{kind.upper()}_PROXY")
        variable = next((name for name in names if os.environ.get(name)), "")
        if not variable and urllib.request.proxy_bypass(f"{self.host}:{self.port}"):
            return None, ""
        variable = variable or "the system's settings"
        return self._checked_proxy(found[kind].strip(), variable), variable

    def _checked_proxy(self, given: str, variable: str) -> str:
        address = given if "://" in given else f"http://{given}"
        try:
            parts = urlsplit(address)
            valid = bool(parts.hostname) and parts.port != 0
        except ValueError:
            valid = False
        instead = (
            f"Correct {variable}, unset it, or add {self.host} to NO_PROXY to reach it directly."
        )
        if not valid or parts.scheme not in ("http", "https", "socks5", "socks5h"):
            raise NotConfigured(
                f"{variable} is {shown(given)!r}, which is not the address of a proxy that can be "
                "used; nothing was sent. The address of a proxy looks like "
                f"http://proxy.example.org:3128. {instead}"
            )
        if parts.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
            raise NotConfigured(
                f"{variable} names a SOCKS proxy ({shown(given)}), which needs the package "
                "socksio; nothing was sent. Install it with: pip install socksio. Or: "
                f"{instead}"
            )
        return address

    def _is_excepted(self, rules: str) -> bool:
        """Whether NO_PROXY has this server: by name, domain, port, address or network."""
        host = self.host.lower().rstrip(".")
        for rule in re.split(r"[\s,;]+", rules.lower()):
            name = rule.rpartition("://")[2]
            if name == "*":
                return True
            try:
                if ipaddress.ip_address(host) in ipaddress.ip_network(name.strip("[]"), False):
                    return True
            except ValueError:  # one of them is a name, or there is a port
                pass
            start, colon, port = name.rpartition(":")
            if colon and port.isdecimal() and (":" not in start or start.endswith("]")):
                if int(port) != self.port:
                    continue
                name = start
            name = name.strip("[]").lstrip("*").strip("./")
            if name and (host == name or host.endswith(f".{name}")):
                return True
        return False

    # -- what went wrong ----------------------------------------------------------------

    async def look(self) -> Failure | None:
        """Whether a server that is to be asked by TLS speaks plain HTTP; before the first request.

        Some such servers wait for the rest of a request, and the handshake ends only with the
        time limit. On the port of HTTPS there is nothing else to expect.
        """
        if self.scheme != "https" or self.port == 443 or self.proxy:
            return None
        answer = await _exchange(self.host, self.port, b"HEAD / HTTP/1.0\r\n\r\n")
        if not answer.startswith(b"HTTP/") or _WANTS_TLS.search(answer.decode("latin-1")):
            return None
        return _set_up(
            f"{self.server} speaks HTTP without TLS. Begin the base URL with http:// in place of "
            "https://"
        )

    async def explain(
        self, error: BaseException | None, reason: str, *, ask: bool
    ) -> Failure | None:
        """The reason for a request without a response, if it is the set-up.

        Parameters
        ----------
        error : exception
            Of the HTTP library.
        reason : str
            Its text without secrets.
        ask : bool
            Whether the server may be asked for the protocol that it speaks.
        """
        kind = type(error).__name__
        while error is not None and not isinstance(error, ssl.SSLError):
            error = error.__cause__ or error.__context__
        if isinstance(error, ssl.SSLCertVerificationError):
            return self._about_certificate(error)
        if self.proxy and kind in ("ConnectError", "ProxyError", "ConnectTimeout"):
            return self._about_proxy(kind, reason)
        if kind == "ConnectError" and isinstance(error, ssl.SSLError):
            return await self.look() or _set_up(
                f"{self.server} does not speak TLS as expected ({reason or error}). If the server "
                "has no TLS, begin the base URL with http:// in place of https://"
            )
        # Only some servers with TLS answer to plain HTTP, with an alert or an error page.
        connected = self.scheme == "http" and not self.proxy and kind != "ConnectError"
        if ask and connected and await _speaks_tls(self.host, self.port):
            return self.wants_tls()
        return None

    def read(self, status: int, text: str) -> Failure | None:
        """The reason for an error response, if it is the set-up."""
        if status == 407:
            return self._about_proxy("ProxyError", "407 Proxy Authentication Required")
        if status == 400 and self.scheme == "http" and _WANTS_TLS.search(text):
            return self.wants_tls()
        return None

    def wants_tls(self) -> Failure:
        """The failure of plain HTTP that was sent to a server with TLS."""
        return _set_up(
            f"{self.server} speaks HTTPS. Begin the base URL with https:// in place of http://"
        )

    def _about_proxy(self, kind: str, reason: str) -> Failure:
        through = self.through or "A proxy"
        direct = f"add {self.host} to NO_PROXY to reach it directly"
        variable = self.variable or "HTTPS_PROXY"
        if kind == "ProxyError" and reason.startswith("407"):
            return _set_up(
                f"{through} asks for a login ({reason}). Put user and password into {variable}, as "
                f"in http://user:password@proxy.example.org:3128, or {direct}"
            )
        if kind == "ProxyError" and reason[:1] == "5":  # it does not reach the server now
            return Failure(f"{through} answered: {reason}", kind="dropped")
        said = f"refused the request ({reason})" if kind == "ProxyError" else "does not answer"
        return _set_up(f"{through} {said}. Start it, correct {variable}, or {direct}")

    def _about_certificate(self, error: ssl.SSLCertVerificationError) -> Failure:
        code, said = error.verify_code, error.verify_message.rstrip(".")
        if code in _OUTDATED:
            cure = "Renew it on the server, and check the clock of this machine"
        elif code in _OTHER_NAME:
            cure = "Use the name for which it was made in the base URL, or make another one"
        else:
            file = os.environ.get("SSL_CERT_FILE")
            now = f" (now it is {file})" if file else ""
            cure = (
                "If the server or a proxy of your organisation has its own authority, set "
                f"SSL_CERT_FILE{now} to a PEM file with the certificate of that authority"
            )
        about = "is not trusted" if code in _UNTRUSTED else "was not accepted"
        return _set_up(f"The certificate of {self.server} {about}: {said}. {cure}")


def _set_up(message: str) -> Failure:
    return Failure(re.sub("^the ", "The ", message), kind="set-up")


async def _speaks_tls(host: str, port: int) -> bool:
    """Whether a server completes a TLS handshake; its certificate does not matter."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(_LOOK):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
            writer.transport.abort()
    except (OSError, TimeoutError, ValueError):  # SSLError is an OSError
        return False
    return True


async def _exchange(host: str, port: int, sent: bytes) -> bytes:
    """The beginning of a server's answer; empty if there is none."""
    try:
        async with asyncio.timeout(_LOOK):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(sent)
                return await reader.read(1000)
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError, ValueError):  # ValueError: a name that no server can have
        return b""


# -- certificates -----------------------------------------------------------------------


def trusted_certificates() -> ssl.SSLContext:
    """The certificates that the environment names, or those of the system.

    `SSL_CERT_FILE` and `SSL_CERT_DIR` replace those of the system, as they do for OpenSSL;
    `REQUESTS_CA_BUNDLE` and `CURL_CA_BUNDLE` are added.
    """
    import httpx2  # slow to import

    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file or folder:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _load(context, *(("SSL_CERT_FILE", file) if file else ("SSL_CERT_DIR", folder or "")))
    else:
        context = httpx2.create_ssl_context(trust_env=False)
    for variable in _BUNDLES:
        if path := os.environ.get(variable):
            _load(context, variable, path)
    return context


def _load(context: ssl.SSLContext, variable: str, given: str) -> None:
    paths = [Path(given)]
    if variable == "SSL_CERT_DIR":
        paths = [Path(each) for each in given.split(os.pathsep) if each]
    found = [path for path in paths if path.exists()]
    try:
        if not found:
            raise FileNotFoundError("there is no such file or folder")
        for path in found:
            if path.is_dir():
                if not any(_HASHED.fullmatch(each.name) for each in path.iterdir()):
                    raise ValueError(
                        "the folder has no certificate under a name that OpenSSL finds; run "
                        f"`openssl rehash {path}`"
                    )
                context.load_verify_locations(capath=path)
            else:
                context.load_verify_locations(cafile=path)
    except (OSError, ValueError) as error:
        reason = str(error)
        if isinstance(error, ssl.SSLError):
            reason = f"it has no certificate in PEM form ({error.reason or error})"
        elif isinstance(error, PermissionError):
            reason = "it may not be read"
        raise NotConfigured(
            f"The certificates that {variable} names cannot be read: {given!r}: {reason}. Nothing "
            f"was sent. Set {variable} to a file with certificates in PEM form, or unset it to use "
            "those of the system."
        ) from None
