"""What an endpoint says when it gives no completion: reads the error, also behind a proxy."""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from tinyfactory.models.http.wordings import cause_of
from tinyfactory.redaction import scrub
from tinyfactory.utils.text import cut

# Names of models, and codes of errors.
LONGEST_NAME = 200
Json = dict[str, Any]
# Keys are shorter.
_LONGEST_SECRET = 400
# `Retry-After` is a number or a date.
_LONGEST_TIME = 60
_LONGEST_MESSAGE = 500
_LONGEST_WRAPPED = 20_000
# Wrappers around an error: a proxy in front of a proxy in front of the provider.
_MOST_LAYERS = 6
# How many tokens are left for a reply, and from how many more to subtract.
_ROOM = (
    re.compile(r"can only afford (\d+)"),
    re.compile(r"\(\d+ > (\d+) - (\d+)\)"),
    re.compile(r"maximum context length is (\d+) tokens.{0,200}\((\d+) (?:tokens )?(?:in|from)"),
    re.compile(r"must be <= (\d+)\. Given: (\d+)\W{0,2} \W?input"),
)
_TOO_MANY = re.compile(r"Limit (\d+), (?:Used \d+, )?Requested (\d+)")
_WAIT = re.compile(
    r"(?:again|retry|wait|resets?|reset after) (?:in|after)?\s*"
    r"((?:\d+(?:\.\d+)?\s*(?:milli\w*|ms|sec\w*|s|min\w*|m|hours?|h|days?|d),?\s*)+)",
    re.IGNORECASE,
)
_PIECE = re.compile(r"(?<![\d.])(\d{1,9}(?:\.\d{1,9})?)\s{0,3}(ms|mil|s|m|h|d)", re.IGNORECASE)
_UNITS = {"ms": 0.001, "mil": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


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

    def extra_body(self) -> Json:
        """The user's own fields of each request."""
        ...

    def secrets(self) -> tuple[str, ...]:
        """Texts that must not appear in messages."""
        ...


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that brought no completion.

    `status` is None if there was no HTTP response; `kind` then says why: "unreachable" (no
    connection), "set-up" (a proxy, a certificate or the protocol; asking again cannot help),
    "timeout" or "dropped". `code` is the provider's own one, `type` has the other
    codes. `generated` is what the model wrote, if the endpoint could not accept it. `advice` says
    what the user can do about a wait that was too short.
    """

    message: str
    status: int | None = None
    kind: str = ""
    code: str = ""
    type: str = ""
    param: str = ""
    retry_after: float | None = None
    generated: str = ""
    advice: str = ""

    @property
    def label(self) -> str:
        """The kind of failure in a few words, for a status line."""
        if self.status is not None:
            what = "too many requests" if self.status == 429 else "HTTP"
            return f"{'server error' if self.status >= 500 else what} {self.status}"
        return {
            "unreachable": "no server answers",
            "dropped": "the connection was dropped",
            "timeout": "no answer in time",
        }.get(self.kind, "no answer")

    def __str__(self) -> str:
        said = f"HTTP {self.status}" if self.status is not None else self.kind
        return f"{said}: {self.message}" if self.message else said

    @property
    def cause(self) -> str:
        """What the endpoint refuses; "" if it does not say. See `wordings`."""
        if self.status is None:
            return ""
        return cause_of(self.status, self.code, f"{self.type} {self.param}", self.message)

    def room(self, bound: int) -> int | None:
        """Tokens that a reply may have, if the bound on its length was too high; None if not."""
        if self.status not in (400, 402, 413, 422, 429):
            return None
        for words in _ROOM:
            if found := words.search(self.message):
                most, *less = (int(number) for number in found.groups())
                return most - sum(less)
        if self.status == 413 and (found := _TOO_MANY.search(self.message)):
            return bound - (int(found[2]) - int(found[1]))
        return None


def read_error(status: int, body: Any, headers: Mapping[str, str], target: Source) -> Failure:
    """Read an error response, with the provider's own error if a proxy has wrapped it.

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
    layers = list(_layers(body))
    texts = list(dict.fromkeys(text for layer in layers if (text := _said(layer))))
    if not texts and not isinstance(body, str) and body:
        texts = [json.dumps(body, ensure_ascii=False)[: 4 * _LONGEST_MESSAGE]]
    elif not layers and isinstance(body, str):
        texts = [body]
    text = ": ".join(texts).replace(": (", " (")
    if text[:300].lstrip().lower().startswith(("<!doctype", "<html")):
        text = "an HTML page"
    codes = [
        word for layer in layers if (word := _word(layer.get("code") or layer.get("status_code")))
    ]
    own = [code for code in codes if not (code.isdigit() and len(code) == 3)] or codes
    others = dict.fromkeys(word for layer in layers for word in _other_codes(layer))
    params = [word for layer in layers if (word := _word(layer.get("param")))]
    failure = Failure(
        message=excerpt(text, target, _LONGEST_MESSAGE),
        status=status,
        code=own[-1] if own else "",
        type=cut(" ".join(others), LONGEST_NAME),
        param=params[-1] if params else "",
        retry_after=_retry_after(headers),
        generated=next((text for layer in layers if (text := _generated(layer))), ""),
    )
    if failure.retry_after is None and failure.cause == "daily":
        # A wait in the words is a matter of seconds for other limits, where the retry policy knows.
        failure = replace(failure, retry_after=_wait_in(failure.message, layers))
    return failure


def _layers(body: Any) -> Iterator[Json]:
    """The objects of an error, from the outermost to the provider's own."""
    here = [body]
    for _ in range(_MOST_LAYERS):
        found: list[Any] = []
        for part in here:
            if isinstance(part, str):
                part = _json_in(part)
            if isinstance(part, list):  # Gemini's endpoint wraps the error in a list
                part = part[0] if part else None
            if not isinstance(part, dict):
                continue
            yield part
            metadata = part.get("metadata")
            more = part.get("provider_specific_fields")
            found += [part.get(name) for name in ("error", "message", "innererror", "base_resp")]
            found += [metadata.get("raw")] if isinstance(metadata, dict) else []
            found += [more.get("innererror")] if isinstance(more, dict) else []
        here = found


def _json_in(text: str) -> Any:
    """The JSON object in a text, as proxies repeat it after words of their own; None if none."""
    start = text.find("{", 0, _LONGEST_WRAPPED)
    if start < 0:
        return None
    try:
        return json.JSONDecoder().raw_decode(text[:_LONGEST_WRAPPED], start)[0]
    except (ValueError, RecursionError):
        return None


def _said(layer: Json) -> str:
    """The message of one object, in one text."""
    texts: list[str] = []
    for name in ("message", "detail", "msg", "error", "error_msg", "status_msg", "errors"):
        value = layer.get(name)
        if isinstance(value, list):  # FastAPI and Mistral list what is wrong and where
            texts += [_listed(item) for item in value[:5]]
        elif isinstance(value, str):
            texts.append(value.partition("{")[0] if _json_in(value) else value)
        if texts:
            break
    metadata, filtered = layer.get("metadata"), layer.get("content_filter_result")
    if isinstance(metadata, dict):
        reasons = metadata.get("reasons")
        texts += [f"({word})" for word in reasons[:5]] if isinstance(reasons, list) else []
        raw = metadata.get("raw")
        texts += [raw] if isinstance(raw, str) and _json_in(raw) is None else []
    if isinstance(filtered, dict):
        texts += [
            f"({name})"
            for name, found in filtered.items()
            if isinstance(found, dict) and found.get("filtered")
        ]
    return " ".join(text.strip(" :") for text in texts if text.strip(" :"))


def _listed(item: Any) -> str:
    """One item of a list of errors. Its `input` is left out: it repeats the prompt."""
    if not isinstance(item, dict):
        return cut(str(item), _LONGEST_MESSAGE)
    place = item.get("loc")
    where = ".".join(map(str, place)) + ": " if isinstance(place, list) else ""
    return f"{where}{item.get('msg') or item.get('message') or ''}"


def _other_codes(layer: Json) -> Iterator[str]:
    for name in ("type", "status", "error_type", "error_code", "reason", "__type"):
        if word := _word(layer.get(name)):
            yield word
    details = layer.get("details")
    for detail in details[:5] if isinstance(details, list) else []:
        if isinstance(detail, dict):
            yield _word(detail.get("reason"))
            violations = detail.get("violations")
            for one in violations[:5] if isinstance(violations, list) else []:
                yield _word(one.get("quotaId")) if isinstance(one, dict) else ""


def _generated(layer: Json) -> str:
    text = layer.get("failed_generation")
    return text if isinstance(text, str) else ""


def excerpt(text: str, target: Source, length: int) -> str:
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
    return cut(str(value), LONGEST_NAME) if isinstance(value, (str, int)) and value else ""


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


def _wait_in(message: str, layers: list[Json]) -> float | None:
    """Seconds to wait that an error names in words ("try again in 9m38s") or as an epoch."""
    if found := _WAIT.search(message):
        pieces = _PIECE.findall(found[1])
        return sum(float(number) * _UNITS[unit.lower()] for number, unit in pieces)
    for layer in layers:
        metadata = layer.get("metadata")
        headers = metadata.get("headers") if isinstance(metadata, dict) else None
        at = headers.get("X-RateLimit-Reset") if isinstance(headers, dict) else None
        if isinstance(at, (int, str)) and str(at).isdecimal() and len(str(at)) == 13:
            return max(int(at) / 1000 - time.time(), 0.0)
    return None
