"""The command line: ``tinyfactory demo``, ``lab`` and ``journal``."""

from __future__ import annotations

import argparse
import datetime as dt
import io
import json
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tinyfactory import __version__, settings
from tinyfactory.errors import InvalidInput, TinyFactoryError
from tinyfactory.journal import inventory
from tinyfactory.journal.recording.recording import Json, Recording, rows_of, write
from tinyfactory.journal.storage.database import NAME
from tinyfactory.journal.storage.store import Store
from tinyfactory.journal.verification import check_row
from tinyfactory.utils.files import expanded
from tinyfactory.utils.imports import install_command
from tinyfactory.utils.text import legible, price_in_words

DEMO_CONTEXT = "A group of friends are on a camping trip."


def demo(arguments: argparse.Namespace) -> int:
    """Make people with the offline model, and print them."""
    from tinyfactory.factory import TinyPersonFactory  # slow to import

    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.WARNING)
    factories = TinyPersonFactory.generate_person_factories(
        arguments.number, arguments.context, model="offline"
    )
    made = 0
    for factory in factories:
        person = factory.generate_person()
        if person:
            made += 1
            print(f"Generated TinyPerson: {_plain(str(person.get('name')))}")
            print(f"  {_plain(person.minibio())}")
            print(f"  Context: {legible(factory.context_text)}\n")
    print("Written by the offline model: no key, no network, no language model.")
    print("Next: make lab (or python -m tinyfactory lab) opens the notebooks.")
    return 0 if made == arguments.number else 1


def lab(arguments: argparse.Namespace) -> int:  # noqa: RET503 - ends in execv
    """Open JupyterLab on the notebooks; returns only when that fails."""
    if find_spec("jupyterlab") is None:
        print(
            "JupyterLab is not installed. Nothing was started. "
            f"Install it with: {install_command('lab')}",
            file=sys.stderr,
        )
        return 2
    folder = _notebooks(arguments.folder)
    command = [sys.executable, "-m", "jupyterlab", str(folder)]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # Jupyter refuses root otherwise
    # The server replaces this process: Ctrl-C and the exit code are its own.
    os.execv(sys.executable, command)  # noqa: S606 - no shell is wanted


def _notebooks(given: str | None) -> Path:
    """The given folder, else the notebooks of a checkout, else the current folder."""
    if given is not None:
        return expanded(given)
    checkout = Path(__file__).resolve().parents[1] / "notebooks"
    return checkout if checkout.is_dir() else Path.cwd()


# -- journal ---------------------------------------------------------------------------


