"""What drawing a population costs, and how near it comes to its table.

python benchmarks/bench_populations.py [--quick] [--json PATH]
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import resource
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from common import Row, Table, machine

from tinyfactory.errors import DemographyError
from tinyfactory.populations import Demography

RESULTS = Path(__file__).parent / "results" / "bench_populations.json"
SHIPPED = ("illustrative_town", "united_states_2020")
SIZES = (1, 2, 3, 7, 10, 33, 100, 365, 1_000, 9_999, 100_000)


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    people: tuple[int, ...]
    tables: int


FULL = Size((1_000, 10_000, 100_000, 1_000_000), 200)
QUICK = Size((100, 1_000), 8)


def _draw(name: str, n: int, answers: Any) -> None:
    """In a process of its own: seconds for so many people with names, and its most memory."""
    town = Demography.shipped(name)
    town.sample(10)  # imports, the fit
    start = time.perf_counter()
    people = town.sample(n, seed=1)
    seconds = time.perf_counter() - start
    assert len(people) == n
    assert people["name"].is_unique
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    answers.put((seconds, most))
    answers.close()
    answers.join_thread()
    os._exit(0)


def drawing(table: Table, size: Size) -> None:
    """Time and memory, by how many people there are."""
    spawn = multiprocessing.get_context("spawn")
    found: dict[tuple[str, int], tuple[float, float]] = {}
    for name in SHIPPED:
        for n in size.people:
            answers = spawn.Queue()
            process = spawn.Process(target=_draw, args=(name, n, answers))
            process.start()
            found[name, n] = answers.get()
            process.join()
    for name in SHIPPED:
        group = f"Seconds to draw people of {name}, with names"
        for n in size.people:
            row = Row(group, f"N = {n:,}", found[name, n][0], "s")
            if n == 1_000_000:
                row.ratio, row.against, row.aim = row.value / 30, "30 s", 1
            table.add(row)
    for name in SHIPPED:
        group = f"Most memory of the whole process, {name}"
        for n in size.people:
            row = Row(group, f"N = {n:,}", found[name, n][1], "MB")
            if n == 1_000_000:
                row.ratio, row.against, row.aim = row.value / 2048, "2 GB", 1
            table.add(row)


def random_table(rng: np.random.Generator) -> dict[str, Any]:
    """One to six fields; joint and conditional tables with zeros; impossible combinations."""
    fields = [f"f{i}" for i in range(rng.integers(1, 7))]
    kinds = {f: [f"{f}{chr(97 + i)}" for i in range(rng.integers(2, 9))] for f in fields}

    def shares(field: str) -> dict[str, float]:
        weights = rng.gamma(0.6, size=len(kinds[field]))
        weights[rng.random(len(weights)) < 0.1] = 0
        weights[0] += weights.sum() == 0
        return dict(zip(kinds[field], (weights / weights.sum()).tolist(), strict=True))

    def nested(of: str, given: list[str]) -> dict[str, Any]:
        if not given:
            return shares(of)
        return {category: nested(of, given[1:]) for category in kinds[given[0]]}

    data: dict[str, Any] = {field: shares(field) for field in fields}
    data |= {"joint": [], "conditional": [], "impossible": []}
    for _ in range(rng.integers(0, 4) if len(fields) > 1 else 0):
        among = [fields[i] for i in rng.permutation(len(fields))[: rng.integers(2, 4)]]
        if rng.random() < 0.5:
            rows = [
                dict(zip(among, cell, strict=True))
                | {"count": int(rng.integers(1, 1000)) * int(rng.random() > 0.1)}
                for cell in product(*(kinds[field] for field in among))
            ]
            data["joint"].append({"fields": among, "table": rows})
        else:
            *given, of = among
            data["conditional"].append({"field": of, "given": given, "table": nested(of, given)})
    for _ in range(rng.integers(0, 3) if len(fields) > 1 else 0):
        one, other = (fields[i] for i in rng.permutation(len(fields))[:2])
        rule = {one: str(rng.choice(kinds[one])), other: str(rng.choice(kinds[other]))}
        data["impossible"].append(rule)
    tabled = {field for item in data["joint"] for field in item["fields"]}
    return {k: v for k, v in data.items() if k not in tabled or rng.random() > 0.3}


def margins(table: Table, size: Size) -> None:
    """How far margins and cells of tables are off, at most, over random demographies."""
    margin = cell = slowest = 0.0
    drawn = refused = against_rules = number = 0
    while drawn < size.tables:
        number += 1
        rng = np.random.default_rng(number)
        start = time.perf_counter()
        n = int(rng.choice(SIZES))
        try:
            town = Demography.from_dict(random_table(rng))
            people = town.sample(n, seed=number)
        except DemographyError:  # zeros and rules can rule out the margins
            refused += 1
            continue
        drawn += 1
        slowest = max(slowest, time.perf_counter() - start)
        for field, shares in town.margins().items():
            got = Counter(people[field])
            margin = max(margin, *(abs(got[k] - share * n) for k, share in shares.items()))
        for fields, cells in town.joints():
            got = Counter(zip(*(people[field] for field in fields), strict=True))
            cell = max(cell, *(abs(got[k] - share * n) for k, share in cells.items()))
        for rule in town.impossible:
            against_rules += int((people[list(rule)] == list(rule.values())).all(axis=1).sum())
    group = f"Misses of {drawn} random demographies ({refused} more could not be met, and said so)"
    person = "1 person"
    table.add(
        Row(group, "worst margin", margin, "people", margin, person, 1 + 1e-6),
        Row(group, "worst cell of a table", cell, "people", cell, person, 1 + 1e-6),
        Row(
            group,
            "people in an impossible combination",
            against_rules,
            "people",
            float(against_rules),
            person,
            0,
        ),
        Row(group, "slowest table, read, fitted and drawn", slowest, "s"),
    )


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only show that it runs")
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args()
    size = QUICK if options.quick else FULL
    table = Table()
    drawing(table, size)
    # Random tables contradict each other, and each would say so.
    logging.getLogger("tinyfactory").setLevel(logging.ERROR)
    margins(table, size)
    print("\n" + table.summary())
    table.write(options.json, machine(Path(tempfile.gettempdir())) | {"quick": options.quick})


if __name__ == "__main__":
    main()
