"""Settings: from `configure`, otherwise from the environment, otherwise a default.

They are read when used, so a variable that is set in a notebook's first cell counts. A key is held
in memory only; it appears in no repr, journal or message.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypedDict, Unpack

from tinyfactory.errors import InvalidInput
from tinyfactory.limits import Limits, checked, from_environment

DEFAULT_MODEL = "gpt-4.1-mini"
DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_JOURNAL = ".tinyfactory"
DEFAULT_LANGUAGE = "English"
OFFLINE = "offline"


@dataclass(slots=True)
class _Configured:
    """The values passed to `configure`; None if not configured."""

    model: Any = None
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    language: str | None = None
    timeout: float | None = None
    time_limit: float | None = None
    lock_timeout: float | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    prices: Any = None
    limits: Limits | None = None
    extra_body: dict[str, Any] | None = field(default=None, repr=False)


_configured = _Configured()


class Settings(TypedDict, total=False):
    """The keyword arguments of `configure`, so that editors complete and check them."""

    model: object
    api_key: str | None
    base_url: str | None
    language: str | None
    timeout: float | None
    time_limit: float | None
    lock_timeout: float | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    prices: Mapping[str, tuple[float, float]] | None
    limits: Mapping[str, int] | Limits | None
    extra_body: Mapping[str, Any] | None


def configure(**values: Unpack[Settings]) -> None:
    """Choose a model, a key or an endpoint for this process.

    Parameters
    ----------
    model : str or ChatModel, optional
        ``"offline"``, the name of a model, or an object with `identity` and `complete`.
    api_key : str, optional
        The endpoint's key, if no environment variable holds it:
        ``tinyfactory.configure(api_key=getpass())``. Held in memory only, never shown.
    base_url : str, optional
        Address of an OpenAI-compatible server, e.g. ``http://localhost:11434/v1``.
    language : str, optional
        The language in which people are described, e.g. ``"Portuguese"``.
    timeout : float, optional
        Seconds to wait for one reply (default 120).
    time_limit : float, optional
        Seconds for one request with all its retries (default 300). Time in our own queue does
        not count.
    lock_timeout : float, optional
        Seconds that a call waits for an object that another call has locked and makes no progress
        with (default 30). A request in flight counts as progress.
    requests_per_minute : int, optional
        Limit of requests to one endpoint in any minute (default: none).
    tokens_per_minute : int, optional
        Limit of their tokens, estimated when a request is sent and corrected by the endpoint's
        count (default: none).
    prices : dict, optional
        US dollars for a million tokens of prompt and of reply, by the model's name, if they are
        unknown or wrong: ``{"llama3.2": (0.1, 0.2)}``.
    limits : dict, optional
        How much is read of a reply, a recording or a file, by the names of `Limits`:
        ``{"response_bytes": 50_000_000}``. The other limits have their defaults.

    extra_body : dict, optional
        Further fields for the body of every request, which some servers want:
        ``{"enable_thinking": False}``. They are a part of the key of an event.

    A value of None restores the environment's value or the default.

    Raises
    ------
    InvalidInput
        For an unknown setting, and for an invalid value.

    Examples
    --------
    >>> configure(model="offline")
    >>> get("model")
    'offline'
    """
    known = {f.name for f in fields(_Configured)}
    for name in values:
        if name not in known:
            raise InvalidInput(
                f"configure() has no setting {name!r}; nothing was changed. "
                f"Choose from: {', '.join(sorted(known))}."
            )
    if values.get("prices") is not None:
        check_prices(values["prices"])
    for name in ("requests_per_minute", "tokens_per_minute"):
        if values.get(name) is not None:
            _check_rate(name, values.get(name))
    if values.get("lock_timeout") is not None:
        _check_seconds(values["lock_timeout"])
    limits = values.get("limits")
    if limits is not None:
        values["limits"] = checked(limits)
    if values.get("extra_body") is not None:
        values["extra_body"] = check_extra_body(values["extra_body"])
    for name, value in values.items():
        setattr(_configured, name, value)


def check_prices(prices: object) -> None:
    """Raise `InvalidInput` unless `prices` has a pair of amounts for each model's name."""
    if isinstance(prices, Mapping) and all(
        isinstance(name, str)
        and isinstance(pair, (tuple, list))
        and len(pair) == 2
        and all(is_amount(amount) for amount in pair)
        for name, pair in prices.items()
    ):
        return
    raise InvalidInput(
        "prices must map the model's name to US dollars for a million tokens of prompt and of "
        f'reply, {{"model": (0.4, 1.6)}}, not {prices!r}. Nothing was changed.'
    )


# Fields of a request that have settings of their own, or that would change how it is read.
_RESERVED = ("model", "messages", "stream")


