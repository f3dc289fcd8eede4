"""People drawn from a distribution: so many of each kind, exactly, in random order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from tinyfactory.populations.bands import Band
from tinyfactory.populations.joint import Block
from tinyfactory.populations.quotas import (
    Sums,
    next_whole,
    round_shares,
    round_sums,
    round_table,
)

if TYPE_CHECKING:
    import numpy as np

    Ints = np.ndarray[Any, np.dtype[np.int64]]
    Array = np.ndarray[Any, np.dtype[np.float64]]
import re
from collections.abc import Mapping
from typing import Any

from tinyfactory.populations.names import draw_names

Names = tuple[str, ...]
# Within one person, but for the last digits of a product.
_MISS = 1 + 1e-6


def draw_codes(blocks: Iterable[Block], n: int, seed: int) -> dict[str, Ints]:
    """For each field, the number of each person's category.

    In a block, the first field gets its counts by rounding n·p. Each further one is given
    within the combinations of the fields that it is tied to (made a chain by elimination,
    as in a junction tree: Lauritzen and Spiegelhalter, JRSS B 50, 1988), so that the whole
    has the distribution of the block. Zeros, and tables that run in a circle, can make that
    miss a margin or a cell by more than one person: then all are rounded at once.
    """
    codes: dict[str, Ints] = {}
    for block in blocks:
        drawn = _one_by_one(block, n, seed)
        margins = [(name,) for name in block.fields]
        for asked in ([*margins, *block.tables], margins):
            if len(block.fields) > 1 and not _close(block, asked, drawn, n):
                drawn = _at_once(block, asked, n, seed) or drawn
        codes |= drawn
    return codes


def _one_by_one(block: Block, n: int, seed: int) -> dict[str, Ints]:
    codes: dict[str, Ints] = {}
    for name, parents in _chain(block):
        codes[name] = _give(block, name, parents, codes, n, seed)
    return codes


def _chain(block: Block) -> list[tuple[str, tuple[str, ...]]]:
    """The fields, each with those before it on which, given these, it alone depends.

    Found from the end: the field whose neighbours are tied to each other already, or nearly;
    of several, the one of most categories, for whoever is in a city is in its country.
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


def _give(
    block: Block,
    name: str,
    parents: tuple[str, ...],
    codes: dict[str, Ints],
    n: int,
    seed: int,
) -> Ints:
    import numpy as np

    rng = stream(seed, name)
    shares = block.over((name,))
    if not parents:
        counts = round_shares(shares, n, rng)
        return rng.permutation(np.repeat(np.arange(len(shares)), counts))
    table = block.over((*parents, name))
    sizes = table.shape[:-1]
    rows = np.ravel_multi_index(tuple(codes[p] for p in parents), sizes)
    present, row_of, counts = np.unique(rows, return_inverse=True, return_counts=True)
    # Against n·p itself, not against shares of the row's count, which is rounded already: so
    # cells of a table are within one person, too, wherever the sums leave that.
    cells = table.reshape(-1, table.shape[-1])[present] * n
    given = round_table(cells, counts, shares * n, rng)
    # Within each row in random order: those of the row stand together in `order`.
    order = np.lexsort((rng.random(n), row_of))
    out = np.empty(n, dtype=np.int64)
    columns = np.tile(np.arange(table.shape[-1]), len(present))
    out[order] = np.repeat(columns, given.ravel())
    return out


def _close(block: Block, asked: Sequence[Names], codes: dict[str, Ints], n: int) -> bool:
    """Whether margins and tables are within one person."""
    import numpy as np

    for names in asked:
        exact = block.over(names) * n
        cells = np.ravel_multi_index(tuple(codes[name] for name in names), exact.shape)
        if abs(np.bincount(cells, minlength=exact.size) - exact.ravel()).max() > _MISS:
            return False
    return True


def _at_once(block: Block, asked: Sequence[Names], n: int, seed: int) -> dict[str, Ints] | None:
    """Every combination that there is, rounded so that margins and tables are."""
    import numpy as np

    rng = stream(seed, " ".join(block.fields))
    at = np.nonzero(block.cells > 0)
    everyone = np.array([n])
    sums = [Sums(np.zeros(len(at[0]), dtype=np.int64), everyone, everyone)]
    for names in asked:
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
    """A number within each person's band, every one of them equally likely."""
    import numpy as np

    rng = stream(seed, f"{name} in its band")
    low = np.array([band.low for band in bands])[codes]
    high = np.array([band.high for band in bands])[codes]
    if any(band.continuous for band in bands):
        numbers: Array = low + (high - low) * rng.random(len(codes))
        return numbers
    return rng.integers(low.astype(np.int64), high.astype(np.int64) + 1)


def stream(seed: int, name: str) -> np.random.Generator:
    """Random numbers of a field's own: another field beside it does not change them."""
    import numpy as np

    own = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return np.random.Generator(np.random.PCG64([seed & (2**64 - 1), own]))


_SEX = ("sex", "gender")
_COUNTRY = ("country", "nationality")
_PLACE = ("residence", "region", "state", "city")
# Of a table that does not say its year; a fixed one, so that the names stay the same.
_YEAR = 2025


def named(
    columns: Mapping[str, Any], n: int, about: Mapping[str, Any], seed: int, taken: Iterable[str]
) -> list[str]:
    """A name for each of `n` people.

    Parameters
    ----------
    columns : mapping
        A column a field, as `Demography.sample` has them.
    n : int
    about : mapping
        Its ``country`` and ``year`` are used where there is no column that says so.
    seed : int
    taken : iterable of str
        Names that nobody is given.

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
    """Years of birth, out of an age in years."""
    if "age_band" not in columns:
        return None
    year = re.search(r"\d{4}", str(about.get("year", "")))
    born: list[int] = ((int(year[0]) if year else _YEAR) - columns["age"].astype(int)).tolist()
    return born
