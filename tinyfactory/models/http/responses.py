"""Read an HTTP response: a chat completion, or the error to raise and whether to retry it."""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tinyfactory.errors import (
    AuthenticationFailed,
    BadResponse,
    EndpointUnavailable,
    EndpointUnreachable,
    LimitExceeded,
    ModelError,
    QuotaExhausted,
    RequestRejected,
    ResponseTooLarge,
    UnknownModel,
)
from tinyfactory.models.chat import ChatReply, Json, Usage
from tinyfactory.redaction import scrub
from tinyfactory.utils import bounded_json
from tinyfactory.utils.text import cut

# An exhausted balance arrives as 429 like a rate limit, but waiting does not help.
_SPENT = re.compile(r"insufficient|billing|credit|balance|payment", re.IGNORECASE)
_ABOUT_MODEL = re.compile(r"\b(model|deployment)\b", re.IGNORECASE)
_NOT_A_MODEL = re.compile(
    r"(not a valid|invalid|unknown|no such) model|model\b.{0,200}\b(not exist|not found)",
    re.IGNORECASE | re.DOTALL,
)


# Names of models, and codes of errors.
_LONGEST_NAME = 200
# Keys are shorter.
_LONGEST_SECRET = 400
# `Retry-After` is a number or a date.
_LONGEST_TIME = 60


class Source(Protocol):
    """The model and endpoint of a response, as a `Target` has them."""

    @property
    def model(self) -> str:
        """The model's name."""
        ...

    @property
    def endpoint(self) -> str:
        """The address without secrets."""
        ...

    @property
    def what(self) -> str:
        """Model and endpoint, for messages."""
        ...

    def secrets(self) -> tuple[str, ...]:
        """Texts that must not appear in messages."""
        ...


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that brought no completion.

    `status` is None if there was no HTTP response; `kind` then says why: "unreachable" (no
    connection), "set-up" (a proxy, a certificate or the protocol; asking again cannot help),
    "timeout" or "dropped". `advice` says what the user can do.
    """

    message: str
    status: int | None = None
    kind: str = ""
    code: str = ""
    type: str = ""
    param: str = ""
    retry_after: float | None = None
    advice: str = ""

    def __str__(self) -> str:
        said = f"HTTP {self.status}" if self.status is not None else self.kind
        return f"{said}: {self.message}" if self.message else said


class Retryable(Exception):
    """An attempt failed and another may succeed; `error` is raised if none does.

    Parameters
    ----------
    error : ModelError
    retry_after : float, optional
        Seconds that the endpoint asks to wait.
    pause : float, optional
        Seconds to wait instead of the policy's backoff.
    at_most : int, optional
        Number of attempts after which this failure is final.
    is_slow : bool
        Whether a wait that a setting allows was too short.
    """

    def __init__(
        self,
        error: ModelError,
        *,
        retry_after: float | None = None,
        pause: float | None = None,
        at_most: int | None = None,
        is_slow: bool = False,
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after = retry_after
        self.pause = pause
        self.at_most = at_most
        self.is_slow = is_slow


# --- completions ---------------------------------------------------------------------------------


def read_completion(
    content: bytes | Json, headers: Mapping[str, str], target: Source
) -> Json | Failure:
    """The chat completion in the body of a 200 or in a stream, or the error that some servers send with it.

    Raises
    ------
    Retryable
        With a `BadResponse`, if the body is neither.
    """
    if isinstance(content, dict):
        return _read_streamed(content, headers, target)
    try:
        body = bounded_json.parse(content)
    except LimitExceeded as exceeded:
        # A proxy may cause that once, as any bad response.
        large = ResponseTooLarge(
            f"The response of {target.endpoint} was not read; check the base URL. {exceeded}"
        )
        raise Retryable(large, at_most=2) from None
    except ValueError:
        html = content[:300].lstrip().lower().startswith((b"<!doctype", b"<html"))
        raise bad_response("an HTML page" if html else "no JSON", content, target) from None
    fault = _fault_of(body)
    if fault is None:
        completion: Json = body
        return completion
    error = body.get("error", body) if isinstance(body, dict) else None
    if isinstance(error, dict) and error.get("message"):
        code = error.get("code")
        if isinstance(code, int) and 400 <= code < 600:
            return read_error(code, body, headers, target)
    raise bad_response(fault, content, target)


def _read_streamed(body: Json, headers: Mapping[str, str], target: Source) -> Json | Failure:
    content = json.dumps(body).encode()
    if not body.get("error"):
        return read_completion(content, headers, target) if _fault_of(body) else body
    try:
        found = read_completion(content, headers, target)
    except Retryable:
        # The model had begun: that is no wrong address, but a server error.
        found = read_error(502, body, headers, target)
    return found


def read_reply(
    completion: Json, target: Source, parameters: Json, *, requests: int, seconds: float
) -> ChatReply:
    """The reply in a chat completion.

    Parameters
    ----------
    completion : dict
        From `read_completion`.
    target : Source
    parameters : dict
        The parameters that were sent.
    requests : int
        HTTP requests that it took.
    seconds : float
    """
    choice = completion["choices"][0]
    message = choice["message"]
    sent = {"model": target.model, **parameters}
    if "json_schema" in sent.get("response_format", {}):
        # The request holds the whole schema; the reply only says which one was sent.
        schema = sent["response_format"]["json_schema"]
        named = {name: value for name, value in schema.items() if name != "schema"}
        sent["response_format"] = {"type": "json_schema", "json_schema": named}
    return ChatReply(
        text=_text(message.get("content")),
        finish_reason=_name(choice.get("finish_reason")) or "stop",
        refusal=_text(message.get("refusal")) or None,
        model=_name(completion.get("model")) or target.model,
        usage=_usage(completion.get("usage")),
        sent=sent,
        requests=requests,
        seconds=seconds,
    )


def _fault_of(body: Any) -> str | None:
    """Why a body is not a chat completion; None if it is one."""
    if not isinstance(body, dict):
        return f"a JSON {type(body).__name__}"
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        return f"`choices` is {json.dumps(choices)[:40]}"
    if not isinstance(choices[0], dict) or not isinstance(choices[0].get("message"), dict):
        return "a choice without a `message`"
    return None


def _text(content: Any) -> str:
    """A message's text; some servers send it in parts."""
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        content = "".join(part for part in parts if isinstance(part, str))
    if not isinstance(content, str):
        return ""
    try:
        content.encode()
    except UnicodeEncodeError:
        # JSON can hold half of a surrogate pair ("\ud800"), which cannot be saved.
        return content.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return content


