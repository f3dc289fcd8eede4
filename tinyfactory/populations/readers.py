"""Read a demography from JSON, CSV or rows, and from a population file of TinyTroupe.

Each reader returns a dictionary in the layout of `Demography.from_dict`.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tinyfactory import settings
from tinyfactory.errors import DemographyError, FileTooLarge, LimitExceeded
from tinyfactory.limits import how_to_raise
from tinyfactory.populations.schema import (
    ABOUT,
    WEIGHTS,
    Json,
    check_ages,
    read_bands,
    read_shares,
    read_weight,
)
from tinyfactory.utils import bounded_json
from tinyfactory.utils.logs import get_logger
from tinyfactory.utils.sources import HEAD, Source, delimiter_of

logger = get_logger("tinyfactory")

Row = dict[str, Any]
# The names of weights that are never the name of a field.
_ONLY_WEIGHTS = ("share", "count", "proportion")


def read_json(source: str | Path) -> Any:
    """Read a JSON file, given by its path, or JSON text.

    Raises
    ------
    DemographyError
        If the file cannot be read, is not JSON, or has a key twice in one object.

    Examples
    --------
    >>> read_json('{"sex": {"female": 1}}')
    {'sex': {'female': 1}}
    """
    text = source if isinstance(source, str) else str(path_of(source))
    if not text.strip():
        raise DemographyError("source must be a path or JSON text; it is empty.")
    if not text.lstrip("\ufeff \t\r\n").startswith("{"):
        text = Source(text, _refusal, "document_bytes").document()
    try:
        return bounded_json.parse(text.removeprefix("\ufeff"), object_pairs_hook=_unique)
    except LimitExceeded as error:
        raise FileTooLarge(f"{text!r:.80} was not read. {error}") from None
    except DemographyError:  # from `_unique`; it is a ValueError too
        raise
    except json.JSONDecodeError as error:
        raise DemographyError(f"This is not valid JSON: {error}.") from None
    except ValueError:
        raise DemographyError("This JSON cannot be read: a number in it is too long.") from None


def _refusal(message: str) -> DemographyError:
    """Return the error for a file that cannot be read, in the words of this module."""
    return DemographyError(message.replace("could not be read", "cannot be read"))


def path_of(source: Any) -> Path:
    """Make a path of `source`, or raise a DemographyError."""
    try:
        return Path(source)
    except TypeError:
        raise DemographyError(
            f"source must be a path, not {type(source).__name__}. For a dictionary, use "
            "Demography.from_dict."
        ) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object; a key that occurs twice is an error, since json drops the first."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise DemographyError(f"{key}: the key occurs twice in one object of the file.")
        found[key] = value
    return found


def csv_rows(path: Path) -> list[Row]:
    """Read a CSV file with a header, separated by commas, semicolons, tabs or bars."""
    source = Source(path, _refusal, "document_bytes")
    text = source.document()
    if source.guessed:
        logger.warning("%s is not UTF-8; it was read as Windows-1252.", path)
    separator = delimiter_of(text[:HEAD])
    if text[:4].lower() == "sep=":  # it names the delimiter, for Excel
        text = text.partition("\n")[2]
    try:
        table = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
        columns = table.fieldnames or []
        check_columns(columns)
        most = settings.limits().table_cells
        rows: list[Row] = []
        for row in table:
            rows.append(dict(row))
            if len(rows) * len(columns) > most:
                raise FileTooLarge(
                    f"{path} has more than {most:,} cells, which is the limit table_cells. "
                    f"Nothing was loaded. {how_to_raise('table_cells', 4 * most)}"
                )
        return rows
    except csv.Error as error:
        raise DemographyError(f"{path} is not valid CSV: {error}.") from None


def check_columns(columns: Iterable[Any]) -> None:
    """Reject a column that occurs twice; one of the two would be lost."""
    names: set[str] = set()
    for column in columns:
        name = str(column).strip()
        if name in names:
            raise DemographyError(f"{name}: the column occurs twice.")
        names.add(name)


def from_rows(rows: Sequence[Row]) -> Json:
    """Turn rows into the layout of `Demography.from_dict`.

    Raises
    ------
    DemographyError
        If there are no rows, or no column with shares or counts.
    """
    if not rows:
        raise DemographyError("The table has no rows.")
    for number, row in enumerate(rows, 1):
        lacking = [key for key, value in row.items() if key is None or _empty(value)]
        if lacking:
            what = "more values than columns" if lacking[0] is None else f"no {lacking[0]}"
            raise DemographyError(f"Row {number} of the table has {what}.")
    columns = [str(column).strip() for column in rows[0]]
    rows = [{str(k).strip(): v for k, v in row.items()} for row in rows]
    small = {column.lower(): column for column in columns}
    weight = next((small[name] for name in WEIGHTS if name in small), None)
    if weight is None:
        raise DemographyError(
            f"The table has no column of shares or counts; it has {', '.join(columns)}. Name one "
            'of them "share" or "count".'
        )
    both = [small[name] for name in _ONLY_WEIGHTS if name in small]
    if len(both) > 1:
        raise DemographyError(
            f"The table has several columns of shares or counts: {', '.join(both)}. Keep one."
        )
    if "field" in small and "category" in small:
        found: Json = {}
        for row in rows:
            name, category = str(row[small["field"]]).strip(), str(row[small["category"]]).strip()
            shares = found.setdefault(name, {})
            if category in shares:
                raise DemographyError(f"{name} / {category}: the category occurs twice.")
            shares[category] = row[weight]
        return found
    fields = [column for column in columns if column != weight]
    if not fields:
        raise DemographyError(
            f"The table has no column besides {weight}. If the index of a data frame holds the "
            "categories, pass frame.reset_index()."
        )
    if len(fields) == 1:
        return from_rows(
            [{"field": fields[0], "category": row[fields[0]], "share": row[weight]} for row in rows]
        )
    table = [{f: str(row[f]).strip() for f in fields} | {"share": row[weight]} for row in rows]
    return {"joint": [{"fields": fields, "table": table}]}


def _empty(value: Any) -> bool:
    """Tell whether a cell is empty; comparing the missing value of pandas raises TypeError."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return bool(value != value) or not str(value).strip() or str(value) == "<NA>"


