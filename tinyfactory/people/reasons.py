"""Why a description of a person cannot be used, in words that a model can act on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any


def explain(errors: Iterable[Any], fields: dict[str, list[str]]) -> str:
    """What is wrong and what is expected, field by field, as one would tell the author.

    Parameters
    ----------
    errors : iterable of dict
        What pydantic's `ValidationError.errors()` gives.
    fields : dict
        The fields of each part, by the part's last name; of the whole under ``""``.
    """
    lines = ["This description of a person cannot be used:"]
    for item in errors:
        path = ".".join(str(step) for step in item["loc"])
        if item["type"] == "value_error" and not path:  # not even JSON: its own words
            lines.append(str(item["ctx"]["error"]))
        elif item["type"] == "missing":
            lines.append(f"{path}: missing; expected {_expected(path, item['type'], fields)}.")
        else:
            what = shown(item["input"])
            expected = _expected(path, item["type"], fields)
            lines.append(f"{path or 'the whole'}: {what} is not possible; expected {expected}.")
    more = len(lines) - 11
    if more > 0:
        lines[11:] = [f"and {more} more."]
    return "\n- ".join(lines)


def _expected(path: str, kind: str, fields: dict[str, list[str]]) -> str:
    if path == "name":
        return "a name of 1 to 200 characters that has letters"
    if path == "age":
        return "a whole number from 0 to 120"
    if ".big_five." in path:
        return "a whole number from 0 to 100"
    if kind == "list_type":
        return "a list of people" if path == "relationships" else "a list of texts"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        part = [step for step in path.split(".") if not step.isdigit()][-1]
        return f"an object with {', '.join(fields[part])}"
    return "text"


def shown(value: Any) -> str:
    """A value as JSON, cut short."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
