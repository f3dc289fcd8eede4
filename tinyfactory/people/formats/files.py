"""Save people in a file or folder, and read the agents in one, by its ending."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tinyfactory.errors import FileTooLarge, InvalidInput, LimitExceeded
from tinyfactory.people.formats.csv_file import read_csv, to_csv
from tinyfactory.people.formats.edsl import original
from tinyfactory.people.formats.parquet_file import read_parquet, to_parquet
from tinyfactory.people.protocols import PersonLike
from tinyfactory.utils import bounded_json
from tinyfactory.utils.files import (
    AtomicFile,
    disk_errors,
    hidden_name,
    read_file,
    read_lines,
    sync_folder,
)

Json = dict[str, Any]

FORMATS = ("jsonl", "json", "agent", "folder", "csv", "parquet")
_AGENT = ".agent.json"
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
        ``"jsonl"``, ``"json"``, ``"agent"``, ``"folder"``, ``"csv"`` or ``"parquet"``; by default
        the ending of the path decides.

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
    path = Path(path).expanduser()
    kind = format or _format_of(path)
    if kind in ("csv", "parquet"):
        (to_csv if kind == "csv" else to_parquet)(everyone, path)
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


def read_agents(path: str | Path) -> Iterator[tuple[Json, str]]:
    """Read the agents in a file or folder, each with its place for error messages.

    Raises
    ------
    InvalidInput
        When there is nothing to read, or no list of agents, naming the line.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        files = sorted(path.glob(f"*{_AGENT}"), key=lambda file: file.name)
        if not files:
            raise InvalidInput(f"The folder {path} has no files that end in {_AGENT}.")
        for file in files:
            yield from read_agents(file)
    elif path.suffix == ".csv":
        yield from read_csv(path)
    elif path.suffix == ".parquet":
        yield from read_parquet(path)
    else:
        for agent, where in _read_json(path):
            yield original(agent), where


def _read_json(path: Path) -> Iterator[tuple[Any, str]]:
    try:
        if path.suffix in (".jsonl", ".ndjson"):
            for number, line in enumerate(read_lines(path), 1):
                if line.strip():
                    where = f"{path}, line {number}"
                    yield _parsed(line, where), where
            return
        found = _parsed(read_file(path), str(path))
    except OSError as error:
        raise InvalidInput(f"{path} could not be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{path} is not text in UTF-8 (byte {error.start}). Save it as UTF-8 and load again."
        ) from error
    if isinstance(found, dict) and isinstance(found.get("agent_list"), list):
        found = found["agent_list"]  # as EDSL serialises an AgentList
    if isinstance(found, dict):
        yield found, str(path)
        return
    if not isinstance(found, list):
        raise InvalidInput(f"{path} holds neither a person nor a list of people.")
    for number, item in enumerate(found, 1):
        yield item, f"{path}, person {number}"


def _format_of(path: Path) -> str:
    if path.name.endswith(_AGENT):
        return "agent"
    if path.suffix in (".jsonl", ".ndjson"):
        return "jsonl"
    if path.suffix in (".json", ".csv", ".parquet"):
        return path.suffix[1:]
    if path.suffix == "" or path.is_dir():
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


def _parsed(text: bytes, where: str) -> Any:
    try:
        return bounded_json.parse(text)
    except UnicodeDecodeError:  # a ValueError too
        raise
    except LimitExceeded as error:
        raise FileTooLarge(f"{where}: {error} Nothing was loaded.") from error
    except json.JSONDecodeError as error:
        raise InvalidInput(
            f"{where}: not valid JSON ({error.msg}, line {error.lineno}, column {error.colno}). "
            "Nothing was loaded."
        ) from error
    except ValueError as error:
        raise InvalidInput(f"{where}: JSON with a number too long. Nothing was loaded.") from error
