"""The choice of a branch whose whole way is shown; unseen where there is no other one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ipywidgets as widgets

ALL = 0


class BranchChoice(widgets.Dropdown):  # type: ignore[misc]  # ipywidgets has no types
    """Offers all branches together, and each by its number.

    Parameters
    ----------
    chosen : callable
        Given the number that a reader chose.

    Examples
    --------
    >>> chosen = []
    >>> choice = BranchChoice(chosen.append)
    >>> choice.offer([1, 2], 2)
    >>> choice.value, chosen, choice.layout.display
    (2, [], '')
    >>> choice.value = ALL
    >>> chosen
    [0]
    """

    def __init__(self, chosen: Callable[[int], object]) -> None:
        self._offering = False
        self._ways: list[tuple[str, int]] = []
        super().__init__(description="Branch:", layout=widgets.Layout(width="22em"))
        self.layout.display = "none"
        self.observe(lambda change: self._offering or chosen(change.new), "value")

    def offer(self, branches: Sequence[int], branch: int) -> None:
        """Offer these, one of them chosen; that is no choice of the reader's."""
        ways = [("all branches", ALL), *((f"the way to the end of {n}", n) for n in branches)]
        self._offering = True
        try:
            if ways != self._ways:
                self.options = self._ways = ways
            self.value = branch if branch in branches else ALL
        finally:
            self._offering = False
        self.layout.display = "" if len(branches) > 1 else "none"
