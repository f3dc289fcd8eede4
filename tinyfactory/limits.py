"""Limits for data that comes from others: replies, recordings, files of people and tables.

Anyone may write a reply or a file, so each is read up to a limit of size, depth and number of
values. The defaults are far above what people, tables and recordings of this package need.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from tinyfactory.errors import InvalidInput

_KIB, _MIB, _GIB = 2**10, 2**20, 2**30
_VARIABLE = "TINYFACTORY_LIMIT_"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is read of data from others.

    Set them with ``tinyfactory.configure(limits={"response_bytes": 50_000_000})``, or with
    environment variables such as ``TINYFACTORY_LIMIT_RESPONSE_BYTES``.

    Parameters
    ----------
    response_bytes : int
        One HTTP response of an endpoint, as sent and unpacked (default 8 MiB).
    download_bytes : int
        One result file of a batch, as sent and unpacked (default 512 MiB).
    reply_characters : int
        The text of one reply (default 1,000,000). A longer one is rejected.
    repair_characters : int
        Broken JSON of a reply that is repaired (default 50,000); a longer one is rejected.
    evidence_characters : int
        What is saved of a reply that was rejected for its length (default 10,000).
    file_bytes : int
        A file that is read piece by piece: people in .jsonl, .csv or .parquet (default 4 GiB).
    document_bytes : int
        A file that is read as a whole: .json, a demography, a template (default 64 MiB).
    line_bytes : int
        A line of a .jsonl file or a recording, a row of a .csv file (default 16 MiB).
    recording_bytes : int
        A recording, unpacked (default 2 GiB).
    recording_lines : int
        The lines of a recording (default 300,000).
    json_depth : int
        Lists and objects inside each other (default 100).
    json_values : int
        Values in one JSON text: a reply, a line or a file (default 4,000,000).
    table_cells : int
        The cells of a table of a demography (default 2,000,000).

    Examples
    --------
    >>> Limits(json_depth=50).json_depth
    50
    """

    response_bytes: int = 8 * _MIB
    download_bytes: int = 512 * _MIB
    reply_characters: int = 1_000_000
    repair_characters: int = 50_000
    evidence_characters: int = 10_000
    file_bytes: int = 4 * _GIB
    document_bytes: int = 64 * _MIB
    line_bytes: int = 16 * _MIB
    recording_bytes: int = 2 * _GIB
    recording_lines: int = 300_000
    json_depth: int = 100
    json_values: int = 4_000_000
    table_cells: int = 2_000_000


DEFAULTS = Limits()
# Deeper JSON exhausts Python's stack when it is processed.
_DEEPEST = 200


def checked(given: object) -> Limits:
    """The limits that a user gave by name, each a whole number of 1 or more.

    Raises
    ------
    InvalidInput
        For an unknown name or another value.

    Examples
    --------
    >>> checked({"json_depth": 50}).json_depth
    50
    >>> checked({"depth": 50})
    Traceback (most recent call last):
        ...
    tinyfactory.errors.InvalidInput: There is no limit 'depth'; nothing was changed. ...
    """
    if isinstance(given, Limits):
        given = asdict(given)
    if not isinstance(given, Mapping):
        raise InvalidInput(
            "limits must map names to whole numbers, such as "
            f'{{"response_bytes": 50_000_000}}, not {type(given).__name__}. Nothing was changed.'
        )
    names = [field.name for field in fields(Limits)]
    for name, value in given.items():
        if name not in names:
            raise InvalidInput(
                f"There is no limit {name!r}; nothing was changed. Choose from: {', '.join(names)}."
            )
        if type(value) is not int or value < 1:
            raise InvalidInput(
                f"The limit {name} must be a whole number of 1 or more, not {value!r}. Nothing "
                "was changed."
            )
        if name == "json_depth" and value > _DEEPEST:
            raise InvalidInput(
                f"The limit json_depth may be at most {_DEEPEST}, not {value}, because deeper "
                "JSON cannot be processed. Nothing was changed."
            )
    return Limits(**given)


_VARIABLES = tuple((field.name, _VARIABLE + field.name.upper()) for field in fields(Limits))


def from_environment() -> Limits:
    """The limits that environment variables set; the defaults where there are none."""
    given: dict[str, Any] = {}
    for name, variable in _VARIABLES:
        text = os.environ.get(variable, "").strip().replace("_", "")
        if text:
            # Twenty digits are enough for any number of bytes.
            given[name] = int(text) if text.isdecimal() and len(text) <= 20 else text
            try:
                checked(given)
            except InvalidInput as error:
                raise InvalidInput(f"The environment variable {variable}: {error}") from None
    return Limits(**given) if given else DEFAULTS


def how_to_raise(name: str, needed: int | None = None) -> str:
    """The end of an error's message: how to raise this limit.

    Examples
    --------
    >>> how_to_raise("line_bytes", 30_000_000)
    'If you trust its source, call tinyfactory.configure(limits={"line_bytes": 30000000}).'
    """
    value = "..." if needed is None else str(needed)
    return f'If you trust its source, call tinyfactory.configure(limits={{"{name}": {value}}}).'
