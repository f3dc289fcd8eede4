"""Prompts: mustache templates, rendered strictly. The only package that imports chevron.

Prompts need three differences from plain mustache: a missing value is an error, nothing is
escaped for HTML, and no partial is read from the working directory.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from tinyfactory.errors import InvalidInput

__all__ = ["check", "render", "template"]


@cache
def template(name: str) -> str:
    """The text of a packaged template, such as ``"person.instructions"``."""
    return Path(__file__).with_name(f"{name}.mustache").read_text(encoding="utf-8")


def render(text: str, values: Mapping[str, Any], name: str = "the template") -> str:
    """Fill a mustache template in.

    Parameters
    ----------
    text : str
        The template.
    values : mapping
        The values of its variables. Lists and truth values open sections.
    name : str
        The name of the template in error messages.

    Raises
    ------
    InvalidInput
        If a value is missing, or the template has a partial or is not valid mustache.

    Examples
    --------
    >>> render("{{who}} says <{{word}}>.", {"who": "Ana", "word": "hi & bye"})
    'Ana says <hi & bye>.'
    >>> render("{{who}}", {})
    Traceback (most recent call last):
        ...
    tinyfactory.errors.InvalidInput: the template asks for {{who}}, and there is no such value...
    """
    used = tuple((key, values.get(key)) for key in _names(text, name))
    if all(type(value) in (str, int) for _, value in used):  # so there is nothing to check
        return _rendered(text, name, used)
    tokens = _tokens(text, name)
    _check(tokens, [values], name)
    return _render(tokens, values)


@lru_cache(maxsize=64)  # a request is built for the key of the event and again for the call
def _rendered(text: str, name: str, used: tuple[tuple[str, Any], ...]) -> str:
    return _render(_tokens(text, name), dict(used))


def _render(tokens: list[tuple[str, str]], values: Mapping[str, Any]) -> str:
    import chevron  # slow to import

    return str(chevron.render([(_plain(kind), key) for kind, key in tokens], dict(values)))


def check(text: str, known: Mapping[str, Any], name: str = "the template") -> None:
    """Reject a template with a variable that is not among the known ones."""
    _check(_tokens(text, name), [known], name)


@lru_cache(maxsize=64)  # many people share the same few templates
def _tokens(text: str, name: str) -> list[tuple[str, str]]:
    from chevron.tokenizer import ChevronError, tokenize  # slow to import

    try:
        return list(tokenize(text))
    except (ChevronError, SyntaxError) as error:
        raise InvalidInput(f"{name} is not valid mustache: {error}.") from None


@lru_cache(maxsize=64)
def _names(text: str, name: str) -> frozenset[str]:
    """The names that a template uses; a dotted name and a partial as "", which has no value."""
    tags = [tag for tag in _tokens(text, name) if tag[0] not in ("literal", "end")]
    return frozenset("" if kind == "partial" or "." in key else key for kind, key in tags)


def _plain(kind: str) -> str:
    return "no escape" if kind == "variable" else kind


def _check(tokens: list[tuple[str, str]], scopes: list[Any], name: str) -> None:
    depth: list[int] = []
    for kind, key in tokens:
        if kind in ("variable", "no escape", "section", "inverted section"):
            value = _look_up(key, scopes, name)
            if kind == "section":
                depth.append(len(scopes))
                # A list is checked by its first item, a mapping by itself.
                inner = value[0] if isinstance(value, (list, tuple)) and value else value
                scopes = [*scopes, inner]
            elif kind == "inverted section":
                depth.append(len(scopes))
        elif kind == "end" and depth:
            scopes = scopes[: depth.pop()]
        elif kind == "partial":
            raise InvalidInput(f"{name} includes {{{{>{key}}}}}; write the text out instead.")


def _look_up(key: str, scopes: list[Any], name: str) -> Any:
    if key == ".":
        return scopes[-1]
    first, *rest = key.split(".")
    for scope in reversed(scopes):
        if isinstance(scope, Mapping) and first in scope:
            value = scope[first]
            for part in rest:
                value = value.get(part) if isinstance(value, Mapping) else None
            if value is not None:
                return value
    known = sorted({k for scope in scopes if isinstance(scope, Mapping) for k in scope})
    raise InvalidInput(
        f"{name} asks for {{{{{key}}}}}, and there is no such value. Nothing was sent. "
        f"There are: {', '.join(known) or 'none'}."
    )
