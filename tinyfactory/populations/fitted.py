"""What a demography's tables say once they are fitted to each other."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tinyfactory.populations.fitting import fit, most_combinations
from tinyfactory.populations.layouts import Cells, Shares, Tables

if TYPE_CHECKING:
    from tinyfactory.populations.fitting import Block

_EXTRA = (
    "Demographies need packages that are not installed ({missing}). Nothing was changed. Install "
    "them: pip install 'tinyfactory[populations]'."
)
# So many combinations take a tenth of a second to fit, whatever contradicts what.
QUICK = 10_000

logger = logging.getLogger("tinyfactory")


class Fitted:
    """Tables and how they go together, worked out when first asked for.

    Parameters
    ----------
    tables : Tables
    margins : dict
        Shares of every field, as `complete.completed` gives them.
    """

    def __init__(self, tables: Tables, margins: dict[str, Shares]) -> None:
        self._tables = tables
        self._margins = margins
        self._ready: list[Block] | None = None

    def check(self) -> None:
        """Fit them now, where that is quick and where they could miss each other.

        Raises
        ------
        DemographyError
            For margins that cannot be met together, naming the cell that is missed most.
        """
        if not 0 < most_combinations(self._tables, self._margins) <= QUICK:
            return
        try:
            self._ready = fit(self._tables, self._margins)
        except ImportError:  # to read and to show tables takes none of the packages
            return

    @cached_property
    def blocks(self) -> list[Block]:
        """The distributions of fields that depend on each other."""
        for module in ("numpy", "pandas", "scipy"):
            needed(module)
        blocks = self._ready or fit(self._tables, self._margins)
        for block in blocks:
            if block.contradiction:
                logger.warning("%s", block.contradiction)
        return blocks

    @cached_property
    def shares(self) -> dict[str, Shares]:
        """Shares of each field; those that follow from others as they were fitted."""
        said = set(self._tables.margins).union(*(fields for fields, _ in self._tables.joints))
        if said >= set(self._margins):
            return self._margins
        fitted = {name: block.over((name,)) for block in self.blocks for name in block.fields}
        return {
            name: shares if name in said else dict(zip(shares, fitted[name].tolist(), strict=True))
            for name, shares in self._margins.items()
        }

    def joints(self) -> list[tuple[tuple[str, ...], Cells]]:
        """The fields of each table, and the share of each combination."""
        needed("numpy")
        import numpy as np

        found = []
        tied = [fields for fields, _ in self._tables.joints]
        tied += [(*given, of) for of, given, _ in self._tables.conditionals]
        for fields in dict.fromkeys(tied):
            block = next(b for b in self.blocks if set(fields) <= set(b.fields))
            names = [list(self._margins[name]) for name in fields]
            cells = {
                tuple(names[i][j] for i, j in enumerate(index)): float(share)
                for index, share in np.ndenumerate(block.over(fields))
            }
            found.append((fields, cells))
        return found


def needed(module: str) -> Any:
    """A module, or an error that says what to install."""
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(_EXTRA.format(missing=error.name)) from None
