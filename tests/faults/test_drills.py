"""Kills, interrupts and floods: each in a small form for every day, and as a drill."""

from __future__ import annotations

import pytest

from tests.support.drills import interrupt_often, kill_often
from tinyfactory.journal.storage.store import Store


def test_ten_kills_lose_nothing(tmp_path):
    kills, acknowledged = kill_often(tmp_path / "journal", 10)
    assert kills >= 10 and acknowledged > 10


@pytest.mark.drill
@pytest.mark.timeout(1800)
def test_two_hundred_kills_lose_nothing(tmp_path, capsys):
    kills, acknowledged = kill_often(tmp_path / "journal", 200)
    assert kills >= 200
    with capsys.disabled():
        print(f"\n{kills} kills over three writing processes: {acknowledged:,} events were ")
        print("acknowledged, 0 are lost, 0 are torn")


@pytest.mark.drill
@pytest.mark.timeout(1800)
def test_ten_thousand_interrupts_leave_no_lock(tmp_path, capsys):
    interrupts, steps, seconds = interrupt_often(tmp_path / "journal", 10_000)
    assert interrupts >= 10_000 and seconds < 30
    with capsys.disabled():
        print(f"\n{interrupts:,} interrupts aimed at {steps:,} commits: no lock left, another ")
        print(f"process wrote in {1000 * seconds:.0f} ms; state and journal agree")


@pytest.mark.drill
@pytest.mark.timeout(1800)
def test_more_than_a_gibibyte_evicts_nothing(tmp_path, capsys):
    store = Store(tmp_path / "journal")
    text = "é" * 2_000_000
    number = 0
    while (tmp_path / "journal" / "cache.db").stat().st_size < 1.2 * 2**30:
        store.add_all([(f"k{number + i}", f"{number + i} {text}") for i in range(10)])
        number += 10
    keys = list(store)
    assert keys == [f"k{i}" for i in range(number)]
    assert all(store.get(f"k{i}") == f"{i} {text}" for i in range(number))
    size = (tmp_path / "journal" / "cache.db").stat().st_size
    store.close()
    with capsys.disabled():
        print(f"\n{size / 2**30:.2f} GiB in {number} entries: all {len(keys)} are there, whole")
