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
from typing import Literal

from tinyfactory.budget import Budget
from tinyfactory.errors import InvalidInput
from tinyfactory.journal.simulation import Simulation, current_simulation
from tinyfactory.journal.transactional import transactional

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
    simulation_id: str | None = None,
    *,
    retry_failures: bool = False,
    budget: Budget | None = None,
    recording: str | Path | None = None,
    mode: Literal["replay", "extend"] = "replay",
) -> Simulation:
    """Begin a simulation, or go back to the beginning of the one that is open.

    Parameters
    ----------
    path : path, optional
        The journal's folder; ``.tinyfactory`` in the working directory unless given.
    simulation_id : str, optional
        The simulation's name within the folder; ``"default"`` unless given.
    retry_failures : bool
        Ask again where an earlier run got no usable reply.
    budget : Budget, optional
        What this run may spend; ``simulation.spent`` tells what it has spent.
    recording : path, optional
        A file that `Simulation.export` wrote, to be replayed; with no key and no endpoint.
    mode : {"replay", "extend"}
        What to do at a step that the recording does not hold: raise an error; or ask the model
        that is configured, and keep it in the journal at `path`.

    Returns
    -------
    Simulation
        It can be used with ``with``, too, and then ends by itself.

    Raises
    ------
    InvalidInput, JournalUnavailable, DamagedRecord
        When there is no such folder or recording to be had; nothing is begun then.
    """
    if recording is not None:
        return Simulation.from_recording(
            recording,
            mode,
            path,
            simulation_id=simulation_id,
            retry_failures=retry_failures,
            budget=budget,
        ).begin()
    name = "default" if simulation_id is None else simulation_id
    return Simulation(name, path, retry_failures=retry_failures, budget=budget).begin()


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
