"""Tables of a population as people write them, read into one layout and checked."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tinyfactory.errors import DemographyError

Json = dict[str, Any]
Shares = dict[str, float]
Cells = dict[tuple[str, ...], float]

ABOUT = ("name", "description", "source", "year", "licence", "country", "illustrative", "left_out")
_TABLES = ("about", "joint", "conditional", "impossible")
_WEIGHTS = ("share", "count", "proportion", "weight", "n")
# How far shares may be from a sum of 1: rounding in print.
_ROUNDING = 0.02


@dataclass
class Tables:
    """What is said of a population.

    `margins` holds shares by field and category, `joints` tables of shares over several
    fields, `conditionals` the shares of a field within each combination of others.
    """

    about: Json = field(default_factory=dict)
    margins: dict[str, Shares] = field(default_factory=dict)
    joints: list[tuple[tuple[str, ...], Cells]] = field(default_factory=list)
    conditionals: list[tuple[str, tuple[str, ...], dict[tuple[str, ...], Shares]]] = field(
        default_factory=list
    )
    impossible: list[dict[str, str]] = field(default_factory=list)


def read_tables(data: Any) -> Tables:
    """The tables in a dictionary; see `Demography.from_dict`.

    Raises
    ------
    DemographyError
        Naming the cell that cannot be.
    """
    if not isinstance(data, Mapping) or not data:
        raise DemographyError(
            'A demography is a dictionary such as {"sex": {"female": 0.51, "male": 0.49}}, not '
            f"{data!r:.80}."
        )
    tables = Tables(about=dict(data.get("about") or {}))
    for key, value in data.items():
        if key in _TABLES:
            continue
        if isinstance(value, Mapping):
            tables.margins[str(key)] = read_shares(str(key), value)
        elif key in ABOUT:
            tables.about[key] = value
        else:
            raise DemographyError(
                f"{key}: a field holds its categories and their shares, not {value!r:.80}."
            )
    for number, item in enumerate(data.get("joint") or [], 1):
        tables.joints.append(_read_joint(f"joint table {number}", item))
    for number, item in enumerate(data.get("conditional") or [], 1):
        tables.conditionals.append(_read_conditional(f"conditional table {number}", item))
    for item in data.get("impossible") or []:
        if not isinstance(item, Mapping) or len(item) < 2:
            raise DemographyError(f"impossible: {item!r} does not combine two fields or more.")
        tables.impossible.append({str(k): str(v) for k, v in item.items()})
    return tables


def read_shares(name: str, cells: Mapping[Any, Any]) -> Shares:
    """Shares that add up to 1, out of shares, percentages or counts."""
    weights: Shares = {}
    for key, value in cells.items():
        category = str(key).strip()
        if category in weights:
            raise DemographyError(f"{name} / {category}: this category stands there twice.")
        weights[category] = read_weight(f"{name} / {category}", value)
    return dict(zip(weights, _normalised(name, list(weights.values())), strict=True))


def read_weight(cell: str, value: Any) -> float:
    """A share, a count, or a percentage such as "18.6%"."""
    text = str(value).strip()
    percent = text.endswith("%")
    try:
        if isinstance(value, bool):
            raise ValueError
        number = float(text.rstrip("%").replace(",", "")) / (100 if percent else 1)
    except ValueError:
        raise DemographyError(f"{cell}: {value!r} is no number.") from None
    if not math.isfinite(number):
        raise DemographyError(f"{cell}: {value!r} is no number.")
    if number < 0:
        raise DemographyError(f"{cell}: {value!r} is negative.")
    return number


def _normalised(name: str, weights: Sequence[float]) -> list[float]:
    total = math.fsum(weights)
    if not weights or total <= 0:
        raise DemographyError(f"{name}: nobody is in any of its categories.")
    whole = all(weight == int(weight) for weight in weights)
    if total < 1 - _ROUNDING or (1 + _ROUNDING < total < 2 and not whole):
        raise DemographyError(
            f"{name}: the shares add up to {total:.4g}, not to 1. Give all categories, or counts."
        )
    return [weight / total for weight in weights]


def _read_joint(name: str, item: Any) -> tuple[tuple[str, ...], Cells]:
    fields = tuple(str(f) for f in (item or {}).get("fields", ()))
    if len(fields) < 2 or len(set(fields)) < len(fields):
        raise DemographyError(f'{name}: "fields" names two different fields or more.')
    name = f"{name} ({', '.join(fields)})"
    rows = item.get("table")
    if isinstance(rows, Mapping):
        rows = [
            dict(zip(fields, key, strict=True)) | {"share": v}
            for key, v in _leaves(rows, fields, name)
        ]
    weights: Cells = {}
    for row in rows or []:
        missing = [f for f in fields if f not in row]
        if missing:
            raise DemographyError(f"{name}: the row {row!r:.80} does not say {', '.join(missing)}.")
        cell = tuple(str(row[f]) for f in fields)
        if cell in weights:
            raise DemographyError(f"{name} / {' / '.join(cell)}: this cell stands there twice.")
        weights[cell] = read_weight(f"{name} / {' / '.join(cell)}", _weight(name, row))
    return fields, dict(zip(weights, _normalised(name, list(weights.values())), strict=True))


def _leaves(
    table: Mapping[Any, Any], fields: Sequence[str], name: str
) -> list[tuple[list[str], Any]]:
    """Rows of nested tables: {"female": {"18-29": 0.2, ...}, ...}."""
    if len(fields) == 1:
        return [([str(key)], value) for key, value in table.items()]
    rows = []
    for key, inner in table.items():
        if not isinstance(inner, Mapping):
            raise DemographyError(f"{name} / {key}: holds no table of {fields[1]}.")
        rows += [([str(key), *rest], value) for rest, value in _leaves(inner, fields[1:], name)]
    return rows


def _weight(name: str, row: Mapping[str, Any]) -> Any:
    for key in _WEIGHTS:
        if key in row:
            return row[key]
    raise DemographyError(f"{name}: the row {dict(row)!r:.80} has no share and no count.")


def _read_conditional(
    name: str, item: Any
) -> tuple[str, tuple[str, ...], dict[tuple[str, ...], Shares]]:
    of, given = str((item or {}).get("field", "")), (item or {}).get("given")
    givens = (given,) if isinstance(given, str) else tuple(str(f) for f in given or ())
    if not of or not givens or of in givens:
        raise DemographyError(f'{name}: names a "field", and what it depends on as "given".')
    name = f"{of} given {', '.join(givens)}"
    table: dict[tuple[str, ...], Shares] = {}
    for row, shares in _leaves(item.get("table") or {}, givens, name):
        if not isinstance(shares, Mapping):
            raise DemographyError(f"{name} / {' / '.join(row)}: holds no shares of {of}.")
        table[tuple(row)] = read_shares(f"{name} / {' / '.join(row)}", shares)
    return of, givens, table


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
    found: Json = {}
    left_out: list[str] = []
    _collect(groups, "", found, left_out)
    if isinstance(content, Mapping):
        left_out += [str(key) for key in content if str(key).lower() != "demographics"]
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
        try:
            shares = read_shares(path, parts)
        except DemographyError:
            shares = {}
            left_out.extend(f"{path} / {part}" for part in parts)
        if shares:
            found[_field_name(path)] = {k.lower() if _plain(k) else k: v for k, v in shares.items()}
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
