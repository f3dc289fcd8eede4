"""Population files of TinyTroupe, which are prompts with tables in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tinyfactory.errors import DemographyError
from tinyfactory.populations.bands import check_ages, read_bands
from tinyfactory.populations.layouts import ABOUT, Json, read_shares, read_weight


def from_peer(data: Mapping[str, Any]) -> Json | None:
    """The tables of a population file of TinyTroupe, or None when it is not one.

    Those files are prompts and have no schema. What is read: every group of percentages under
    ``content / Demographics`` that adds up to 100, as a field; and the country. What else
    there is, is named in ``about["left_out"]``. Older ones have such groups at the top, as
    ``age_distribution``.
    """
    content = data.get("content")
    if isinstance(content, Mapping):
        groups = content.get("Demographics") or content.get("demographics") or {}
    elif any(str(key).endswith("_distribution") for key in data):
        groups = {k: v for k, v in data.items() if k not in ABOUT}
    else:
        return None
    if not isinstance(groups, Mapping):
        raise DemographyError(f"content / Demographics: {groups!r:.80} holds no groups.")
    found: Json = {}
    left_out: list[str] = []
    _collect(groups, "", found, left_out)
    if isinstance(content, Mapping):
        left_out += [str(key) for key in content if str(key).lower() != "demographics"]
    if not found:
        tried = f" There are: {', '.join(left_out)}." if left_out else ""
        raise DemographyError(
            "This has the layout of TinyTroupe's population files, and under content / "
            f"Demographics there is no group of percentages that adds up to 100.{tried} Add one."
        )
    about = {
        "name": data.get("title"),
        "description": data.get("description"),
        "source": data.get("source"),
        "country": groups.get("Country") or groups.get("country") or data.get("country"),
        "left_out": left_out,
    }
    return {"about": {key: value for key, value in about.items() if value}} | found


def _collect(groups: Mapping[str, Any], above: str, found: Json, left_out: list[str]) -> None:
    for key, value in groups.items():
        path = f"{above} / {key}" if above else str(key)
        if not isinstance(value, Mapping):
            if str(key).lower() != "country":
                left_out.append(path)
            continue
        parts = {k: v for k, v in value.items() if not isinstance(v, Mapping)}
        name = _field_name(path)
        try:
            whole = sum(read_weight(path, part) for part in parts.values())
            if name in found or not any(abs(whole / end - 1) < 0.02 for end in (1, 100)):
                raise DemographyError(path)
            shares = read_shares(path, parts)
            if name == "age":
                check_ages(name, shares, read_bands(name, shares))
            found[name] = {k.lower() if _plain(k) else k: v for k, v in shares.items()}
        except DemographyError:
            left_out.extend(f"{path} / {part}" for part in parts)
        _collect({k: v for k, v in value.items() if isinstance(v, Mapping)}, path, found, left_out)


def _plain(category: str) -> bool:
    """Whether a category is one of the words that are written small elsewhere."""
    return category.lower() in {"male", "female"}


def _field_name(path: str) -> str:
    """A short name: "Age Distribution" is `age`, "Household Income / Distribution" is that."""
    parts = [re.sub(r"[\s_]+", " ", part).strip().lower() for part in path.split("/")]
    parts = [re.sub(r"\s*distribution$", "", part) for part in parts]
    name = next((part for part in reversed(parts) if part), parts[0])
    return {"regions": "region", "educational attainment": "education"}.get(name, name)
