"""A chat server on loopback that behaves like one provider of `server_profiles`.

with ProfileServer(PROFILES["Groq"]) as server:
    ...  # server.base_url; server.model; server.refused lists what it refused
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from tests.support.answers import Answer, Json, Request, as_asked, good_answer
from tinyfactory.models.loopback.server import LoopbackServer
from tinyfactory.models.loopback.server import Request as Received

# What can go wrong, and how the provider says so.
Kind = Literal["key", "model", "spent", "rate", "overload", "filter", "failed"]
Thought = Literal["", "reasoning_content", "reasoning", "tags", "parts"]
Usage = Literal["chunk", "last", "x_groq", "none"]
THOUGHT = 'A person is wanted. A draft: {"name": "Draft", "age": 99}. It should be someone else.'
INTERVIEW = "I was at the harbour before six, as on most days."


def error(status: int, **fields: Any) -> Answer:
    """An error in OpenAI's form, with all its fields unless they are given as ``...``."""
    whole = {"message": "", "type": "invalid_request_error", "param": None, "code": None} | fields
    return Answer(status, {"error": {k: v for k, v in whole.items() if v is not ...}})


@dataclass(frozen=True)
class Refusal:
    """A part of a request that a server refuses.

    Parameters
    ----------
    what : str
        Its name, for the counts of a test.
    has : callable
        Whether the body of a request has it.
    answer : Answer
    """

    what: str
    has: Callable[[Json], Any]
    answer: Answer


