"""The origin of each field of a person, as far as it is recorded.

``"asked"``: fixed by the particularities or the profile of one person; ``"sampled"``: drawn
from a demography; ``"model"`` and ``"offline"``: written by a model or by the offline model;
``"edited"``: changed by `TinyPerson.revise`. Fields without a recorded origin, as in a person
written by hand, are left out.
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

# Fields that particularities in words can fix, and their paths.
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
# Fields of a profile that together make the residence.
_PLACES = ("place", "city", "county", "state", "province", "region", "country")


def origins_of(persona: Json, provenance: Json) -> dict[str, Origin]:
    """Return the origin of each field, by dotted path.

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
        # A twin's profile holds the fields kept from the original, whatever their origin.
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
    """Return the provenance with a new origin of the fields at these paths."""
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
    """Return the origin of a path, or of the nearest part around it."""
    while path:
        if path in origins:
            return origins[path]
        path = path.rpartition(".")[0]
    return None


def _asked(provenance: Json) -> list[str]:
    """Return the paths of fields that the particularities fixed."""
    told = (provenance.get("recipe") or {}).get("particularities")
    if isinstance(told, dict):
        return [_path_of(key) for key in told]
    if not isinstance(told, str):
        return []
    fixed = read_constraints(told)
    return [path for wish, path in _WISHES.items() if getattr(fixed, wish)]


def _profile_path(key: str) -> str:
    """Return the path in a person of a field of a profile."""
    key = key.lower()
    if key in _PLACES:
        return "residence"
    path = _path_of(key)
    return path if path.split(".")[0] in TOP else f"demographics.{key}"


def _path_of(key: str) -> str:
    """Return the path of a field of the particularities."""
    return ALIASES.get(key) or _WISHES.get(key) or key


# Origins in words, in the order of display.
_IN_WORDS = {
    "asked": "Asked for",
    "sampled": "Drawn from a table, by code",
    "model": "Written by a model",
    "offline": "Made by the offline writer",
    "edited": "Edited",
}


def origin(provenance: Json) -> str:
    """Write where a person came from in one sentence.

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
    """Return each origin in words with its fields; empty if nothing is recorded."""
    found = []
    for way, words in _IN_WORDS.items():
        paths = [path_in_words(path) for path, how in origins.items() if how == way]
        if paths:
            found.append((words, " · ".join(paths)))
    return found
