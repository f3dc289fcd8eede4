"""Answers of a chat server with status 200: good replies, bad replies, and invalid bodies."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Callable
from typing import Any

from tests.support.people import person
from tinyfactory.models.loopback import server

Json = dict[str, Any]
Answer = server.Answer


class Request(server.Request):
    """A request, with the properties that tests check."""

    @property
    def format(self) -> str:
        return (self.body.get("response_format") or {}).get("type", "none")

    @property
    def schema_name(self) -> str | None:
        schema = (self.body.get("response_format") or {}).get("json_schema") or {}
        return schema.get("name")

    @property
    def last_message(self) -> str:
        users = [m for m in self.body.get("messages", []) if m["role"] == "user"]
        return str(users[-1]["content"]) if users else ""


# Returns None if it does not apply; then the next rule, the script or the default answers.
Behaviour = Callable[[Request], Answer | None]


def answer(
    content: str | Json | None,
    finish_reason: str = "stop",
    usage: Json | None = None,
    refusal: str | None = None,
    model: str = "test-model",
) -> Answer:
    """A chat completion with this text (or this object as JSON text)."""
    text = json.dumps(content, ensure_ascii=False) if isinstance(content, dict) else content
    tokens = {
        "prompt_tokens": 100,
        "completion_tokens": max(1, len(text or "") // 4),
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    }
    message: Json = {"role": "assistant", "content": text, "refusal": refusal, "annotations": []}
    return Answer(
        200,
        {
            "id": "chatcmpl-test",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model,
            "choices": [
                {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
            ],
            "usage": tokens if usage is None else usage,
            "system_fingerprint": None,
        },
    )


def good_answer() -> Behaviour:
    """The default answers: a new valid person each time, or the requested contexts."""
    numbers = itertools.count()

    def reply(request: Request) -> Answer:
        wanted = re.search(r"<number>\s*(\d+)\s*</number>", request.last_message)
        name = request.schema_name
        if name == "contexts" or (name is None and wanted):
            count = int(wanted.group(1)) if wanted else 3
            start = next(numbers)
            texts = [f"{_context(start + i)} (group {start}, part {i + 1})" for i in range(count)]
            return answer({"contexts": texts})
        return answer(person(next(numbers)))

    return reply


def _context(number: int) -> str:
    scenes = (
        "A baker who closed the shop for the first time in years to come along",
        "A trainee nurse who has never slept in a tent and says so often",
        "A retired surveyor who drew the map that the others follow",
        "A student of law who keeps the fire going and the talk too",
    )
    return scenes[number % len(scenes)]


def refusal(text: str = "I'm sorry, I can't help with that.") -> Answer:
    return answer(None, refusal=text)


def truncated(text: str = '{"name": "Ana Sil') -> Answer:
    return answer(text, finish_reason="length")


def empty() -> Answer:
    """A completion whose text is empty."""
    return answer("")


def fenced(content: Json) -> Answer:
    return answer(f"```json\n{json.dumps(content, indent=2)}\n```")


def prefixed(content: Json) -> Answer:
    text = f"Sure! Here is the person you asked for:\n\n{json.dumps(content)}\n\nShall I go on?"
    return answer(text)


def trailing_comma(content: Json) -> Answer:
    text = json.dumps(content, indent=1)
    return answer(re.sub(r"\n}$", ",\n}", text))


def huge(characters: int = 2_000_000) -> Answer:
    """A valid person with a text of that length."""
    return answer(person(0) | {"style": "a" * characters})


# --- a 200 without a reply -----------------------------------------------------------------------


def html_page() -> Answer:
    page = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Sign in</body></html>"
    return Answer(200, page, {"content-type": "text/html; charset=utf-8"})


def choices_null() -> Answer:
    """An error with status 200, as some gateways send it when their model failed."""
    return Answer(200, answer("").body | {"choices": None, "usage": None})


def message_null() -> Answer:
    return Answer(200, answer("").body | {"choices": [{"index": 0, "message": None}]})


def no_choices() -> Answer:
    return Answer(200, answer("").body | {"choices": []})


def as_asked(request: Request) -> Answer:
    """An answer whose person has the fields given in the particularities."""
    text = request.last_message
    asked = text.partition("<particularities>\n")[2].partition("\n</particularities>")[0]
    number = int(text.partition("<ordinal>")[2].partition("</ordinal>")[0])
    fields = json.loads(asked) if asked.startswith("{") else {}
    made = person(number)
    for key in ("name", "age"):
        made[key] = fields.get(key, made[key])
    made["gender"] = fields.get("sex", made["gender"])
    if "occupation" in fields:
        made["occupation"] = made["occupation"] | {"title": fields["occupation"]}
    places = [fields[key] for key in ("city", "region", "country") if key in fields]
    made["residence"] = ", ".join(places) or made["residence"]
    return answer(made)
