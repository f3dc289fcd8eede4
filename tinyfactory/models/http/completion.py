"""Reading a chat completion: the body of a 200, which may be anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tinyfactory.models.chat import Json, Usage
from tinyfactory.models.http.endpoint import Target
from tinyfactory.models.http.responses import Failure, bad_response, from_status, scrub


def decoded(content: bytes, headers: Mapping[str, str], target: Target) -> Json | Failure:
    """The completion in a body, or the error that some servers send with status 200.

    Raises
    ------
    Mendable
        For what is neither, with a `BadResponse`.
    """
    secrets = target.secrets()
    excerpt = scrub(" ".join(content[:200].decode("utf-8", "replace").split()), *secrets)
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        html = content[:300].lstrip().lower().startswith((b"<!doctype", b"<html"))
        what = "an HTML page" if html else "no JSON"
        raise bad_response(what, excerpt, target.endpoint) from None
    wrong = _shortcoming(body)
    if wrong is None:
        completion: Json = body
        return completion
    error = body.get("error", body) if isinstance(body, dict) else None
    if isinstance(error, dict) and error.get("message"):
        code = error.get("code")
        if isinstance(code, int) and 400 <= code < 600:
            return from_status(code, body, headers, *secrets)
    raise bad_response(wrong, excerpt, target.endpoint)


def said(body: Json) -> Json:
    """What of a `ChatReply` stands in the body of a completion."""
    choice = body["choices"][0]
    message = choice["message"]
    return {
        "text": _text(message.get("content")),
        "finish_reason": str(choice.get("finish_reason") or "stop"),
        "refusal": _text(message.get("refusal")) or None,
        "model": str(body.get("model") or ""),
        "usage": _usage(body.get("usage")),
    }


def _shortcoming(body: Any) -> str | None:
    """What keeps a body from being a chat completion; None when nothing does."""
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
    # JSON can name half of a character pair ("\\ud800"), which no journal can write.
    return content.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _usage(usage: Any) -> Usage:
    """Token counts, 0 where the endpoint does not say or says something else than a number."""

    def count(source: Any, *names: str) -> int:
        values = (source.get(name) for name in names) if isinstance(source, dict) else ()
        return next((v for v in values if isinstance(v, int) and v > 0), 0)

    if not isinstance(usage, dict):
        return Usage()
    cached = count(usage.get("prompt_tokens_details"), "cached_tokens")
    return Usage(
        prompt_tokens=count(usage, "prompt_tokens"),
        completion_tokens=count(usage, "completion_tokens"),
        cached_tokens=cached or count(usage, "prompt_cache_hit_tokens"),
    )
