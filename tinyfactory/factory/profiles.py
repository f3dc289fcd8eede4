"""Profiles: the fields of a person that code draws from a demography before asking a model."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyfactory.errors import InvalidInput
from tinyfactory.gazetteer.countries import names_place
from tinyfactory.gazetteer.names import draw_names
from tinyfactory.journal.values.stored_text import digest
from tinyfactory.prompts.particularities import (
    Particularities,
    constraints_in,
    read_constraints,
)
from tinyfactory.utils.sources import Source

if TYPE_CHECKING:
    from tinyfactory.populations import Demography

Json = dict[str, Any]
# The field for the user's own words beside a profile; `read_constraints` knows the name.
ALSO = "also"
_SEX = ("sex", "gender")
_PLACES = ("residence", "place", "city", "county", "state", "province", "region", "country")
_TOLD_ELSEWHERE = frozenset(("name", "age", "occupation", "nationality", *_SEX, *_PLACES))


def draw(demography: Json, number: int, seed: int, made: int, taken: Iterable[str]) -> list[Json]:
    """Draw profiles that match the demography; after `made` people, different ones."""
    if made:
        seed = int(digest("people after", seed, made)[:12], 16)
    found: list[Json] = fitted(demography).profiles(number, seed=seed, taken=list(taken))
    return found


def fitted(demography: Json) -> Demography:
    """A demography with its tables fitted to each other; raises if they contradict each other.

    Cached, because large tables take seconds.
    """
    return _fitted(json.dumps(demography, ensure_ascii=False))


@lru_cache(maxsize=4)
def _fitted(text: str) -> Demography:
    from tinyfactory.populations import Demography
    from tinyfactory.populations.schema import read_tables

    return Demography(read_tables(json.loads(text))).check()


def another_name(profile: Json, taken: Iterable[str]) -> Json:
    """The profile with another free name, because its own was taken meanwhile."""
    country = profile.get("country", profile.get("region"))
    sex = next((profile[key] for key in _SEX if key in profile), None)
    seed = int(digest("another name", profile["name"])[:12], 16)
    return profile | {"name": draw_names([country], [sex], seed=seed, taken=taken)[0]}


def asked(profile: Json | None, particularities: Particularities) -> Particularities:
    """The particularities of a person: the profile and the user's own.

    Raises
    ------
    InvalidInput
        If both give different values for the same field.
    """
    if not profile:
        return particularities
    fields = without_bands(profile)
    if isinstance(particularities, dict):
        clash = [k for k, v in particularities.items() if k in fields and fields[k] != v]
        if clash:
            raise InvalidInput(
                f"{', '.join(clash)}: the demography decides this, but agent_particularities give "
                "another value. Nothing was sent. Remove it from one of them."
            )
        return fields | particularities
    words = (particularities or "").strip()
    return fields | ({ALSO: words} if words else {})


def without_bands(profile: Json) -> Json:
    """A profile without the bands of its numbers, such as ``age_band``."""
    return {key: value for key, value in profile.items() if not _is_band(key, profile)}


def _is_band(key: str, profile: Json) -> bool:
    return key.endswith("_band") and key.removesuffix("_band") in profile


def strays(asked: Json, persona: Json) -> str | None:
    """How a person's gender or home differs from the required fields, in words for the model.

    Fields that the person lacks are not compared; `complete` adds them.

    Examples
    --------
    >>> strays({"sex": "female", "region": "Tuscany"}, {"gender": "woman", "residence": "Rome"})
    "The residence must name 'Tuscany', as was asked for; 'Rome' does not."
    >>> strays({"country": "United States"}, {"residence": "Boise, Idaho, USA"}) is None
    True
    """
    fields = {key.lower().replace("_", " "): value for key, value in asked.items()}
    wanted = constraints_in(asked).gender
    told = read_constraints(f"gender: {persona.get('gender') or '?'}").gender
    if wanted and told and wanted != told:
        return f"The gender must be {wanted!r}, as was asked for, not {persona['gender']!r}."
    residence = persona.get("residence")
    if isinstance(residence, str) and residence.strip():
        for key in _PLACES:
            place = fields.get(key)
            if isinstance(place, str) and place.strip() and not names_place(residence, place):
                return (
                    f"The residence must name {place!r}, as was asked for; {residence!r} does not."
                )
    return None


def complete(profile: Json, persona: Json) -> Json:
    """The person with the fields of the profile that it lacks.

    Fields that the schema does not have, such as a household or an income, go under
    ``demographics``.
    """
    added: Json = {}
    sex = next((profile[key] for key in _SEX if profile.get(key)), None)
    home = ", ".join(str(profile[key]) for key in _PLACES if profile.get(key))
    if sex and not persona.get("gender"):
        added["gender"] = str(sex)
    if home and not persona.get("residence"):
        added["residence"] = home
    for key in ("age", "nationality"):
        if profile.get(key) and not persona.get(key):
            added[key] = profile[key]
    if profile.get("occupation") and not (persona.get("occupation") or {}).get("title"):
        added["occupation"] = (persona.get("occupation") or {}) | {"title": profile["occupation"]}
    others = {
        key: value
        for key, value in profile.items()
        if key.lower() not in _TOLD_ELSEWHERE and not _is_band(key, profile)
    }
    if others:
        added["demographics"] = {**(persona.get("demographics") or {}), **others}
    return persona | added


def read_demography(given: Demography | Json | str | Path) -> Demography:
    """Read a demography from any of the accepted forms."""
    from tinyfactory.populations import Demography

    if isinstance(given, Demography):
        return given
    if isinstance(given, dict):
        return Demography.from_dict(given)
    if not isinstance(given, (str, PathLike)):
        raise InvalidInput(
            "demography must be a Demography, a dictionary, the path of a file, or the name of a "
            f"shipped one, not {type(given).__name__}. For a DataFrame, use "
            "Demography.from_frame(frame)."
        )
    source = Source(given)
    if source.suffix in (".csv", ".tsv"):
        return Demography.from_csv(source.path)
    if source.suffix == ".json":
        return Demography.from_json(source.path)
    return Demography.shipped(str(given))


def context_of(demography: Demography) -> str:
    """The default context, made from what the demography says about itself."""
    about = demography.to_dict().get("about", {})
    name = about.get("name")
    where = about.get("country")
    return f"People of {name or where or 'a population'}" + (
        f", {where}" if name and where and where not in name else ""
    )
