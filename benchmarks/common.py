"""What benchmarks share: fair rounds, a table with aims, and a labelled file of results."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

Work = Callable[[int], object]


def interleaved(contenders: dict[str, Work], numbers: Iterable[int]) -> dict[str, list[float]]:
    """Seconds that each contender takes for each number, in turns: A B C, A B C, ...

    What disturbs the machine for a while then disturbs all of them alike.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in numbers:
        for name, work in contenders.items():
            start = time.perf_counter()
            work(number)
            seconds[name].append(time.perf_counter() - start)
    return seconds


def medians(seconds: dict[str, list[float]]) -> dict[str, float]:
    """The median of each contender's seconds."""
    return {name: statistics.median(each) for name, each in seconds.items()}


@dataclass
class Row:
    """One line of the table: what was measured, against what, and what was aimed at."""

    group: str
    name: str
    value: float
    unit: str
    ratio: float | None = None
    against: str = ""
    aim: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the ratio is within the aim; None where there is no aim."""
        return None if self.aim is None or self.ratio is None else self.ratio <= self.aim

    def cells(self) -> tuple[str, str, str, str, str]:
        """The row as it is printed."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f} x {self.against}"
        aim = "" if self.aim is None else f"within {self.aim:g}"
        met = {None: "", True: "met", False: "NOT MET"}[self.met]
        return self.name, f"{self.value:,.1f} {self.unit}", ratio, aim, met


class Table:
    """Rows in groups, printed as they come and written as JSON at the end."""

    widths = (46, 15, 34, 11, 7)

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def add(self, *rows: Row) -> None:
        """Print rows and keep them."""
        for row in rows:
            if not self.rows or self.rows[-1].group != row.group:
                print(f"\n{row.group}")
            cells = zip(row.cells(), self.widths, strict=True)
            print("  " + "  ".join(cell.ljust(width) for cell, width in cells).rstrip(), flush=True)
            self.rows.append(row)

    def summary(self) -> str:
        """How many of the aims were met, and which were not."""
        missed = [f"{row.group}: {row.name}" for row in self.rows if row.met is False]
        aims = sum(row.met is not None for row in self.rows)
        lines = [f"{aims - len(missed)} of {aims} aims met."]
        return "\n".join(lines + [f"  not met: {name}" for name in missed])

    def write(self, path: Path, about: dict[str, object]) -> None:
        """Write all rows, with what machine they were measured on and when."""
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [asdict(row) | {"met": row.met} for row in self.rows]
        path.write_text(json.dumps(about | {"rows": rows}, indent=1) + "\n", encoding="utf-8")


def machine(folder: Path) -> dict[str, object]:
    """What a figure depends on besides the code."""
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="minutes"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "filesystem": _filesystem(folder),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _filesystem(folder: Path) -> str:
    """The kind of file system: a commit on tmpfs costs nothing and says nothing."""
    if sys.platform != "linux":
        return "unknown"
    mounts = [line.split() for line in Path("/proc/mounts").read_text("utf-8").splitlines()]
    holding = [m for m in mounts if folder.is_relative_to(m[1])]
    return max(holding, key=lambda m: len(m[1]))[2] if holding else "unknown"
