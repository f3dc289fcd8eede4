"""What an endpoint says when it gives no completion: reads the error, and recognises its cause.

Providers word the same cause differently, and proxies wrap the provider's own error. `read_error`
unwraps it; `_CAUSES` is the one table of wordings.
"""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

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
# A part of the request is blamed only for these: others are about key, money or load.
_REFUSED = (200, 400, 404, 422, 500, 501)
_SET_UP = (200, 400, 401, 403, 404, 429, 451)
_CONTENT = (200, 400, 403, 406, 422, 451, 500)

# Cause, statuses, and words in the codes or in the message. The first that fits counts.
_CAUSES: tuple[tuple[str, tuple[int, ...], str], ...] = (
    (
        "generation",  # the model wrote something that the endpoint could not accept
        (200, 400, 422, 500),
        (
            r"json_validate_failed|tool_use_failed|output_parse_failed|failed_generation"
            r"|failed to (?:generate|validate) (?:valid )?json|failed to parse input at pos"
            r"|model (?:produced|generated|returned|output) (?:an? )?(?:invalid|malformed)"
            r"|(?:generated|produced) json (?:does not|doesn't|is not|was not)"
            r"|generated (?:an? )?(?:invalid|malformed)|grammar stack|grammar.{0,20} sampl"
            r"|sampl\w+.{0,40} grammar|before generating a valid document"
        ),
    ),
    (
        "policy",
        (400, 403, 404),
        (
            r"no (?:allowed |available )?(?:endpoints?|providers?)\b.{0,80}"
            r"\b(?:data policy|privacy|guardrail|allowed|ignored|available for the selected)"
            r"|no allowed providers"
        ),
    ),
    ("format", _REFUSED, r"no endpoints found that (?:support|can handle)"),
    ("balance", (429,), r"quota.{0,400}\blimit: 0\b"),
    (
        "daily",
        (403, 429),
        (
            r"per[ _-]?day|per[ _-]?month|/ ?month|\bdaily\b|\b(?:TPD|RPD)\b|usage limit"
            r"|(?:hour|weekly|monthly) (?:limit|quota)"
        ),
    ),
    ("rate", (429,), r"RESOURCE_EXHAUSTED|per[ _-]?minute|per[ _-]?second"),
    (
        "balance",
        _SET_UP,
        (
            r"insufficient[_ ]?(?:user[_ ])?(?:quota|balance|credit|fund)|exceeded_current_quota"
            r"|billing_(?:hard_limit|not_active)|billing hard limit|arrear|overdue|good standing"
            r"|(?:exceeded|reached|used up|exhausted)\b.{0,40}\b(?:current|monthly|included|free)\b"
            r".{0,20}\b(?:quota|credits?|allowance)|(?:balance|credits?|quota|funds)"
            r"(?: is| are| has been| have been)?(?: too low| not enough| insufficient| exhausted"
            r"| used up| depleted| expired)"
            r"|\b(?:insufficient|not enough|no|any|out of|more) credits?\b"
            r"|please (?:recharge|top.?up)|spend(?:ing)?[ _](?:limit|cap|alert)|payment[_ ]required"
            r"|check your billing details|account balance|余额|欠费|充值"
        ),
    ),
    (
        "account",
        _SET_UP,
        (
            r"\b(?:account|organi[sz]ation|api[ _-]?key|subscription|access)\b(?:\s+\S+){0,2}?\s+"
            r"(?:has been |have been |is |was |been )?(?:suspended|disabled|deactivated|banned"
            r"|terminated|blocked|flagged|restricted|revoked|expired|not active|inactive)"
            r"|access_terminated"
        ),
    ),
    (
        "region",
        _SET_UP,
        (
            r"unsupported_country|\b(?:country|region|territory|location)\b.{0,60}"
            r"\b(?:not|isn't|un)[ -]?(?:supported|available|allowed|permitted)"
            r"|(?:not|n't) (?:supported|available|allowed|permitted)\b.{0,40}"
            r"\b(?:country|region|territory|location)\b"
        ),
    ),
    (
        "key",
        (400,),
        (
            r"API_KEY_INVALID|api[ _-]?key\b.{0,40}\b(?:not valid|invalid|incorrect|missing)"
            r"|(?:invalid|incorrect|missing)[ _](?:api[ _-]?)?key\b"
        ),
    ),
    (
        "content",
        _CONTENT,
        (
            r"content[ _-]?filter|content[ _-]?(?:management )?(?:[ _-])?policy(?!_fallback)"
            r"|content[ _-]?moderat|moderation|ResponsibleAI|responsible[ _]ai|data_?inspection"
            r"|sensitive[ _-]?(?:words?|content|information)|\bflagged\b"
            r"|PROHIBITED_CONTENT|BLOCKLIST|\bsafety\b"
            r"|usage (?:polic|guideline)|acceptable use|inappropriate|high[ _]risk|exists? risk"
            r"|harmful|block_?reason|guardrail|censor|violat\w+ .{0,40}\b(?:polic|guideline|terms)"
            r"|敏感|不安全|违规|不合规"
        ),
    ),
    (
        "context",
        (200, 400, 413, 422, 500),
        (
            r"context[_ ]?(?:length|window|size)(?!_?fallback)|context_limit|maximum context"
            r"|exceed_context|string_above_max|model_max_prompt|range of input length"
            r"|\b(?:prompt|input|messages?|request|conversation)(?: \S+){0,2}? too (?:long|large)"
            r"|too many (?:input |prompt )?tokens|tokens?`? \+ |reduce (?:the length|your)"
            r"|(?:input|prompt)[ _](?:tokens?|length)\b.{0,60}\b(?:exceed|limit|maximum|longer)"
            r"|exceeds? .{0,60}(?:context|token limit|tokens? allowed|max_model_len"
            r"|maximum (?:input|number of (?:input )?tokens))"
            r"|max(?:imum)?[_ ]input[_ ](?:tokens|length)"
        ),
    ),
    (
        "system",
        _REFUSED,
        (
            r"system[ _](?:role|messages?|prompts?|instructions?)\b.{0,60}"
            r"\b(?:not|n't|un)[ -]?(?:supported|allowed|enabled|available|accepted|permitted)"
            r"|(?:not|n't|cannot) (?:support|accept|allow|handle|use)\w*\b.{0,60}\bsystem\b"
            r"|(?:developer|system) instructions? (?:is|are) not|roles must alternate"
            r"|only .{0,20}\buser\b.{0,30}\bassistant\b.{0,40}\broles?\b"
            r"|(?:unknown|unexpected|invalid|unsupported)\b.{0,30}\brole\b.{0,40}\bsystem\b"
            r"|role\b.{0,60}\b(?:must|should) be .{0,20}\buser\b"
            r"|(?:must|should) be '?user'? or '?assistant"
        ),
    ),
    (
        "keyword",  # the schema is accepted without a word that it contains
        _REFUSED,
        (
            r"additional_?properties|unevaluated_?properties|\$defs|\$ref\b|\b(?:min|max)_?items\b"
            r"|\b(?:min|max)_?length\b|unique_?items|\bpattern\b|\bstrict\b|response_?schema"
            r"|schema contains features|(?:unsupported|unknown) (?:schema )?(?:keyword|feature)"
            r"|field is not repeating|schema .{0,40}(?:too complex|too many|nesting)"
        ),
    ),
    (
        "format",
        _REFUSED,
        (
            r"response_?format|json_schema|json_object|json mode|structured[ _]outputs?|\bschema\b"
            r"|grammar|guided_json|response_?mime_?type"
        ),
    ),
)
_TABLE = tuple(
    (cause, statuses, re.compile(words, re.IGNORECASE | re.DOTALL))
    for cause, statuses, words in _CAUSES
)
# Codes that are only numbers, of GLM and MiniMax.
_NUMBERS = {
    **dict.fromkeys(("1113", "1309", "1008"), "balance"),
    **dict.fromkeys(("1301", "1026", "1027"), "content"),
    **dict.fromkeys(("1304", "1308"), "daily"),
    **dict.fromkeys(("1302", "1303", "1305"), "rate"),
    **dict.fromkeys(("1261", "1039"), "context"),
    "1211": "model",
}
_ABOUT_MODEL = re.compile(r"\b(model|deployment)\b|DeploymentNotFound", re.IGNORECASE)
_NOT_A_MODEL = re.compile(
    r"(not a valid|invalid|unknown|no such) model|model\b.{0,200}\b(not exist|not found)"
    r"|model_not_found|no endpoints found for|no models? (is |are )?loaded|ModelNotFound",
    re.IGNORECASE | re.DOTALL,
)
# How many tokens are left for a reply, and from how many more to subtract.
_ROOM = (
    re.compile(r"can only afford (\d+)"),
    re.compile(r"\(\d+ > (\d+) - (\d+)\)"),
    re.compile(r"maximum context length is (\d+) tokens.{0,200}\((\d+) (?:tokens )?(?:in|from)"),
    re.compile(r"must be <= (\d+)\. Given: (\d+)"),
)
_TOO_MANY = re.compile(r"Limit (\d+), (?:Used \d+, )?Requested (\d+)")
_WAIT = re.compile(
    r"(?:again|retry|wait|resets?|reset after) (?:in|after)?\s*"
    r"((?:\d+(?:\.\d+)?\s*(?:milli\w*|ms|sec\w*|s|min\w*|m|hours?|h|days?|d),?\s*)+)",
    re.IGNORECASE,
)
_PIECE = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|mil|s|m|h|d)", re.IGNORECASE)
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
    codes. `generated` is what the model wrote, if the endpoint could not accept it.
    """

    message: str
    status: int | None = None
    kind: str = ""
    code: str = ""
    type: str = ""
    param: str = ""
    retry_after: float | None = None
    generated: str = ""

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
        """What the endpoint refuses, by its codes and words: a cause of the table, or ""."""
        if self.status is None:
            return ""
        if self.code in _NUMBERS:
            return _NUMBERS[self.code]
        if self.is_about_model():
            return "model"
        said = f"{self.code} {self.type} {self.param} {self.message}"
        if self.status == 402:
            return "balance"
        for cause, statuses, words in _TABLE:
            if self.status in statuses and words.search(said):
                return cause
        if self.status == 413:
            return "context"
        return "key" if self.status in (401, 403) else ""

    def is_about_model(self) -> bool:
        """Whether the endpoint does not know the model."""
        said = f"{self.code} {self.message}"
        if self.code == "model_not_found" or self.status not in (400, 404):
            return self.code == "model_not_found"
        if _NOT_A_MODEL.search(said):
            return True
        return self.status == 404 and bool(_ABOUT_MODEL.search(said)) and not _is_named(self)

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


def _is_named(failure: Failure) -> bool:
    """Whether the words are those of a refused setting, which may name the model too."""
    said = f"{failure.code} {failure.type} {failure.param} {failure.message}"
    return any(
        cause in ("policy", "format", "keyword", "system") and words.search(said)
        for cause, _, words in _TABLE
    )


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
