"""Where a person and their fields came from, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyfactory.people.fields import path_in_words

if TYPE_CHECKING:
    from tinyfactory.people.person import TinyPerson

# How a field came to be, in the order in which it is told.
_WAYS = {
    "asked": "Asked for",
    "sampled": "Drawn from a table, by code",
    "model": "Written by a model",
    "offline": "Made by the offline writer",
    "edited": "Edited",
}


def origin(person: TinyPerson) -> str:
    """Where the description came from, in a sentence.

    Examples
    --------
    >>> from tinyfactory.people import TinyPerson
    >>> origin(TinyPerson("Ana", provenance={"source": "model", "model": "m-1"}, register=False))
    'Written by the model m-1.'
    """
    source, model = person.provenance.get("source"), person.provenance.get("model")
    if source == "offline":
        return "Made by the offline writer; no language model was asked."
    if source == "model":
        return f"Written by the model {model}." if model else "Written by a model."
    return f"From: {source}." if source else "Where this description came from is not recorded."


def ways(person: TinyPerson) -> list[tuple[str, str]]:
    """How fields came to be, and which ones did, in words; nothing where it is not recorded."""
    origins = person.origins()
    found = []
    for way, words in _WAYS.items():
        paths = [path_in_words(path) for path, how in origins.items() if how == way]
        if paths:
            found.append((words, " · ".join(paths)))
    return found
