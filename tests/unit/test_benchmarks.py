"""The benchmarks run and print what they promise to; what they measure is not judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.answers import answer, as_asked, truncated
from tests.support.chat_server import ChatServer, wrong_key
from tests.support.server_profiles import PROFILES

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "bench_journal.py"
GROUPS = (
    "Store an event of 2 kB, on disk",
    "Replay an event of 2 kB",
    "Store an event of 200 kB, on disk",
    "Replay an event of 200 kB",
    "What a power cut costs: 2 kB in raw sqlite3",
    "Make a folder and store its first event of 2 kB",
    "Making many events in one factory",
    "Bytes that a person takes in the journal",
    "Replay of a notebook of 20 people",
    "A method that declares nothing",
    "Opening a journal of 500 and of 5,000 events",
    "Importing the factory against a bare interpreter",
)
CONTENDERS = {
    "raw sqlite3",
    "Store alone",
    "@transactional",
    "diskcache JSONDisk",
    "joblib Memory (not synced)",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("bench")
    done = subprocess.run(
        [sys.executable, SCRIPT, "--quick", "--json", place / "results.json"],
        capture_output=True,
        text=True,
        cwd=place,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads((place / "results.json").read_text())


@pytest.mark.parametrize("group", GROUPS)
def test_each_group_is_printed_and_written(run, group):
    printed, results = run
    assert any(line.startswith(group) for line in printed.splitlines())
    rows = [row for row in results["rows"] if row["group"].startswith(group)]
    assert len(rows) >= 2
    assert all(row["value"] > 0 for row in rows)


def test_all_contenders_stand_side_by_side(run):
    for group in GROUPS[:4]:
        rows = [row for row in run[1]["rows"] if row["group"] == group]
        assert {row["name"] for row in rows} == CONTENDERS


def test_aims_are_printed_with_what_came_of_them(run):
    printed, results = run
    aims = [row for row in results["rows"] if row["aim"] is not None]
    assert len(aims) == 14
    assert all(row["met"] == (row["ratio"] <= row["aim"]) for row in aims)
    missed = sum(row["met"] is False for row in aims)
    assert f"{14 - missed} of 14 aims met." in printed
    assert printed.count("NOT MET") == missed


def test_results_say_where_and_when(run):
    assert {"date", "processor", "cores", "filesystem", "python", "sqlite"} <= run[1].keys()


def test_unknown_arguments_are_refused():
    done = subprocess.run([sys.executable, SCRIPT, "--fast"], capture_output=True, text=True)
    assert done.returncode == 2 and "--quick" in done.stderr


def test_populations_are_measured_against_their_aims(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT.with_name("bench_populations.py"), "--quick", "--json", "r.json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "r.json").read_text())["rows"]
    misses = {row["name"]: row["value"] for row in rows if row["group"].startswith("Misses")}
    assert 0 < misses["worst margin"] <= 1 and misses["people in an impossible combination"] == 0
    assert sum(row["group"].startswith(("Seconds", "Most memory")) for row in rows) == 8
    assert "aims met." in done.stdout


def run_drill(folder, base_url):
    script = SCRIPT.with_name("drill_model.py")
    options = ["--base-url", base_url, "--model", "m", "--folder", folder, "--people", "2"]
    options += ["--concurrency", "1"]
    return subprocess.run([sys.executable, script, *options], capture_output=True, text=True)


def test_a_drill_with_a_model_counts_rejected_replies_and_goes_on_after_an_error(tmp_path):
    def reply(request):
        number = len(server.requests)
        if number == 1:
            return truncated()
        if number == 4:
            return wrong_key()(request)
        return as_asked(request) if request.schema_name else answer("I made tea.")

    with ChatServer(reply) as server:
        first = run_drill(tmp_path, server.base_url)
        assert first.returncode == 1 and "Run the same command to continue" in first.stderr
        second = run_drill(tmp_path, server.base_url)
        assert second.returncode == 0, second.stderr
        # Two people, a rejected reply, a refused key, two people with profiles, a twin, questions.
        assert len(server.requests) == 2 + 1 + 1 + 2 + 1 + 3
    calls = json.loads((tmp_path / "drill.json").read_text())["calls"]
    assert sorted(call["step"] for call in calls) == [
        *["interview"] * 3,
        *["person"] * 2,
        *["profile"] * 2,
        "twin",
    ]
    assert sum(call["requests"] for call in calls) == 9
    assert sum(call["cut"] for call in calls) == 1
    assert sum(len(call["rejected"]) for call in calls) == 1
    assert all(call["missing_fields"] == [] for call in calls)
    assert "people with all 17 fields: 5 of 5" in second.stdout
    assert "age of the profile kept: 2 of 2, in first replies 2" in second.stdout


def test_each_person_costs_one_request_at_each_kind_of_server(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT.with_name("bench_servers.py"), "--quick", "--json", "r.json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "r.json").read_text())["rows"]
    assert [r["name"] for r in rows] == 3 * list(PROFILES)
    assert [r["name"] for r in rows if r["met"] is False] == []
