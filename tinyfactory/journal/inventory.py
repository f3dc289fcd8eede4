"""Contents of a journal by simulation, its damaged rows, import and pruning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tinyfactory.errors import DamagedRecord, InvalidInput
from tinyfactory.journal.recording.recording import Json, Recording, rows_in, rows_of
from tinyfactory.journal.values.stored_text import seal
from tinyfactory.journal.verification import check_row

# Rows of a recording that are imported in one commit.
_ROWS_PER_COMMIT = 100


@dataclass(frozen=True, slots=True)
class Share:
    """The share of one simulation in a journal; `bytes` without the database's own."""

    simulation: str
    lines: int
    events: int
    replies: int
    bytes: int


def shares(store: Any) -> list[Share]:
    """The simulations of a journal, by name."""
    names = sorted({v["simulation"] for _, v in rows_in(store) if "simulation" in v})
    return [share(store, name, rows_of(store, name)) for name in names]


def share(store: Any, simulation: str, rows: list[str]) -> Share:
    """The share that some rows make up."""
    lines, events, replies, size = set(), 0, 0, 0
    for name in rows:
        value = store.get(name)
        size += len(seal(value).encode())
        events += name.startswith("event:")
        replies += name.startswith("reply:")
        if name.startswith("event:") and value["line"] is not None:
            lines.add(value["line"])
    return Share(simulation, len(lines), events, replies, size)


def faults(store: Any) -> Iterator[tuple[str, str]]:
    """Key and fault of each damaged row."""
    for name in store:
        if name.startswith("damaged:"):
            continue
        try:
            value = store.get(name)
            check_row(name, value, False)
        except DamagedRecord as error:
            yield name, str(error)


def check_importable(recording: Recording) -> None:
    """Refuse a recording that was exported with strip=True.

    Raises
    ------
    InvalidInput
        Such a recording can be replayed, but its rows no longer match their digests.
    """
    if recording.footer.get("stripped"):
        raise InvalidInput(
            f"{recording.path.name} was exported with strip=True, so its events no longer match "
            "their digests. Nothing was imported. It can be replayed: "
            "Simulation.from_recording(path)."
        )


def take_in(store: Any, recording: Recording) -> tuple[int, int]:
    """Import a recording's rows; the number of new rows and of rows that were there already.

    Raises
    ------
    DamagedRecord
        When a row does not match its key or is no record; nothing is imported then.
    """
    names = list(recording)
    known = set(store)
    for name in names:
        check_row(name, recording.get(name), False)
    for start in range(0, len(names), _ROWS_PER_COMMIT):
        store.add_all(
            [(name, recording.get(name)) for name in names[start : start + _ROWS_PER_COMMIT]]
        )
    there = sum(name in known for name in names)
    return len(names) - there, there


def one_event(store: Any, beginning: str) -> tuple[str, Json]:
    """The one event whose key begins like that.

    Raises
    ------
    InvalidInput
        When there is none, or more than one.
    """
    prefix = "event:" + beginning.removeprefix("event:")
    found = [name for name in store if name.startswith(prefix)]
    if len(found) != 1:
        raise InvalidInput(
            f"{len(found)} events begin with {beginning!r}. Give "
            + ("more of the key." if found else "a key as `history()` and `verify` show it.")
        )
    record: Json = store.get(found[0])
    return found[0].removeprefix("event:"), record


def whole_lines(store: Any, simulation: str, beginnings: list[str]) -> list[str]:
    """The rows of a simulation, or of some lines of it; a line always as a whole.

    Parameters
    ----------
    beginnings : list of str
        Beginnings of the roots of the lines; the whole simulation when there are none.

    Raises
    ------
    InvalidInput
        When there is no such simulation, or not exactly one line for a beginning.
    """
    rows = rows_of(store, simulation)
    if not rows:
        names = ", ".join(repr(s.simulation) for s in shares(store)) or "none"
        raise InvalidInput(f"There is no simulation {simulation!r} here, only: {names}.")
    if not beginnings:
        return rows
    events = {n[6:]: store.get(n) for n in rows if n.startswith("event:")}
    roots = {value["line"] for value in events.values() if value["line"] is not None}
    chosen: set[str] = set()
    for beginning in beginnings:
        found = [root for root in roots if root.startswith(beginning)]
        if len(found) != 1:
            raise InvalidInput(f"{len(found)} lines of {simulation!r} begin with {beginning!r}.")
        chosen.add(found[0])
    going = {key for key, value in events.items() if _line(events, value) in chosen}
    staying = [value for key, value in events.items() if key not in going]
    stay = {reply["key"] for value in staying for reply in value["meta"]["replies"]}
    stay |= {"version:" + value["version"] for value in staying}
    heads = {events[key]["head"] for key in going}

    def goes(name: str) -> bool:
        kind, _, own = name.partition(":")
        if kind == "event":
            return own in going
        if kind == "line":
            return own in chosen
        if kind == "join":
            return not heads.isdisjoint(store.get(name)["heads"])
        return name not in stay

    return [name for name in rows if goes(name)]


def _line(events: dict[str, Json], record: Json) -> str | None:
    """The line of an event; of a nested event, the line of the outermost one."""
    seen: set[str] = set()
    while record["line"] is None:
        if record["head"] in seen:  # a damaged journal may have a circle of events
            return None
        seen.add(record["head"])
        outer = events.get(record.get("within") or "")
        if outer is None:
            return None
        record = outer
    line: str = record["line"]
    return line
