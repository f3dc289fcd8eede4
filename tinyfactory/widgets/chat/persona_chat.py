"""`PersonaChat`: talk to one person, or ask several the same question."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import traitlets

from tinyfactory.errors import Cancelled, InvalidInput
from tinyfactory.generation.pipeline import check_question
from tinyfactory.models.chat import ChatModel
from tinyfactory.people import Panel as Answered
from tinyfactory.people import People, TinyPerson
from tinyfactory.people.render.conversation import (
    MOST_SHOWN,
    conversation_html,
    conversation_text,
    panel_html,
    panel_text,
)
from tinyfactory.people.render.html import escape
from tinyfactory.utils.text import count, legible
from tinyfactory.widgets.chat.answer_table import AnswerTable
from tinyfactory.widgets.chat.chat_controls import (
    EVERYONE,
    MOST_LISTED,
    PersonChoice,
    QuestionRow,
    place_of,
)
from tinyfactory.widgets.chat.message_log import Line, MessageLog
from tinyfactory.widgets.parts.background import BackgroundWork, Task
from tinyfactory.widgets.parts.base_panel import BasePanel
from tinyfactory.widgets.parts.identity_trait import IdentityTrait

# The concurrency when everyone is asked.
AT_ONCE = 4
# Between two status texts: a screen reader would otherwise read out every second.
SECONDS_BETWEEN_WORDS = 10.0
SILENT = "Nothing was said yet."
NOBODY = "There is nobody to talk to. Set `chat.people`."


class PersonaChat(BasePanel):
    """Talk to a person in character; in code, `TinyPerson.ask` and `People.ask`.

    The model is called in a thread, so that the kernel stays usable, and can be cancelled. Every
    question is one event of the person: in a simulation it is recorded and replayed.

    Parameters
    ----------
    people : iterable of TinyPerson
        The people to talk to; several can be asked the same question at once.
    model : str or ChatModel, optional
        As for `TinyPerson.ask`.

    Attributes
    ----------
    people : People
        The people to talk to; can be set and observed.
    person : TinyPerson or None
        The person to talk to; None asks everyone. Can be set and observed.
    conversation : list of dict
        The conversation with this person; can be observed.
    panel : tinyfactory.people.Panel or None
        The last answers of everyone; can be observed.
    question : str
        The text of the field.
    error : BaseException or None
        The last error.

    Examples
    --------
    >>> ana = TinyPerson("Ana Souza", {"skills": ["sewing"]}, register=False)
    >>> chat = PersonaChat([ana], model="offline")
    >>> "sewing" in chat.ask("What are your skills?"), len(chat.conversation)
    (True, 2)
    >>> print(chat.code())
    person = people[0]  # Ana Souza
    person.ask('What are your skills?', model='offline')
    """

    people = IdentityTrait(People())
    person = IdentityTrait(None)
    conversation: Any = traitlets.List()
    panel = traitlets.Instance(Answered, allow_none=True)
    question = traitlets.Unicode()

    def __init__(
        self, people: Iterable[TinyPerson] = (), *, model: str | ChatModel | None = None
    ) -> None:
        self.model = model
        self.work = BackgroundWork(self._enable, self.failed, running="An answer is awaited.")
        self._asked = ""
        self._words_at = 0.0
        self._result: str | Answered[People] = ""
        self._awaited: TinyPerson | None = None
        self._who, self._log = PersonChoice(), MessageLog("Conversation")
        self._answers = AnswerTable(self.failed)
        self._row = QuestionRow(lambda: self.work.click(self.start), self.guarded(self.cancel))
        super().__init__([self._who, self._log, self._answers, self._row], ready=NOBODY)
        traitlets.link((self._row.field, "value"), (self, "question"))
        self._who.observe(self.guarded(lambda change: self._choose(change.new)), "value")
        self.observe(lambda _: self._show(), "person")
        self.observe(lambda _: self._list(), "people")
        self.people = people

    @traitlets.validate("people")
    def _read_people(self, proposal: Any) -> People:
        return People(proposal["value"])

    @traitlets.validate("person")
    def _read_person(self, proposal: Any) -> TinyPerson | None:
        person: TinyPerson | None = proposal["value"]
        if person is not None and place_of(self.people, person) == EVERYONE:
            raise InvalidInput("This person is not among `chat.people`. Nothing was changed.")
        return person

    # -- talking -----------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether an answer is awaited."""
        return self.work.running

    def ask(self, question: str) -> str | Answered[People]:
        """Ask, and wait for the answer or for all answers. The kernel's interrupt cancels.

        Raises
        ------
        TinyFactoryError
            When there is no answer; the chat shows the error, too.
        """
        self.start(question)
        self.wait()
        if self.error is not None:
            raise self.error
        return self._result

    def start(self, question: str | None = None) -> None:
        """Ask a question, by default the text of the field, and return at once.

        Raises
        ------
        InvalidInput
            For a blank question, during another one, and without people.
        """
        self.work.start(lambda: self._task(question))

    def cancel(self) -> None:
        """Cancel the question; earlier answers stay."""
        self.work.cancel()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the question is answered or cancelled."""
        self.work.wait(timeout)

    def _task(self, question: str | None) -> Task:
        asked = self.question if question is None else question
        check_question(asked)
        if not self.people:
            raise InvalidInput(NOBODY)
        self._asked, self._words_at = asked.strip(), 0.0
        self._awaited = self.person
        if question is None:
            self._row.field.value = ""
        return self._ask_everyone() if self.person is None else self._ask_one(self.person)

    def _ask_one(self, person: TinyPerson) -> Task:
        asked, model = self._asked, self.model
        who = legible(person.name) or "the person"
        self._show_log()  # code may have asked something meanwhile
        self._log.add([Line("user", "You", asked)], _note(self.conversation))
        self.say(f"Waiting for {who} …")
        return Task(
            lambda _: person.ask(asked, model=model),
            lambda answer: self._answered(person, answer),
            self._given_up,
            lambda seconds: self._still(f"Waiting for {who} …", seconds),
        )

    def _ask_everyone(self) -> Task:
        asked, people, model = self._asked, People(self.people), self.model
        self._answers.begin(people)
        self.say(f"Waiting for {count(len(people), 'person', 'people')} …")
        return Task(
            lambda _: people.ask(
                asked, model=model, concurrency=AT_ONCE, on_answer=self._answers.put
            ),
            self._all_answered,
            self._given_up,
            lambda seconds: self._still(
                f"{self._answers.done} of {len(people)} answered …", seconds
            ),
        )

    # -- outcome -----------------------------------------------------------------------

    def _answered(self, person: TinyPerson, answer: str) -> None:
        self._result = answer
        if person is self.person:
            self.conversation = person.conversation
            self._log.add([_line(person, self.conversation[-1])], _note(self.conversation))
        self.say(f"{legible(person.name) or 'The person'} answered.")

    def _all_answered(self, panel: Answered[People]) -> None:
        self._answers.show(panel)
        self._result = self.panel = panel
        missing = sum(map(bool, panel.reasons))
        why = " The rows of the others say why they did not." if missing else ""
        self.say(f"{len(panel.answers) - missing} of {len(panel.answers)} answered.{why}")

    def _given_up(self, error: BaseException) -> None:
        self._row.give_back(self._asked)
        self._show_log()
        self.failed(error, "" if isinstance(error, Cancelled) else "The conversation is as it was.")

    def _still(self, text: str, seconds: float) -> None:
        if seconds - self._words_at >= SECONDS_BETWEEN_WORDS:
            self._words_at = seconds
            self._status.say(f"{text} {seconds:.0f} s")

    def _enable(self) -> None:
        self._who.disabled = self.work.running or not self.people
        self._row.send_button.disabled = self.work.busy or not self.people
        self._row.cancel_button.disabled = not self.work.can_cancel

    # -- what is shown -----------------------------------------------------------------

    def _list(self) -> None:
        """Keep the chosen person if they are among the new people."""
        stays = self.person is not None and place_of(self.people, self.person) != EVERYONE
        self.person = self.person if stays else next(iter(self.people), None)
        self._show()

    def _choose(self, number: int | None) -> None:
        if number is not None and not self._who.offering:
            self.person = None if number == EVERYONE else self.people[number]

    def _show(self) -> None:
        self._who.offer(self.people, self.person)
        one = self.person is not None or not self.people
        self._log.layout.display = "" if one else "none"
        self._answers.layout.display = "none" if one else ""
        self._show_log()
        self.work.update()
        if not self.running:
            self.say(self._ready())

    def _show_log(self) -> None:
        person = self.person
        self.conversation = [] if person is None else person.conversation
        lines = [_line(person, line) for line in self.conversation] if person is not None else []
        if person is not None and self.running and person is self._awaited:
            lines.append(Line("user", "You", self._asked))
        self._log.show(lines[-2 * MOST_SHOWN :], _note(self.conversation) if lines else SILENT)

    def _ready(self) -> str:
        if not self.people:
            return NOBODY
        more = len(self.people) - MOST_LISTED
        rest = f" The first {MOST_LISTED} are listed." if more > 0 else ""
        if self.person is None:
            return f"{count(len(self.people), 'person', 'people')} will be asked.{rest}"
        return f"You talk to {legible(self.person.name) or 'someone without a name'}.{rest}"

    # -- as text -----------------------------------------------------------------------

    def code(self) -> str:
        """The code that asks the same."""
        how = [repr(self._asked or "What do you do all day?")]
        if self.model is not None:
            how.append(f"model={self.model!r}" if isinstance(self.model, str) else "model=model")
        if self.person is None:
            return f"panel = people.ask({', '.join(how)}, concurrency={AT_ONCE})"
        name = " ".join(legible(self.person.name).split())
        number = place_of(self.people, self.person)
        return f"person = people[{number}]  # {name}\nperson.ask({', '.join(how)})"

    def static_text(self) -> str:
        """The conversation, or everyone's answers, as text."""
        if self.person is not None:
            return conversation_text(self.person.name, self.conversation)
        return panel_text(self.panel) if self.panel is not None else self._ready()

    def static_html(self) -> str:
        """The conversation, or everyone's answers, as HTML."""
        if self.person is not None:
            return conversation_html(self.person.name, self.conversation)
        return (
            panel_html(self.panel) if self.panel is not None else f"<p>{escape(self._ready())}</p>"
        )


def _line(person: TinyPerson, line: dict[str, Any]) -> Line:
    who = "You" if line["role"] == "user" else person.name or "(no name yet)"
    return Line(line["role"], who, line["content"])


def _note(conversation: list[Any]) -> str:
    more = len(conversation) // 2 - MOST_SHOWN
    if more <= 0:
        return ""
    told = count(more, "earlier question and its answer is", "earlier questions and answers are")
    return f"{told} not shown here; `conversation` has them all."
