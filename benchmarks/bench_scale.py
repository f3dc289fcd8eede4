"""What making many people costs: time against the ideal, requests, prompt, memory.

python benchmarks/bench_scale.py [--quick] [--json PATH]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import Row, Table, machine
from people import InstantModel

import tinyfactory
from tinyfactory import TinyPersonFactory, control
from tinyfactory.factory.person_generator import request_for

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "bench_scale.json"
# All alike, as the server writes everybody alike: only the names and ages differ.
TOWN = {"sex": {"female": 1}, "city": {"Porto": 1}}
CONTEXT = "People of a town of forty thousand by a river, some of whom work in its joineries."


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    latency: float
    alone: int
    together: int
    concurrency: int
    rounds: int
    prompts: tuple[int, ...]
    memory: int
    bare: tuple[int, ...]


FULL = Size(1.0, 50, 1_000, 200, 3, (1, 10, 100, 1_000), 5_000, (400, 1_000))
QUICK = Size(0.1, 3, 40, 20, 1, (1, 10), 100, (40,))


@contextmanager
def endpoint(latency: float) -> Iterator[Any]:
    """A server in a process of its own, and a function that says what it was asked."""
    command = [sys.executable, str(HERE / "server.py"), str(latency)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        address = f"http://127.0.0.1:{int(server.stdout.readline())}"
        tinyfactory.configure(model="bench", base_url=f"{address}/v1", api_key="none")

        def counted() -> dict[str, int]:
            with urllib.request.urlopen(address) as answer:
                found: dict[str, int] = json.load(answer)
                return found

        yield counted
        server.stdin.close()
        server.wait()


def wall(table: Table, size: Size, folder: Path) -> None:
    """Wall time against the ideal, and requests per person."""
    group = f"Wall time with {size.latency:g} s of latency, kept in a journal on disk"
    ways = (
        ("one by one", size.alone, 1, 1, 1.05),
        ("together", size.together, size.concurrency, size.rounds, 1.15),
    )
    with endpoint(size.latency) as counted:
        TinyPersonFactory(CONTEXT).generate_person()  # imports, connections, the first journal
        counted()
        requests = people = 0
        for name, number, concurrency, rounds, aim in ways:
            times = []
            for turn in range(rounds):
                control.begin(folder / f"wall-{name}-{turn}")
                factory = TinyPersonFactory(CONTEXT)
                start = time.perf_counter()
                made = len(factory.generate_people(number, concurrency=concurrency))
                times.append(time.perf_counter() - start)
                requests += counted()["requests"]
                people += made
            seconds = statistics.median(times)
            ideal = -(-number // concurrency) * size.latency
            what = f"{made:,} people {name}" + (f", {concurrency}" if concurrency > 1 else "")
            table.add(
                Row(group, what, seconds, "s", seconds / ideal, f"the ideal {ideal:g} s", aim)
            )
        asked = "Requests without faults"
        ratio = requests / people
        table.add(Row(asked, f"for {people:,} people", requests, "", ratio, "the people", 1.02))


async def bare_client(address: str, body: dict[str, Any], number: int, at_once: int) -> None:
    """The same number of the same requests by the official client alone; replies are dropped."""
    import openai

    async with openai.AsyncOpenAI(base_url=address, api_key="none", max_retries=0) as client:
        turns = asyncio.Semaphore(at_once)

        async def one() -> None:
            async with turns:
                await client.chat.completions.create(**body)

        await asyncio.gather(*[one() for _ in range(number)])


def processor_seconds() -> float:
    """What this process has used so far, in all its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def against_bare(table: Table, size: Size, folder: Path) -> None:
    """Wall and processor time of people together, in turns with the bare openai client."""
    group = f"Against the bare openai client, {size.latency:g} s of latency, in turns"
    with endpoint(size.latency) as counted:
        counted()
        factory = TinyPersonFactory(CONTEXT)
        factory.generate_person()  # imports and connections
        request = request_for(factory, None, None, 1.5)
        schema = {"name": "persona", "schema": request.schema, "strict": True}
        body = {
            "model": "bench",
            "messages": [dict(message) for message in request.messages],
            "temperature": 1.5,
            "response_format": {"type": "json_schema", "json_schema": schema},
        }
        address = str(tinyfactory.settings.get("base_url"))
        for number in size.bare:
            walls: dict[str, list[float]] = {"bare": [], "ours": []}
            processor: dict[str, list[float]] = {"bare": [], "ours": []}
            for turn in range(size.rounds):
                for who in ("bare", "ours"):
                    control.begin(folder / f"bare-{number}-{turn}")
                    before, start = processor_seconds(), time.perf_counter()
                    if who == "bare":
                        asyncio.run(bare_client(address, body, number, size.concurrency))
                    else:
                        TinyPersonFactory(CONTEXT).generate_people(
                            number, concurrency=size.concurrency
                        )
                    walls[who].append(time.perf_counter() - start)
                    processor[who].append((processor_seconds() - before) / number * 1e3)
            wall = {who: statistics.median(times) for who, times in walls.items()}
            used = {who: statistics.median(times) for who, times in processor.items()}
            ideal = -(-number // size.concurrency) * size.latency
            what = f"{number:,} together, {size.concurrency}"
            bare = wall["bare"]
            table.add(
                Row(group, f"{what}: bare", bare, "s", bare / ideal, f"the ideal {ideal:g} s")
            )
            ours = wall["ours"]
            table.add(Row(group, what, ours, "s", ours / bare, "the bare client", 1.15))
            table.add(Row(group, f"{what}: processor, bare", used["bare"], "ms each"))
            row = Row(group, f"{what}: processor", used["ours"], "ms each")
            row.ratio, row.against = used["ours"] / used["bare"], "the bare client"
            table.add(row)
            over = Row(
                group, f"{what}: processor beyond it", used["ours"] - used["bare"], "ms each"
            )
            over.ratio, over.against, over.aim = over.value, "a person", 3.0
            table.add(over)


def prompts(table: Table, size: Size, folder: Path) -> None:
    """Prompt tokens per person, by how many are made; and of the last one, one by one.

    One by one without a demography, each is told of some of those before, and the first few
    have nobody before them. So there the mean grows until that part is full, after thirty
    people, and what is flat from then on is the prompt of whoever comes next.
    """
    group = "Prompt tokens per person (characters / 4, schema included)"
    with endpoint(0.0) as counted:
        for name in ("together", "from a demography", "one by one"):
            first = 0.0
            for number in size.prompts:
                control.begin(folder / f"prompts-{name}-{number}")
                options = {"concurrency": 20} if name == "together" else {}
                factory = (
                    TinyPersonFactory.from_demography(TOWN, CONTEXT)
                    if name == "from a demography"
                    else TinyPersonFactory(CONTEXT)
                )
                factory.generate_people(number, **options)
                tokens = counted()["prompt_characters"] / 4 / number
                first = first or tokens
                against = f"that of {size.prompts[0]}"
                row = Row(
                    group, f"{name}, N = {number:,}", tokens, "tokens", tokens / first, against
                )
                flat = name != "one by one" and number > size.prompts[0]
                row.aim = 1.02 if flat else None
                table.add(row)
                if name == "one by one":
                    factory.generate_person()
                    latest = counted()["prompt_characters"] / 4
                    _next(table, group, number, latest)


def _next(table: Table, group: str, number: int, tokens: float) -> None:
    """The prompt of one more person, against that of the 101st."""
    before = [row for row in table.rows if row.name == "the next one after 100"]
    row = Row(group, f"the next one after {number:,}", tokens, "tokens")
    if before:
        row.ratio, row.against, row.aim = tokens / before[0].value, "that after 100", 1.02
    table.add(row)


def _make(number: int, folder: str, keep: bool, answers: Any) -> None:
    """In a process of its own: how much more memory so many people take, and their file."""
    from tinyfactory.people import PeopleWriter

    control.begin(Path(folder) / f"memory-{keep}-{number}")
    factory = TinyPersonFactory(CONTEXT, model=InstantModel())
    writer = PeopleWriter(Path(folder) / f"{keep}-{number}.parquet")
    factory.generate_people(20, concurrency=8, on_person=writer.add)  # imports and pools
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    factory.generate_people(number, concurrency=8, on_person=writer.add, keep=keep)
    seconds = time.perf_counter() - start
    writer.close()
    answers.put((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, seconds))
    answers.close()
    answers.join_thread()
    os._exit(0)


def memory(table: Table, size: Size, folder: Path) -> None:
    """Memory that people take who are kept, and who go to a file."""
    group = f"Memory for {size.memory:,} people who also go to a Parquet file"
    spawn = multiprocessing.get_context("spawn")
    found: dict[bool, float] = {}
    for keep in (True, False):
        answers = spawn.Queue()
        process = spawn.Process(target=_make, args=(size.memory, str(folder), keep, answers))
        process.start()
        kilobytes, seconds = answers.get()
        process.join()
        found[keep] = max(kilobytes / size.memory, 0.001)
        name = "kept" if keep else "not kept (keep=False)"
        against = "" if keep else "those kept"
        ratio = None if keep else found[False] / found[True]
        table.add(Row(group, name, found[keep], "kB each", ratio, against))
        table.add(Row(group, f"{name}: time", seconds / size.memory * 1e3, "ms each"))


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only show that it runs")
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args()
    size = QUICK if options.quick else FULL
    table = Table()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wall(table, size, folder)
        against_bare(table, size, folder)
        prompts(table, size, folder)
        memory(table, size, folder)
        print("\n" + table.summary())
        table.write(options.json, machine(folder) | {"quick": options.quick})


if __name__ == "__main__":
    main()
