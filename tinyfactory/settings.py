"""Settings: from `configure`, otherwise from the environment, otherwise a default.

They are read when used, so a variable that is set in a notebook's first cell counts. A key is held
in memory only; it appears in no repr, journal or message.
"""

from __future__ import annotations

import json
import math
import operator
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict, Unpack

from tinyfactory.errors import InvalidInput
from tinyfactory.limits import Limits, from_environment
from tinyfactory.limits import checked as checked_limits

DEFAULT_MODEL = "gpt-4.1-mini"
DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_AZURE_VERSION = "2024-10-21"
DEFAULT_JOURNAL = ".tinyfactory"
DEFAULT_LANGUAGE = "English"
OFFLINE = "offline"
# Fields of a request that `extra_body` cannot have.
_RESERVED = {"model", "messages", "stream"}


class Settings(TypedDict, total=False):
    """The keyword arguments of `configure`, so that editors complete and check them."""

    model: object
    api_key: str | None
    base_url: str | None
    language: str | None
    first_token_timeout: float | None
    timeout: float | None
    time_limit: float | None
    give_up_after: float | None
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
    first_token_timeout : float, optional
        Seconds to wait for the first words of a reply (default: `timeout` if that is set, else
        600 for a server on this machine and 120 elsewhere).
    timeout : float, optional
        Seconds without a further word once a reply has begun to arrive (default 120). For a server
        that sends a reply at once, the seconds for the whole reply.
    time_limit : float, optional
        Seconds for one request with all its retries (default 300, or half as much again as the
        first words may take). Time in our own queue does not count, and neither does the time
        in which words arrive.
    give_up_after : float, optional
        Seconds of failures after which a request is given up, if the endpoint has not answered
        once in this process (default 60; ``float("inf")`` for never). Waiting for a reply is no
        failure, and neither is a 429.
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
        For an unknown setting, and for a value of the wrong form. Nothing is changed.

    Examples
    --------
    >>> configure(model="offline")
    >>> get("model")
    'offline'
    """
    checked = {name: check(name, value) for name, value in values.items()}
    _configured.update(checked)


def check(name: str, value: Any) -> Any:
    """Return a value for a setting, or raise `InvalidInput`; None stands for "not given".

    Examples
    --------
    >>> check("timeout", 30)
    30.0
    >>> check("timeout", "30")
    Traceback (most recent call last):
        ...
    tinyfactory.errors.InvalidInput: timeout must be a number of seconds above 0, not '30'. ...
    """
    setting = _setting(name)
    if value is None:
        return None
    try:
        return setting.check(value)
    except (ValueError, TypeError) as error:
        if isinstance(error, InvalidInput):
            raise
        shown = f"a value of type {type(value).__name__}" if setting.secret else f"{value!r:.80}"
        raise InvalidInput(
            f"{name} must be {setting.form}, not {shown}. Nothing was changed and nothing was sent."
        ) from None


def get(name: str) -> Any:
    """The present value: configured, otherwise from the environment, otherwise the default.

    Raises
    ------
    InvalidInput
        If the environment's value has the wrong form.
    """
    value = given(name)
    if value is not None:
        return value
    default = _setting(name).default
    return default() if callable(default) else default


def given(name: str) -> Any:
    """The present value if it is configured or in the environment, else None."""
    setting = _setting(name)
    value = _configured.get(name)
    if value is not None:
        return value
    for variable in setting.variables:
        text = os.environ.get(variable, "").strip()
        if text:
            try:
                return setting.check(setting.parse(text))
            except ValueError:
                shown = "that text" if setting.secret else f"{text!r:.80}"
                raise InvalidInput(
                    f"The environment variable {variable}: {name} must be {setting.form}, not "
                    f"{shown}. Nothing was sent. Correct the variable, or unset it."
                ) from None
    return None


def reset() -> None:
    """Forget all that was configured."""
    _configured.clear()


# -- the table of settings --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Setting:
    """One setting.

    `check` returns a value of the right form, or raises ValueError; `form` describes that form.
    `parse` reads the text of an environment variable.
    """

    form: str
    check: Callable[[Any], Any]
    variables: tuple[str, ...] = ()
    default: Any = None
    parse: Callable[[str], Any] = str
    secret: bool = False


class _Configured(dict[str, Any]):
    """The values passed to `configure`. Its text shows no values, because one is a key."""

    def __repr__(self) -> str:
        return f"configured: {', '.join(self)}"


def is_amount(value: object) -> bool:
    """Whether a value is a finite number of 0 or more."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value) and value >= 0
    except OverflowError:  # a whole number that no float can hold
        return False


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value


