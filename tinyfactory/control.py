"""What a notebook calls: begin a simulation, look at it, end it.

>>> import tempfile
>>> from tinyfactory import control
>>> simulation = control.begin(tempfile.mkdtemp())
>>> control.cache_hits(), control.cache_misses()
(0, 0)
>>> control.end()
"""

from __future__ import annotations

from pathlib import Path

from tinyfactory.errors import InvalidInput
from tinyfactory.journal.simulation import Simulation, current_simulation
from tinyfactory.journal.transactions import transactional

__all__ = [
    "begin",
    "cache_hits",
    "cache_misses",
    "checkpoint",
    "current_simulation",
    "end",
    "reset",
    "transactional",
]


def begin(
    path: str | Path | None = None,
    simulation_id: str = "default",
    *,
    retry_failures: bool = False,
) -> Simulation:
    """Begin a simulation, or go back to the beginning of the one that is open.

    Parameters
    ----------
    path : path, optional
        The journal's folder; ``.tinyfactory`` in the working directory unless given.
    simulation_id : str
        The simulation's name within the folder.
    retry_failures : bool
        Ask again where an earlier run got no usable reply.

    Returns
    -------
    Simulation
        It can be used with ``with``, too, and then ends by itself.

    Raises
    ------
    InvalidInput, JournalUnavailable
        When there is no such folder to be had; nothing is begun then.
    """
    return Simulation(simulation_id, path, retry_failures=retry_failures).begin()


def checkpoint() -> None:
    """Make sure that all is on disk. Every step already is when its call returns."""
    _current("checkpoint").checkpoint()


def end() -> None:
    """End the current simulation."""
    _current("end").end()


def reset() -> None:
    """End all simulations that are open. What they kept stays on disk."""
    while (simulation := current_simulation()) is not None:
        simulation.end()


def cache_hits() -> int:
    """How many steps of the current simulation were replayed since it began."""
    return _current("cache_hits").hits


def cache_misses() -> int:
    """How many steps of the current simulation were done since it began."""
    return _current("cache_misses").misses


def _current(what: str) -> Simulation:
    simulation = current_simulation()
    if simulation is None:
        raise InvalidInput(
            f"control.{what}() needs a simulation, and none is open. Nothing was changed. "
            "Call control.begin() first."
        )
    return simulation
