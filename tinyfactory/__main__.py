"""The command line: ``python -m tinyfactory demo``, ``lab`` and ``journal``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

DEMO_CONTEXT = "A group of friends are on a camping trip."


def demo(arguments: argparse.Namespace) -> int:
    """Make people on the offline model and print them."""
    from tinyfactory.factory import TinyPersonFactory

    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.WARNING)
    factories = TinyPersonFactory.generate_person_factories(
        arguments.number, arguments.context, model="offline"
    )
    made = 0
    for factory in factories or []:
        person = factory.generate_person()
        if person:
            made += 1
            print(f"Generated TinyPerson: {person.get('name')}")
            print(f"  {person.minibio()}")
            print(f"  Context: {factory.context_text}\n")
    print("Written by the offline model: no key, no network, no language model.")
    print("Next: make lab (or python -m tinyfactory lab) opens the notebooks.")
    return 0 if made == arguments.number else 1


def lab(arguments: argparse.Namespace) -> int:  # noqa: RET503 - ends in execv
    """Open JupyterLab on the notebooks; returns only when that cannot be done."""
    from importlib.util import find_spec

    if find_spec("jupyterlab") is None:
        print(
            "JupyterLab is not installed. Nothing was started. "
            "Install it with: pip install 'tinyfactory[lab]'",
            file=sys.stderr,
        )
        return 2
    folder = _notebooks(arguments.folder)
    command = [sys.executable, "-m", "jupyterlab", str(folder)]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # Jupyter refuses root otherwise
    # Replaced by the server: Ctrl-C and the exit code are its own.
    os.execv(sys.executable, command)  # noqa: S606 - no shell is wanted


def _notebooks(given: str | None) -> Path:
    """The folder to open: as given, else the notebooks of a checkout, else here."""
    if given is not None:
        return Path(given)
    checkout = Path(__file__).resolve().parents[1] / "notebooks"
    return checkout if checkout.is_dir() else Path.cwd()


def parser() -> argparse.ArgumentParser:
    """The options of the command line."""
    from tinyfactory import __version__, cli_journal

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

    cli_journal.add_commands(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0, or 2 with one line that says what was wrong."""
    from tinyfactory.errors import TinyFactoryError

    chosen = parser().parse_args(arguments)
    try:
        return int(chosen.run(chosen))
    except TinyFactoryError as error:
        print(f"tinyfactory: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
