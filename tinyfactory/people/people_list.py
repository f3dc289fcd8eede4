"""A list of people that shows itself: as text, as a table, as a data frame, as a file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from tinyfactory.journal.serializer import journaled

if TYPE_CHECKING:
    from tinyfactory.people.panel import Panel
    from tinyfactory.people.person import TinyPerson


@journaled
class People(list["TinyPerson"]):
    """People in their order; slices and sums are `People` too.

    Shown as text and as a static table of at most 50 rows, which need no kernel.

    Examples
    --------
    >>> from tinyfactory.people import TinyPerson
    >>> People([TinyPerson("Ana", {"age": 34}, register=False)])
    1 person
     1. Ana, 34
    """

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
        """A new list of the same people."""
        return People(self)

    def ask(
        self,
        question: str,
        *,
        concurrency: int = 1,
        model: Any = None,
        temperature: float | None = 1.0,
        on_answer: Any = None,
    ) -> Panel:
        """Ask everyone the same; each answer is a step of its own on that person's line.

        Someone who gives no answer stands in the table with the reason, and the others' answers
        stay. They do not hear each other.

        Parameters
        ----------
        question : str
        concurrency : int
            How many are asked at a time; the answers are the same, and in the same order.
        model, temperature
            As for `TinyPerson.ask`.
        on_answer : callable, optional
            Called with number, answer and reason as each comes in.

        Returns
        -------
        Panel
            Shown as a table.

        Raises
        ------
        InvalidInput
            For a blank question and the like, before anything is sent.
        TinyFactoryError
            When nobody answered: the reason of the first.

        Examples
        --------
        >>> from tinyfactory.people import TinyPerson
        >>> ana = TinyPerson("Ana", {"skills": ["sewing"]}, register=False)
        >>> panel = People([ana]).ask("What are your skills?", model="offline")
        >>> panel.question, "sewing" in panel.answers[0]
        ('What are your skills?', True)
        """
        from tinyfactory.people.abilities import ability

        panel: Panel = ability("ask_all")(
            self, question, model, temperature, concurrency, on_answer
        )
        return panel

    def to_frame(self) -> Any:
        """A pandas data frame, one row a person; see `tinyfactory.people.to_frame`."""
        from tinyfactory.people.formats.files import to_frame

        return to_frame(self)

    def save(self, path: str | Path) -> None:
        """Write the people to a file or folder; see `tinyfactory.people.save_people`."""
        from tinyfactory.people.formats.files import save_people

        save_people(self, path)

    def to_parquet(self, path: str | Path) -> None:
        """Write the people to a Parquet file; see `tinyfactory.people.to_parquet`."""
        from tinyfactory.people.formats.parquet_file import to_parquet

        to_parquet(self, path)

    @classmethod
    def from_parquet(cls, path: str | Path) -> People:
        """The people of a Parquet file; see `tinyfactory.people.iter_parquet`."""
        from tinyfactory.people.formats.parquet_file import iter_parquet

        return cls(iter_parquet(path))

    def to_csv(self, path: str | Path) -> None:
        """Write the people to a CSV file; see `tinyfactory.people.to_csv`."""
        from tinyfactory.people.formats.csv_file import to_csv

        to_csv(self, path)

    @classmethod
    def from_csv(cls, path: str | Path) -> People:
        """The people of a CSV file; see `tinyfactory.people.from_csv`."""
        from tinyfactory.people.formats.csv_file import iter_csv

        return cls(iter_csv(path))

    def to_edsl(self) -> list[dict[str, Any]]:
        """The people as agents of EDSL; see `tinyfactory.people.to_edsl`."""
        from tinyfactory.people.formats.edsl import to_edsl

        return to_edsl(self)

    @classmethod
    def from_edsl(cls, agents: Any) -> People:
        """The people of an EDSL AgentList; see `tinyfactory.people.from_edsl`."""
        from tinyfactory.people.formats.edsl import from_edsl

        return cls(from_edsl(agents))

    def __repr__(self) -> str:
        from tinyfactory.people.render.person import people_text

        return people_text(self)

    def _repr_html_(self) -> str:
        from tinyfactory.people.render.person import people_html

        return people_html(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}
