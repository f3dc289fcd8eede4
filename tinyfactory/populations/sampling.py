"""People drawn from a distribution: so many of each kind, exactly, in random order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tinyfactory.populations.bands import Band
from tinyfactory.populations.fitting import Block
from tinyfactory.populations.layouts import Shares
from tinyfactory.populations.quotas import round_shares, round_table

if TYPE_CHECKING:
    import numpy as np

    Ints = np.ndarray[Any, np.dtype[np.int64]]
    Array = np.ndarray[Any, np.dtype[np.float64]]


def draw_codes(
    blocks: Iterable[Block], margins: dict[str, Shares], n: int, seed: int
) -> dict[str, Ints]:
    """For each field, the number of each person's category.

    The first field of a block gets its counts by rounding n·p. Each further one is given
    within the combinations of the fields that it is tied to (made a chain by elimination,
    as in a junction tree: Lauritzen and Spiegelhalter, JRSS B 50, 1988), so that the whole
    has the distribution of the block, and each margin is within one person; so is each cell of
    a table, wherever the sums leave that.
    """
    codes: dict[str, Ints] = {}
    for block in blocks:
        parents = _parents(block)
        for name in block.fields:
            shares = list(margins[name].values())
            codes[name] = _give(block, name, parents[name], codes, shares, n, seed)
    return codes


def _parents(block: Block) -> dict[str, tuple[str, ...]]:
    """For each field those before it on which, given these, it alone depends."""
    near: dict[str, set[str]] = {name: set() for name in block.fields}
    for tied in block.tied:
        for name in tied:
            near[name] |= set(tied) - {name}
    found = {}
    for name in reversed(block.fields):
        before = [f for f in block.fields[: block.fields.index(name)] if f in near[name]]
        for one in before:
            near[one] |= set(before) - {one}
        found[name] = tuple(before)
    return found


def _give(
    block: Block,
    name: str,
    parents: tuple[str, ...],
    codes: dict[str, Ints],
    shares: list[float],
    n: int,
    seed: int,
) -> Ints:
    import numpy as np

    rng = stream(seed, name)
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
    given = round_table(cells, counts, np.asarray(shares) * n, rng)
    # Within each row in random order: those of the row stand together in `order`.
    order = np.lexsort((rng.random(n), row_of))
    out = np.empty(n, dtype=np.int64)
    columns = np.tile(np.arange(table.shape[-1]), len(present))
    out[order] = np.repeat(columns, given.ravel())
    return out


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
