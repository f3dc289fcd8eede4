"""Secrets in texts: keys, passwords in addresses, home folders, the user's name."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tinyfactory import settings

_NAMES = r"(?:x[-_])?api[-_ ]?key|access[-_ ]?token|subscription[-_]key"
_SET = r"([\"']?\s*[:=]\s*[\"']?)"
_VALUE = r"[^\s\"'&,;}]"
# Kind, pattern and replacement of each secret. A key holds a digit; words do not. The group
# "digits" is searched for one only after the match: each place of a text is then looked at once.
_SHAPES: tuple[tuple[str, str, str], ...] = (
    ("a key", r"\b(?:sk|pk|rk|gsk|xai|hf|ghp|github_pat)[-_](?P<digits>[\w-]{12,})", "[key]"),
    ("a key", r"\bAIza[\w-]{30,}", "[key]"),
    ("a key", r"(?i)\b(bearer)\s+(?=[^\s\"',}]{0,200}\d)[\w.~+/=-]{8,}", r"\1 [key]"),
    ("a key", r"(?i)\b(basic)\s+(?=[^\s\"',}]{0,200}\d)[\w.~+/=-]{16,}", r"\1 [key]"),
    ("a key", rf"(?i)\b({_NAMES}){_SET}(?!\[key\]){_VALUE}{{6,}}", r"\1\2[key]"),
    # "Her secret: chocolate" is not one.
    (
        "a key",
        rf"(?i)\b(password|passwd|secret){_SET}(?P<digits>{_VALUE}{{6,}})",
        r"\1\2[key]",
    ),
    ("a password", r"(?<=://)[^/@\s:]*:[^/@\s]+@", ""),
    ("a home folder", r"(?<![\w.~])/(?:home|Users)/[\w.@-]+", "[home]"),
    ("a home folder", r"(?i)\b[a-z]:[\\/]+Users[\\/]+[\w.@ -]+?(?=[\\/]|$|[\"'\n])", "[home]"),
)
_DIGIT = re.compile(r"\d")
_A_SECRET = re.compile(r"(?i)key|token|secret|pass|sig")
_VARIABLES = ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN")
# Shorter keys are placeholders ("ollama"), or words that may occur anywhere.
_LEAST = 8


class Secrets:
    """Finds and removes secrets: patterns of keys, the keys in use, the present user's name.

    Examples
    --------
    >>> secrets = Secrets()
    >>> secrets.without("Authorization: Bearer abc123def456")
    'Authorization: Bearer [key]'
    >>> secrets.without("A bearer of good news, at home in the town.")
    'A bearer of good news, at home in the town.'
    """

    def __init__(self) -> None:
        rules: list[tuple[str, str, str]] = []
        keys = [settings.get("api_key"), *(os.environ.get(name) for name in _VARIABLES)]
        for address in (settings.get("base_url"), os.environ.get("AZURE_OPENAI_ENDPOINT", "")):
            try:
                parts = urlsplit(str(address))
            except ValueError:  # not an address
                continue
            keys.append(parts.password)
            keys += [value for name, value in parse_qsl(parts.query) if _A_SECRET.search(name)]
        rules += [("a key", re.escape(k), "[key]") for k in keys if k and len(k) >= _LEAST]
        home = str(Path.home())
        if len(Path(home).parts) > 1:
            rules.append(("a home folder", rf"(?<![\w.~]){re.escape(home)}(?![\w-])", "[home]"))
        rules += _SHAPES
        user = _user()
        if user:
            rules.append(
                ("the user's name", rf"(?<=[/\\]){re.escape(user)}(?=[/\\]|$|[\"'\s])", "[user]")
            )
        self._rules = [(what, re.compile(shape), instead) for what, shape, instead in rules]

    def without(self, text: str) -> str:
        """The text without its secrets."""
        for _, shape, instead in self._rules:
            if "digits" in shape.groupindex:
                text = _replace_secrets(shape, instead, text)
            else:
                text = shape.sub(instead, text)
        return text

    def key_in(self, text: str) -> bool:
        """Whether a text holds a key or a password."""
        kinds = ("a key", "a password")
        return any(_holds(shape, text) for what, shape, _ in self._rules if what in kinds)

    def what_in(self, text: str) -> str | None:
        """The kind of secret in a text; None when there is none."""
        for what, shape, _ in self._rules:
            if _holds(shape, text):
                return what
        return None


def _is_secret(found: re.Match[str]) -> bool:
    """Whether a match holds a digit, if it needs one."""
    return "digits" not in found.re.groupindex or _DIGIT.search(found["digits"]) is not None


def _holds(shape: re.Pattern[str], text: str) -> bool:
    return any(map(_is_secret, shape.finditer(text)))


def _replace_secrets(shape: re.Pattern[str], instead: str, text: str) -> str:
    return shape.sub(lambda m: m.expand(instead) if _is_secret(m) else m[0], text)


def holds_secret(text: str) -> bool:
    """Whether a text holds a key, a password, a home folder or the user's name."""
    return Secrets().what_in(text) is not None


def secrets_in(value: Any, name: str = "") -> list[str]:
    """The texts in JSON that are secrets, by the names of their fields or by their form.

    Examples
    --------
    >>> secrets_in({"user": "ana", "auth": {"token": "abc"}})
    ['abc']
    """
    if isinstance(value, str):
        return [value] if value and (_A_SECRET.search(name) or scrub(value) != value) else []
    if isinstance(value, list):
        return [found for item in value for found in secrets_in(item, name)]
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in secrets_in(item, key)]
    return []


def strings_replaced(value: Any, swap: Callable[[str, str], str], where: str) -> Any:
    """JSON with each text, including keys of dictionaries, replaced by `swap(text, place)`."""
    if isinstance(value, str):
        return swap(value, where)
    if isinstance(value, list):
        return [strings_replaced(item, swap, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, dict):
        return {
            swap(name, where): strings_replaced(item, swap, f"{where}.{name}")
            for name, item in value.items()
        }
    return value


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        return ""


# Servers repeat keys in error messages, often shortened.
_IN_MESSAGES = (
    (re.compile(r"\bsk-[\w*.…-]{3,}"), "[key]"),
    (re.compile(r"\b(Bearer|Basic)\s+[^\s\"',}]+", re.IGNORECASE), r"\1 [key]"),
    (
        re.compile(r"(?i)((?:api[-_ ]?key|authorization|token)[\"']?\s*[:=]\s*[\"']?)[^\s\"',}]+"),
        r"\1[key]",
    ),
    # A key partly replaced by stars; each run of characters is looked at once.
    (re.compile(r"(?<![\w.-])[\w.-]*+\*{4,}[\w.-]*"), "[key]"),
    (re.compile(r"://[^/@\s]+@"), "://"),
)


def scrub(text: str, *secrets: str | None) -> str:
    """A server's message with every key, and all that looks like one, removed.

    Stricter than `Secrets`, which reads text that people wrote: a word too many removed from an
    error message does no harm.

    Examples
    --------
    >>> scrub("Incorrect API key provided: sk-abcd****wxyz. Got abra-cadabra.", "abra-cadabra")
    'Incorrect API key provided: [key] Got [key].'
    """
    for secret in secrets:
        if secret and len(secret) >= _LEAST:
            text = text.replace(secret, "[key]")
    for pattern, replacement in _IN_MESSAGES:
        text = pattern.sub(replacement, text)
    return text
