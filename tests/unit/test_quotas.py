"""Whole people out of shares."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tinyfactory.populations.quotas import Sums, next_whole, round_shares, round_sums, round_table


def rng(seed=0):
    return np.random.default_rng(seed)


def test_shares_are_rounded_down_or_up_and_add_up():
    for seed in range(50):
        shares = rng(seed).dirichlet(np.full(9, 0.4))
        for n in (1, 7, 1000, 999_983):
            counts = round_shares(shares, n, rng(seed))
            assert counts.sum() == n
            assert (abs(counts - shares * n) < 1).all()


def test_who_is_rounded_up_is_drawn_by_the_fraction():
    counts = sum(round_shares([0.9, 0.06, 0.04], 1, rng(seed)) for seed in range(3000))
    assert counts == pytest.approx([2700, 180, 120], abs=50)  # 4 standard deviations, and more


def test_a_share_of_nobody_is_given_to_nobody():
    assert all(round_shares([0.5, 0.0, 0.5], n, rng(n))[1] == 0 for n in range(1, 50))


def test_cells_rows_and_columns_are_within_one_person():
    for seed in range(30):
        cells = rng(seed).gamma(0.4, size=(6, 9)) * 20
        cells *= 317 / cells.sum()
        rows = round_shares(cells.sum(axis=1) / 317, 317, rng(seed))
        found = round_table(cells, rows, cells.sum(axis=0), rng(seed))
        assert (found.sum(axis=1) == rows).all()
        assert (abs(found.sum(axis=0) - cells.sum(axis=0)) < 1).all()
        assert (abs(found - cells) < 1).all()


def test_zeros_stay_and_the_columns_give_way_where_there_is_no_other_way():
    cells = np.array([[0.5, 0.0], [0.5, 0.0], [0.0, 0.5], [0.0, 0.5]])
    found = round_table(cells, np.array([1, 1, 0, 0]), np.array([1.0, 1.0]), rng())
    assert found.tolist() == [[1, 0], [1, 0], [0, 0], [0, 0]]


def test_rows_that_were_rounded_far_off_are_met_with_few_steps_beyond():
    cells = np.full((2, 4), 2.5)
    found = round_table(cells, np.array([16, 4]), cells.sum(axis=0), rng())
    assert found.sum(axis=1).tolist() == [16, 4]
    assert found.sum(axis=0).tolist() == [5, 5, 5, 5]
    assert found[0].max() <= 5 and found[1].min() >= 0


def test_very_many_tiny_cells_are_no_dust():
    cells = np.full((1000, 2000), 1 / 2_000_000)
    found = round_table(
        cells[:, :200] * 10, np.eye(1000, dtype=int)[3], np.full(200, 1 / 200), rng()
    )
    assert found.sum() == 1 and found[3].sum() == 1


@pytest.mark.parametrize("n", [1000, 1_000_000])
def test_large_tables_are_rounded_in_seconds(n):
    cells = rng(1).gamma(0.5, size=(50, 200))
    cells *= n / cells.sum()
    rows = round_shares(cells.sum(axis=1) / n, n, rng())
    start = time.perf_counter()
    found = round_table(cells, rows, cells.sum(axis=0), rng())
    assert time.perf_counter() - start < 100  # 0.3 s on a laptop; without structure, hours
    assert abs(found - cells).max() < 1


def test_three_sums_at_once_are_rounded_where_there_is_a_way():
    cells = rng(4).gamma(0.7, size=(4, 5, 3)) * 3
    at = np.unravel_index(np.arange(cells.size), cells.shape)
    sums = [
        Sums(at[axis], *next_whole(cells.sum(axis=tuple({0, 1, 2} - {axis})))) for axis in range(3)
    ]
    found = round_sums(cells.ravel(), sums, rng())
    assert found is not None
    for each in sums:
        assert (
            (each.low <= each.over(np.asarray(found, dtype=float)))
            & (each.over(np.asarray(found, dtype=float)) <= each.high)
        ).all()
    assert (abs(found - cells.ravel()) < 1).all()


def test_no_way_is_told_as_none():
    # Three pairs of three people, each of whom is half there: two of three must share a pair.
    pairs = [
        Sums(np.array(of), np.array([0.0, 0.0]), np.array([1.0, 1.0]))
        for of in ([0, 0, 1], [0, 1, 0], [1, 0, 0])
    ]
    everyone = Sums(np.zeros(3, dtype=int), np.array([2.0]), np.array([2.0]))
    assert round_sums(np.full(3, 2 / 3), [*pairs, everyone], rng()) is None
