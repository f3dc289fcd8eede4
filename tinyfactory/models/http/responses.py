"""Read an HTTP response: a chat completion, or the error to raise and whether to retry it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from tinyfactory.errors import (
    AuthenticationFailed,
    BadResponse,
    EndpointUnavailable,
    EndpointUnreachable,
    LimitExceeded,
    ModelError,
    PromptRefused,
    QuotaExhausted,
    RequestRejected,
    ResponseTooLarge,
    UnknownModel,
)
from tinyfactory.models.chat import BROKEN_OFF, ONLY_REASONING, ChatReply, Json, Usage
from tinyfactory.models.http.refusals import LONGEST_NAME, Failure, Source, excerpt, read_error
from tinyfactory.redaction import secrets_in
from tinyfactory.utils import bounded_json
from tinyfactory.utils.text import cut

_FILTERED = re.compile(r"content_filter|safety|prohibited|blocklist", re.IGNORECASE)
# Statuses after which the same request may succeed: also a lock (423), a gateway that closed the
# connection (444), a capacity limit (498) and a client that a proxy believed to be gone (460, 499).
_TRY_AGAIN = (408, 409, 423, 424, 425, 429, 444, 460, 498, 499)
# Places of a message that may hold reasoning.
_REASONING = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
_THOUGHTS = ("thinking", "reasoning", "redacted_thinking")
# Characters of reasoning that are searched for the answer, and how often.
_LONGEST_REASONING = 200_000
_MOST_STARTS = 500


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

    Attributes
    ----------
    label : str
        The kind of failure in a few words.
    throttled : bool
        Whether the endpoint is up, and was only asked too often.
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
        self.label = "no chat completion" if isinstance(error, BadResponse) else "no answer"
        self.throttled = False


# --- completions ---------------------------------------------------------------------------------


def read_completion(
    content: bytes | Json, headers: Mapping[str, str], target: Source
) -> Json | Failure:
    """The chat completion in the body of a 200 or a stream, or the error sent as one.

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
        kind = "an HTML page" if html else "no JSON" if content.strip() else "an empty body"
        raise bad_response(kind, content, target) from None
    refused = _refused(body, headers, target)
    if refused is not None:
        return refused
    fault = _fault_of(body)
    if fault is not None:
        raise bad_response(fault, content, target)
    completion: Json = body
    return completion


