"""Requests for each person at each kind of server, played on loopback.

python benchmarks/bench_servers.py [--quick] [--json PATH]
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from common import Row, Table, machine

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.profile_server import Kind, ProfileServer, ServerProfile
from tests.support.server_profiles import PROFILES
from tinyfactory import TinyPerson, TinyPersonFactory, configure
from tinyfactory.models.http.retry import RetryPolicy
from tinyfactory.models.openai import OpenAIModel

RESULTS = Path(__file__).parent / "results" / "bench_servers.json"
# In a job of ten, one request fails while the model writes, and one because of load.
FAULTS: dict[int, Kind] = {6: "failed", 8: "overload"}


def factory_at(server: ProfileServer) -> TinyPersonFactory:
    """A factory whose model is at the server, which must not remember what it refused before."""
    TinyPerson.clear_people()  # the people of each server have the same names
    profile = server.profile
    azure = profile.name.startswith("Azure")
    os.environ["AZURE_OPENAI_API_KEY"] = "0123456789abcdef0123456789abcdef"
    os.environ["AZURE_OPENAI_ENDPOINT"] = server.origin
    # Azure is used only while no base URL is set.
    configure(base_url=None if azure else server.base_url, extra_body=None)
    configure(api_key="sk-bench-0123456789abcdef", **profile.settings)
    quick = RetryPolicy(wait_initial=0.01, wait_jitter=0.01)
    return TinyPersonFactory("Anglers at a harbour", model=OpenAIModel(profile.model, retry=quick))


def without_faults(profile: ServerProfile, people: int) -> tuple[int, float]:
    """Requests for the first person, and for each further one."""
    with ProfileServer(profile) as server:
        factory = factory_at(server)
        assert factory.generate_person() is not None
        first = len(server.requests)
        assert len(factory.generate_people(people)) == people
        return first, (len(server.requests) - first) / people


def with_faults(profile: ServerProfile) -> float:
    """Requests for each of ten people in a job where some requests fail."""
    faults = {number: kind for number, kind in FAULTS.items() if kind in profile.says}
    with ProfileServer(profile, faults) as server:
        factory = factory_at(server)
        assert len(factory.generate_people(10)) == 10
        return (len(server.requests) - len(server.refused)) / 10


def run(table: Table, people: int) -> None:
    """Measure all profiles."""
    logging.disable(logging.WARNING)  # each server is met for the first time, and says so
    counts = {name: without_faults(profile, people) for name, profile in PROFILES.items()}
    for name, (first, _) in counts.items():
        table.add(Row("Requests for the first person, refused ones included", name, first, ""))
    for name, (_, each) in counts.items():
        group = f"Requests for each of {people} further people"
        table.add(Row(group, name, each, "", each, "one each", 1.0))
    for name, profile in PROFILES.items():
        each = with_faults(profile)
        group = "Requests for each of ten people while two requests fail"
        table.add(Row(group, name, each, "", each, "one each", 1.2))


def main() -> None:
    """Measure, print, and write the results."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="few people, to check that it runs")
    options.add_argument("--json", type=Path, default=RESULTS)
    given = options.parse_args()
    os.environ.pop("TINYFACTORY_MODEL", None)  # make bench sets it to the offline model
    table = Table()
    run(table, 3 if given.quick else 30)
    print(f"\n{table.summary()}")
    table.write(given.json, machine(Path.cwd()))


if __name__ == "__main__":
    main()
