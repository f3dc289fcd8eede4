"""What an endpoint accepts in a request: learnt from its refusals, remembered per model.

The first request asks for everything. Each refusal removes one thing: a strict schema becomes a
plain one, plain JSON, then free text; a parameter gets its newer name, then is left out; the
instructions become a part of the user's message. The result is remembered only once a request was
answered, so that a server that is down teaches nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from tinyfactory.models.chat import ChatRequest, Json
from tinyfactory.models.http.endpoint import Target
from tinyfactory.models.http.refusals import Failure
from tinyfactory.utils.concurrency import new_lock
from tinyfactory.utils.logs import get_logger

log = get_logger("tinyfactory.models")

# The names of the bound on the length, and by how much it is raised for reasoning.
LENGTHS = ("max_tokens", "max_completion_tokens")
MORE_ROOM = 4
_NO = r"(?:n[o']t|unsupported|unknown|unrecogni[sz]ed|unexpected|only|must|disabled|extra|invalid)"
_STREAM = r"\b(?:stream|streaming|streamed|stream_options|include_usage)\b"
_ABOUT_STREAM = re.compile(
    rf"{_STREAM}.{{0,80}}{_NO}|{_NO}.{{0,80}}{_STREAM}", re.IGNORECASE | re.DOTALL
)
_NO_STREAMS = re.compile(r"\bstream(?:ing)?\b.{0,40}\b(?:not|n't|un) ?support", re.IGNORECASE)
_OPTIONS = re.compile("stream_options|include_usage", re.IGNORECASE)
_HIGHEST = re.compile(
    r"(?:at most|less than or equal to|smaller than|up to|maximum[^.\d]{0,60}|<=?|> |,)"
    r"\s*[`'\"]?(\d{2,7})",
    re.IGNORECASE,
)
FORMATS = ("json_schema", "plain_schema", "json_object", "none")
# All that a plain schema holds.
_PLAIN = ("type", "properties", "required", "items", "enum", "description", "anyOf")
# The most characters of a text in a schema, for a model that went on in one text without end. It is
# not sent to others, because OpenAI's strict schemas know no such bound.
_LONGEST_TEXT = 500
# Generations of an unproven format that may fail in a row.
_MOST_FAILED = 3


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one model at one endpoint accepts.

    Parameters
    ----------
    format : str
        The best response format that it accepts, one of `FORMATS`.
    dropped : frozenset of str
        Parameters that it refuses, which are left out.
    renamed : bool
        Whether it wants ``max_completion_tokens`` instead of ``max_tokens``.
    folded : bool
        Whether it has no system role: instructions then begin the first message of the user.
    proven : bool
        Whether it answered a request with a schema. Failures without a reason are then not blamed
        on the schema.
    roomy : bool
        Whether its reasoning used up the bound on the length once, which is then four times as
        high.
    most : int, optional
        The highest bound on the length that it accepts.
    guessed : bool
        Whether the format was lowered after a failure that gave no reason.
    lengths : bool
        Whether a reply ran on until it was cut, so that the schema bounds the length of each text.
    """

    format: str = "json_schema"
    dropped: frozenset[str] = frozenset()
    renamed: bool = False
    folded: bool = False
    proven: bool = False
    roomy: bool = False
    most: int | None = None
    guessed: bool = False
    lengths: bool = False

    def messages(self, request: ChatRequest) -> list[dict[str, str]]:
        r"""The messages to send for `request`.

        Examples
        --------
        >>> said = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"})
        >>> Capabilities(folded=True).messages(ChatRequest(said))
        [{'role': 'user', 'content': 'Be brief.\n\nWho?'}]
        """
        messages = [dict(message) for message in request.messages]
        if not self.folded:
            return messages
        # Servers without a system role also want the roles to alternate.
        folded: list[dict[str, str]] = []
        for message in messages:
            role = "user" if message["role"] in ("system", "developer") else message["role"]
            if folded and folded[-1]["role"] == role:
                folded[-1]["content"] += "\n\n" + message["content"]
            else:
                folded.append({**message, "role": role})
        return folded

    def parameters(self, request: ChatRequest) -> Json:
        """The parameters to send for `request`, without model and messages.

        Examples
        --------
        >>> Capabilities("json_object").parameters(ChatRequest((), temperature=1.5, schema={}))
        {'temperature': 1.5, 'max_tokens': 4000, 'response_format': {'type': 'json_object'}}
        """
        names = LENGTHS[::-1] if self.renamed else LENGTHS
        length = next((name for name in names if name not in self.dropped), names[0])
        bound = request.bound
        if self.roomy and request.max_tokens is None:
            bound *= MORE_ROOM
        wanted: dict[str, Any] = {
            "temperature": request.temperature,
            length: bound if self.most is None else min(bound, self.most),
            "response_format": self._response_format(request),
        }
        return {
            name: value
            for name, value in wanted.items()
            if value is not None and name not in self.dropped
        }

    def can_be_raised(self, request: ChatRequest) -> bool:
        """Whether the bound on the length can be raised for reasoning."""
        return request.max_tokens is None and not self.roomy and self.most is None

    @property
    def streams(self) -> bool:
        """Whether replies are asked for as streams."""
        return "stream" not in self.dropped

    def streaming(self) -> Json:
        """The parameters that ask for a stream. They belong to the transport.

        Examples
        --------
        >>> Capabilities(dropped=frozenset({"stream_options"})).streaming()
        {'stream': True}
        """
        if not self.streams:
            return {}
        options = {} if "stream_options" in self.dropped else {"include_usage": True}
        return {"stream": True} | ({"stream_options": options} if options else {})

    def after_refusal(
        self, failure: Failure, sent: Json, *, suspect_format: bool
    ) -> Capabilities | None:
        """What to try next after a failure; None if the failure has another cause.

        Parameters
        ----------
        failure : Failure
        sent : dict
            The parameters of the request that failed.
        suspect_format : bool
            Whether to blame a 5xx that gives no reason on the schema.
        """
        status, cause = failure.status, failure.cause
        if status is None or cause not in ("", "system", "keyword", "format"):
            return None
        if cause == "system" and not self.folded:
            return replace(self, folded=True)
        if "stream" in sent and self._is_about_stream(failure):
            about = f"{failure.param} {failure.message}"
            name = "stream_options" if _OPTIONS.search(about) else "stream"
            if name in sent:
                return replace(self, dropped=self.dropped | {name})
        if status in (400, 422):
            without = self._without_parameter(failure, sent)
            if without is not None:
                return without
        if "response_format" not in sent:
            return None
        if cause:
            return self._simpler(cause)
        # No reason is given. A schema is not to blame once it was answered.
        if status in (400, 422) and not self.proven:
            return self.lowered()
        if status in (500, 501) and suspect_format and not self.proven:
            return self.lowered()
        return None

    def _simpler(self, cause: str) -> Capabilities:
        """A simpler format, after a refusal that names a keyword of the schema, or the format."""
        if self.format != "json_schema":
            return self._lower_format()
        if self.lengths and "maxLength" not in self.dropped:
            return replace(self, dropped=self.dropped | {"maxLength"})
        return replace(self, format="plain_schema") if cause == "keyword" else self._lower_format()

    def lowered(self) -> Capabilities | None:
        """A guess: the same without a schema, then without a format; None if it has none."""
        return None if self.format == "none" else replace(self._lower_format(), guessed=True)

    def after_reply(self, sent: Json) -> Capabilities:
        """What is known once a request with these parameters was answered."""
        return replace(self, proven=True) if has_schema(sent) and not self.proven else self

    def combined(self, other: Capabilities) -> Capabilities:
        """What two requests have learnt together; each may know only a part."""
        proven = self.proven or other.proven
        # A guess is dropped once a schema was answered.
        formats = [each.format for each in (self, other) if not (proven and each.guessed)]
        return Capabilities(
            format=max(formats, key=FORMATS.index, default=FORMATS[0]),
            dropped=self.dropped | other.dropped,
            renamed=self.renamed or other.renamed,
            folded=self.folded or other.folded,
            proven=proven,
            roomy=self.roomy or other.roomy,
            most=min((most for most in (self.most, other.most) if most), default=None),
            guessed=not proven and (self.guessed or other.guessed),
            lengths=self.lengths or other.lengths,
        )

    def _is_about_stream(self, failure: Failure) -> bool:
        if failure.param.startswith(("stream", "stream_options")):
            return True
        if failure.status == 500:  # "the stream was reset" is no refusal
            return bool(_NO_STREAMS.search(failure.message))
        refused = failure.status in (400, 404, 405, 422, 501)
        return refused and bool(_ABOUT_STREAM.search(failure.message))

    def _response_format(self, request: ChatRequest) -> Json | None:
        if request.schema is None or self.format == "none":
            return None
        if self.format == "json_object":
            return {"type": "json_object"}
        if self.format == "plain_schema":
            schema = {"name": request.schema_name, "schema": _plain(request.schema)}
        else:
            bound = self.lengths and "maxLength" not in self.dropped
            bounded = _bounded(request.schema) if bound else request.schema
            schema = {"name": request.schema_name, "schema": bounded, "strict": True}
        return {"type": "json_schema", "json_schema": schema}

    def _lower_format(self) -> Capabilities:
        lower = "json_object" if self.format in FORMATS[:2] else "none"
        return replace(self, format=lower)

    def _without_parameter(self, failure: Failure, sent: Json) -> Capabilities | None:
        parts = failure.param.split(".")
        name = next((part for part in reversed(parts) if part in sent), parts[-1])
        if name not in sent and not failure.param:
            # Not \b, because a letter of another script may follow.
            named = (p for p in sent if re.search(rf"(?a)\b{p}\b", failure.message))
            name = next(named, "")
        if name not in sent or name == "response_format":
            return None
        if name in LENGTHS:
            most = _highest(failure.message, sent[name])
            if most is not None:
                return replace(self, most=most)
        if name == "max_tokens" and (
            "max_completion_tokens" in failure.message or failure.code == "unsupported_parameter"
        ):
            return replace(self, renamed=True, dropped=self.dropped | {name})
        return replace(self, dropped=self.dropped | {name})


