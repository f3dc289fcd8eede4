"""What went wrong with one HTTP request, and which error of ours that is."""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tinyfactory.errors import (
    AuthenticationFailed,
    BadResponse,
    EndpointUnavailable,
    EndpointUnreachable,
    ModelError,
    QuotaExhausted,
    RequestRejected,
    UnknownModel,
)
from tinyfactory.models.http.retry import Mendable

# Spent money does not come back by waiting, though it arrives as 429 like a rate limit does.
_SPENT = re.compile(r"insufficient|billing|credit|balance|payment", re.IGNORECASE)
_ABOUT_MODEL = re.compile(r"\b(model|deployment)\b", re.IGNORECASE)
_NOT_A_MODEL = re.compile(
    r"(not a valid|invalid|unknown|no such) model|model\b.{0,200}\b(not exist|not found)",
    re.IGNORECASE | re.DOTALL,
)
_KEYS = (
    (re.compile(r"\bsk-[\w*.…-]{3,}"), "[key]"),
    (re.compile(r"\b(Bearer|Basic)\s+[^\s\"',}]+", re.IGNORECASE), r"\1 [key]"),
    (
        re.compile(r"(?i)((?:api[-_ ]?key|authorization|token)[\"']?\s*[:=]\s*[\"']?)[^\s\"',}]+"),
        r"\1[key]",
    ),
    (re.compile(r"[\w.-]*\*{4,}[\w.-]*"), "[key]"),  # half a key with stars in it
    (re.compile(r"://[^/@\s]+@"), "://"),
)


def scrub(text: str, *secrets: str | None) -> str:
    """A text of a server without anything that is or looks like a key.

    Examples
    --------
    >>> scrub("Incorrect API key provided: sk-abcd****wxyz. Got abra-cadabra.", "abra-cadabra")
    'Incorrect API key provided: [key] Got [key].'
    """
    for secret in secrets:
        if secret and len(secret) >= 8:  # shorter is a placeholder, "ollama" or the like
            text = text.replace(secret, "[key]")
    for pattern, instead in _KEYS:
        text = pattern.sub(instead, text)
    return text


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that brought no answer.

    `status` is None when no HTTP response came; `kind` then says why: "unreachable" (no
    connection), "timeout" or "dropped".
    """

    message: str
    status: int | None = None
    kind: str = ""
    code: str = ""
    type: str = ""
    param: str = ""
    retry_after: float | None = None

    def __str__(self) -> str:
        said = f"HTTP {self.status}" if self.status is not None else self.kind
        return f"{said}: {self.message}" if self.message else said


def from_status(status: int, body: Any, headers: Mapping[str, str], *secrets: str) -> Failure:
    """Read an error response, as OpenAI, Azure, vLLM, Ollama, llama.cpp and FastAPI word it.

    Parameters
    ----------
    status : int
    body : Any
        The response: decoded JSON, or text where it is none.
    headers : mapping
        With lower-case names, or indifferent to case.
    *secrets : str
        What must not appear in the message.
    """
    if isinstance(body, list) and body:  # Gemini's endpoint wraps the error in a list
        body = body[0]
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        message = error.get("message") or error.get("detail") or error
        code, kind, param = (str(error.get(name) or "") for name in ("code", "type", "param"))
    else:
        message, code, kind, param = error or "", "", "", ""
    if isinstance(body, dict) and isinstance(body.get("error"), str):
        code = code or str(body.get("code") or "")
    text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    if re.match(r"\s*<(!doctype|html)", text, re.IGNORECASE):
        text = "an HTML page"
    text = " ".join(scrub(text, *secrets).split())
    return Failure(
        message=text if len(text) <= 500 else text[:500] + "…",
        status=status,
        code=code,
        type=kind,
        param=param,
        retry_after=_retry_after(headers),
    )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the headers ask to wait; None where they do not, or make no sense."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * unit
        except ValueError:
            when = email.utils.parsedate_tz(value)
            if when is None:
                continue
            seconds = email.utils.mktime_tz(when) - time.time()
        if 0 <= seconds < float("inf"):
            return seconds
    return None


def as_error(failure: Failure, model: str, endpoint: str) -> ModelError | Mendable:
    """The error to raise: a `Mendable` where another attempt may succeed.

    Parameters
    ----------
    failure : Failure
    model, endpoint : str
        For the message.
    """
    if failure.status is None:
        return _without_response(failure, endpoint)
    status, where = failure.status, f"{model} at {endpoint}"
    names = f"{failure.code} {failure.type}"
    if status == 402 or (status == 429 and _SPENT.search(names)):
        return QuotaExhausted(
            f"The account at {endpoint} has nothing left to spend ({failure}). Nothing was "
            "retried; what was finished before is kept. Add credit or raise the limit with the "
            'provider, or go on without a model: tinyfactory.configure(model="offline").'
        )
    if (
        failure.code == "model_not_found"
        or (status in (400, 404) and _NOT_A_MODEL.search(failure.message))
        or (status == 404 and _ABOUT_MODEL.search(failure.message + failure.code))
    ):
        return UnknownModel(
            f"{endpoint} does not know the model {model!r}, or your key may not use it "
            f"({failure}). Nothing was retried. Choose one that it has, by "
            "tinyfactory.configure(model=...) or TINYFACTORY_MODEL; "
            f"{endpoint}/models lists them."
        )
    if status in (401, 403):
        return AuthenticationFailed(
            f"{endpoint} refused the key ({failure}). Nothing was retried; what was finished "
            "before is kept. Check the key (OPENAI_API_KEY, or "
            "tinyfactory.configure(api_key=getpass())) and that it may use "
            f"{model!r} there."
        )
    if status in (408, 409, 429) or status >= 500:
        return Mendable(
            EndpointUnavailable(f"{where} did not answer ({failure})."),
            retry_after=failure.retry_after,
        )
    if status in (404, 405):
        return RequestRejected(
            f"There is no chat endpoint at {endpoint}/chat/completions ({failure}). Nothing was "
            "retried. Check the base URL; for most servers it ends in /v1."
        )
    return RequestRejected(
        f"{where} refuses the request ({failure}). Nothing was retried, because the same request "
        "would be refused again. Change what the message names, or choose another model."
    )


def _without_response(failure: Failure, endpoint: str) -> Mendable:
    if failure.kind == "unreachable":
        error: ModelError = EndpointUnreachable(
            f"Nothing answers at {endpoint} ({failure.message}). Nothing was sent; what was "
            "finished before is kept. Start the server or check the address (OPENAI_BASE_URL or "
            "tinyfactory.configure(base_url=...)) and the network, or go on without a model: "
            'tinyfactory.configure(model="offline").'
        )
        # One quick second look, for a server that is being restarted; waiting mends no address.
        return Mendable(error, pause=0.3, at_most=2)
    return Mendable(EndpointUnavailable(f"{endpoint} did not answer ({failure.message})."))


def bad_response(what: str, excerpt: str, endpoint: str) -> Mendable:
    """A 200 without a chat completion in it; a proxy's hiccup may mend, so one more attempt."""
    error = BadResponse(
        f"{endpoint} answered, but not as a chat endpoint does: {what}. It began: {excerpt!r}. "
        "Nothing of it was kept as an answer. Check the base URL (a login page or a proxy may "
        "stand in between; for most servers it ends in /v1), or run it again."
    )
    return Mendable(error, at_most=2)
