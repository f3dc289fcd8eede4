"""`Panel`: one question and the answers of several people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from tinyfactory.people.formats.rows import frame_of
from tinyfactory.people.protocols import PersonLike
from tinyfactory.people.render.conversation import panel_html, panel_text

PeopleType = TypeVar("PeopleType", bound=Sequence[PersonLike])


class Panel(Generic[PeopleType]):
    """Answers in the order of the people, shown as text and as a static table.

    Attributes
    ----------
    question : str
    people : People
        A copy; another sequence of people keeps its class.
    answers : list of str
        Empty for a person who did not answer.
    reasons : list of str
        Why a person did not answer; empty for an answer.

    Examples
    --------
    >>> from tinyfactory.people import People, TinyPerson
    >>> people = People([TinyPerson("Ana", register=False), TinyPerson("Bo", register=False)])
    >>> Panel("Tea?", people, ["Yes, please.", ""], ["", "The model did not answer."])
    Tea?
    1 of 2 people answered.
     1. Ana: Yes, please.
     2. Bo: (no answer) The model did not answer.
    """

    def __init__(
        self,
        question: str,
        people: PeopleType,
        answers: Sequence[str],
        reasons: Sequence[str] | None = None,
    ) -> None:
        self.question = question
        self.people: PeopleType = people[:]  # type: ignore[assignment]  # of the same class
        self.answers = list(answers)
        self.reasons = [""] * len(self.answers) if reasons is None else list(reasons)

    def to_frame(self) -> Any:
        """Return a pandas data frame with the columns name, question, answer and reason."""
        names = ("name", "question", "answer", "reason")
        rows = [
            (person.name, self.question, answer, reason)
            for person, answer, reason in zip(self.people, self.answers, self.reasons, strict=True)
        ]
        return frame_of(rows, names)

    def __repr__(self) -> str:
        return panel_text(self)

    def _repr_html_(self) -> str:
        return panel_html(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}
