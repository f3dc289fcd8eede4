"""People in Parquet files, one at a time: a population need not fit into memory.

All files have the same columns (`tinyfactory.people.formats.rows.STORED`): those of a data frame,
with lists as lists, then ``profile`` (the target), ``provenance`` and ``persona`` as JSON, which
hold the whole person.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tinyfactory import settings
from tinyfactory.errors import FileTooLarge, InvalidInput
from tinyfactory.limits import how_to_raise
from tinyfactory.people.formats.notes import Notes
from tinyfactory.people.formats.rows import (
    MANY,
    NUMBERS,
    STORED,
    as_json,
    brief,
    is_stored,
    stored_row,
)
from tinyfactory.people.formats.table import Table
from tinyfactory.people.protocols import PersonLike, is_person
from tinyfactory.utils.files import AtomicFile, disk_errors, expanded
from tinyfactory.utils.imports import require
from tinyfactory.utils.sources import Source

# Rows read at a time: few enough for people with large memories.
_BATCH = 256


class PeopleWriter:
    """Writes people to a Parquet file one by one, with one group of rows in memory.

    Use it in a ``with`` block. The file gets its name when the block ends without an error;
    after an error the old file stays. (A killed process can leave a hidden file that ends in
    ``.new``; delete it.)

    Parameters
    ----------
    path : path
        An old file is replaced when the new one is complete.
    rows_per_group : int
        The number of people held in memory and written as one row group of the file.

    Raises
    ------
    InvalidInput
        For a number of rows below 1.
    TinyFactoryError
        When pyarrow is not installed or the disk cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from tinyfactory.people import TinyPerson, iter_parquet
    >>> path = Path(tempfile.mkdtemp()) / "people.parquet"
    >>> with PeopleWriter(path) as writer:
    ...     writer.add(TinyPerson("Ana", {"age": 34}, register=False))
    >>> [person.name for person in iter_parquet(path)]
    ['Ana']
    """

    def __init__(self, path: str | Path, rows_per_group: int = 1000) -> None:
        if isinstance(rows_per_group, bool) or rows_per_group < 1:
            raise InvalidInput(
                f"rows_per_group must be a whole number of at least 1, not {rows_per_group!r}."
            )
        self.path = expanded(path).resolve()  # a link keeps its target
        self.count = 0
        self._size = rows_per_group
        self._rows: list[dict[str, Any]] = []
        self._schema = _schema()
        with disk_errors(self.path):
            # Opened here, not by pyarrow, so that it can be synced before it is renamed.
            self._new = AtomicFile(self.path)
        try:
            self._writer = _parquet().ParquetWriter(
                self._new.file,
                self._schema,
                compression="zstd",
                # All personas differ: a dictionary of them would only fill memory.
                use_dictionary=["nationality", "gender", "source", "model"],
            )
        except BaseException:
            self.discard()
            raise
        self._open = True

    def add(self, person: PersonLike) -> None:
        """Add a person in the present state.

        Raises
        ------
        InvalidInput
            If `person` is not a person, or the writer was closed.
        TinyFactoryError
            When the disk cannot be written; the new file is discarded.
        """
        if not is_person(person):
            raise InvalidInput(f"add needs a person, not a {type(person).__name__}.")
        if not self._open:
            raise InvalidInput(
                f"The file {self.path.name} is closed; the person was not added. Write a new one."
            )
        self._rows.append(_typed(stored_row(person.persona, person.provenance)))
        self.count += 1
        if len(self._rows) >= self._size:
            self._flush()

    def close(self) -> None:
        """Complete the file and give it its name; a second call does nothing.

        Raises
        ------
        TinyFactoryError
            When the disk cannot be written; the old file is still there.
        """
        if not self._open:
            return
        self._flush()
        try:
            with disk_errors(self.path):
                self._writer.close()
                self._new.commit()
        finally:
            self.discard()

    def discard(self) -> None:
        """Discard the new file; an old file at the path stays."""
        self._open = False
        self._rows = []
        # Closing also fails on a full disk, which does not matter any more.
        with contextlib.suppress(OSError, AttributeError):
            self._writer.close()
        self._new.discard()

    def _flush(self) -> None:
        if not self._rows:
            return
        import pyarrow as pa  # slow to import

        try:
            with disk_errors(self.path):
                batch = pa.RecordBatch.from_pylist(self._rows, schema=self._schema)
                self._writer.write_batch(batch, row_group_size=self._size)
        except BaseException:
            self.discard()
            raise
        self._rows = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()


def to_parquet(people: Iterable[PersonLike], path: str | Path) -> None:
    """Write people to a Parquet file, all or nothing; see `PeopleWriter`.

    `people` may be a generator of more people than memory holds.

    Raises
    ------
    TinyFactoryError
        When pyarrow is not installed or the disk cannot be written.
    """
    with PeopleWriter(path) as writer:
        for person in people:
            writer.add(person)


def read_parquet(given: str | Path | Source, notes: Notes) -> Iterator[tuple[dict[str, Any], str]]:
    """Read the agents in a Parquet file, each with its place.

    Only a few rows at a time are in memory; see `tinyfactory.people.iter_parquet`.
    """
    source = given if isinstance(given, Source) else Source(given)
    parquet = _parquet()
    import pyarrow as pa  # slow to import

    number = 0
    try:
        with source.opened() as content, parquet.ParquetFile(content) as file:
            _check_groups(source.path, file.metadata)
            table = Table(file.schema_arrow.names, str(source.path), notes)
            for batch in file.iter_batches(batch_size=_BATCH):
                for row in batch.to_pylist():
                    number += 1
                    where = f"{source.path}, row {number}"
                    cells = row.values() if is_stored(row) else map(_without_padding, row.values())
                    yield table.agent(cells, where), where
    except pa.ArrowException as error:
        raise InvalidInput(
            f"{source.path} could not be read as Parquet: {str(error).rstrip('.')}."
        ) from error


def _without_padding(cell: Any) -> Any:
    """Return a cell without the empty fields that all objects of one column get."""
    if isinstance(cell, dict):
        return {key: _without_padding(item) for key, item in cell.items() if item is not None}
    return [_without_padding(item) for item in cell] if isinstance(cell, list) else cell


def _check_groups(path: Path, metadata: Any) -> None:
    """Refuse a file with a group of rows that is too large to unpack in memory."""
    most = settings.limits().document_bytes
    for number in range(metadata.num_row_groups):
        size = metadata.row_group(number).total_byte_size
        if size > most:
            raise FileTooLarge(
                f"{path} has a group of rows of {size:,} bytes, unpacked; the limit "
                f"document_bytes is {most:,}. Nothing was loaded. "
                f"{how_to_raise('document_bytes', size)}"
            )


def _parquet() -> Any:
    return require("pyarrow.parquet", "tables")


def _schema() -> Any:
    """Return the columns and their types, the same in every file."""
    _parquet()
    import pyarrow as pa  # slow to import

    text = pa.string()
    known = pa.struct([("name", text), ("description", text)])
    kinds = dict.fromkeys(STORED, text) | dict.fromkeys(NUMBERS, pa.int64())
    kinds |= dict.fromkeys(MANY, pa.list_(text)) | {"relationships": pa.list_(known)}
    return pa.schema(list(kinds.items()), metadata={"tinyfactory": "people, version 1"})


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    """Convert a row to the types of the columns; other values are only in `persona`."""
    for column in MANY[:-1]:
        if row[column] is not None:
            items = row[column] if isinstance(row[column], list) else [row[column]]
            row[column] = [item if isinstance(item, str) else as_json(item) for item in items]
    row["relationships"] = brief(row["relationships"])
    return row
