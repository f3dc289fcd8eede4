"""Simulations: a named scope with a journal on disk."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from tinyfactory import settings
from tinyfactory.budget import Budget, Spent
from tinyfactory.errors import InvalidInput, JournalUnavailable
from tinyfactory.journal.cells import say
from tinyfactory.journal.checkout import checkout
from tinyfactory.journal.explain import explain, find_event
from tinyfactory.journal.scopes.scope import FREE, Scope, current_scope
from tinyfactory.journal.timeline import Timeline
from tinyfactory.journal.verification import check_row
from tinyfactory.utils.files import expanded
from tinyfactory.utils.text import legible

if TYPE_CHECKING:
    from tinyfactory.journal.recording.recording import Recording
    from tinyfactory.journal.records import LineInfo

_CACHE = ".cache.json"
_RECORDINGS = (".jsonl", ".jsonl.gz", ".recording.gz", ".recording")


class Simulation:
    """A named scope whose calls are saved in a journal and replayed.

    Parameters
    ----------
    path : path, optional
        The journal's folder; ``.tinyfactory`` in the working directory unless given.
    simulation_id : str, optional
        The simulation's name; ``"default"`` unless given. Two names in one folder are two
        simulations.
    retry_failures : bool
        Ask again where an earlier run got no usable reply, instead of replaying the failure.
    budget : Budget, optional
        The most that one run may spend; `spent` tells how much it has spent.

    Raises
    ------
    InvalidInput
        For a blank name, or when the path is a file.
    JournalUnavailable
        When the folder can be neither written nor read.

    Examples
    --------
    >>> import tempfile
    >>> with Simulation(tempfile.mkdtemp(), "lesson") as simulation:
    ...     current_simulation() is simulation
    True
    """

    def __init__(
        self,
        path: str | Path | None = None,
        simulation_id: str | None = None,
        *,
        retry_failures: bool = False,
        budget: Budget | None = None,
    ) -> None:
        self._path = expanded(path if path is not None else settings.DEFAULT_JOURNAL).absolute()
        if self._path.name.lower().endswith(_CACHE) and not self._path.is_dir():
            raise InvalidInput(
                f"{self._path.name} is the name of a cache file of TinyTroupe, which cannot be "
                "used here; a journal is a folder. Nothing was changed. Give a folder, e.g. "
                f"{self._path.name[: -len(_CACHE)] or 'journal'!r}, or no path."
            )
        if _exists(self._path) and not self._path.is_dir():
            raise InvalidInput(
                f"{self._path} is a file, and a journal is a folder. Nothing was changed. "
                "Give another path. To replay a recording, call control.begin(recording=path)."
            )
        self._scope = Scope(
            _checked_id(simulation_id),
            retry_failures=retry_failures,
            budget=budget,
            simulation=self,
            open_store=self._open_store,
        )
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
        """Begin a simulation that replays a recording, with no key and no endpoint.

        Its cells may be run in any order, and again. A call is found in the recording by its
        method and arguments and by its object; the nth equal call is the nth recorded one. A cell
        that is run again gives the same objects again, and changes made since stay.

        It is the current simulation at once, so that no call is sent to a model by mistake.
        ``begin()`` starts again from the beginning, and ``end()`` or a ``with`` statement ends it.

        Parameters
        ----------
        path : path
            A file that `export` wrote.
        mode : {"replay", "extend"}
            ``"replay"`` reads only, and a call that was not recorded is an error.
            ``"extend"`` asks the configured model for new calls.
        journal : path, optional
            Folder for the new events of mode ``"extend"``; ``.tinyfactory`` in the working
            directory unless given.
        simulation_id : str, optional
            Another name than the recorded one.
        retry_failures, budget
            As for `Simulation`.

        Raises
        ------
        InvalidInput
            When there is no such file, or no such mode.
        DamagedRecord
            When the file was changed or cut off; the message names the line.
        JournalUnavailable
            When the journal for new events cannot be opened.
        """
        # Slow to import (gzip, tempfile), and needed for recordings only.
        from tinyfactory.journal.recording.recording import Recording

        if mode not in ("replay", "extend"):
            raise InvalidInput(f'mode is "replay" or "extend", not {mode!r}. Nothing was opened.')
        recording = Recording(path)
        simulation = cls(
            journal,
            recording.simulation if simulation_id is None else simulation_id,
            retry_failures=retry_failures,
            budget=budget,
        )
        simulation._recording, simulation._extended = recording, mode == "extend"
        if not simulation._extended:
            simulation._path = recording.path
        return simulation.begin()

    @property
    def id(self) -> str:
        """The simulation's name."""
        return self._scope.id

    @property
    def path(self) -> Path:
        """The journal's folder, or the file of a recording that is only replayed."""
        return self._path

    @property
    def is_open(self) -> bool:
        """Whether it has begun and not ended."""
        return self._scope.store is not None

    @property
    def hits(self) -> int:
        """Outermost calls that were replayed in this run."""
        return self._scope.hits

    @property
    def misses(self) -> int:
        """Outermost calls that were new in this run."""
        return self._scope.misses

    @property
    def model_calls(self) -> int:
        """Replies that were asked for and saved in this run."""
        return self._scope.model_calls

    @property
    def spent(self) -> Spent:
        """The cost of this run's model calls; replayed calls cost nothing."""
        return self._scope.meter.spent

    @property
    def unsaved(self) -> int:
        """The number of events and replies in memory because the disk cannot be written."""
        return int(getattr(self._scope.store, "unsaved", 0))

    def begin(self) -> Self:
        """Open the journal at the beginning of the run; makes this the current simulation.

        Beginning again in the same kernel starts over: a notebook that is run again from its
        top makes the same calls, and they are replayed. As `end` it waits for work under way.
        """
        before = current_simulation()
        if before is not None and before is not self and not self._replays_as(before):
            before._say_if_unused()  # noqa: SLF001 - the same class
        if self._scope.store is None:
            self._scope.wait_until_free()  # before a folder is made
            store = self._open_store()
            try:
                self._scope.begin(store, store if self._recording is not None else None)
            except BaseException:
                store.close()
                raise
        else:
            self._scope.begin(self._scope.store, self._scope.recorded)
        return self

    def checkpoint(self) -> None:
        """Save everything. Each event already is on disk when its call returns, except for
        those that the disk had no room for.

        Raises
        ------
        JournalUnavailable
            When the disk still cannot be written; `unsaved` says how much is in memory.
        """
        if self.unsaved and self._opened().store.flush():
            raise JournalUnavailable(
                f"The journal in {self.path} still cannot be written. {self.unsaved} events and "
                "replies wait in memory and are lost if this process ends. Make room, and call "
                "checkpoint() again."
            )

    def end(self) -> None:
        """Close the journal; the current simulation is again the one before.

        Calls and jobs under way belong to this simulation, so it waits until they have ended; a
        line in the log says for what. Ctrl-C stops the waiting, and the simulation stays open.

        Raises
        ------
        InvalidInput
            Within a call or a job, or beside a coroutine of this thread's event loop that has
            not ended. The simulation stays open.
        """
        if self.is_open:
            self._say_if_unused()
        self._scope.end()

    def _replays_as(self, other: Simulation) -> bool:
        mine, its = self._recording, other._recording
        return mine is not None and its is not None and mine.path == its.path

    def _say_if_unused(self) -> None:
        if self._recording is not None and not self._scope.recorded.used:
            say(
                f"Nothing of the recording {self._recording.path.name} has been replayed. "
                "Calls are replayed while its simulation is the one that was begun last."
            )

    def lines(self) -> list[LineInfo]:
        """The lines on disk, of this run and of earlier ones, with their branches.

        A line is the series of events of one object.
        """
        return Timeline(self._opened()).lines

    def explain(self, event: str | None = None) -> str:
        """Why an event was replayed, or why it is new.

        Parameters
        ----------
        event : str, optional
            Its key or the beginning of it; the last event of this run unless given.

        Raises
        ------
        InvalidInput
            When there is no such event, or more than one.
        """
        scope = self._opened()
        key, record = find_event(scope.store, scope.id, event, scope.last_key)
        step = scope.step_of(key)
        replayed = step.why if step is not None and step.hit else None
        return legible(explain(scope.store, scope.id, key, record, replayed))

    def checkout(self, thing: Any, event: str | int | None) -> None:
        """Put an object back to its state after an earlier event, to continue from there.

        Nothing is deleted. Later events of the object stay on their branch, and the people
        that they made leave the simulation.

        Parameters
        ----------
        thing : TinyPerson or TinyFactory
            A person or factory of this simulation.
        event : str, int or None
            The event's key or the beginning of it; its number in the object's history; None
            for the beginning of the line.

        Raises
        ------
        InvalidInput
            When the object has no such event; nothing is changed then.
        """
        checkout(self._opened(), thing, event)

    def export(self, path: str | Path, *, replies: bool = False, strip: bool = False) -> Path:
        """Write the simulation into one file that anyone can replay, now or after `end`.

        The file, by custom ``NAME.recording.jsonl.gz``, is gzipped JSON, one event a line, the
        same bytes for the same journal. Clock times are left out. Keys, passwords in addresses,
        home folders and the user's name in paths are removed.

        Parameters
        ----------
        path : path
        replies : bool
            Include the models' replies, also the rejected ones, as evidence. A replay does not
            need them.
        strip : bool
            Remove secrets also where a replay may need the exact text, such as in a factory's
            context, instead of refusing to write the file.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        InvalidInput
            When there is no event yet, or a replay needs a text that holds a secret.
        JournalUnavailable
            When the file cannot be written.
        """
        # Slow to import (gzip, tempfile), and needed for recordings only.
        from tinyfactory.journal.recording.recording import write

        with self._scope.reading() as store:
            return write(store, self.id, path, replies=replies, strip=strip)

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
        state = "open" if self.is_open else "ended"
        return (
            f"Simulation({str(self.path)!r}, {self.id!r}, {state}, "
            f"replayed={self.hits}, new={self.misses})"
        )

    def _open_store(self) -> Any:
        from tinyfactory.journal.storage.store import Store  # slow to import: diskcache

        if self._recording is None:
            return Store(self._path, check_row)
        from tinyfactory.journal.recording.replay import RecordedStore  # as slow to import

        own = Store(self._path, check_row) if self._extended else None
        return RecordedStore(self._recording, self.id, own)

    def _opened(self) -> Scope:
        if not self.is_open:
            raise InvalidInput(
                f"Simulation {self.id!r} has ended, so its journal cannot be read. Call begin()."
            )
        return self._scope