def from_peer(data: Mapping[str, Any]) -> Json | None:
    """Turn a population file of TinyTroupe into the layout of `Demography.from_dict`.

    Returns None for any other dictionary. TinyTroupe's files are prompts and have no schema.
    Each group of percentages under ``content / Demographics`` that adds up to 100 becomes a
    field, and the country is read; ``about["left_out"]`` lists everything else. Older files
    have the groups at the top, as ``age_distribution``.
    """
    content = data.get("content")
    if isinstance(content, Mapping):
        groups = content.get("Demographics") or content.get("demographics") or {}
    elif any(str(key).endswith("_distribution") for key in data):
        groups = {k: v for k, v in data.items() if k not in ABOUT}
    else:
        return None
    if not isinstance(groups, Mapping):
        raise DemographyError(f"content / Demographics: {groups!r:.80} must be a dictionary.")
    found: Json = {}
    left_out: list[str] = []
    _collect(groups, "", found, left_out)
    if isinstance(content, Mapping):
        left_out += [str(key) for key in content if str(key).lower() != "demographics"]
    if not found:
        tried = f" It has {', '.join(left_out)}." if left_out else ""
        raise DemographyError(
            "This looks like a population file of TinyTroupe, but content / Demographics has no "
            f"group of percentages that adds up to 100.{tried} Add one."
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
            found[name] = {
                k.lower() if k.lower() in {"male", "female"} else k: v for k, v in shares.items()
            }
        except DemographyError:
            left_out.extend(f"{path} / {part}" for part in parts)
        _collect({k: v for k, v in value.items() if isinstance(v, Mapping)}, path, found, left_out)


def _field_name(path: str) -> str:
    """Shorten a path: "Age Distribution" to "age", "Income / Distribution" to "income"."""
    parts = [re.sub(r"[\s_]+", " ", part).strip().lower() for part in path.split("/")]
    parts = [re.sub(r"(?<!\s)\s*distribution$", "", part) for part in parts]
    name = next((part for part in reversed(parts) if part), parts[0])
    return {"regions": "region", "educational attainment": "education"}.get(name, name)
