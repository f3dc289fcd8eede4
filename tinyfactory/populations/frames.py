"""Tables of rows, as they come out of CSV files and data frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tinyfactory.errors import DemographyError
from tinyfactory.populations.layouts import Json

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