def ls(arguments: argparse.Namespace) -> int:
    """List the simulations of a journal."""
    with _journal(arguments.path) as store:
        rows: list[tuple[object, ...]] = [("simulation", "lines", "events", "replies", "bytes")]
        rows += [
            (s.simulation, s.lines, s.events, s.replies, s.bytes) for s in inventory.shares(store)
        ]
    shown = [[_plain(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for cells in shown:
        first, *numbers = cells
        right = [cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *right]))
    return 0


def show(arguments: argparse.Namespace) -> int:
    """Show one event."""
    with _journal(arguments.path) as store:
        key, record = inventory.one_event(store, arguments.key)
    meta = record["meta"]
    at = dt.datetime.fromtimestamp(meta["at"], dt.UTC)
    facts = {
        "event": key,
        "method": f"{record['class']}.{record['method']}, version {record['version']}",
        "simulation": record["simulation"],
        "line": record["line"] or "within another event",
        "at": f"{at:%Y-%m-%d %H:%M:%S} UTC" if meta["at"] else "not known: it was imported",
        "seconds": meta["seconds"],
        "why": meta["why"],
        "failure": record["failure"] or "none",
    }
    for name, value in facts.items():
        print(f"{name + ':':<12}{_plain(str(value))}")
    for number, reply in enumerate(meta["replies"], 1):
        print(f"{f'reply {number}:':<12}{_plain(_reply(reply))}")
    for name in ("arguments", "request", "result", "changes"):
        print(f"{name}:")
        text = json.dumps(record[name], ensure_ascii=False, indent=2)
        print("\n".join(f"  {_plain(line)}" for line in text.split("\n")))
    return 0


def _plain(text: str) -> str:
    """One line without control characters: a model wrote some of it, and a terminal obeys them."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _reply(reply: Json) -> str:
    usage = reply.get("usage") or {}
    tokens = f"{usage.get('prompt_tokens', 0)}+{usage.get('completion_tokens', 0)} tokens"
    usd = reply.get("usd")
    return f"{reply.get('model')}, {tokens}, {price_in_words(usd)}, {reply.get('finish_reason')}"


def verify(arguments: argparse.Namespace) -> int:
    """Check every row of a journal; 1 when one is damaged."""
    with _journal(arguments.path) as store:
        found = list(inventory.faults(store))
        aside = [name for name in store if name.startswith("damaged:")]
        rows = len(store) - len(aside)
    for name, fault in found:
        print(f"damaged: {_plain(name)}: {_plain(fault)}")
    for name in aside:
        print(f"set aside earlier: {_plain(name.removeprefix('damaged:'))}")
    print(f"{rows} rows, {len(found)} damaged")
    return 1 if found else 0


def export(arguments: argparse.Namespace) -> int:
    """Write a simulation into a recording."""
    with _journal(arguments.path) as store:
        name = arguments.simulation
        if name is None:
            names = [s.simulation for s in inventory.shares(store) if s.events]
            if len(names) > 1:
                raise InvalidInput(
                    f"There are several simulations: {', '.join(names)}. No file was written. "
                    "Say which: --simulation NAME."
                )
            name = names[0] if names else "default"
        path = write(store, name, arguments.file, replies=arguments.replies, strip=arguments.strip)
        events = sum(row.startswith("event:") for row in rows_of(store, name, replies=False))
    print(
        f"{_plain(str(path))}: simulation {_plain(name)}, {events} events, "
        f"{path.stat().st_size} bytes"
    )
    return 0


def take_in(arguments: argparse.Namespace) -> int:
    """Import a recording into a journal, which is created if it does not exist."""
    recording = Recording(arguments.file)
    inventory.check_importable(recording)
    store = Store(arguments.path, check_row)
    try:
        new, there = inventory.take_in(store, recording)
    finally:
        store.close()
    name = _plain(recording.simulation)
    print(f"simulation {name}: {new} rows taken in, {there} were there already")
    return 0


def prune(arguments: argparse.Namespace) -> int:
    """Remove whole lines, after a confirmation."""
    with _journal(arguments.path) as store:
        rows = inventory.whole_lines(store, arguments.simulation, arguments.line)
        going = inventory.share(store, arguments.simulation, rows)
        print(
            f"This would remove {going.lines} lines, {going.events} events and {going.replies} "
            f"replies ({going.bytes} bytes) of simulation {_plain(going.simulation)}. "
            "They cannot be brought back; `journal export` first keeps a copy."
        )
        if not arguments.yes and not _agreed():
            print("Nothing was removed.")
            return 0
        store.remove_all(rows)
    print(f"Removed {len(rows)} rows.")
    return 0


def _agreed() -> bool:
    try:
        return input("Remove them? Type yes: ").strip().lower() == "yes"
    except EOFError:  # no terminal
        print()
        return False


@contextmanager
def _journal(path: str) -> Iterator[Any]:
    """Open an existing journal; a command that only reads creates none."""
    folder = expanded(path).absolute()
    if not (folder / NAME).is_file():
        raise InvalidInput(f"There is no journal in {folder}. Give --path FOLDER.")
    store = Store(path, check_row)
    try:
        yield store
    finally:
        sys.stdout.flush()
        store.close()


# -- options ---------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    """The options of the command line."""
    top = argparse.ArgumentParser(prog="tinyfactory", description="Simulated people for notebooks.")
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(required=True, metavar="command")

    demo_command = commands.add_parser("demo", help="make people on the offline model, print them")
    demo_command.add_argument("-n", "--number", type=int, default=3, help="how many (default 3)")
    demo_command.add_argument("-c", "--context", default=DEMO_CONTEXT, help="who they are")
    demo_command.add_argument("-v", "--verbose", action="store_true", help="show the log")
    demo_command.set_defaults(run=demo)

    lab_command = commands.add_parser("lab", help="open JupyterLab on the notebooks")
    lab_command.add_argument("folder", nargs="?", help="another folder")
    lab_command.set_defaults(run=lab)

    _add_journal_commands(commands)
    return top


def _add_journal_commands(commands: Any) -> None:
    """Add ``journal`` and the commands below it."""
    journal = commands.add_parser("journal", help="look at a journal, check it, export, import")
    under = journal.add_subparsers(required=True, metavar="command")

    def command(name: str, run: Any, what: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = under.add_parser(name, help=what, description=what)
        parser.add_argument(
            "--path",
            default=settings.DEFAULT_JOURNAL,
            metavar="FOLDER",
            help=f"the journal's folder (default {settings.DEFAULT_JOURNAL})",
        )
        parser.set_defaults(run=run)
        return parser

    command("ls", ls, "List the simulations: lines, events, replies, bytes.")
    show_command = command("show", show, "Show one event.")
    show_command.add_argument("key", help="the event's key, or the beginning of it")
    command("verify", verify, "Check every row; exit code 1 when one is damaged.")
    export_command = command("export", export, "Write a simulation into a recording.")
    export_command.add_argument("file", help="by custom NAME.recording.jsonl.gz")
    export_command.add_argument("--simulation", metavar="NAME", help="which, if there are several")
    export_command.add_argument("--replies", action="store_true", help="with the models' replies")
    export_command.add_argument(
        "--strip", action="store_true", help="take out secrets also where a replay needs the text"
    )
    import_command = command("import", take_in, "Take a recording into the journal.")
    import_command.add_argument("file")
    prune_command = command("prune", prune, "Remove a simulation, or whole lines of it.")
    prune_command.add_argument("simulation", help="its name")
    prune_command.add_argument(
        "--line",
        action="append",
        default=[],
        metavar="ROOT",
        help="only this line, by the beginning of its root; can be repeated",
    )
    prune_command.add_argument("--yes", action="store_true", help="do not ask")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. The exit code is 0, or 2 after one line that says what is wrong."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A console that lacks a character of a name shows a question mark in its place.
            stream.reconfigure(errors="replace")
    try:
        try:
            chosen = parser().parse_args(arguments)
            return int(chosen.run(chosen))
        except TinyFactoryError as error:
            print(f"tinyfactory: {error}", file=sys.stderr)
            return 2
        finally:
            sys.stdout.flush()  # here, where a closed pipe is no error
    except BrokenPipeError:
        # Such as `... | head`, which has read enough. Python flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE if hasattr(signal, "SIGPIPE") else 1
