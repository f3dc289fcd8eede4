"""Words for genders, as people and statistics write them."""

from __future__ import annotations

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
