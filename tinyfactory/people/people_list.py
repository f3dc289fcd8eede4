"""`People`, a list of people, and the functions that load one from a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, SupportsIndex, overload

from tinyfactory.errors import InvalidInput
from tinyfactory.journal.values.serializer import journaled
from tinyfactory.people.formats.csv_file import read_csv, to_csv
from tinyfactory.people.formats.edsl import read_edsl, to_edsl
from tinyfactory.people.formats.files import read_agents, save_people
from tinyfactory.people.formats.frame import read_frame
from tinyfactory.people.formats.notes import Notes, note_changes, numbered, with_letters
from tinyfactory.people.formats.parquet_file import read_parquet, to_parquet
from tinyfactory.people.formats.rows import to_frame
from tinyfactory.people.panel import Panel, ask_all
from tinyfactory.people.person import TinyPerson
from tinyfactory.people.render.person import people_html, people_text

Json = dict[str, Any]


@journaled
class People(list[TinyPerson]):
    """A list of people; slices and sums are `People` too.

    Shown as text and as a static table of at most 50 rows, which need no kernel.

    Examples
    --------
    >>> from tinyfactory.people import TinyPerson
    >>> People([TinyPerson("Ana", {"age": 34}, register=False)])
    1 person
     1. Ana, 34
    """

    _notes: tuple[str, ...] = ()
    _missing: Sequence[Any] = ()

    @property
    def notes(self) -> list[str]:
        """What the reader of a file left out, renamed or made up; empty if it was nothing.

        Examples
        --------
        >>> from_edsl([{"traits": {"age": 60, "sex": "male"}}]).notes
        ['There is no name; a number took its place (Agent 1).', "'sex' was read as gender (...)."]
        """
        return list(self._notes)

    @property
    def missing(self) -> list[Any]:
        """Who of `generate_people` could not be made: `number` (from 0), `profile` and `reason`.

        Examples
        --------
        >>> People().missing
        []
        """
        return list(self._missing)

    @overload
    def __getitem__(self, index: SupportsIndex) -> TinyPerson: ...
    @overload
    def __getitem__(self, index: slice) -> People: ...
    def __getitem__(self, index: SupportsIndex | slice) -> TinyPerson | People:
        if isinstance(index, slice):
            return People(super().__getitem__(index))
        return super().__getitem__(index)

    def __add__(self, other: Iterable[TinyPerson]) -> People:  # type: ignore[override]
        return People([*self, *other])

    def copy(self) -> People:
        """Return a new list of the same people."""
        return People(self)

    def ask(
        self,
        question: str,
        *,
        concurrency: int = 1,
        model: Any = None,
        temperature: float | None = 1.0,
        on_answer: Any = None,
    ) -> Panel[People]:
        """Ask all people one question; each answer is an event of that person.

        A person who does not answer is listed with the reason, and the answers of the others
        stay. People do not know each other's answers.

        Parameters
        ----------
        question : str
        concurrency : int
            The number of people asked at a time; answers and their order do not depend on it.
        model, temperature
            As for `TinyPerson.ask`.
        on_answer : callable, optional
            Called with number, answer and reason of each as it arrives.

        Returns
        -------
        Panel
            Shown as a table.

        Raises
        ------
        InvalidInput
            For a blank question and other invalid arguments, before anything is sent.
        TinyFactoryError
            When nobody answered: the error of the first person.

        Examples
        --------
        >>> from tinyfactory.people import TinyPerson
        >>> ana = TinyPerson("Ana", {"skills": ["sewing"]}, register=False)
        >>> panel = People([ana]).ask("What are your skills?", model="offline")
        >>> panel.question, "sewing" in panel.answers[0]
        ('What are your skills?', True)
        """
        return ask_all(self, question, model, temperature, concurrency, on_answer)

    def to_frame(self) -> Any:
        """Return a pandas data frame, one row a person; see `tinyfactory.people.to_frame`."""
        return to_frame(self)

    @classmethod
    def from_frame(cls, frame: Any) -> People:
        """Load the people in a pandas data frame, such as one of `to_frame`.

        Columns are read as those of a CSV file; see `tinyfactory.people.from_csv`.

        Raises
        ------
        InvalidInput
            If `frame` is no data frame, and for an invalid person, naming the row.

        Examples
        --------
        >>> from tinyfactory.people import TinyPerson
        >>> people = People([TinyPerson("Ana", {"skills": ["sewing"]}, register=False)])
        >>> People.from_frame(people.to_frame()) == people
        True
        """
        notes = Notes()
        return cls._gathered(read_frame(frame, notes), notes)

    def save(self, path: str | Path) -> None:
        """Write the people to a file or folder; see `tinyfactory.people.save_people`."""
        save_people(self, path)

    def to_parquet(self, path: str | Path) -> None:
        """Write the people to a Parquet file; see `tinyfactory.people.to_parquet`."""
        to_parquet(self, path)

    @classmethod
    def from_parquet(cls, path: str | Path) -> People:
        """Load the people in a Parquet file; see `tinyfactory.people.iter_parquet`."""
        notes = Notes()
        return cls._gathered(read_parquet(path, notes), notes)

    def to_csv(self, path: str | Path) -> None:
        """Write the people to a CSV file; see `tinyfactory.people.to_csv`."""
        to_csv(self, path)

    @classmethod
    def from_csv(cls, path: str | Path) -> People:
        """Load the people in a CSV file; see `tinyfactory.people.from_csv`."""
        notes = Notes()
        return cls._gathered(read_csv(path, notes), notes)

    def to_edsl(self) -> list[dict[str, Any]]:
        """Return the people as agents of EDSL; see `tinyfactory.people.to_edsl`."""
        return to_edsl(self)

    @classmethod
    def from_edsl(cls, agents: Any) -> People:
        """Load the people in an EDSL AgentList; see `tinyfactory.people.from_edsl`."""
        notes = Notes()
        return cls._gathered(_numbered_agents(agents), notes)

    @classmethod
    def _gathered(cls, agents: Iterable[tuple[Json, str]], notes: Notes) -> People:
        people = cls(_people_of(agents, notes))
        people._notes = tuple(notes.lines())
        return people

    def __repr__(self) -> str:
        return people_text(self)

    def _repr_html_(self) -> str:
        return people_html(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}


def load_people(path: str | Path) -> People:
    """Load the people in a file or folder; they are not registered.

    Parameters
    ----------
    path : path
        JSONL with one person a line; a JSON file with one person, a list of people, people
        under a key or by id, or an AgentList of EDSL; a table in CSV or Parquet; or a folder of
        ``*.agent.json`` files, read in the order of their names. Each person may be in any shape
        that `normalise` takes. The content decides how a file is read; it may be compressed with
        gzip, and have any delimiter.

    Returns
    -------
    People
        Its `notes` list what was left out, renamed or made up.

    Raises
    ------
    InvalidInput
        When there is nothing to read, or an invalid person, naming the line.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "agents.json"
    >>> _ = path.write_text('[{"name": "Bo", "traits": {"age": 60}}]')
    >>> load_people(path)[0].get("age")
    60
    """
    notes = Notes()
    return People._gathered(read_agents(path, notes), notes)  # noqa: SLF001 - of this module


def from_csv(path: str | Path) -> People:
    """Load the people in a CSV file; they are not registered.

    Without the column ``persona``, as in a table that someone typed, the known columns are
    read (only a name is required) and the others kept as they are. A list may be JSON, a list
    in Python's notation, or one text. Numbers in columns that are not known stay text.

    Raises
    ------
    InvalidInput
        When there is nothing to read, or an invalid person, naming the row.
    """
    return People.from_csv(path)


def iter_csv(path: str | Path) -> Iterator[TinyPerson]:
    """Load the people in a CSV file, one after the other; see `from_csv`."""
    notes = Notes()
    return _people_of(read_csv(path, notes), notes)


def iter_parquet(path: str | Path) -> Iterator[TinyPerson]:
    """Load the people in a Parquet file, one after the other; they are not registered.

    Rows that another program wrote are read as `normalise` reads them. Only a few rows at a
    time are in memory.

    Raises
    ------
    InvalidInput
        When there is nothing to read, or an invalid person, naming the row.
    TinyFactoryError
        When pyarrow is not installed.
    """
    notes = Notes()
    return _people_of(read_parquet(path, notes), notes)


def from_edsl(agents: Any) -> People:
    """Load the people in an EDSL AgentList: a list of agents, or EDSL's serialised form.

    Raises
    ------
    InvalidInput
        If `agents` is no list of agents, and for an invalid person, naming its number.

    Examples
    --------
    >>> from_edsl([{"name": "Bo", "traits": {"age": 60}}])
    1 person
     1. Bo, 60
    """
    return People.from_edsl(agents)


def _numbered_agents(agents: Any) -> Iterator[tuple[Any, str]]:
    return ((agent, f"Agent {number}") for number, agent in enumerate(read_edsl(agents), 1))


def _people_of(agents: Iterable[tuple[Json, str]], notes: Notes) -> Iterator[TinyPerson]:
    """Make the people, collect what changed on the way, and log it when all have been made."""
    for number, (agent, where) in enumerate(agents, 1):
        named = numbered(with_letters(agent, notes, where), number, notes, where)
        try:
            person = TinyPerson.from_dict(named)
        except InvalidInput as error:
            raise InvalidInput(f"{where}: {error} Nothing was loaded.") from error
        note_changes(named, person._persona, notes, where)  # noqa: SLF001 - a copy costs more
        yield person
    notes.log()
