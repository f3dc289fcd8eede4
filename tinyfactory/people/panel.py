"""One question and what several people answered to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinyfactory.people.people_list import People
    from tinyfactory.people.person import TinyPerson


class Panel:
    """Answers in the order of the people, shown as text and as a static table.

    Attributes
    ----------
    question : str
    people : People
    answers : list of str
        Empty for someone who did not answer.
    reasons : list of str
        Why someone did not answer; empty for those who did.

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
        people: Sequence[TinyPerson],
        answers: Sequence[str],
        reasons: Sequence[str] | None = None,
    ) -> None:
        from tinyfactory.people.people_list import People

        self.question = question
        self.people: People = People(people)
        self.answers = list(answers)
        self.reasons = [""] * len(self.answers) if reasons is None else list(reasons)

    def to_frame(self) -> Any:
        """A pandas data frame with the columns name, question, answer and reason."""
        from tinyfactory.people.formats.rows import frame_of

        names = ("name", "question", "answer", "reason")
        rows = [
            (person.name, self.question, answer, reason)
            for person, answer, reason in zip(self.people, self.answers, self.reasons, strict=True)
        ]
        return frame_of(rows, names)

    def __repr__(self) -> str:
        from tinyfactory.people.render.conversation import panel_text

        return panel_text(self)

    def _repr_html_(self) -> str:
        from tinyfactory.people.render.conversation import panel_html

        return panel_html(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}
