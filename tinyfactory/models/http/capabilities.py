"""What an endpoint takes of a request, learnt when it refuses a part, remembered per model.

A *dialect* starts with everything that can be asked for. Each refusal takes one step down:
a strict schema, then plain JSON, then free text; a parameter under its newer name, then
left out. A dialect is remembered only once a request in it was answered, so that a server that
is merely down teaches nothing.
"""

from __future__ import annotations

import logging
import re
import threading
from dataclasses import dataclass, replace
from typing import Any

from tinyfactory.models.chat import ChatRequest, Json
from tinyfactory.models.http.responses import Failure

log = logging.getLogger("tinyfactory.models")

FORMATS = ("json_schema", "json_object", "none")
_ABOUT_FORMAT = re.compile(
    r"response_format|json_schema|json_object|structured[ _]outputs?|\bschema\b|grammar",
    re.IGNORECASE,
)
# About the key, the money or the load, never about a parameter.
_NOT_A_REFUSAL = (401, 402, 408, 409, 429)


@dataclass(frozen=True, slots=True)
class Dialect:
    """What is sent to one model at one endpoint.

    Parameters
    ----------
    format : str
        One of `FORMATS`.
    dropped : frozenset of str
        Parameters that are left out.
    renamed : bool
        Whether the length's bound is called ``max_completion_tokens``.
    proven : bool
        Whether a request with a strict schema was answered, so that a 5xx is not its fault.
    guessed : bool
        Whether the format was lowered because of a 5xx that gave no reason.
    """

    format: str = "json_schema"
    dropped: frozenset[str] = frozenset()
    renamed: bool = False
    proven: bool = False
    guessed: bool = False

    def parameters(self, request: ChatRequest) -> Json:
        """What to send for `request`, without the model and the messages.

        Examples
        --------
        >>> Dialect("json_object").parameters(ChatRequest((), temperature=1.5, schema={}))
        {'temperature': 1.5, 'response_format': {'type': 'json_object'}}
        """
        length = "max_completion_tokens" if self.renamed else "max_tokens"
        wanted: dict[str, Any] = {
            "temperature": request.temperature,
            length: request.max_tokens,
            "response_format": self._response_format(request),
        }
        return {
            name: value
            for name, value in wanted.items()
            if value is not None and name not in self.dropped
        }

    def _response_format(self, request: ChatRequest) -> Json | None:
        if request.schema is None or self.format == "none":
            return None
        if self.format == "json_object":
            return {"type": "json_object"}
        schema = {"name": request.schema_name, "schema": request.schema, "strict": True}
        return {"type": "json_schema", "json_schema": schema}

    def after(self, failure: Failure, sent: Json, *, suspect_format: bool) -> Dialect | None:
        """The next dialect to try after a failure; None when the failure is about something else.

        Parameters
        ----------
        failure : Failure
        sent : dict
            The parameters of the request that failed.
        suspect_format : bool
            Whether a 5xx without a reason may come from a strict schema.
        """
        status = failure.status
        if status is None or status in _NOT_A_REFUSAL or status < 400:
            return None
        if status in (400, 422):
            refused = self._refused_parameter(failure, sent)
            if refused is not None:
                return refused
        if "response_format" not in sent:
            return None
        if _ABOUT_FORMAT.search(f"{failure.param} {failure.code} {failure.message}"):
            return self._milder()
        strict = sent["response_format"]["type"] == "json_schema"
        if status >= 500 and strict and suspect_format and not self.proven:
            return replace(self._milder(), guessed=True)
        return None

    def _milder(self) -> Dialect:
        return replace(self, format=FORMATS[FORMATS.index(self.format) + 1])

    def _refused_parameter(self, failure: Failure, sent: Json) -> Dialect | None:
        name = failure.param.split(".")[-1]
        if name not in sent and not failure.param:
            named = (p for p in sent if re.search(rf"\b{p}\b", failure.message))
            name = next(named, "")
        if name not in sent or name == "response_format":
            return None
        if name == "max_tokens" and (
            "max_completion_tokens" in failure.message or failure.code == "unsupported_parameter"
        ):
            return replace(self, renamed=True)
        return replace(self, dropped=self.dropped | {name})


_known: dict[tuple[str, str], Dialect] = {}
_lock = threading.Lock()


def known(endpoint: str, model: str) -> Dialect:
    """The dialect that was learnt for this model here, in this process."""
    return _known.get((endpoint, model), Dialect())


def learn(endpoint: str, model: str, dialect: Dialect) -> None:
    """Remember the dialect of an answered request; what is new in it is warned of, once."""
    with _lock:
        before = known(endpoint, model)
        # Requests that ran side by side may each have learnt a part.
        proven = before.proven or dialect.proven
        lowered = [d.format for d in (before, dialect) if not (proven and d.guessed)]
        after = Dialect(
            format=max(lowered, key=FORMATS.index, default=FORMATS[0]),
            dropped=before.dropped | dialect.dropped,
            renamed=before.renamed or dialect.renamed,
            proven=proven,
            guessed=not proven and (before.guessed or dialect.guessed),
        )
        _known[endpoint, model] = after
    changes = []
    if FORMATS.index(after.format) > FORMATS.index(before.format):
        without = "without a schema, as plain JSON"
        changes.append(
            f"answers are asked for {without if after.format == 'json_object' else 'as free text'}"
        )
    changes += [f"{name!r} is left out" for name in sorted(after.dropped - before.dropped)]
    if after.renamed and not before.renamed:
        changes.append("'max_tokens' is sent as 'max_completion_tokens'")
    if changes:
        log.warning(
            "%s at %s refuses a part of the request; from now on %s. What was really sent is "
            "recorded with each reply.",
            model,
            endpoint,
            " and ".join(changes),
        )


def forget(endpoint: str | None = None) -> None:
    """Ask for everything again; for a server that was started anew with other options.

    Parameters
    ----------
    endpoint : str, optional
        Only what was learnt of this address.
    """
    with _lock:
        for key in [k for k in _known if endpoint in (None, k[0])]:
            del _known[key]
