"""The benchmark of scale runs and prints what it promises to; times are not judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "bench_scale.py"
COUNTED = ("Requests without faults", "Prompt tokens per person")
GROUPS = ("Wall time with", *COUNTED, "Memory for")


def test_all_groups_are_printed_and_what_is_counted_meets_its_aims(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--quick", "--json", tmp_path / "results.json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    for group in GROUPS:
        assert any(line.startswith(group) for line in done.stdout.splitlines())
    # Counted, not timed: so these hold on any machine.
    aims = [row for row in rows if row["group"].startswith(COUNTED) and row["aim"] is not None]
    assert len(aims) == 3 and all(row["met"] for row in aims), aims
