"""Programs in processes of their own: to be killed, interrupted, limited, or not trusted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
NOBODY = 65534
# The beginning of each program. `say` sends a line to the test, `wait` waits for its answer.
HEADER = """
import json, logging, os, signal, sys, threading, time
import tinyfactory.journal.storage.store
from tests.support.products import ProductFactory, on_the_way
from tinyfactory import TinyFactory, TinyPersonFactory, control
from tinyfactory.journal.storage.store import Store

def say(*things):
    print(json.dumps(things[0] if len(things) == 1 else things), flush=True)

def wait():
    return sys.stdin.readline().strip()

folder, *arguments = sys.argv[1:]
"""
# Gives up the rights of root, like a student on a shared machine.
AS_NOBODY = f"""
import openai, tinyfactory.models.openai, tinyfactory.models.event_loop
TinyPersonFactory("what it needs is imported", model="offline").generate_person()
TinyFactory.clear_factories()
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
"""


def environment() -> dict[str, str]:
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def start(program: str, folder: object, *arguments: object) -> subprocess.Popen[str]:
    """A running program, with pipes for `say` and `wait`."""
    return subprocess.Popen(
        [sys.executable, "-c", HEADER + program, str(folder), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def finish(process: subprocess.Popen[str], seconds: float = PATIENCE) -> list[Any]:
    """The rest of its output; fails with its traceback if it ended with an error."""
    said, errors = process.communicate(timeout=seconds)
    assert process.returncode == 0, errors
    return [parse(line) for line in said.splitlines()]


def run(program: str, folder: object, *arguments: object, seconds: float = PATIENCE) -> list[Any]:
    """The whole output of a program."""
    return finish(start(program, folder, *arguments), seconds)


def hear(process: subprocess.Popen[str]) -> Any:
    """The next line from the program."""
    line = process.stdout.readline()
    assert line, process.stderr.read()
    return parse(line)


def parse(line: str) -> Any:
    import json

    return json.loads(line)


def tell(process: subprocess.Popen[str], text: str = "") -> None:
    process.stdin.write(text + "\n")
    process.stdin.flush()


def end(process: subprocess.Popen[str]) -> None:
    """Kill it if it still runs, and close its pipes."""
    process.kill()
    process.communicate()
