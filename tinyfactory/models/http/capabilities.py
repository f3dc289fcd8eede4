"""What an endpoint accepts in a request: learnt from its refusals, remembered per model.

The first request asks for everything. Each refusal removes one thing: a strict schema becomes
plain JSON, then free text; a parameter gets its newer name, then is left out. The result is
remembered only once a request was answered, so that a server that is down teaches nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from tinyfactory.models.chat import ChatRequest, Json
from tinyfactory.models.http.endpoint import Target
from tinyfactory.models.http.responses import Failure
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
_OPTIONS = re.compile("stream_options|include_usage", re.IGNORECASE)
_HIGHEST = re.compile(
    r"(?:at most|less than or equal to|smaller than|up to|maximum[^.\d]{0,60}|<=?|> |,)"
    r"\s*[`'\"]?(\d{2,7})",
    re.IGNORECASE,
)
FORMATS = ("json_schema", "json_object", "none")
_ABOUT_FORMAT = re.compile(
    r"response_format|json_schema|json_object|structured[ _]outputs?|\bschema\b|grammar",
    re.IGNORECASE,
)
# These are about the key, the money or the load, never about a parameter.
_NOT_A_REFUSAL = (401, 402, 408, 409, 429)


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
    proven : bool
        Whether it answered a request with a strict schema. A 5xx is then not blamed on the
        schema.
    roomy : bool
        Whether its reasoning used up the bound on the length once, which is then four times as
        high.
    most : int, optional
        The highest bound on the length that it accepts.
    guessed : bool
        Whether the format was lowered after a 5xx that gave no reason.
    """

    format: str = "json_schema"
    dropped: frozenset[str] = frozenset()
    renamed: bool = False
    proven: bool = False
    roomy: bool = False
    most: int | None = None
    guessed: bool = False

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
            Whether to blame a 5xx that gives no reason on the strict schema.
        """
        status = failure.status
        if status is None or status in _NOT_A_REFUSAL or status < 400:
            return None
        if "stream" in sent and self._is_about_stream(failure):
            name = "stream_options" if _OPTIONS.search(failure.message) else "stream"
            if name in sent:
                return replace(self, dropped=self.dropped | {name})
        if status in (400, 422):
            without = self._without_parameter(failure, sent)
            if without is not None:
                return without
        if "response_format" not in sent:
            return None
        if _ABOUT_FORMAT.search(f"{failure.param} {failure.code} {failure.message}"):
            return self._lower_format()
        if status >= 500 and suspect_format and is_strict(sent) and not self.proven:
            return replace(self._lower_format(), guessed=True)
        return None

    def after_reply(self, sent: Json) -> Capabilities:
        """What is known once a request with these parameters was answered."""
        return replace(self, proven=True) if is_strict(sent) and not self.proven else self

    def combined(self, other: Capabilities) -> Capabilities:
        """What two requests have learnt together; each may know only a part."""
        proven = self.proven or other.proven
        # A guess is dropped once a schema was answered.
        formats = [each.format for each in (self, other) if not (proven and each.guessed)]
        return Capabilities(
            format=max(formats, key=FORMATS.index, default=FORMATS[0]),
            dropped=self.dropped | other.dropped,
            renamed=self.renamed or other.renamed,
            proven=proven,
            roomy=self.roomy or other.roomy,
            most=min((most for most in (self.most, other.most) if most), default=None),
            guessed=not proven and (self.guessed or other.guessed),
        )

    def _response_format(self, request: ChatRequest) -> Json | None:
        if request.schema is None or self.format == "none":
            return None
        if self.format == "json_object":
            return {"type": "json_object"}
        schema = {"name": request.schema_name, "schema": request.schema, "strict": True}
        return {"type": "json_schema", "json_schema": schema}

    def _lower_format(self) -> Capabilities:
        return replace(self, format=FORMATS[FORMATS.index(self.format) + 1])

    def _without_parameter(self, failure: Failure, sent: Json) -> Capabilities | None:
        parts = failure.param.split(".")
        name = next((part for part in reversed(parts) if part in sent), parts[-1])
        if name not in sent and not failure.param:
            named = (p for p in sent if re.search(rf"\b{p}\b", failure.message))
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


def is_strict(sent: Json) -> bool:
    """Whether these parameters hold a strict schema."""
    return "json_schema" in sent.get("response_format", {})


class CapabilityCache:
    """The capabilities that were learnt in this process; threads may share it."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Capabilities] = {}
        self._lock = new_lock()

    def get(self, target: Target) -> Capabilities:
        """What is known of a model at an endpoint."""
        nothing_known = _OFFICIAL if target.official else _EVERYTHING
        return self._known.get((target.endpoint, target.model), nothing_known)

    def learn(self, target: Target, learnt: Capabilities) -> None:
        """Remember the capabilities of an answered request; warn once of each new limit."""
        with self._lock:
            before = self.get(target)
            after = before.combined(learnt)
            self._known[target.endpoint, target.model] = after
        changes = []
        if FORMATS.index(after.format) > FORMATS.index(before.format):
            plain = after.format == "json_object"
            changes.append(
                "replies are requested "
                + ("without a schema, as plain JSON" if plain else "as free text")
            )
        dropped = after.dropped - before.dropped - ({"max_tokens"} if after.renamed else set())
        if {"stream", "stream_options"} & dropped:
            log.info("%s at %s refuses a stream, or the count of its tokens", target.model, target.endpoint)
        dropped -= {"stream", "stream_options"}
        changes += [f"{name!r} is left out" for name in sorted(dropped)]
        if after.renamed and not before.renamed:
            changes.append("'max_tokens' is sent as 'max_completion_tokens'")
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
            for key in [key for key in self._known if endpoint in (None, key[0])]:
                del self._known[key]


_EVERYTHING = Capabilities()
# The newer models of OpenAI know the newer name alone, and the older ones know both.
_OFFICIAL = Capabilities(renamed=True)
known = CapabilityCache()