def _refused(body: Any, headers: Mapping[str, str], target: Source) -> Failure | None:
    """The error in a response with status 200; None if there is none, or none that says why."""
    if not isinstance(body, dict):
        return None
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if isinstance(choice, dict):
        if not isinstance(choice.get("error"), dict):
            return None
        body = {"error": choice["error"]}
    error = body.get("error", body)
    if isinstance(error, dict) and error.get("message"):
        code = str(error.get("code"))
        if code.isdecimal() and 400 <= int(code) < 600:
            return read_error(int(code), body, headers, target)
    failure = read_error(200, body, headers, target)
    if failure.cause:
        return failure
    if choice is None and ("promptFeedback" in body or "prompt_feedback" in body):
        # A prompt that Gemini has blocked.
        return replace(failure, code=failure.code or "content_filter")
    return None


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
    completion: Json,
    target: Source,
    parameters: Json,
    *,
    requests: int,
    seconds: float,
    structured: bool = False,
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
    structured : bool
        Whether the reply should be JSON; it is then looked for in the reasoning, too.
    """
    choice = completion["choices"][0]
    message = choice["message"]
    text = _content(message)
    # Gemini adds a word of its own: "content_filter: PROHIBITED_CONTENT".
    finish_reason = _name(choice.get("finish_reason")).partition(":")[0] or "stop"
    refusal = _text(message.get("refusal")) or None
    if not text.strip() and refusal is None:
        thoughts = (_text(message.get(name), ()) for name in _REASONING)
        reasoning = next((thought for thought in thoughts if thought), "")
        if reasoning.strip():
            text = _last_object(reasoning) if structured else ""
            if not text and finish_reason == "stop":
                finish_reason = ONLY_REASONING
    return ChatReply(
        text=text,
        finish_reason=finish_reason,
        refusal=refusal,
        model=_name(completion.get("model")) or target.model,
        usage=_usage(completion.get("usage")),
        sent=_sent(target, parameters),
        requests=requests,
        seconds=seconds,
    )


def failed_reply(
    failure: Failure, target: Source, parameters: Json, *, requests: int, seconds: float
) -> ChatReply:
    """A reply that the endpoint could not accept, as evidence; it is asked for again."""
    return ChatReply(
        text=failure.generated,
        finish_reason=BROKEN_OFF,
        model=target.model,
        sent=_sent(target, parameters),
        requests=requests,
        seconds=seconds,
    )


def _sent(target: Source, parameters: Json) -> Json:
    """The parameters that were sent, without secrets and the schema."""
    sent = {"model": target.model, **parameters}
    if extra := target.extra_body():
        sent["extra_body"] = "not saved: it holds a secret" if secrets_in(extra) else extra
    if "json_schema" in sent.get("response_format", {}):
        # The request holds the whole schema; the reply only says which one was sent.
        schema = sent["response_format"]["json_schema"]
        named = {name: value for name, value in schema.items() if name != "schema"}
        sent["response_format"] = {"type": "json_schema", "json_schema": named}
    return sent


def _fault_of(body: Any) -> str | None:
    """Why a body is not a chat completion; None if it is one."""
    if not isinstance(body, dict):
        return f"a JSON {type(body).__name__}"
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        return f"`choices` is {json.dumps(choices)[:40]}"
    choice = choices[0]
    if isinstance(choice, dict) and isinstance(choice.get("text"), str):
        choice.setdefault("message", {"content": choice["text"]})  # as of older completions
    if isinstance(choice, dict) and _FILTERED.match(str(choice.get("finish_reason"))):
        choice.setdefault("message", {"content": None})  # as Gemini's, after a refused prompt
    if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
        return "a choice without a `message`"
    return None


def _content(message: Json) -> str:
    """A message's text, or the JSON that some servers send in another place than the text."""
    content = message.get("content")
    if isinstance(content, dict):
        content = json.dumps(content, ensure_ascii=False)
    text = _text(content)
    if text.strip():
        return text
    calls = message.get("tool_calls")
    call = calls[0] if isinstance(calls, list) and calls else None
    call = call.get("function") if isinstance(call, dict) else message.get("function_call")
    arguments = call.get("arguments") if isinstance(call, dict) else None
    for found in (message.get("parsed"), arguments):
        if isinstance(found, dict) and found:
            return _text(json.dumps(found, ensure_ascii=False))
        if isinstance(found, str) and found.strip():
            return _text(found)
    return text


def _text(content: Any, without: tuple[str, ...] = _THOUGHTS) -> str:
    """A message's text; some servers send it in parts, with the reasoning among them."""
    if isinstance(content, list):
        parts = [
            part.get("text") if isinstance(part, dict) else part
            for part in content
            if not isinstance(part, dict) or part.get("type") not in without
        ]
        content = "".join(part for part in parts if isinstance(part, str))
    if not isinstance(content, str):
        return ""
    try:
        content.encode()
    except UnicodeEncodeError:
        # JSON can hold half of a surrogate pair ("\ud800"), which cannot be saved.
        return content.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return content


def _last_object(reasoning: str) -> str:
    """The last JSON object in a text, as it is written there; "" if there is none."""
    text, decoder = reasoning[-_LONGEST_REASONING:], json.JSONDecoder()
    found, end = "", 0
    for start in islice(re.finditer(r"\{\s*\"", text), _MOST_STARTS):
        if start.start() < end:
            continue
        try:
            _, end = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            continue
        found = text[start.start() : end]
    return found


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
    return cut(_text(value), LONGEST_NAME)


# --- errors --------------------------------------------------------------------------------------