def current_simulation() -> Simulation | None:
    """The simulation that was begun last and has not ended, or None."""
    simulation: Simulation | None = current_scope().simulation
    return simulation


def scope_of(simulation: Simulation) -> Scope:
    """The scope of a simulation, for code of this package, also after it has ended."""
    return simulation._scope  # noqa: SLF001 - users see the simulation's public methods only


def _checked_id(simulation_id: str | None) -> str:
    if simulation_id is None:
        return "default"
    if isinstance(simulation_id, os.PathLike) or (
        isinstance(simulation_id, str) and Path(simulation_id).is_absolute()
    ):
        raise InvalidInput(
            f"simulation_id must be a name, not the path {str(simulation_id)!r}. Nothing was "
            "opened. The path comes first: Simulation(path, simulation_id)."
        )
    if not isinstance(simulation_id, str) or not simulation_id.strip():
        raise InvalidInput("simulation_id must be a text that is not blank. Nothing was opened.")
    if simulation_id == FREE:
        raise InvalidInput(
            f"simulation_id must not be {FREE!r}, the name for calls outside any simulation. "
            "Nothing was opened."
        )
    return simulation_id


def is_recording(path: str | Path) -> bool:
    """Whether the path is a file that begins as a recording does, or has the name of one.

    A path without a file is that of a recording if its name is: a student who has not copied the
    recording must not begin a journal of that name, and pay for other people.
    """
    try:
        file = expanded(path)
        if not file.exists():
            return file.name.lower().endswith(_RECORDINGS)
        if not file.is_file():
            return False
    except (OSError, ValueError):
        return False
    # Slow to import, and needed for recordings only.
    from tinyfactory.journal.recording.recording import begins_as_recording

    return begins_as_recording(file) or ".recording" in file.name.lower()


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a folder that may not be looked into: opening it reports that
        return False