def _usage(usage: Any) -> Usage:
    """Token counts; 0 where the endpoint gives none or no number."""
    if not isinstance(usage, dict):
        return Usage()
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return Usage(
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        cached_tokens=_count(cached) or _count(usage.get("prompt_cache_hit_tokens")),
    )


def _count(value: Any) -> int:
    # No request has a thousand million tokens; a huge number could not become a price.
    return value if type(value) is int and 0 < value < 10**9 else 0


def _name(value: Any) -> str:
    """A short text, such as the name of a model; "" for anything else."""
    return cut(_text(value), _LONGEST_NAME)


# --- errors --------------------------------------------------------------------------------------


def read_error(status: int, body: Any, headers: Mapping[str, str], target: Source) -> Failure:
    """Read an error response of OpenAI, Azure, vLLM, Ollama, llama.cpp or FastAPI.

    Parameters
    ----------
    status : int
    body : Any
        Decoded JSON, or the text if it is not JSON.
    headers : mapping
        With lower-case names, or case-insensitive.
    target : Source
        Its secrets are removed from the message.
    """
    if isinstance(body, list) and body:  # Gemini's endpoint wraps the error in a list
        body = body[0]
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        message = error.get("message") or error.get("detail") or error
        code, kind, param = (_word(error.get(name)) for name in ("code", "type", "param"))
    else:
        message, code, kind, param = error or "", "", "", ""
    if isinstance(body, dict) and isinstance(body.get("error"), str):
        code = code or _word(body.get("code"))
    text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    if text[:300].lstrip().lower().startswith(("<!doctype", "<html")):
        text = "an HTML page"
    return Failure(
        message=_excerpt(text, target, 500),
        status=status,
        code=code,
        type=kind,
        param=param,
        retry_after=_retry_after(headers),
    )


def _excerpt(text: str, target: Source, length: int) -> str:
    """The beginning of a server's text in one line, without secrets."""
    # More than is shown, so that a key is removed whole before the text is cut; and not much
    # more, because the text may be megabytes long.
    longer = text[: 2 * length + _LONGEST_SECRET]
    shown = " ".join(scrub(longer, *target.secrets()).split())
    if len(longer) < len(text):
        # A key at the end may have been cut in two, and was not recognised then.
        shown = shown[:-_LONGEST_SECRET]
    return cut(shown, length + 1)


