"""Draw people from a distribution with exact quotas, in random order, and name them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from tinyfactory.gazetteer.names import draw_names
from tinyfactory.populations.joint import Block
from tinyfactory.populations.quotas import (
    Array,
    Ints,
    Sums,
    next_whole,
    round_shares,
    round_sums,
    round_table,
)
from tinyfactory.populations.schema import Band

Names = tuple[str, ...]
# One person, and the rounding error of a product.
_MISS = 1 + 1e-6
_SEX = ("sex", "gender")
_COUNTRY = ("country", "nationality")
_PLACE = ("residence", "region", "state", "city")
# Of a table without a year; a fixed one, so that the names stay the same.
_YEAR = 2025


def draw_codes(blocks: Iterable[Block], n: int, seed: int) -> dict[str, Ints]:
    """Draw, for each field, the index of each person's category.

    In a block, the counts of the first field are n·p, rounded. Each further field is assigned
    within the combinations of the fields that it depends on. The order of the fields comes from
    elimination, as in a junction tree (Lauritzen and Spiegelhalter, JRSS B 50, 1988), so that
    the people have the distribution of the block. Zeros, and tables that depend on each other in
    a circle, can make this miss a margin or a cell by more than one person; then all cells are
    rounded together.
    """
    codes: dict[str, Ints] = {}
    for block in blocks:
        drawn = _one_by_one(block, n, seed)
        margins = [(name,) for name in block.fields]
        for targets in ([*margins, *block.tables], margins):
            if len(block.fields) > 1 and not _close(block, targets, drawn, n):
                drawn = _together(block, targets, n, seed) or drawn
        codes |= drawn
    return codes


def _one_by_one(block: Block, n: int, seed: int) -> dict[str, Ints]:
    codes: dict[str, Ints] = {}
    for name, parents in _chain(block):
        codes[name] = _assign(block, name, parents, codes, n, seed)
    return codes


def _chain(block: Block) -> list[tuple[str, tuple[str, ...]]]:
    """Order the fields; each comes with the earlier fields that it depends on.

    The last field is chosen first: the one whose neighbours are already (nearly) all tied to
    each other. Among equals it is the field with the most categories, since a city determines
    its country.
    """
    near: dict[str, set[str]] = {name: set() for name in block.fields}
    for tied in block.tied:
        for name in tied:
            near[name] |= set(tied) - {name}
    size = dict(zip(block.fields, block.cells.shape, strict=True))
    left = list(block.fields)
    found: list[tuple[str, tuple[str, ...]]] = []
    while left:
        name = min(reversed(left), key=lambda one: (_untied(near[one], near), -size[one]))
        left.remove(name)
        before = near.pop(name)
        for one in before:
            near[one] = (near[one] | before) - {one, name}
        found.append((name, tuple(one for one in left if one in before)))
    return found[::-1]


def _untied(names: set[str], near: dict[str, set[str]]) -> int:
    return sum(b not in near[a] for a, b in combinations(sorted(names), 2))


def _assign(
    block: Block,
    name: str,
    parents: tuple[str, ...],
    codes: dict[str, Ints],
    n: int,
    seed: int,
) -> Ints:
    rng = stream(seed, name)
    shares = block.over((name,))
    if not parents:
        counts = round_shares(shares, n, rng)
        return rng.permutation(np.repeat(np.arange(len(shares)), counts))
    table = block.over((*parents, name))
    sizes = table.shape[:-1]
    rows = np.ravel_multi_index(tuple(codes[p] for p in parents), sizes)
    present, row_of, counts = np.unique(rows, return_inverse=True, return_counts=True)
    # Compared with n·p itself, not with shares of the row's rounded count: then the cells of a
    # table are within one person as well, wherever the sums allow it.
    cells = table.reshape(-1, table.shape[-1])[present] * n
    given = round_table(cells, counts, shares * n, rng)
    # `order` groups the people by row, in random order within each row.
    order = np.lexsort((rng.random(n), row_of))
    out = np.empty(n, dtype=np.int64)
    columns = np.tile(np.arange(table.shape[-1]), len(present))
    out[order] = np.repeat(columns, given.ravel())
    return out


def _close(block: Block, targets: Sequence[Names], codes: dict[str, Ints], n: int) -> bool:
    """Whether margins and tables are within one person."""
    for names in targets:
        exact = block.over(names) * n
        cells = np.ravel_multi_index(tuple(codes[name] for name in names), exact.shape)
        if abs(np.bincount(cells, minlength=exact.size) - exact.ravel()).max() > _MISS:
            return False
    return True


def _together(block: Block, targets: Sequence[Names], n: int, seed: int) -> dict[str, Ints] | None:
    """Round all cells together so that margins and tables are met; None if none is found."""
    rng = stream(seed, " ".join(block.fields))
    at = np.nonzero(block.cells > 0)
    everyone = np.array([n])
    sums = [Sums(np.zeros(len(at[0]), dtype=np.int64), everyone, everyone)]
    for names in targets:
        axes = [block.fields.index(name) for name in names]
        shape = tuple(block.cells.shape[axis] for axis in axes)
        of = np.ravel_multi_index(tuple(at[axis] for axis in axes), shape)
        sums.append(Sums(of, *next_whole(block.over(names).ravel() * n)))
    counts = round_sums(block.cells[at] * n, sums, rng)
    if counts is None:
        return None
    who = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    return {name: at[axis][who] for axis, name in enumerate(block.fields)}


def draw_numbers(codes: Ints, bands: list[Band], seed: int, name: str) -> Ints | Array:
    """Draw a number within each person's band; all numbers of a band are equally likely."""
    rng = stream(seed, f"{name} in its band")
    low = np.array([band.low for band in bands])[codes]
    high = np.array([band.high for band in bands])[codes]
    if any(band.continuous for band in bands):
        numbers: Array = low + (high - low) * rng.random(len(codes))
        return numbers
    return rng.integers(low.astype(np.int64), high.astype(np.int64) + 1)


def stream(seed: int, name: str) -> np.random.Generator:
    """Make the random generator of a field; adding other fields does not change its numbers."""
    own = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return np.random.Generator(np.random.PCG64([seed & (2**64 - 1), own]))


def named(
    columns: Mapping[str, Any], n: int, about: Mapping[str, Any], seed: int, taken: Iterable[str]
) -> list[str]:
    """Draw a name for each of `n` people.

    Parameters
    ----------
    columns : mapping
        The columns of `Demography.sample`.
    n : int
    about : mapping
        ``country`` is used if no column gives the country, ``year`` to compute years of birth.
    seed : int
    taken : iterable of str
        Names that nobody may get.

    Returns
    -------
    list of str
    """
    by_name = {str(name).strip().lower(): column for name, column in columns.items()}

    def first(names: Iterable[str]) -> list[Any] | None:
        return next((by_name[name].tolist() for name in names if name in by_name), None)

    nobody = [None] * n
    country = about.get("country")
    home = first(_COUNTRY) or ([country] * n if country else None) or first(_PLACE) or nobody
    return draw_names(
        home, first(_SEX) or nobody, seed=seed, taken=taken, births=_births(by_name, about)
    )


def _births(columns: Mapping[str, Any], about: Mapping[str, Any]) -> list[int] | None:
    """The years of birth, computed from ages."""
    if "age_band" not in columns:
        return None
    year = re.search(r"\d{4}", str(about.get("year", "")))
    born: list[int] = ((int(year[0]) if year else _YEAR) - columns["age"].astype(int)).tolist()
    return born
