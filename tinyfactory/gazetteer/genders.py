"""Words for genders, as people and statistics write them."""

from __future__ import annotations

import re

from tinyfactory.utils.text import fold

# Nouns for one person.
NOUNS = {
    "female": ("female", "woman", "girl", "lady"),
    "male": ("male", "man", "boy", "gentleman"),
}
_OTHER_WORDS = {
    "female": ("f", "women", "girls", "feminine", "cis-female"),
    "male": ("m", "men", "boys", "masculine", "cis-male"),
}
_GENDERS = {word: gender for gender in NOUNS for word in (*NOUNS[gender], *_OTHER_WORDS[gender])}


def gender_of(word: str) -> str | None:
    """Read a word for a gender: "female", "male", or None for any other word.

    Examples
    --------
    >>> gender_of("Woman"), gender_of(" m "), gender_of("prefer not to say")
    ('female', 'male', None)
    """
    return _GENDERS.get(fold(word))


_IN_TEXT = {
    "non-binary": re.compile(r"\bnon-?\s?binary\b"),
    "female": re.compile(rf"\b(?:{'|'.join(NOUNS['female'])}|f)\b"),
    "male": re.compile(rf"\b(?:{'|'.join(NOUNS['male'])}|m)\b"),
}


def gender_in(text: str) -> str | None:
    """Find a gender in the value of a field: "non-binary", "female", "male", or None.

    Examples
    --------
    >>> gender_in("a young woman"), gender_in("Non-binary"), gender_in("any")
    ('female', 'non-binary', None)
    """
    words = text.lower()
    return next((gender for gender, words_for in _IN_TEXT.items() if words_for.search(words)), None)
