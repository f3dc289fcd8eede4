"""JSON with a demography in it: a file, or text."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tinyfactory.errors import DemographyError
from tinyfactory.populations.bands import check_ages, read_bands
from tinyfactory.populations.schema import ABOUT, Json, read_shares, read_weight


def read_json(source: str | Path) -> Any:
    """What stands in a JSON file, given by its path, or in JSON text.

    Raises
    ------
    DemographyError
        For a file that cannot be read, for what is no JSON, and where something stands twice.

    Examples
    --------
    >>> read_json('{"sex": {"female": 1}}')
    {'sex': {'female': 1}}
    """
    text = str(source if isinstance(source, str) else path_of(source))
    if not text.strip():
        raise DemographyError("A path or JSON was asked for, not an empty text.")
    if not text.lstrip("\ufeff \t\r\n").startswith("{"):
        try:
            text = Path(source).read_text(encoding="utf-8-sig")
        except OSError as error:
            raise DemographyError(f"{source} cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise DemographyError(f"{source} is no text in UTF-8. Save it as such.") from None
        except ValueError:  # a null character within
            raise DemographyError(f"{text!r:.80} is no path of a file and no JSON.") from None
    try:
        return json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_once)
    except DemographyError:  # of `_once`
        raise
    except json.JSONDecodeError as error:
        raise DemographyError(f"This is no JSON: {error}.") from None
    except (RecursionError, ValueError):
        raise DemographyError(
            "This JSON cannot be read: a number in it is too long, or tables stand in tables too "
            "deep."
        ) from None


def path_of(source: Any) -> Path:
    """A path; an error where there cannot be one."""
    try:
        return Path(source)
    except TypeError:
        raise DemographyError(
            f"A path was asked for, not {type(source).__name__}. For a dictionary: "
            "Demography.from_dict."
        ) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, in which nothing stands twice: the first would be lost without a word."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise DemographyError(f"{key}: this stands twice in one place of the file.")
        found[key] = value
    return found


_WEIGHTS = ("share", "count", "proportion", "weight", "n")
_SURELY = ("share", "count", "proportion")  # the others may be fields, too
Row = dict[str, Any]


def csv_rows(path: Path) -> list[Row]:
    """The rows of a CSV file with a header, set apart by commas, semicolons or tabs."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DemographyError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise DemographyError(f"{path} is no text in UTF-8. Save it as such.") from None
    header = text.partition("\n")[0]
    mark = max(",;\t", key=header.count)
    try:
        table = csv.DictReader(io.StringIO(text, newline=""), delimiter=mark)
        check_columns(table.fieldnames or [])
        return [dict(row) for row in table]
    except csv.Error as error:
        raise DemographyError(f"{path} is no CSV: {error}.") from None


def check_columns(columns: Iterable[Any]) -> None:
    """Refuse a column that stands there twice: one of them would be lost without a word."""
    names = [str(column).strip() for column in columns]
    for name in names:
        if names.count(name) > 1:
            raise DemographyError(f"{name}: this column stands there twice. Nothing was read.")


def from_rows(rows: Sequence[Row]) -> Json:
    """Rows in the layout of `Demography.from_dict`.

    Raises
    ------
    DemographyError
        When there are no rows, or no column of numbers.
    """
    if not rows:
        raise DemographyError("The table has no rows.")
    for number, row in enumerate(rows, 1):
        lacking = [key for key, value in row.items() if key is None or _empty(value)]
        if lacking:
            what = "more values than columns" if lacking[0] is None else f"no {lacking[0]}"
            raise DemographyError(f"Row {number} of the table has {what}. Nothing was read.")
    columns = [str(column).strip() for column in rows[0]]
    rows = [{str(k).strip(): v for k, v in row.items()} for row in rows]
    small = {column.lower(): column for column in columns}
    weight = next((small[name] for name in _WEIGHTS if name in small), None)
    if weight is None:
        raise DemographyError(
            f"The table has no column of numbers; it has {', '.join(columns)}. Call one of them "
            '"share" or "count".'
        )
    both = [small[name] for name in _SURELY if name in small]
    if len(both) > 1:
        raise DemographyError(
            f"The table has columns of numbers of the same: {', '.join(both)}. Leave one."
        )
    if "field" in small and "category" in small:
        found: Json = {}
        for row in rows:
            name, category = str(row[small["field"]]).strip(), str(row[small["category"]]).strip()
            shares = found.setdefault(name, {})
            if category in shares:
                raise DemographyError(f"{name} / {category}: this category stands there twice.")
            shares[category] = row[weight]
        return found
    fields = [column for column in columns if column != weight]
    if not fields:
        raise DemographyError(
            f"The table has no column beside {weight}. Of a data frame whose index holds the "
            "categories, give frame.reset_index()."
        )
    if len(fields) == 1:
        return from_rows(
            [{"field": fields[0], "category": row[fields[0]], "share": row[weight]} for row in rows]
        )
    table = [{f: str(row[f]).strip() for f in fields} | {"share": row[weight]} for row in rows]
    return {"joint": [{"fields": fields, "table": table}]}


def _empty(value: Any) -> bool:
    return value is None or value != value or not str(value).strip() or str(value) == "<NA>"


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
