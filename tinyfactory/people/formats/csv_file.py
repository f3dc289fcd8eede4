"""People as CSV: for spreadsheets, and read back as they were.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@`` as a formula, and what
a model wrote can begin with anything. Such a cell gets an apostrophe before that sign, which
shows it as text. A spreadsheet set to semicolons, tabs or line ends cuts cells there, so the
same holds after these. Reading takes exactly these apostrophes away again. The columns of
JSON begin with a bracket; within them such a sign after a semicolon is written as JSON's
escape, which changes nothing.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tinyfactory.errors import InvalidInput
from tinyfactory.people.formats.rows import (
    MANY,
    NUMBERS,
    STORED,
    WHOLE,
    agent_of,
    as_json,
    stored_row,
)
from tinyfactory.people.protocols import PersonLike
from tinyfactory.utils.files import AtomicFile, disk_errors

_JSON = (*MANY, *WHOLE)
_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20"  # the wide ones of East Asian keyboards as well
_CUTS = "\t\n\r"
# The quotes and blanks before a sign, from the first on: each stretch is looked at once.
_BEFORE_SIGN = re.compile(rf"(?<!['\"\s])(['\"\s]*+)(?=[{_SIGNS}])")
_IN_JSON = re.compile(rf"(?<=;)(\s*+)([{_SIGNS}])")
_MAX_CELL = 2**31 - 1  # the limit of csv, 131,072 characters, is less than some memories
_HOW = "Save it as CSV with commas, in UTF-8, with the names of the columns in its first line."


def to_csv(people: Iterable[PersonLike], path: str | Path) -> None:
    """Write people to a CSV file, all or nothing: UTF-8, commas, one row a person.

    The columns are those of the Parquet file; lists, ``profile``, ``provenance`` and
    ``persona`` (the whole person) are JSON. Cells that a spreadsheet would run are guarded.
    `people` may be a generator of more people than memory holds.

    Raises
    ------
    TinyFactoryError
        When the disk refuses; what was at the path is still there.

    Examples
    --------
    >>> import tempfile
    >>> from tinyfactory.people import TinyPerson, from_csv
    >>> path = Path(tempfile.mkdtemp()) / "people.csv"
    >>> to_csv([TinyPerson("Ana", {"style": "=1+1"}, register=False)], path)
    >>> "'=1+1" in path.read_text(), from_csv(path)[0].get("style")
    (True, '=1+1')
    """
    path = Path(path).expanduser().resolve()
    with disk_errors(path):
        new = AtomicFile(path, text=True)
    with new:
        # RFC 4180's line ends; with them, csv quotes a cell that holds either half of one.
        rows = csv.writer(new.file, lineterminator="\r\n")
        rows.writerow(STORED)
        for person in people:  # an error of a generator's own is no disk's
            row = stored_row(person.persona, person.provenance)
            with disk_errors(path):
                rows.writerow(_written(column, row[column]) for column in STORED)
        with disk_errors(path):
            new.commit()


def read_csv(path: str | Path) -> Iterator[tuple[dict[str, Any], str]]:
    """Read the agents in a CSV file, each with its place; see `tinyfactory.people.from_csv`."""
    path = Path(path).expanduser()
    csv.field_size_limit(_MAX_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            columns = next(rows, [])
            if len(set(columns)) < len(columns) or "" in columns:
                raise InvalidInput(f"{path}: each column needs a name of its own. {_HOW}")
            for cells in rows:
                if not any(cells):
                    continue  # a line of nothing, as spreadsheets leave at the end
                where = f"{path}, line {rows.line_num}"
                if len(cells) != len(columns):
                    raise InvalidInput(
                        f"{where}: {len(cells)} cells, and the first line names {len(columns)} "
                        f"columns. Nothing was loaded. {_HOW}"
                    )
                row = {c: _read(c, cell) for c, cell in zip(columns, cells, strict=True)}
                yield agent_of(row, where), where
    except OSError as error:
        raise InvalidInput(f"{path} could not be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{path} is not text in UTF-8 (byte {error.start}). Nothing was loaded. {_HOW}"
        ) from error
    except csv.Error as error:
        raise InvalidInput(f"{path} is not CSV ({error}). Nothing was loaded. {_HOW}") from error


def guarded(text: str) -> str:
    """`text` so that no spreadsheet runs it; `unguarded` gives it back.

    Examples
    --------
    >>> guarded("=1+1"), guarded("a;-b"), guarded("a-b")
    ("'=1+1", "a;'-b", 'a-b')
    """
    return _BEFORE_SIGN.sub(lambda m: m[1] + "'" if _begins_a_cell(m) else m[1], text)


def unguarded(text: str) -> str:
    """What `guarded` made its text of.

    Examples
    --------
    >>> unguarded("'=1+1"), unguarded("it's")
    ('=1+1', "it's")
    """
    return _BEFORE_SIGN.sub(lambda m: m[1].removesuffix("'") if _begins_a_cell(m) else m[1], text)


def _begins_a_cell(found: re.Match[str]) -> bool:
    start = found.start()
    return start == 0 or found.string[start - 1] == ";" or any(c in _CUTS for c in found[1])


def _written(column: str, value: Any) -> str:
    if value is None:
        return ""
    if column not in _JSON:
        return guarded(value) if isinstance(value, str) else str(value)
    text = value if isinstance(value, str) else as_json(value)
    return _IN_JSON.sub(lambda m: f"{m[1]}\\u{ord(m[2]):04x}", text)


def _read(column: str, cell: str) -> Any:
    if cell == "":
        return None
    if column in WHOLE:
        return cell
    if column in MANY and cell.startswith("["):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return cell  # a list as Python writes it, or a text with a bracket
    if column in NUMBERS and re.fullmatch(r"[0-9]{1,9}(\.0+)?", cell):
        return int(cell.partition(".")[0])
    return unguarded(cell)
