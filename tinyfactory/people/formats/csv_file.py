"""People as CSV for spreadsheets, read back without loss.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@`` as a formula, and text of
a model can begin with anything. Such a cell gets an apostrophe before that sign, which shows it
as text. A spreadsheet may also split cells at semicolons, tabs or line ends, so the same is done
after these. Reading removes exactly these apostrophes. Columns of JSON begin with a bracket;
within them such a sign after a semicolon is written as an escape of JSON.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from tinyfactory import settings
from tinyfactory.errors import FileTooLarge, InvalidInput
from tinyfactory.limits import how_to_raise
from tinyfactory.people.formats.notes import Notes
from tinyfactory.people.formats.rows import MANY, NUMBERS, STORED, WHOLE, as_json, stored_row
from tinyfactory.people.formats.table import HOW, Table
from tinyfactory.people.protocols import PersonLike
from tinyfactory.utils.files import AtomicFile, disk_errors, expanded
from tinyfactory.utils.sources import Source, delimiter_of

_JSON = (*MANY, *WHOLE)
_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20"  # also the wide forms of East Asian keyboards
_CUTS = "\t\n\r"
# Quotes and white space before a sign; possessive, so that each run is scanned once.
_BEFORE_SIGN = re.compile(rf"(?<!['\"\s])(['\"\s]*+)(?=[{_SIGNS}])")
_IN_JSON = re.compile(rf"(?<=;)(\s*+)([{_SIGNS}])")
_MAX_CELL = 2**31 - 1  # the default limit, 131,072 characters, is too small for some memories
GUESSED = "The file is not UTF-8; it was read as Windows-1252"


def to_csv(people: Iterable[PersonLike], path: str | Path) -> None:
    """Write people to a CSV file, all or nothing: UTF-8, commas, one row a person.

    The columns are those of the Parquet file; lists, ``profile``, ``provenance`` and
    ``persona`` (the whole person) are JSON. Formulas in cells are made harmless.
    `people` may be a generator of more people than memory holds.

    Raises
    ------
    TinyFactoryError
        When the disk cannot be written; the old file is still there.

    Examples
    --------
    >>> import tempfile
    >>> from tinyfactory.people import TinyPerson, from_csv
    >>> path = Path(tempfile.mkdtemp()) / "people.csv"
    >>> to_csv([TinyPerson("Ana", {"style": "=1+1"}, register=False)], path)
    >>> "'=1+1" in path.read_text(), from_csv(path)[0].get("style")
    (True, '=1+1')
    """
    path = expanded(path).resolve()
    with disk_errors(path):
        new = AtomicFile(path, text=True)
    with new:
        # Line ends of RFC 4180; csv then quotes cells that contain one of the two characters.
        rows = csv.writer(new.file, lineterminator="\r\n")
        rows.writerow(STORED)
        for person in people:  # an error of the generator is not one of the disk
            row = stored_row(person.persona, person.provenance)
            with disk_errors(path):
                rows.writerow(_written(column, row[column]) for column in STORED)
        with disk_errors(path):
            new.commit()


def read_csv(given: str | Path | Source, notes: Notes) -> Iterator[tuple[dict[str, Any], str]]:
    """Read the agents in a CSV file, each with its place; see `tinyfactory.people.from_csv`.

    The delimiter may also be a semicolon, a tab or a bar, and the encoding UTF-16 or Windows-1252.
    """
    source = given if isinstance(given, Source) else Source(given)
    most = settings.limits().line_bytes
    # The module's limit holds for the whole process; the smaller one is right for others, too.
    csv.field_size_limit(max(csv.field_size_limit(), min(most, _MAX_CELL)))
    head = source.head()
    try:
        with source.text() as file:
            if head[:4].lower() == "sep=":
                file.readline()  # it names the delimiter, for Excel
            lines = _lines(source.path, file, most)
            rows = csv.reader(lines, delimiter=delimiter_of(head), strict=True)
            table = Table(next(rows, []), str(source.path), notes, as_text=True)
            columns = table.columns
            if source.guessed:
                notes.add(GUESSED, str(source.path))
            for cells in rows:
                if not any(cells):
                    continue  # an empty line, as spreadsheets add at the end
                where = f"{source.path}, line {rows.line_num}"
                if len(cells) != len(columns):
                    raise InvalidInput(
                        f"{where}: {len(cells)} cells, but the first line names {len(columns)} "
                        f"columns. Nothing was loaded. {HOW}"
                    )
                yield table.agent(map(_read, columns, cells), where), where
    except csv.Error as error:
        raise InvalidInput(
            f"{source.path} is not CSV ({error}). Nothing was loaded. {HOW}"
        ) from error


def _lines(path: Path, file: IO[str], most: int) -> Iterator[str]:
    """The lines of a file, as long as the row that they belong to is within the limit."""
    size = quotes = 0
    while line := file.readline(most + 1):
        # A row may have several lines: it ends with the line that closes its last quote.
        size += len(line)
        quotes += line.count('"')
        if size > most:
            raise FileTooLarge(
                f"{path} has a row of more than {most:,} bytes, which is the limit line_bytes. "
                f"Nothing was loaded. {how_to_raise('line_bytes', 4 * most)}"
            )
        if quotes % 2 == 0:
            size = quotes = 0
        yield line


def guarded(text: str) -> str:
    """Guard a text against being run as a formula; `unguarded` reverts it.

    Examples
    --------
    >>> guarded("=1+1"), guarded("a;-b"), guarded("a-b")
    ("'=1+1", "a;'-b", 'a-b')
    """
    return _BEFORE_SIGN.sub(lambda m: m[1] + "'" if _begins_a_cell(m) else m[1], text)


def unguarded(text: str) -> str:
    """Return the text that `guarded` was given.

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
    if cell[0] in "[{" or column in WHOLE:
        return cell  # JSON, which has no guards
    if column in NUMBERS and re.fullmatch(r"[0-9]{1,9}(\.0+)?", cell):
        return int(cell.partition(".")[0])
    return unguarded(cell)