def _model(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    # A class has these attributes too, but it is not a model.
    if isinstance(value, type) or not (hasattr(value, "identity") and hasattr(value, "complete")):
        raise ValueError
    return value


def _seconds(value: Any) -> float:
    if not is_amount(value) or not value:
        raise ValueError
    return float(value)


def _patience(value: Any) -> float:
    return math.inf if value == math.inf else _seconds(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or operator.index(value) < 1:
        raise ValueError
    return operator.index(value)


def _whole_in(text: str) -> int:
    digits = text.replace("_", "")
    return int(digits) if digits.isdecimal() and len(digits) < 20 else 0


def _prices(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise ValueError
    for name, pair in value.items():
        right = isinstance(name, str) and isinstance(pair, (tuple, list)) and len(pair) == 2
        if not right or not all(is_amount(amount) for amount in pair):
            raise ValueError
    return value


def _extra_body(value: Any) -> dict[str, Any]:
    try:
        copied: dict[str, Any] = json.loads(json.dumps(value, allow_nan=False))
    except RecursionError:
        raise ValueError from None
    # Other values than JSON are converted, or not equal to their copy.
    if not isinstance(value, Mapping) or copied != value or _RESERVED & copied.keys():
        raise ValueError
    return copied


def _in_seconds(name: str, default: float | None) -> _Setting:
    variable = f"TINYFACTORY_{name.upper()}"
    return _Setting("a number of seconds above 0", _seconds, (variable,), default, float)


def _per_minute(name: str) -> _Setting:
    variable = f"TINYFACTORY_{name.upper()}"
    return _Setting("a whole number of 1 or more", _whole, (variable,), None, _whole_in)


_settings = {
    "model": _Setting(
        "'offline', the name of a model, or an object with `identity` and `complete`",
        _model,
        ("TINYFACTORY_MODEL", "OPENAI_MODEL"),
    ),
    "api_key": _Setting("a text that is not empty", _text, ("OPENAI_API_KEY",), secret=True),
    "base_url": _Setting(
        "the address of a server as a text, such as 'http://localhost:11434/v1'",
        _text,
        ("OPENAI_BASE_URL",),
        DEFAULT_BASE_URL,
        secret=True,
    ),
    "language": _Setting(
        "the name of a language, such as 'Portuguese'", _text, ("TINYFACTORY_LANGUAGE",)
    ),
    "first_token_timeout": _in_seconds("first_token_timeout", None),
    "timeout": _in_seconds("timeout", 120.0),
    "time_limit": _in_seconds("time_limit", 300.0),
    "give_up_after": _Setting(
        "a number of seconds above 0, or infinite for never",
        _patience,
        ("TINYFACTORY_GIVE_UP_AFTER",),
        60.0,
        float,
    ),
    "lock_timeout": _in_seconds("lock_timeout", 30.0),
    "requests_per_minute": _per_minute("requests_per_minute"),
    "tokens_per_minute": _per_minute("tokens_per_minute"),
    "prices": _Setting(
        "a dictionary from the model's name to US dollars for a million tokens of prompt and of "
        'reply, {"model": (0.4, 1.6)}',
        _prices,
        default=dict,
    ),
    "extra_body": _Setting(
        'a dictionary of JSON values, such as {"enable_thinking": False}, without the fields '
        "model, messages and stream, which the library sets",
        _extra_body,
        ("TINYFACTORY_EXTRA_BODY",),
        parse=json.loads,
        secret=True,
    ),
    "limits": _Setting("a dictionary of limits", checked_limits, default=from_environment),
}
_configured = _Configured()


def _setting(name: str) -> _Setting:
    if name not in _settings:
        raise InvalidInput(
            f"There is no setting {name!r}; nothing was changed. Choose from: "
            f"{', '.join(sorted(_settings))}."
        )
    return _settings[name]


def language(given: str | None) -> str:
    """The language of replies: the given one, the configured one, or English."""
    return str(check("language", given) or get("language") or DEFAULT_LANGUAGE)


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
    if endpoint is None or _configured.get("base_url") or _environment("OPENAI_BASE_URL"):
        return None
    key = _configured.get("api_key") or azure_key()
    return Azure(endpoint, azure_version() or DEFAULT_AZURE_VERSION, key)


def azure_key() -> str | None:
    """The key of an Azure resource in the environment's variable, or None."""
    return _environment("AZURE_OPENAI_API_KEY")


def azure_version() -> str | None:
    """The version of Azure's API in the environment's variables, or None."""
    return _environment("AZURE_OPENAI_API_VERSION", "OPENAI_API_VERSION")


def _environment(*names: str) -> str | None:
    for name in names:
        value = os.environ.get(name, "").strip()
        if value:
            return value
    return None