def as_error(failure: Failure, target: Source) -> ModelError | Retryable:
    """The error to raise for a failure: a `Retryable` if another attempt may succeed."""
    if failure.status is None:
        return _without_response(failure, target.endpoint)
    status, endpoint, cause = failure.status, target.endpoint, failure.cause
    # After a daily limit with a time, the retry policy waits or says until when.
    if cause in _MESSAGES and not (cause == "daily" and failure.retry_after is not None):
        kind, wrong, cure = _MESSAGES[cause]
        wrong = wrong.format(what=target.what, endpoint=endpoint)
        return kind(
            f"{wrong} ({failure}). The request was not retried; finished work is saved. {cure}"
        )
    if cause == "model":
        return UnknownModel(
            f"{endpoint} does not know the model {target.model!r}, or your key may not use it "
            f"({failure}). The request was not retried. Choose another model: "
            "tinyfactory.configure(model=...) or TINYFACTORY_MODEL; "
            f"{endpoint}/models lists them."
        )
    if cause == "key":
        return AuthenticationFailed(
            f"{endpoint} rejected the key ({failure}). The request was not retried; finished "
            "work is saved. Check the key (OPENAI_API_KEY, or "
            "tinyfactory.configure(api_key=getpass())) and that it may use "
            f"{target.model!r} there."
        )
    if status in _TRY_AGAIN or status >= 500 or cause == "moment":
        return Retryable(
            EndpointUnavailable(f"{target.what} did not answer ({failure})."),
            retry_after=failure.retry_after,
            # Some daily limits name a wait of seconds, again and again.
            at_most=3 if cause == "daily" else None,
        )
    if status in (404, 405):
        example = "" if "/v" in endpoint else f": {endpoint}/v1"
        return RequestRejected(
            f"There is no chat endpoint at {endpoint}/chat/completions ({failure}). The request "
            f"was not retried. Check the base URL; for most servers it ends in /v1{example}."
        )
    ours = [name for name in target.extra_body() if name in failure.message]
    whence = f" ({', '.join(ours)}: from extra_body)" if ours else ""
    return RequestRejected(
        f"{target.what} rejected the request ({failure}). It was not retried, because the same "
        f"request would be rejected again. Change what the message names{whence}, or choose "
        "another model."
    )


# For each cause the error, what is wrong, and what to do.
_MESSAGES: dict[str, tuple[type[ModelError], str, str]] = {
    "content": (
        PromptRefused,
        "A content filter at {endpoint} refused the prompt",
        (
            "The same prompt would be refused again: change the words of the context or of the "
            "particularities, or the filter's settings with the provider, or choose another model."
        ),
    ),
    "balance": (
        QuotaExhausted,
        "The account at {endpoint} has no credit left",
        (
            "Add credit or raise the limit with the provider, or continue without a model: "
            'tinyfactory.configure(model="offline").'
        ),
    ),
    "daily": (
        QuotaExhausted,
        "A limit of the account at {endpoint} is used up for now",
        (
            "Run it again when the limit is reset, raise it with the provider, or choose another "
            "model: tinyfactory.configure(model=...)."
        ),
    ),
    "account": (
        AuthenticationFailed,
        "{endpoint} does not serve this account or key",
        (
            "Clear it up with the provider, or use another key: "
            "tinyfactory.configure(api_key=getpass())."
        ),
    ),
    "region": (
        RequestRejected,
        "{what} is not available in your country or region",
        (
            "Use a provider that serves it, or a model on your own machine: "
            "tinyfactory.configure(base_url=..., model=...)."
        ),
    ),
    "policy": (
        RequestRejected,
        "The settings of your account at {endpoint} exclude every server of this model",
        (
            "Change the data policy or the allowed providers in those settings, or choose another "
            "model: tinyfactory.configure(model=...)."
        ),
    ),
    "context": (
        RequestRejected,
        "The prompt is longer than {what} can read",
        (
            "Shorten the context, the particularities or your own template, choose a model with a "
            "longer context, or raise the context size of your own server."
        ),
    ),
}


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
        EndpointUnavailable(
            f"{endpoint} did not answer ({failure.message}). {failure.advice}".strip()
        ),
        at_most=2 if failure.advice else None,
        is_slow=bool(failure.advice),
    )


def bad_response(fault: str, content: bytes, target: Source) -> Retryable:
    """A 200 without a chat completion in it. A proxy may cause that once, so retry it once."""
    text = excerpt(content[:5000].decode("utf-8", "replace"), target, 200)
    error = BadResponse(
        f"{target.endpoint}/chat/completions was asked and did not answer like a chat endpoint: "
        f"{fault}. The response began: {text!r}. Nothing of it was saved as a reply. Check the "
        "base URL (a login page or a proxy may answer instead; for most servers it ends in /v1), "
        "or run it again."
    )
    return Retryable(error, pause=0.3, at_most=2)
