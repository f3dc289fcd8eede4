"""A simulation: a named scope with a journal on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from tinyfactory import settings
from tinyfactory.budget import Budget, Meter, Spent
from tinyfactory.errors import InvalidInput, JournalUnavailable
from tinyfactory.journal.scope import FREE, Scope, free
from tinyfactory.utils.concurrency import new_lock

if TYPE_CHECKING:
    from tinyfactory.journal.recording.recording import Recording
    from tinyfactory.journal.records import LineInfo


class Simulation(Scope):
    """A named scope whose steps are kept in a journal and replayed.

    Parameters
    ----------
    simulation_id : str
        Its name. Two names in one folder are two simulations.
    path : path, optional
        The journal's folder; ``.tinyfactory`` in the working directory unless given.
    retry_failures : bool
        Ask again where an earlier run got no usable reply, instead of replaying the failure.
    budget : Budget, optional
        What one run may spend. `spent` tells what it has spent.

    Raises
    ------
    InvalidInput
        For a blank name, or a path where a file stands.
    JournalUnavailable
        When the folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with Simulation("lesson", path=tempfile.mkdtemp()) as simulation:
    ...     current_simulation() is simulation
    True
    """

    def __init__(
        self,
        simulation_id: str = "default",
        path: str | Path | None = None,
        *,
        retry_failures: bool = False,
        budget: Budget | None = None,
    ) -> None:
        if not isinstance(simulation_id, str) or not simulation_id.strip():
            raise InvalidInput("A simulation needs a name that is not blank. Nothing was opened.")
        if simulation_id == FREE:
            raise InvalidInput(f"{FREE!r} names what belongs to no simulation; choose another.")
        self.path = Path(path if path is not None else settings.DEFAULT_JOURNAL).absolute()
        if _is_there(self.path) and not self.path.is_dir():
            raise InvalidInput(
                f"{self.path} is a file, and a journal is a folder. Nothing was changed. "
                "Give another path."
            )
        super().__init__(simulation_id)
        self.retry_failures = retry_failures
        self.budget = budget
        self.meter = Meter(budget)
        self._recording: Recording | None = None
        self._extended = False

    @classmethod
    def from_recording(
        cls,
        path: str | Path,
        mode: Literal["replay", "extend"] = "replay",
        journal: str | Path | None = None,
        *,
        simulation_id: str | None = None,
        retry_failures: bool = False,
        budget: Budget | None = None,
    ) -> Self:
        """A simulation that replays a recording, with no key and no endpoint.

        Parameters
        ----------
        path : path
            What `export` wrote.
        mode : {"replay", "extend"}
            ``"replay"`` reads only, and a step that was not recorded is an error.
            ``"extend"`` asks the model that is configured for what is new.
        journal : path, optional
            Folder that keeps what is new in mode ``"extend"``; ``.tinyfactory`` in the working
            directory unless given.
        simulation_id : str, optional
            Another name than the one it was recorded under.
        retry_failures, budget
            As for `Simulation`.

        Raises
        ------
        InvalidInput
            When there is no such file, or no such mode.
        DamagedRecord
            When the file is not as it was written, naming the line.
        """
        from tinyfactory.journal.recording.recording import Recording

        if mode not in ("replay", "extend"):
            raise InvalidInput(f'mode is "replay" or "extend", not {mode!r}. Nothing was opened.')
        recording = Recording(path)
        simulation = cls(
            recording.simulation if simulation_id is None else simulation_id,
            journal,
            retry_failures=retry_failures,
            budget=budget,
        )
        simulation._recording, simulation._extended = recording, mode == "extend"
        if not simulation._extended:
            simulation.path = recording.path
        return simulation

    def begin(self) -> Self:
        """Open the journal and go to the root of every line; makes this the current one.

        Beginning again in the same kernel starts over: a notebook run again from its top
        follows the same path, and is replayed.
        """
        if self.store is None:
            self.store = self._new_store()
            self.recorded = self.store if self._recording is not None else None
        with self.lock:
            self._forget()
        for forget in _at_begin:
            forget(self)
        for other in [s for s in _open if s.id == self.id and s is not self]:
            other.end()
        with _lock:
            _open[:] = [s for s in _open if s is not self] + [self]
        return self

    def _new_store(self) -> Any:
        from tinyfactory.journal.storage.store import Store

        if self._recording is None:
            return Store(self.path)
        from tinyfactory.journal.recording.replay import RecordedStore

        own = Store(self.path) if self._extended else None
        return RecordedStore(self._recording, self.id, own)

    def checkpoint(self) -> None:
        """Make sure that all is on disk. Every step already is when its call returns,
        but for those that the disk had no room for.

        Raises
        ------
        JournalUnavailable
            When it still has none; `unsaved` says how much waits.
        """
        if self.unsaved and self._opened().store.flush():
            raise JournalUnavailable(
                f"The journal in {self.path} still cannot be written. {self.unsaved} events and "
                "replies wait in memory and are lost if this process ends. Make room, and call "
                "checkpoint() again."
            )

    @property
    def unsaved(self) -> int:
        """How many events and replies wait in memory because the disk cannot be written."""
        return int(getattr(self.store, "unsaved", 0))

    def lines(self) -> list[LineInfo]:
        """The lines on disk, of this run and of earlier ones, with their branches."""
        from tinyfactory.journal.timeline import Chronicle

        return Chronicle(self._opened()).lines

    def explain(self, event: str | None = None) -> str:
        """Why an event was replayed or done anew, in words.

        Parameters
        ----------
        event : str, optional
            Its key or the beginning of it; the last one of this run unless given.

        Raises
        ------
        InvalidInput
            When there is no such event, or more than one.
        """
        from tinyfactory.journal.explain import explain

        return explain(self._opened(), event)

    @property
    def spent(self) -> Spent:
        """What this run has spent on models; what was replayed cost nothing."""
        return self.meter.spent

    def export(self, path: str | Path, *, replies: bool = False, strip: bool = False) -> Path:
        """Write what happened into one file that anyone can replay, now or after `end`.

        The file, by custom ``NAME.recording.jsonl.gz``, is gzipped JSON, one event a line, the
        same bytes for the same journal. Clock times are left out. Keys, passwords in addresses,
        home folders and the user's name in paths are taken out.

        Parameters
        ----------
        path : path
        replies : bool
            Write the models' replies, too, the rejected ones among them, as evidence. A replay
            does not need them.
        strip : bool
            Take out what looks secret also where a replay may need the text to the letter,
            such as in a factory's context, instead of refusing.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        InvalidInput
            When nothing happened yet, or something secret stands where a replay needs it.
        JournalUnavailable
            When the file cannot be written.
        """
        from tinyfactory.journal.recording.recording import write

        store = self.store if self.store is not None else self._new_store()
        try:
            return write(store, self.id, path, replies=replies, strip=strip)
        finally:
            if store is not self.store:
                store.close()

    def _opened(self) -> Self:
        if self.store is None:
            raise InvalidInput(
                f"Simulation {self.id!r} has ended, so its journal cannot be read. Call begin()."
            )
        return self

    def end(self) -> None:
        """Close the journal; the current simulation is again the one before."""
        with _lock:
            _open[:] = [s for s in _open if s is not self]
        store, self.store = self.store, None
        if store is not None:
            store.close()

    def __enter__(self) -> Self:
        return self.begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    def __repr__(self) -> str:
        state = "open" if self.store is not None else "ended"
        return (
            f"Simulation({self.id!r}, path={str(self.path)!r}, {state}, "
            f"hits={self.hits}, misses={self.misses})"
        )


# Simulations that are open, the current one last. A process-wide stack and not a context
# variable: a notebook's cells and a widget's threads share the simulation of the notebook.
_open: list[Simulation] = []
_lock = new_lock()
_at_begin: list[Callable[[Scope], None]] = []


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a place that may not be looked at: opening it says so
        return False


def at_begin(forget: Callable[[Scope], None]) -> None:
    """Have `forget(simulation)` called whenever a simulation begins anew."""
    _at_begin.append(forget)


def current_simulation() -> Simulation | None:
    """The simulation that was begun last and has not ended, or None."""
    return _open[-1] if _open else None


def scope(simulation_id: str | None = None) -> Scope:
    """The open simulation of that id; without an id the current one; else the free scope."""
    if simulation_id is None:
        return current_simulation() or free
    for simulation in reversed(_open):
        if simulation.id == simulation_id:
            return simulation
    return free
