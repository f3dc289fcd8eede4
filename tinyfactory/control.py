"""The calls of a notebook: begin a simulation, save it, end it.

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
from tinyfactory.journal.simulation import (
    Simulation,
    current_simulation,
    is_recording,
    scope_of,
)
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


def __dir__() -> list[str]:
    return __all__


# Whether a simulation was begun here.
_begun = False


def begin(
    path: str | Path | None = None,
    simulation_id: str | None = None,
    *,
    retry_failures: bool = False,
    budget: Budget | None = None,
    recording: str | Path | None = None,
    mode: Literal["replay", "extend"] = "replay",
    cache_path: str | Path | None = None,
    id: str | None = None,  # noqa: A002 - TinyTroupe's name
    auto_checkpoint: bool = True,  # noqa: ARG001 - every event is saved at once
) -> Simulation:
    """Begin a simulation, or go back to the beginning of the one that is open.

    Parameters
    ----------
    path : path, optional
        The journal's folder; ``.tinyfactory`` in the working directory unless given. The path of
        a recording opens the recording.
    simulation_id : str, optional
        The simulation's name within the folder; ``"default"`` unless given.
    retry_failures : bool
        Ask again where an earlier run got no usable reply.
    budget : Budget, optional
        The most that this run may spend; ``simulation.spent`` tells how much it has spent.
    recording : path, optional
        A file that `Simulation.export` wrote, to be replayed with no key and no endpoint.
    mode : {"replay", "extend"}
        For a call that is not in the recording: raise an error; or ask the configured model,
        and save the event in the journal at `path`.
    cache_path, id
        Other names of `path` and `simulation_id`, as in TinyTroupe.
    auto_checkpoint : bool
        Accepted for notebooks written for TinyTroupe. Every event is saved at once anyway.

    Returns
    -------
    Simulation
        It also works in a ``with`` statement, which ends it.

    Raises
    ------
    InvalidInput, JournalUnavailable, DamagedRecord
        When the folder or the recording cannot be used; no simulation is begun then.
    """
    for name, value, other, its_value in (
        ("path", path, "cache_path", cache_path),
        ("simulation_id", simulation_id, "id", id),
    ):
        if value is not None and its_value is not None:
            raise InvalidInput(
                f"{other} is another name of {name}; give one of them. Nothing was opened."
            )
    global _begun
    path = cache_path if path is None else path
    simulation_id = id if simulation_id is None else simulation_id
    if path is not None and recording is None and is_recording(path):
        path, recording = None, path
    if recording is not None:
        simulation = Simulation.from_recording(
            recording,
            mode,
            path,
            simulation_id=simulation_id,
            retry_failures=retry_failures,
            budget=budget,
        )
    else:
        simulation = Simulation(path, simulation_id, retry_failures=retry_failures, budget=budget)
        simulation.begin()
    _begun = True
    return simulation


def checkpoint() -> None:
    """Save everything. Each event already is on disk when its call returns, except for those
    that the disk had no room for.
    """
    _current("checkpoint").checkpoint()


def end() -> None:
    """End the current simulation, when the calls and jobs under way have ended.

    A line in the log says for what it waits. Ctrl-C stops the waiting; the simulation stays open.
    Calling it again does nothing.
    """
    if current_simulation() is not None or not _begun:
        _current("end").end()


def reset() -> None:
    """Cancel running jobs and end all open simulations. Finished people stay on disk."""
    while (simulation := current_simulation()) is not None:
        scope_of(simulation).works.cancel_jobs()
        simulation.end()


def cache_hits() -> int:
    """The number of calls that were replayed since the current simulation began."""
    return _current("cache_hits").hits


def cache_misses() -> int:
    """The number of new calls since the current simulation began."""
    return _current("cache_misses").misses


def _current(function: str) -> Simulation:
    simulation = current_simulation()
    if simulation is None:
        raise InvalidInput(
            f"control.{function}() needs an open simulation. Nothing was changed. "
            "Call control.begin() first."
        )
    return simulation