def check_extra_body(fields: object, name: str = "extra_body") -> dict[str, Any]:
    """Return a copy of the further fields of a request; raise `InvalidInput` if they are not JSON.

    Examples
    --------
    >>> check_extra_body({"enable_thinking": False})
    {'enable_thinking': False}
    """
    try:
        copied = json.loads(json.dumps(fields, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        copied = None
    # Not in the message, because there may be a secret in it.
    if not isinstance(fields, Mapping) or copied != fields:
        raise InvalidInput(
            f"{name} must be a dictionary of JSON values with texts as keys, such as "
            '{"enable_thinking": False}. Nothing was changed and nothing was sent.'
        )
    for reserved in _RESERVED:
        if reserved in copied:
            raise InvalidInput(
                f"{name} must not contain {reserved!r}: the library sets it. Nothing was changed "
                "and nothing was sent. To choose a model: tinyfactory.configure(model=...)."
            )
    found: dict[str, Any] = copied
    return found


def _extra_body_from_environment() -> dict[str, Any] | None:
    name = "TINYFACTORY_EXTRA_BODY"
    text = _environment(name)
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    return check_extra_body(value, name)


def _check_rate(name: str, rate: object) -> int:
    """Return a limit per minute, or raise `InvalidInput` if it is none."""
    if type(rate) is int and rate > 0:
        return rate
    raise InvalidInput(
        f"{name} must be a whole number of 1 or more, not {rate!r}; nothing was changed and "
        "nothing was sent. Omit it for no limit."
    )


def _check_seconds(seconds: object) -> None:
    if not is_amount(seconds) or not seconds:
        raise InvalidInput(
            f"lock_timeout must be a number of seconds above 0, not {seconds!r}. Nothing was "
            "changed."
        )


def _rate_from_environment(name: str) -> int | None:
    text = _environment(f"TINYFACTORY_{name.upper()}")
    if text is None:
        return None
    digits = text.replace("_", "")
    return _check_rate(name, int(digits) if digits.isdecimal() else text)


def is_amount(value: object) -> bool:
    """Whether a value is a finite number of 0 or more."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and value >= 0  # type: ignore[arg-type, operator]


def _environment(*names: str) -> str | None:
    for name in names:
        value = os.environ.get(name, "").strip()
        if value:
            return value
    return None


def get(name: str) -> Any:
    """The present value: configured, otherwise from the environment, otherwise the default."""
    configured = getattr(_configured, name)
    if configured is not None:
        return configured
    match name:
        case "model":
            return _environment("TINYFACTORY_MODEL", "OPENAI_MODEL")
        case "api_key":
            return _environment("OPENAI_API_KEY")
        case "base_url":
            return _environment("OPENAI_BASE_URL") or DEFAULT_BASE_URL
        case "language":
            return _environment("TINYFACTORY_LANGUAGE")
        case "timeout":
            return float(_environment("TINYFACTORY_TIMEOUT") or 120)
        case "time_limit":
            return float(_environment("TINYFACTORY_TIME_LIMIT") or 300)
        case "lock_timeout":
            return float(_environment("TINYFACTORY_LOCK_TIMEOUT") or 30)
        case "requests_per_minute" | "tokens_per_minute":
            return _rate_from_environment(name)
        case "prices":
            return {}
        case "limits" | "extra_body":
            return from_environment() if name == "limits" else _extra_body_from_environment()
    raise InvalidInput(f"There is no setting {name!r}.")


def language(given: str | None) -> str:
    """The language of replies: the given one, the configured one, or English."""
    return str(given or get("language") or DEFAULT_LANGUAGE)


def limits() -> Limits:
    """The limits for data from others: configured, or from the environment, or the defaults.

    Examples
    --------
    >>> configure(limits={"json_depth": 50})
    >>> limits().json_depth
    50
    >>> configure(limits=None)
    """
    found: Limits = get("limits")
    return found


@dataclass(frozen=True, slots=True)
class Azure:
    """An Azure OpenAI resource, from the `AZURE_OPENAI_*` variables."""

    endpoint: str
    api_version: str
    api_key: str | None = field(repr=False)


def azure() -> Azure | None:
    """The Azure resource in the environment's variables, or None.

    `OPENAI_BASE_URL` and `configure(base_url=...)` take precedence.
    """
    endpoint = _environment("AZURE_OPENAI_ENDPOINT")
    if endpoint is None or _configured.base_url or _environment("OPENAI_BASE_URL"):
        return None
    version = _environment("AZURE_OPENAI_API_VERSION", "OPENAI_API_VERSION") or "2024-10-21"
    key = _configured.api_key or _environment("AZURE_OPENAI_API_KEY")
    return Azure(endpoint, version, key)
