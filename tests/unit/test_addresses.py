"""An endpoint is found from the address that people paste, or the error says what is wrong."""

from __future__ import annotations

import pytest

from tests.support.chat_server import ChatServer
from tinyfactory import settings
from tinyfactory.errors import InvalidInput, RequestRejected
from tinyfactory.models import event_loop
from tinyfactory.models.chat import ChatRequest
from tinyfactory.models.openai import OpenAIModel

REQUEST = ChatRequest(({"role": "user", "content": "Who?"},))
OLLAMA = "http://localhost:11434/v1"
OPENAI = "https://api.openai.com/v1"
GEMINI = "https://generativelanguage.googleapis.com/v1beta/openai"


@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        # A page below the base URL.
        ("http://localhost:8000/v1/chat/completions", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1/v1", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1/chat/completions/", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1/Chat/Completions", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1/models", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1/models/llama3", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1/responses", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1/completions", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1/embeddings", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1/chat", "http://localhost:8000/v1"),
        ("http://localhost:8080/completion", "http://localhost:8080"),
        ("http://localhost:3000/api/chat/completions", "http://localhost:3000/api"),
        ("https://api.anthropic.com/v1/messages", "https://api.anthropic.com/v1"),
        ("https://api.groq.com/openai/v1/chat/completions", "https://api.groq.com/openai/v1"),
        ("https://api.z.ai/api/paas/v4/chat/completions", "https://api.z.ai/api/paas/v4"),
        # Ollama's and LM Studio's own interfaces, and ports that are known.
        ("http://localhost:11434/api/chat", OLLAMA),
        ("http://localhost:11434/api/generate/", OLLAMA),
        ("http://localhost:11434/api", OLLAMA),
        ("http://localhost:11434/api/tags", OLLAMA),
        ("http://localhost:11434", OLLAMA),
        ("http://localhost:11434/", OLLAMA),
        ("http://192.168.1.5:11434", "http://192.168.1.5:11434/v1"),
        ("http://127.0.0.1:1234", "http://127.0.0.1:1234/v1"),
        ("http://127.0.0.1:1234/api/v1/chat", "http://127.0.0.1:1234/v1"),
        # Spaces, quotes, slashes and marks.
        ("  http://localhost:11434/v1 \n", OLLAMA),
        ("'http://localhost:11434/v1'", OLLAMA),
        ('"http://localhost:11434/v1/"', OLLAMA),
        ("“http://localhost:11434/v1”", OLLAMA),
        ("`http://localhost:11434/v1`", OLLAMA),
        ("<http://localhost:11434/v1>", OLLAMA),
        ("http://localhost:11434/v1///", OLLAMA),
        ("http://localhost:11434//v1", OLLAMA),
        ("http://localhost:11434/v1,", OLLAMA),
        ("http://localhost:11434 /v1", OLLAMA),
        ("\ufeffhttp://localhost:11434/v1\u200b", OLLAMA),
        # The scheme is missing, or written wrongly.
        ("localhost:11434/v1", OLLAMA),
        ("localhost:11434", OLLAMA),
        ("//localhost:11434/v1", OLLAMA),
        ("http:/localhost:11434/v1", OLLAMA),
        ("http//localhost:11434/v1", OLLAMA),
        ("http:localhost:11434/v1", OLLAMA),
        ("HTTP://localhost:11434/v1", OLLAMA),
        ("http://http://localhost:11434/v1", OLLAMA),
        ("http:\\\\localhost:11434\\v1", OLLAMA),
        ("127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1"),
        ("[::1]:8080/v1", "http://[::1]:8080/v1"),
        ("192.168.1.5:8000/v1", "http://192.168.1.5:8000/v1"),
        ("gpu-box:8000/v1", "http://gpu-box:8000/v1"),
        ("api.openai.com/v1", OPENAI),
        ("openrouter.ai/api/v1", "https://openrouter.ai/api/v1"),
        # The page of a provider.
        ("https://api.openai.com", OPENAI),
        ("api.openai.com", OPENAI),
        ("https://eu.api.openai.com/", "https://eu.api.openai.com/v1"),
        ("https://openrouter.ai/api", "https://openrouter.ai/api/v1"),
        ("https://openrouter.ai", "https://openrouter.ai/api/v1"),
        ("https://api.groq.com/v1", "https://api.groq.com/openai/v1"),
        ("https://api.mistral.ai", "https://api.mistral.ai/v1"),
        ("https://generativelanguage.googleapis.com", GEMINI),
        ("https://generativelanguage.googleapis.com/v1beta/models", GEMINI),
        (
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:generateContent",
            GEMINI,
        ),
        ("https://generativelanguage.googleapis.com/v1beta/openai/chat/completions", GEMINI),
    ],
)
def test_an_address_is_mended_where_its_meaning_is_certain(given, endpoint):
    assert OpenAIModel("m", base_url=given).identity["endpoint"] == endpoint


@pytest.mark.parametrize(
    "given",
    [
        "http://localhost:8080",
        "http://localhost:8000",
        "http://localhost:8000/v1",
        "https://api.deepseek.com",
        "https://models.github.ai/inference",
        "https://example.services.ai.azure.com/models",
        "https://example.openai.azure.com/openai/v1",
        "http://gateway.example.org/openai/deployments/gpt",
        "http://localhost:1234/api/v0",
        "https://example.org/chat",
    ],
)
def test_an_address_that_may_work_stays_as_it_is(given):
    for address in (given, f"{given}/"):
        identity = OpenAIModel("m", base_url=address).identity
        assert identity == {"kind": "openai", "model": "m", "endpoint": given}


