"""What a person does with a model: talk, and be written once more with something changed.

The factory hands the doing over (`tinyfactory.people.abilities`): a person knows no model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinyfactory.people.abilities import ability

if TYPE_CHECKING:
    from tinyfactory.people.comparison import Twins
    from tinyfactory.people.person import TinyPerson

Json = dict[str, Any]


class Talks:
    """A person's conversation and twins; a part of `TinyPerson`."""

    # What was said, oldest first; pairs of a question and its answer.
    _conversation: list[Json]

    def ask(self, question: str, *, model: Any = None, temperature: float | None = 1.0) -> str:
        """Ask the person something; the answer is in character.

        The model is told who the person is and the latest part of the conversation: at most
        20 questions and answers, and 30,000 characters of them. Each question is an event on
        the person's own line: in a simulation it is kept, and replayed when the notebook is
        run again. Whatever goes wrong, the conversation is as it was before.

        Of two questions at the same time neither is told of the other.

        Parameters
        ----------
        question : str
        model : str or ChatModel, optional
            By default that of the factory here that made the person, else the configured one.
            The offline model cannot talk; it says so, and what the description says.
        temperature : float or None
            From 0 to 2; None leaves it to the endpoint.

        Returns
        -------
        str
            The answer.

        Raises
        ------
        InvalidInput
            For a blank question and the like, before anything is sent.
        ReplyRejected, ModelError, BudgetExceeded
            When no answer is to be had.

        Examples
        --------
        >>> from tinyfactory import TinyPerson
        >>> ana = TinyPerson("Ana Souza", {"skills": ["sewing"]}, register=False)
        >>> print(ana.ask("What are your skills?", model="offline"))
        The offline writer cannot hold a conversation; it can only say what stands in the ...
        >>> [line["role"] for line in ana.conversation]
        ['user', 'assistant']
        """
        answer: str = ability("ask")(self, question, model, temperature)
        return answer

    async def aask(
        self, question: str, *, model: Any = None, temperature: float | None = 1.0
    ) -> str:
        """`ask`, awaited; cancelling the await gives the question up.

        Examples
        --------
        >>> import asyncio
        >>> from tinyfactory import TinyPerson
        >>> ana = TinyPerson("Ana Souza", {"skills": ["sewing"]}, register=False)
        >>> "sewing" in asyncio.run(ana.aask("What are your skills?", model="offline"))
        True
        """
        answer: str = await ability("aask")(self, question, model, temperature)
        return answer

    @property
    def conversation(self) -> list[Json]:
        """A copy of what was said: ``{"role": "user" or "assistant", "content": ...}``."""
        return [dict(line) for line in self._conversation]

    def twin(self, *, factory: Any = None, attempts: int = 5, **changes: Any) -> Twins[TinyPerson]:
        """Have the person written once more, with something changed, and compare the two.

        All else that was asked is the same. Who was made to a profile keeps it but for the
        change; of others, age, sex, nationality, residence and occupation are held. A name
        that follows from what was changed is chosen anew, unless it is given.

        Parameters
        ----------
        factory : TinyPersonFactory, optional
            Who writes the twin; by default the factory here that made the person.
        attempts : int
            How many replies to ask for at most.
        **changes
            Fields and their new values: ``sex="male"``, ``age=70``, ``country="Kenya"``. What a
            demography decided takes one of its categories, or a number within a band.

        Returns
        -------
        Twins
            A `Comparison` that shows what differs besides; `.twin` is in no registry.

        Raises
        ------
        InvalidInput
            When nothing would change, no factory is known, or the demography of the factory
            knows no such person; before anything is sent.
        ReplyRejected, ModelError
            When no twin is to be had.

        Examples
        --------
        >>> from tinyfactory import TinyPersonFactory
        >>> factory = TinyPersonFactory("Nurses in Porto, Portugal", model="offline")
        >>> twins = factory.generate_person({"sex": "female", "age": 40}).twin(age=60)
        >>> twins.original.get("age"), twins.twin.get("age")
        (40, 60)
        """
        twins: Twins[TinyPerson] = ability("twin")(self, changes, factory, attempts)
        return twins
