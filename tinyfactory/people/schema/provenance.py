"""Where each field of a person came from, as far as that is recorded.

``"asked"``: the particularities or the profile of one person fixed it; ``"sampled"``: drawn
from a demography; ``"model"`` and ``"offline"``: written by a model or by the offline writer;
``"edited"``: changed by `TinyPerson.revise`. A field whose origin is not recorded, as in a
person made by hand, is left out.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from tinyfactory.people.schema.fields import path_in_words
from tinyfactory.people.schema.layout import ALIASES, TOP
from tinyfactory.prompts.particularities import read_constraints

Json = dict[str, Any]
Origin = Literal["asked", "sampled", "model", "edited", "offline"]

# Fields that particularities in words can fix, and where they stand.
_WISHES = {
    "name": "name",
    "age": "age",
    "gender": "gender",
    "nationality": "nationality",
    "place": "residence",
    "country": "residence",
    "occupation": "occupation.title",
    "interests": "preferences.interests",
}
# Fields of a profile that together make the home.
_PLACES = ("place", "city", "county", "state", "province", "region", "country")


def origins_of(persona: Json, provenance: Json) -> dict[str, Origin]:
    """The origin of each field, by dotted path.

    Examples
    --------
    >>> origins_of({"name": "Ana", "age": 34, "style": "Calm."},
    ...            {"source": "model", "recipe": {"particularities": "a 34-year-old"}})
    {'name': 'model', 'age': 'asked', 'style': 'model'}
    """
    written = provenance.get("source")
    base: Origin | None = written if written in ("model", "offline") else None
    fixed: dict[str, Origin] = dict.fromkeys(_asked(provenance), "asked")
    profile = provenance.get("profile")
    if isinstance(profile, dict):
        # A twin's profile holds what was kept alike, whoever had decided it.
        drawn: Origin = "asked" if "twin_of" in provenance else "sampled"
        fixed |= dict.fromkeys(map(_profile_path, profile), drawn)
    changed = provenance.get("origins") or {}
    found: dict[str, Origin] = {}
    for path in _paths(persona):
        origin = _nearest(path, changed) or _nearest(path, fixed) or base
        if origin is not None:
            found[path] = origin
    return found


def with_origins(provenance: Json, ways: Iterable[list[str]], origin: Origin) -> Json:
    """The provenance, with a new origin of the fields at these ways."""
    origins = copy.deepcopy(provenance.get("origins") or {})
    for way in ways:
        path = ".".join(way)
        for known in [key for key in origins if key == path or key.startswith(f"{path}.")]:
            del origins[known]
        origins[path] = origin
    return provenance | {"origins": origins}


def _paths(part: Json, way: str = "") -> Iterator[str]:
    for key, value in part.items():
        path = f"{way}.{key}" if way else key
        if isinstance(value, dict) and value:
            yield from _paths(value, path)
        else:
            yield path


def _nearest(path: str, origins: dict[str, Origin]) -> Origin | None:
    """The origin of a path, or of the part that it stands in."""
    while path:
        if path in origins:
            return origins[path]
        path = path.rpartition(".")[0]
    return None


def _asked(provenance: Json) -> list[str]:
    """The fields that the particularities fixed."""
    told = (provenance.get("recipe") or {}).get("particularities")
    if isinstance(told, dict):
        return [_path_of(key) for key in told]
    if not isinstance(told, str):
        return []
    fixed = read_constraints(told)
    return [path for wish, path in _WISHES.items() if getattr(fixed, wish)]


def _profile_path(key: str) -> str:
    """Where a field of a profile stands in the person."""
    key = key.lower()
    if key in _PLACES:
        return "residence"
    path = _path_of(key)
    return path if path.split(".")[0] in TOP else f"demographics.{key}"


def _path_of(key: str) -> str:
    """Where what is asked for under a short name stands."""
    return ALIASES.get(key) or _WISHES.get(key) or key


# How a field came to be, in the order in which it is told.
_WAYS = {
    "asked": "Asked for",
    "sampled": "Drawn from a table, by code",
    "model": "Written by a model",
    "offline": "Made by the offline writer",
    "edited": "Edited",
}


def origin(provenance: Json) -> str:
    """Where the description came from, in a sentence.

    Examples
    --------
    >>> origin({"source": "model", "model": "m-1"})
    'Written by the model m-1.'
    """
    source, model = provenance.get("source"), provenance.get("model")
    if source == "offline":
        return "Made by the offline writer; no language model was asked."
    if source == "model":
        return f"Written by the model {model}." if model else "Written by a model."
    return f"From: {source}." if source else "Where this description came from is not recorded."


def ways(origins: Mapping[str, Origin]) -> list[tuple[str, str]]:
    """How fields came to be, and which ones did, in words; nothing where it is not recorded."""
    found = []
    for way, words in _WAYS.items():
        paths = [path_in_words(path) for path, how in origins.items() if how == way]
        if paths:
            found.append((words, " · ".join(paths)))
    return found
