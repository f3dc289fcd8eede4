"""Proxies and certificates: what the environment says is used, or the error names the variable."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from tests.support.chat_server import ChatServer
from tests.support.tunnels import CERTIFICATES, Proxy, Tunnel
from tinyfactory import TinyPersonFactory
from tinyfactory.errors import EndpointUnreachable, ModelError, NotConfigured
from tinyfactory.models import event_loop
from tinyfactory.models.chat import ChatRequest
from tinyfactory.models.http.route import Route
from tinyfactory.models.openai import OpenAIModel

REQUEST = ChatRequest(({"role": "user", "content": "Who?"},))
ELSEWHERE = "http://model.example/v1"
GOOD = str(CERTIFICATES / "good.pem")


@pytest.fixture(autouse=True, scope="module")
def _client_is_imported():
    """So that no measured time includes the first import of the client."""
    with ChatServer() as server:
        event_loop.run(OpenAIModel("m", base_url=server.base_url).complete, REQUEST)


@pytest.fixture(autouse=True)
def _no_certificates(monkeypatch):
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


def ask(base_url: str) -> str:
    return event_loop.run(OpenAIModel("m", base_url=base_url, api_key="k").complete, REQUEST).text


def refused(base_url: str, kind: type[ModelError]) -> str:
    """The message of the error, which comes within about a second."""
    began = time.monotonic()
    with pytest.raises(kind) as raised:
        ask(base_url)
    assert time.monotonic() - began < 2.5
    assert type(raised.value) is kind
    return str(raised.value)


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


# --- which proxy ----------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    "form", ["http://127.0.0.1:{port}", "127.0.0.1:{port}", "http://u:p@127.0.0.1:{port}/"]
)
def test_a_request_goes_through_the_proxy(variable, form, monkeypatch):
    with ChatServer() as server, Proxy(server.port) as proxy:
        monkeypatch.setenv(variable, form.format(port=proxy.port))
        assert ask(ELSEWHERE)
        (head,) = proxy.heads
    assert head.startswith("POST http://model.example/v1/chat/completions")
    assert ("proxy-authorization: basic" in head.lower()) == ("u:p" in form)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_request_by_https_goes_through_the_tunnel_of_a_proxy(variable, monkeypatch):
    with ChatServer() as server, Tunnel(server.port, "other") as tls, Proxy(tls.port) as proxy:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "other.pem"))
        assert ask("https://other.example/v1")
        assert proxy.heads[0].startswith("CONNECT other.example:443")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "nonsense://"])
def test_this_machine_is_never_asked_through_a_proxy(host, proxy, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy)
    with ChatServer() as server:
        assert ask(f"http://{host}:{server.port}/v1")


@pytest.mark.parametrize(
    "url", ["http://[::1]:80/v1", "http://127.9.9.9/v1", "http://0.0.0.0:8080"]
)
def test_no_form_of_this_machine_has_a_proxy(url, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:3128")
    assert Route(url).proxy is None


@pytest.mark.parametrize(
    ("rules", "excepted"),
    [
        ("model.example.org", True),
        ("MODEL.Example.ORG", True),
        ("example.org", True),
        (".example.org", True),
        ("*.example.org", True),
        ("a.org, example.org", True),
        ("a.org example.org", True),
        ("*", True),
        ("a.org,*", True),
        ("example.org:8000", True),
        ("example.org:8001", False),
        ("model.example.org:8000", True),
        ("http://model.example.org", True),
        ("le.example.org", False),
        ("model.example", False),
        ("ample.org", False),
        ("", False),
        (",", False),
    ],
)
def test_hosts_in_no_proxy_are_asked_directly(rules, excepted, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", rules)
    assert (Route("http://model.example.org:8000/v1").proxy is None) == excepted


@pytest.mark.parametrize(
    ("host", "rules", "excepted"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:8000", "10.1.2.3:8000", True),
        ("10.1.2.3:8000", "10.1.2.3:80", False),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("[fd00::5]", "fd00::/8", True),
        ("[fd00::5]", "[fd00::5]", True),
        ("[fd00::5]:8000", "[fd00::5]:8000", True),
        ("[fd00::5]", "fe80::/10", False),
    ],
)
def test_addresses_and_networks_in_no_proxy_are_asked_directly(host, rules, excepted, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", rules)
    assert (Route(f"http://{host}/v1").proxy is None) == excepted


# --- proxies that cannot be used ------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("variable", ["ALL_PROXY", "HTTPS_PROXY"])
def test_a_socks_proxy_without_its_package_names_both(scheme, variable, monkeypatch):
    monkeypatch.setenv(variable, f"{scheme}://user:hush@127.0.0.1:1080")
    said = refused("https://model.example/v1", NotConfigured)
    assert variable in said and "pip install socksio" in said and "NO_PROXY" in said
    assert "hush" not in said


@pytest.mark.parametrize(
    "address",
    [
        "http://",
        "foo://host:1",
        "http://host:port",
        "http://host:99999",
        "socks4://host:1080",
        "http://[::1",
    ],
)
def test_an_address_that_is_no_proxy_is_told_with_its_variable(address, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", address)
    said = refused("https://model.example/v1", NotConfigured)
    assert "HTTPS_PROXY" in said and "nothing was sent" in said and "http://proxy" in said


@pytest.mark.parametrize("url", ["http://model.example/v1", "https://model.example/v1"])
@pytest.mark.parametrize(
    ("refuse", "says"),
    [("407 Proxy Authentication Required", "asks for a login"), (None, "does not answer")],
)
def test_a_proxy_that_refuses_is_named(url, refuse, says, monkeypatch):
    with Proxy(0, refuse or "") as proxy:
        port = proxy.port if refuse else closed_port()
        monkeypatch.setenv("ALL_PROXY", f"http://user:hush@127.0.0.1:{port}")
        said = refused(url, EndpointUnreachable)
        assert len(proxy.heads) == (1 if refuse else 0)
    assert f"The proxy http://127.0.0.1:{port} (ALL_PROXY) {says}" in said
    assert "NO_PROXY" in said and "hush" not in said


def test_a_proxy_that_forbids_the_host_is_named(monkeypatch):
    with Proxy(0, "403 Forbidden") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        said = refused("https://model.example/v1", EndpointUnreachable)
    assert "(HTTPS_PROXY) refused the request (403 Forbidden)" in said


def test_a_variable_that_is_corrected_counts_at_once(monkeypatch):
    with ChatServer() as server, Proxy(server.port) as proxy:
        monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
        refused(ELSEWHERE, NotConfigured)
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert ask(ELSEWHERE)


# --- certificates ---------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_certificate_in_a_file_of_the_environment_is_trusted(variable, monkeypatch):
    monkeypatch.setenv(variable, GOOD)
    with ChatServer() as server, Tunnel(server.port, "good") as tls:
        assert ask(f"https://127.0.0.1:{tls.port}/v1")
        assert ask(f"https://localhost:{tls.port}/v1")


def test_a_folder_of_certificates_is_trusted(monkeypatch, tmp_path):
    # The name has OpenSSL's hash of the certificate's subject.
    (tmp_path / "7265e0e5.0").write_text(Path(GOOD).read_text())
    monkeypatch.setenv("SSL_CERT_DIR", f"/nowhere{os.pathsep}{tmp_path}")
    with ChatServer() as server, Tunnel(server.port, "good") as tls:
        assert ask(f"https://127.0.0.1:{tls.port}/v1")


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize("kind", ["missing", "no certificate", "empty folder"])
def test_certificates_that_cannot_be_read_name_the_variable(variable, kind, monkeypatch, tmp_path):
    path = tmp_path / "certificates.pem"
    if kind == "no certificate":
        path.write_text("not a certificate")
    elif kind == "empty folder":
        path.mkdir()
    monkeypatch.setenv(variable, str(path))
    said = refused("https://127.0.0.1:9/v1", NotConfigured)
    assert variable in said and str(path) in said and "othing was sent" in said


def test_without_tls_no_certificates_are_needed(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/certificates.pem")
    with ChatServer() as server:
        assert ask(server.base_url)


@pytest.mark.parametrize(
    ("certificate", "trusted", "says"),
    [
        ("good", None, ("is not trusted", "self-signed", "SSL_CERT_FILE")),
        ("good", "other", ("is not trusted", "self-signed", "other.pem")),
        ("expired", "expired", ("expired", "Renew", "clock")),
        ("other", "other", ("127.0.0.1", "mismatch", "Use the name")),
    ],
)
def test_a_certificate_that_is_not_accepted_says_why_at_once(
    certificate, trusted, says, monkeypatch
):
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / f"{trusted}.pem"))
    with ChatServer() as server, Tunnel(server.port, certificate) as tls:
        said = refused(f"https://127.0.0.1:{tls.port}/v1", EndpointUnreachable)
        assert server.requests == [] and tls.connections <= 2
    for words in (f"https://127.0.0.1:{tls.port}", *says):
        assert words in said


# --- http and https exchanged ---------------------------------------------------------------------


def test_http_to_a_port_of_https_says_so(monkeypatch):
    with ChatServer() as server, Tunnel(server.port, "good") as tls:
        said = refused(f"http://127.0.0.1:{tls.port}/v1", EndpointUnreachable)
        assert server.requests == []
    assert f"http://127.0.0.1:{tls.port} speaks HTTPS" in said and "https:// in place of" in said


@pytest.mark.parametrize(
    "page",
    [
        "<html><body>The plain HTTP request was sent to HTTPS port</body></html>",
        "Client sent an HTTP request to an HTTPS server.",
    ],
)
def test_a_server_that_says_that_it_wants_https_is_believed(page):
    from tests.support.chat_server import Answer

    with ChatServer(rules=[Answer(400, page)]) as server:
        said = refused(server.base_url, EndpointUnreachable)
        assert len(server.requests) == 1
    assert "speaks HTTPS" in said


def test_https_to_a_port_of_http_says_so():
    with ChatServer() as server:
        said = refused(f"https://127.0.0.1:{server.port}/v1", EndpointUnreachable)
    assert "speaks HTTP without TLS" in said and "http:// in place of" in said


def test_a_job_stops_with_the_reason(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with ChatServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"https://127.0.0.1:{server.port}/v1")
        with pytest.raises(EndpointUnreachable, match="without TLS"):
            TinyPersonFactory("Nurses").generate_people(10, concurrency=5)