def _word(value: Any) -> str:
    """A code of an error, which is a short text or a number."""
    return cut(str(value), _LONGEST_NAME) if isinstance(value, (str, int)) and value else ""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the headers ask to wait; None if they do not, or not in a readable form."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None or len(value) > _LONGEST_TIME:
            continue
        try:
            seconds = float(value) * unit
        except ValueError:
            try:
                when = email.utils.parsedate_tz(value)
                seconds = email.utils.mktime_tz(when) - time.time() if when else -1.0
            except (ValueError, OverflowError, TypeError, IndexError):  # not a date that exists
                continue
        if 0 <= seconds < float("inf"):
            return seconds
    return None


def as_error(failure: Failure, target: Source) -> ModelError | Retryable:
    """The error to raise for a failure: a `Retryable` if another attempt may succeed."""
    if failure.status is None:
        return _without_response(failure, target.endpoint)
    status, endpoint = failure.status, target.endpoint
    names = f"{failure.code} {failure.type}"
    if status == 402 or (status == 429 and _SPENT.search(names)):
        return QuotaExhausted(
            f"The account at {endpoint} has no credit left ({failure}). The request was not "
            "retried; finished work is saved. Add credit or raise the limit with the provider, "
            'or continue without a model: tinyfactory.configure(model="offline").'
        )
    if (
        failure.code == "model_not_found"
        or (status in (400, 404) and _NOT_A_MODEL.search(failure.message))
        or (status == 404 and _ABOUT_MODEL.search(failure.message + failure.code))
    ):
        return UnknownModel(
            f"{endpoint} does not know the model {target.model!r}, or your key may not use it "
            f"({failure}). The request was not retried. Choose another model: "
            "tinyfactory.configure(model=...) or TINYFACTORY_MODEL; "
            f"{endpoint}/models lists them."
        )
    if status in (401, 403):
        return AuthenticationFailed(
            f"{endpoint} rejected the key ({failure}). The request was not retried; finished "
            "work is saved. Check the key (OPENAI_API_KEY, or "
            "tinyfactory.configure(api_key=getpass())) and that it may use "
            f"{target.model!r} there."
        )
    if status in (408, 409, 429) or status >= 500:
        return Retryable(
            EndpointUnavailable(f"{target.what} did not answer ({failure})."),
            retry_after=failure.retry_after,
        )
    if status in (404, 405):
        example = "" if "/v" in endpoint else f": {endpoint}/v1"
        return RequestRejected(
            f"There is no chat endpoint at {endpoint}/chat/completions ({failure}). The request "
            f"was not retried. Check the base URL; for most servers it ends in /v1{example}."
        )
    return RequestRejected(
        f"{target.what} rejected the request ({failure}). It was not retried, because the same "
        "request would be rejected again. Change what the message names, or choose another model."
    )


def _without_response(failure: Failure, endpoint: str) -> ModelError | Retryable:
    if failure.kind == "set-up":
        return EndpointUnreachable(
            f"{failure.message}. Nothing was sent to {endpoint}; finished work is saved. The "
            "request was not retried."
        )
    if failure.kind == "unreachable":
        error: ModelError = EndpointUnreachable(
            f"No server answers at {endpoint} ({failure.message}). Nothing was sent; finished "
            "work is saved. Start the server or check the address (OPENAI_BASE_URL or "
            "tinyfactory.configure(base_url=...)) and the network, or continue without a model: "
            'tinyfactory.configure(model="offline").'
        )
        # One more try soon, for a server that is restarting; a wrong address stays wrong.
        return Retryable(error, pause=0.3, at_most=2)
    # A server that is too slow stays so: a third wait would be as long as the first two.
    return Retryable(
        EndpointUnavailable(f"{endpoint} did not answer ({failure.message}). {failure.advice}".strip()),
        at_most=2 if failure.advice else None,
        is_slow=bool(failure.advice),
    )


def bad_response(fault: str, content: bytes, target: Source) -> Retryable:
    """A 200 without a chat completion in it. A proxy may cause that once, so retry it once."""
    text = _excerpt(content[:5000].decode("utf-8", "replace"), target, 200)
    error = BadResponse(
        f"{target.endpoint} did not answer like a chat endpoint: {fault}. The response began: "
        f"{text!r}. Nothing of it was saved as a reply. Check the base "
        "URL (a login page or a proxy may answer instead; for most servers it ends in /v1), or "
        "run it again."
    )
    return Retryable(error, at_most=2)
