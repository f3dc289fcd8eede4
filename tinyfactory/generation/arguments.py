"""Checks of arguments that are made before anything is sent to a model."""

from __future__ import annotations

from typing import Any

from tinyfactory import settings
from tinyfactory.errors import InvalidInput
from tinyfactory.utils.text import clean

DEFAULT_LANGUAGE = "English"


def language_or_default(language: str | None) -> str:
    """Return the language of replies: the given one, the configured one, or English."""
    return str(language or settings.get("language") or DEFAULT_LANGUAGE)


def check_count(number: Any, what: str) -> int:
    """Check that a number is a whole number of at least 1, and return it."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise InvalidInput(
            f"{what} must be a whole number of at least 1, not {number!r}. Nothing was sent."
        )
    return number


def check_temperature(temperature: Any) -> None:
    """Check that a temperature is a number from 0 to 2, or None."""
    number = isinstance(temperature, (int, float)) and not isinstance(temperature, bool)
    if temperature is not None and not (number and 0 <= temperature <= 2):
        raise InvalidInput(
            f"temperature must be a number from 0 to 2, not {temperature!r}. Nothing was sent."
        )


def check_question(question: Any) -> None:
    """Check that a question is a text that is not blank and can be sent."""
    if not isinstance(question, str) or not question.strip():
        raise InvalidInput(
            f"A question must be a text that is not blank, not {question!r}. Nothing was sent."
        )
    if question != clean(question):
        raise InvalidInput(
            "The question has a NUL or half of a surrogate pair, which cannot be sent. Nothing "
            "was sent."
        )
