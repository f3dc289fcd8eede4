"""Save people in a file or folder, and read the agents in one, by its ending."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tinyfactory.errors import InvalidInput
from tinyfactory.people.formats.csv_file import read_csv, to_csv
from tinyfactory.people.formats.edsl import agents_in_package, original, to_edsl
from tinyfactory.people.formats.json_file import read_json
from tinyfactory.people.formats.notes import Notes
from tinyfactory.people.formats.parquet_file import read_parquet, to_parquet
from tinyfactory.people.protocols import PersonLike
from tinyfactory.utils.files import AtomicFile, disk_errors, expanded, hidden_name, sync_folder
from tinyfactory.utils.sources import Source, delimiter_of

Json = dict[str, Any]

FORMATS = ("jsonl", "json", "agent", "folder", "csv", "parquet", "edsl")
_AGENT = ".agent.json"
_AGENTS = (_AGENT, f"{_AGENT}.gz")
_HOW = (
    "Choose a path that ends in .jsonl (one person a line), .json (a list), .csv or .parquet (a "
    "table), .agent.json (one person) or in none of these (a folder with a file for each person)."
)


def save_people(
    people: PersonLike | Iterable[PersonLike],
    path: str | Path,
    format: str | None = None,  # noqa: A002
) -> None:
    """Save people in a file, or in a folder of agent files: all of them, or nothing.

    Parameters
    ----------
    people : TinyPerson or iterable of TinyPerson
    path : path
        A file is replaced in one step when the new one is complete. A folder must be new or
        empty.
    format : str, optional
        ``"jsonl"``, ``"json"``, ``"agent"``, ``"folder"``, ``"csv"``, ``"parquet"`` or ``"edsl"``
        (an AgentList of EDSL, as JSON); by default the ending of the path decides.

    Raises
    ------
    InvalidInput
        For an unknown format, several people in one agent file, or a folder in use.
    TinyFactoryError
        When the disk cannot be written; the old file is still there.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "people.jsonl"
    >>> from tinyfactory.people import TinyPerson, load_people
    >>> save_people([TinyPerson("Ana", register=False)], path)
    >>> load_people(path)
    1 person
     1. Ana
    """
    everyone = list(people) if isinstance(people, Iterable) else [people]
    path = expanded(path)
    kind = format or _format_of(path)
    if kind in ("csv", "parquet"):
        (to_csv if kind == "csv" else to_parquet)(everyone, path)
        return
    if kind == "edsl":
        agent_list = {"agent_list": to_edsl(everyone), "edsl_class_name": "AgentList"}
        with disk_errors(path):
            _write(path, _json(agent_list, indent=2) + "\n")
        return
    agents = [person.to_dict() for person in everyone]
    with disk_errors(path):
        if kind == "jsonl":
            _write(path, "".join(_json(agent) + "\n" for agent in agents))
        elif kind == "json":
            _write(path, "[\n" + ",\n".join(_json(agent) for agent in agents) + "\n]\n")
        elif kind == "agent" and len(agents) == 1:
            _write(path, _json(agents[0], indent=2) + "\n")
        elif kind == "agent":
            raise InvalidInput(
                f"An agent file holds one person, not {len(agents)}. Nothing was written. {_HOW}"
            )
        elif kind == "folder":
            _write_folder(path, agents)
        else:
            raise InvalidInput(
                f"The format {kind!r} is not supported; nothing was written. Choose one of "
                f"{', '.join(FORMATS)}."
            )


def read_agents(path: str | Path, notes: Notes) -> Iterator[tuple[Json, str]]:
    """Read the agents in a file or folder, each with its place for error messages.

    The content decides how a file is read, then its ending.

    Raises
    ------
    InvalidInput
        When there is nothing to read, or no list of agents, naming the line.
    """
    source = Source(path)
    if source.path.is_dir():
        files = sorted(
            (file for file in source.path.iterdir() if file.name.lower().endswith(_AGENTS)),
            key=lambda file: file.name,
        )
        if not files:
            raise InvalidInput(f"The folder {source.path} has no files that end in {_AGENT}.")
        for file in files:
            yield from read_agents(file, notes)
    elif source.start == b"PAR1" or source.suffix == ".parquet":
        yield from read_parquet(source, notes)
    elif source.start.startswith(b"PK"):
        yield from _read_package(source)
    elif _is_table(source):
        yield from read_csv(source, notes)
    else:
        yield from read_json(source, notes)


def _read_package(source: Source) -> Iterator[tuple[Any, str]]:
    try:
        with source.opened() as file:
            agents = agents_in_package(file)
    except (zipfile.BadZipFile, ValueError, KeyError, RecursionError, NotImplementedError) as error:
        raise InvalidInput(f"{source.path} is a damaged ZIP file: {error}.") from error
    if agents is None:
        raise InvalidInput(
            f"{source.path} is a ZIP or Excel file, which cannot be read. Save the table as CSV, "
            "or unpack the archive, and load that."
        )
    for number, agent in enumerate(agents, 1):
        yield original(agent), f"{source.path}, person {number}"


def _is_table(source: Source) -> bool:
    """Tell a table from JSON by its first character, and if that is a letter by its ending."""
    head = source.head().lstrip("\ufeff \t\r\n")
    if head[:1] in ("{", "["):
        return False
    if source.suffix not in (".json", ".jsonl", ".ndjson"):
        return True
    header = head.partition("\n")[0]
    return head[:1].isalpha() and delimiter_of(header) in header


def _format_of(path: Path) -> str:
    name, suffix = path.name.lower(), path.suffix.lower()
    if name.endswith(_AGENT):
        return "agent"
    if suffix in (".jsonl", ".ndjson"):
        return "jsonl"
    if suffix in (".json", ".csv", ".parquet"):
        return suffix[1:]
    if suffix == "" or path.is_dir():
        return "folder"
    raise InvalidInput(f"The format of {path.name} is not known; nothing was written. {_HOW}")


def _json(value: Any, indent: int | None = None) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    # Some readers end a line at these characters, too.
    for separator in ("\u2028", "\u2029", "\x85"):
        text = text.replace(separator, f"\\u{ord(separator):04x}")
    return text


def _write(path: Path, text: str) -> None:
    """Write a file beside the old one, then replace the old one."""
    with AtomicFile(path, text=True) as new:
        new.file.write(text)


def _write_folder(path: Path, agents: list[Json]) -> None:
    """Fill a folder under a temporary name, then rename it."""
    path = path.resolve()
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InvalidInput(
            f"{path} is not empty; nothing was written. Choose a new or empty folder."
        )
    new = hidden_name(path)
    new.mkdir()
    try:
        width = len(str(len(agents)))
        for number, agent in enumerate(agents, 1):
            # The number keeps the order, and tells names apart that differ only in punctuation.
            name = re.sub(r"[^\w-]+", "_", agent["persona"]["name"])[:40].strip("_")
            _write(new / f"{number:0{width}}_{name}{_AGENT}", _json(agent, indent=2) + "\n")
        if path.exists():
            path.rmdir()
        new.rename(path)
        sync_folder(path.parent)
    finally:
        if new.exists():
            for file in new.iterdir():
                file.unlink()
            new.rmdir()