@pytest.mark.parametrize(
    "given",
    [
        "https://res.openai.azure.com/openai/deployments/gpt/chat/completions?api-version=2025-01-01",
        "https://res.openai.azure.com/openai/deployments/gpt?api-version=2025-01-01",
        "res.openai.azure.com/openai/deployments/gpt/?api-version=2025-01-01",
        "https://res.openai.azure.com/openai/deployments/gpt/completions?api-version=2025-01-01",
    ],
)
@pytest.mark.parametrize("variable", ["OPENAI_BASE_URL", "AZURE_OPENAI_ENDPOINT"])
def test_the_address_of_an_azure_deployment_says_all(given, variable, monkeypatch):
    monkeypatch.setenv(variable, given)
    identity = {
        "kind": "azure",
        "endpoint": "https://res.openai.azure.com",
        "api_version": "2025-01-01",
        "deployment": "gpt",
    }
    assert OpenAIModel().identity == identity
    settings.configure(model="something-else")
    assert OpenAIModel().identity == identity


@pytest.mark.parametrize("path", ["", "/", "/openai", "/openai/"])
def test_a_resource_of_azure_takes_the_version_of_the_environment(path, monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_API_VERSION", "2025-04-01")
    identity = OpenAIModel("gpt", base_url=f"https://res.openai.azure.com{path}").identity
    assert identity == {
        "kind": "azure",
        "endpoint": "https://res.openai.azure.com",
        "api_version": "2025-04-01",
        "deployment": "gpt",
    }


def test_an_azure_endpoint_with_the_path_of_the_newer_interface_is_the_resource(monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://res.openai.azure.com/openai/v1/")
    assert OpenAIModel("gpt").identity["endpoint"] == "https://res.openai.azure.com"


def test_an_azure_deployment_is_asked_with_its_key_and_version(monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key-0123456789")
    with ChatServer() as server:
        url = f"{server.origin}/openai/deployments/gpt/chat/completions?api-version=2025-01-01&a=b"
        assert event_loop.run(OpenAIModel("m", base_url=url).complete, REQUEST).text
        (request,) = server.requests
    assert request.path.startswith("/openai/deployments/gpt/chat/completions?")
    assert "api-version=2025-01-01" in request.path and "a=b" in request.path
    assert request.headers["api-key"] == "azure-key-0123456789"


def test_a_token_of_azures_directory_is_sent_as_one():
    token = "eyJhbGciOi.eyJhdWQiOi.c2lnbmF0dXJl"
    with ChatServer() as server:
        url = f"{server.origin}/openai/deployments/gpt/chat/completions?api-version=2025-01-01"
        event_loop.run(OpenAIModel("m", base_url=url, api_key=token).complete, REQUEST)
        assert server.requests[0].headers["authorization"] == f"Bearer {token}"


@pytest.mark.parametrize(
    "written",
    [
        "{base}/chat/completions",
        "{base}/models/",
        " '{base}/' ",
        "{base}/chat/completions?api-version=7&key=hush-hush",
        "{base}?api-version=7&key=hush-hush",
    ],
)
def test_a_mended_address_is_asked_and_its_query_is_sent(written):
    with ChatServer() as server:
        base = server.base_url.replace("http://", "")  # the scheme is missing, too
        model = OpenAIModel("m", base_url=written.format(base=base))
        assert event_loop.run(model.complete, REQUEST).text
        path, _, query = server.requests[0].path.partition("?")
    assert path == "/v1/chat/completions"
    assert query == ("api-version=7&key=hush-hush" if "?" in written else "")
    assert model.identity["endpoint"] == server.base_url


@pytest.mark.parametrize(
    "given",
    [
        *("nonsense", "gpt-4.1-mini", "ftp://host/v1", "http://", "https://", "http://h:99999x"),
        *("http://[::1", "http://host:0/v1", "http://:8080/v1", "example.org:8000/v1", "/v1", "?"),
        *("http://256.1.1.1:9/v1", "http://\u2603.localhost/v1", "http://127.0.0.1/\x01/v1"),
        *("file:///etc/passwd", "socks5://localhost:1080"),
    ],
)
def test_what_is_no_address_is_refused_and_told(given, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", given)
    with pytest.raises(InvalidInput, match="not the address of a server") as raised:
        event_loop.run(OpenAIModel("m").complete, REQUEST)
    assert "OPENAI_BASE_URL" in str(raised.value) and "http://" in str(raised.value)


def test_a_password_in_an_address_that_is_none_is_not_shown():
    for given in ("ann:pass-word@example.org:8000/v1", "ftp://ann:pass-word@host?key=pass-word"):
        with pytest.raises(InvalidInput) as raised:
            OpenAIModel("m", base_url=given).target()
        assert "pass-word" not in str(raised.value)


def test_a_404_names_the_address_that_was_asked_and_the_one_to_try():
    with ChatServer() as server, pytest.raises(RequestRejected) as raised:
        event_loop.run(OpenAIModel("m", base_url=server.origin).complete, REQUEST)
    assert f"{server.origin}/chat/completions" in str(raised.value)
    assert f"{server.base_url}" in str(raised.value)