def _highest(message: str, sent: int) -> int | None:
    """The highest bound on the length that a refusal of `sent` names."""
    numbers = [int(found) for found in _HIGHEST.findall(message)]
    return max((number for number in numbers if 0 < number < sent), default=None)


def has_schema(sent: Json) -> bool:
    """Whether these parameters hold a schema."""
    return "json_schema" in sent.get("response_format", {})


def _bounded(schema: Any) -> Any:
    """A schema with a bound on the length of each text.

    Examples
    --------
    >>> _bounded({"items": {"type": "string"}})
    {'items': {'type': 'string', 'maxLength': 500}}
    """
    if isinstance(schema, list):
        return [_bounded(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    bounded = {word: _bounded(value) for word, value in schema.items()}
    kinds = schema.get("type")
    if kinds == "string" or (isinstance(kinds, list) and "string" in kinds):
        bounded.setdefault("maxLength", _LONGEST_TEXT)
    return bounded


def _plain(schema: Any) -> Any:
    """A schema of the words that every endpoint with schemas knows, and of single types."""
    if not isinstance(schema, dict):
        return schema
    plain = {word: value for word, value in schema.items() if word in _PLAIN}
    kinds = plain.get("type")
    if isinstance(kinds, list):
        plain["type"] = next((kind for kind in kinds if kind != "null"), "string")
    for word in ("properties", "items", "anyOf"):
        inner = plain.get(word)
        if isinstance(inner, list):
            plain[word] = [_plain(one) for one in inner]
        elif isinstance(inner, dict):
            each = {name: _plain(one) for name, one in inner.items()}
            plain[word] = each if word == "properties" else _plain(inner)
    return plain


_IN_WORDS = {
    "plain_schema": "with a simpler schema",
    "json_object": "without a schema, as plain JSON",
    "none": "as free text",
}


class CapabilityCache:
    """The capabilities that were learnt in this process; threads may share it."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Capabilities] = {}
        self._doubted: set[tuple[str, str]] = set()
        self._failed: Counter[tuple[str, str]] = Counter()
        self._lock = new_lock()

    def get(self, target: Target) -> Capabilities:
        """What is known of a model at an endpoint."""
        nothing_known = _OFFICIAL if target.official else _EVERYTHING
        return self._known.get((target.endpoint, target.model), nothing_known)

    def doubts(self, target: Target) -> bool:
        """Whether a request was answered without its schema, after server errors with it."""
        return (target.endpoint, target.model) in self._doubted

    def doubt(self, target: Target) -> None:
        """Note such a request. One alone may be chance; the second is remembered by `learn`."""
        with self._lock:
            self._doubted.add((target.endpoint, target.model))

    def failed(self, target: Target) -> bool:
        """Count a failed generation; whether too many failed in a row."""
        with self._lock:
            self._failed[target.endpoint, target.model] += 1
            return self._failed[target.endpoint, target.model] >= _MOST_FAILED

    def succeeded(self, target: Target) -> None:
        """The endpoint answered: failed generations are counted anew."""
        if self._failed:
            with self._lock:
                self._failed.pop((target.endpoint, target.model), None)

    def learn(self, target: Target, learnt: Capabilities) -> None:
        """Remember the capabilities of an answered request; warn once of each new limit."""
        with self._lock:
            before = self.get(target)
            after = before.combined(learnt)
            self._known[target.endpoint, target.model] = after
        changes = []
        if FORMATS.index(after.format) > FORMATS.index(before.format):
            changes.append(f"replies are requested {_IN_WORDS[after.format]}")
        dropped = after.dropped - before.dropped - ({"max_tokens"} if after.renamed else set())
        if {"stream", "stream_options"} & dropped:
            log.info("%s: refuses a stream, or the count of its tokens", target.what)
        dropped -= {"stream", "stream_options"}
        changes += [f"{name!r} is left out" for name in sorted(dropped)]
        if after.renamed and not before.renamed:
            changes.append("'max_tokens' is sent as 'max_completion_tokens'")
        if after.folded and not before.folded:
            changes.append("the instructions are sent in the user's message")
        if changes:
            log.warning(
                "%s at %s refuses a part of the request; from now on %s. Each reply records the "
                "parameters that were sent.",
                target.model,
                target.endpoint,
                " and ".join(changes),
            )

    def forget(self, endpoint: str | None = None) -> None:
        """Ask for everything again, for example of a server that was restarted.

        Parameters
        ----------
        endpoint : str, optional
            Forget only what was learnt of this address.
        """
        with self._lock:
            for notes in (self._known, self._failed):
                for key in [key for key in notes if endpoint in (None, key[0])]:
                    del notes[key]
            self._doubted = {key for key in self._doubted if endpoint not in (None, key[0])}


_EVERYTHING = Capabilities()
# The newer models of OpenAI know the newer name alone, and the older ones know both.
_OFFICIAL = Capabilities(renamed=True)
known = CapabilityCache()