@dataclass(frozen=True)
class ServerProfile:
    """One kind of server: what it refuses, how its replies look, and how it says what is wrong.

    Parameters
    ----------
    name : str
    base_url : str
        As its documentation gives it.
    model : str
        A model's name in its form.
    schema : str
        The form of reply that it accepts in the end: a "strict schema", a "plain schema" without
        bounds, "JSON" or "text".
    refuses : tuple of Refusal
        In the order in which the server checks them.
    says : dict
        An answer for each `Kind` that it has.
    length : str
        The name of the bound on length that it accepts, or "both".
    thought : str
        Where it puts the reasoning of a model.
    prose : bool
        Whether JSON arrives within a code block with a sentence before it.
    finish : str
        Its word for the end of a whole reply.
    usage : str
        Where it counts tokens in a stream.
    comment : str
        What it sends while a stream waits.
    done : bool
        Whether a stream ends with ``[DONE]``.
    local : bool
        Whether it runs on one's own machine, without a key.
    settings : dict
        What else a user must configure.
    """

    name: str
    base_url: str
    model: str
    schema: str = "strict schema"
    refuses: tuple[Refusal, ...] = ()
    says: dict[Kind, Answer] = field(default_factory=dict)
    length: str = "both"
    thought: Thought = ""
    prose: bool = False
    finish: str = "stop"
    usage: Usage = "chunk"
    comment: str = ""
    done: bool = True
    local: bool = False
    settings: Json = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The path of its base URL."""
        return urlsplit(self.base_url).path.rstrip("/")


class ProfileServer(LoopbackServer):
    """Serves a profile; `faults` gives an answer of another kind to requests by their number.

    Parameters
    ----------
    profile : ServerProfile
    faults : dict
        A `Kind` for the ordinal of a person; all but "filter" happen once.

    Attributes
    ----------
    requests : list of Request
        All chat requests so far.
    refused : list of str
        What it refused, by `Refusal.what`.
    always : Kind or None
        What it answers to every request.
    """

    def __init__(self, profile: ServerProfile, faults: dict[int, Kind] | None = None) -> None:
        super().__init__()
        self.profile = profile
        self.faults = dict(faults or {})
        self.always: Kind | None = None
        self.requests: list[Request] = []
        self.refused: list[str] = []
        self._good = good_answer()
        self._number = itertools.count(1)

    @property
    def base_url(self) -> str:
        return self.origin + self.profile.path

    @property
    def model(self) -> str:
        return self.profile.model

    def answer(self, received: Received) -> Answer:
        request = Request(**vars(received))
        if urlsplit(request.path).path != f"{self._chat}/chat/completions":
            return Answer(404, {"detail": "Not Found"})
        self.requests.append(request)
        if self.always is not None:
            return self.profile.says[self.always]
        fault = self.faults.get(_ordinal(request))
        if fault == "filter":  # a prompt is checked before everything else
            return self._said(fault, request)
        for refusal in self.profile.refuses:
            if refusal.has(request.body):
                self.refused.append(refusal.what)
                return refusal.answer
        if fault is not None:
            del self.faults[_ordinal(request)]
            return self._said(fault, request)
        return self._reply(request)

    @property
    def _chat(self) -> str:
        azure = f"/openai/deployments/{self.model}"
        return azure if self.profile.name.startswith("Azure") else self.profile.path

    def _said(self, fault: Kind, request: Request) -> Answer:
        """What is wrong; with status 200 in a stream, if a stream was asked for."""
        answer = self.profile.says[fault]
        if answer.status != 200 or not request.body.get("stream"):
            return answer
        body = dict(answer.body)
        choices = [
            {"delta" if name == "message" else name: value for name, value in choice.items()}
            for choice in body.get("choices", ())
        ]
        return _events(self.profile, [body | ({"choices": choices} if choices else {})])

    def _reply(self, request: Request) -> Answer:
        text = self._text(request)
        answer = (_streamed if request.body.get("stream") else _whole)(self.profile, text)
        usage = {"prompt_tokens": 900, "completion_tokens": len(text) // 4}
        return answer(usage, self.model, next(self._number))

    def _text(self, request: Request) -> str:
        """The text of the reply: a person as asked, contexts, a rewritten field, or an answer."""
        prompt = request.last_message
        if key := re.search(r"<key>(\w+)</key>", prompt):
            text = json.dumps({key.group(1): ["mends nets", "reads on the ferry"]})
        elif "<ordinal>" in prompt:
            text = _content(as_asked(request))
        elif re.search(r"<number>\s*\d", prompt):
            text = _content(self._good(request))
        else:
            return INTERVIEW
        return f"Here is the JSON:\n\n```json\n{text}\n```" if self.profile.prose else text


def _content(made: Answer | None) -> str:
    assert made is not None
    return str(made.body["choices"][0]["message"]["content"])


def _ordinal(request: Request) -> int:
    found = re.search(r"<ordinal>(\d+)</ordinal>", request.last_message)
    return int(found.group(1)) if found else 0


def form(request: Request) -> str:
    """The form of reply that a request wants, as `ServerProfile.schema` names it."""
    if request.format == "json_schema":
        strict = request.body["response_format"]["json_schema"].get("strict")
        return "strict schema" if strict else "plain schema"
    return {"json_object": "JSON", "none": "text"}[request.format]


# -- how a reply looks ------------------------------------------------------------------------


def _message(profile: ServerProfile, text: str) -> Json:
    """The message of a reply, with the reasoning in its place."""
    if profile.thought == "tags":
        return {"role": "assistant", "content": f"<think>\n{THOUGHT}\n</think>\n\n{text}"}
    if profile.thought == "parts":
        thinking = {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}
        return {"role": "assistant", "content": [thinking, {"type": "text", "text": text}]}
    if profile.thought:
        return {"role": "assistant", "content": text, profile.thought: THOUGHT}
    return {"role": "assistant", "content": text}


def _whole(profile: ServerProfile, text: str) -> Callable[[Json, str, int], Answer]:
    def answer(usage: Json, model: str, number: int) -> Answer:
        choice = {"index": 0, "message": _message(profile, text), "finish_reason": profile.finish}
        head = {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion",
            "created": 1,
            "model": model,
        }
        return Answer(200, head | {"choices": [choice], "usage": usage})

    return answer


def _streamed(profile: ServerProfile, text: str) -> Callable[[Json, str, int], Answer]:
    def answer(usage: Json, model: str, number: int) -> Answer:
        head = {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": model,
        }
        return _events(profile, [head | chunk for chunk in _chunks(profile, text, usage)])

    return answer


def _events(profile: ServerProfile, chunks: list[Json]) -> Answer:
    """A stream of these chunks."""
    lines = [profile.comment] if profile.comment else []
    lines += ["data: " + json.dumps(chunk, ensure_ascii=False) for chunk in chunks]
    lines += ["data: [DONE]"] if profile.done else []
    content = "".join(f"{line}\n\n" for line in lines)
    return Answer(200, content, {"content-type": "text/event-stream; charset=utf-8"})


def _chunks(profile: ServerProfile, text: str, usage: Json) -> Iterator[Json]:
    def delta(delta: Json, finish: str | None = None) -> Json:
        return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    yield delta({"role": "assistant", "content": ""})
    message = _message(profile, text)
    if profile.thought in ("reasoning_content", "reasoning"):
        for piece in _pieces(THOUGHT):
            yield delta({profile.thought: piece, "content": None})
    content = message["content"]
    if isinstance(content, list):
        yield delta({"content": content[:1]})
        content = text
    for piece in _pieces(content):
        yield delta({"content": piece})
    last = delta({}, profile.finish)
    if profile.usage == "last":
        last["usage"] = usage
    if profile.usage == "x_groq":
        last["x_groq"] = {"id": "req_1", "usage": usage}
    yield last
    if profile.usage == "chunk":
        yield {"choices": [], "usage": usage}


def _pieces(text: str) -> Iterator[str]:
    return (text[start : start + 200] for start in range(0, len(text), 200))
