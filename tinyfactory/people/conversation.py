"""Asking a person: the prompt, the event of a question, and reading the answer."""

from __future__ import annotations

import contextvars
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

from tinyfactory import models, prompts
from tinyfactory.errors import InvalidInput, ReplyRejected
from tinyfactory.generation import pipeline
from tinyfactory.generation.pipeline import Task, check_question, check_temperature, request_key
from tinyfactory.journal.scopes.context import current_context, within
from tinyfactory.journal.scopes.scope import Scope, factories, scope
from tinyfactory.journal.transactional import transactional
from tinyfactory.journal.transactions.transaction import current_transaction, required_transaction
from tinyfactory.models import event_loop
from tinyfactory.models.chat import ChatModel, ChatReply, ChatRequest
from tinyfactory.people.comparison import Twins
from tinyfactory.people.protocols import Json, Person, PersonLike
from tinyfactory.people.schema.reply_parser import check_finish, readable
from tinyfactory.utils.concurrency import new_lock
from tinyfactory.utils.logs import get_logger
from tinyfactory.utils.text import count


class Maker(Protocol):
    """What a person needs of a `TinyPersonFactory`."""

    language: str | None
    generated_names: Sequence[str]

    @property
    def context_text(self) -> str: ...  # noqa: D102
    def scope(self) -> Scope: ...  # noqa: D102
    def chat_model(self) -> ChatModel: ...  # noqa: D102
    def _twin_of(self, person: Any, changes: Json, attempts: int) -> Any: ...


def maker_of(person: PersonLike) -> Maker | None:
    """Return the factory of this process that made the person, also if renamed since."""
    here = scope(person.simulation_id)
    names = {person.name, *(r.changes["name"][0] for r in person.revisions if "name" in r.changes)}
    for factory in list(factories.values()):
        if (
            hasattr(factory, "_twin_of")
            and factory.scope() is here
            and not names.isdisjoint(factory.generated_names)
        ):
            maker: Maker = factory
            return maker
    return None


def model_for(person: PersonLike, model: str | ChatModel | None) -> ChatModel:
    """Return the model that speaks for a person: the given, its maker's, or the configured one."""
    if model is None and (maker := maker_of(person)) is not None:
        return maker.chat_model()
    return models.resolve(model)


def twin_of(person: Person, changes: Json, factory: Any, attempts: int) -> Twins[Person]:
    """Have a factory generate a twin of a person; see `TinyPerson.twin`."""
    maker = maker_of(person) if factory is None else factory
    if maker is None:
        raise InvalidInput(
            f"No factory here made {person.name}, so the request to repeat is unknown. Nothing "
            "was sent. Give a factory: person.twin(..., factory=factory)."
        )
    if not hasattr(maker, "_twin_of"):
        raise InvalidInput(
            f"factory must be a TinyPersonFactory, not {type(maker).__name__}. Nothing was sent."
        )
    twins: Twins[Person] = maker._twin_of(person, changes, attempts)  # noqa: SLF001
    return twins


logger = get_logger("tinyfactory")

# A prompt holds at most so much of a conversation: the hundredth question costs as much as the
# twentieth. Older exchanges are dropped in blocks, so that the prompts between two blocks have
# the same beginning, which a provider can cache.
MOST_EXCHANGES = 20
BLOCK = 10
MOST_CHARACTERS = 30_000
ATTEMPTS = 3
# Not in the prompt: memories of another tool, which may be megabytes.
_NOT_IN_PROMPT = ("agent_state",)


def answer(
    person: PersonLike, question: str, model: str | ChatModel | None, temperature: float | None
) -> str:
    """See `TinyPerson.ask`."""
    check_question(question)
    check_temperature(temperature)
    text: str | None = ask(person, question.strip(), temperature, model_for(person, model))
    if text is None:
        raise ReplyRejected(
            "The model gave no usable answer; the log says why. The conversation"
            " is as it was before. Ask again, or in other words."
        )
    return text


async def answer_async(
    person: PersonLike, question: str, model: str | ChatModel | None, temperature: float | None
) -> str:
    """See `TinyPerson.aask`."""
    switch = event_loop.CancelToken()
    outer = pipeline.current_token()

    def work() -> str:
        with pipeline.cancellable(switch):
            return answer(person, question, model, temperature)

    import asyncio  # slow to import

    here = scope(person.simulation_id)
    pending = _Pending(asyncio.get_running_loop())
    with ExitStack() as stack:
        thread = stack.enter_context(_asking(person))
        if outer is not None:
            stack.enter_context(outer.calling(switch.cancel))
        stack.callback(here.let_go, pending)
        mine = here if here.hold(pending) else None
        with within(current_context()._replace(scope=mine)):
            context = contextvars.copy_context()
        asked = asyncio.wrap_future(thread.submit(context.run, work))
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            switch.cancel()
            asked.cancel()  # if it still waits for an earlier question
            await asyncio.wait([asked])  # until the thread has rolled back
            if not asked.cancelled():
                asked.exception()
            raise


class _Pending:
    """A question that a coroutine of an event loop waits for."""

    def __init__(self, loop: Any) -> None:
        self.loop = loop

    def __str__(self) -> str:
        return "TinyPerson.aask"


_threads: dict[tuple[int, int], tuple[ThreadPoolExecutor, int]] = {}
_threads_lock = new_lock()


@contextmanager
def _asking(person: PersonLike) -> Iterator[ThreadPoolExecutor]:
    """A thread that asks a person one question after another, in the order of the calls.

    Calls within a transaction have one of their own: they do not wait for calls outside of it,
    which may wait for the end of the transaction. Not `asyncio.to_thread`, which has few threads.
    """
    key = id(person), id(current_transaction())
    with _threads_lock:
        thread, users = _threads.get(key, (None, 0))
        if thread is None:
            thread = ThreadPoolExecutor(1, thread_name_prefix="tinyfactory-ask")
        _threads[key] = thread, users + 1
    try:
        yield thread
    finally:
        with _threads_lock:
            thread, users = _threads.pop(key)
            if users > 1:
                _threads[key] = thread, users - 1
            else:
                thread.shutdown(wait=False)


@transactional(
    version="1",
    touches=(),
    locks=("self",),
    ignore=("model",),
    request=lambda person, question, temperature, model: request_key(
        model.identity, request_for(person, question, temperature)
    ),
)
def ask(
    person: PersonLike, question: str, temperature: float | None, model: ChatModel
) -> str | None:
    """Ask one question; the question and its answer are one event of the person."""
    tx = required_transaction()
    task = Task(
        lambda rejected: request_for(person, question, temperature, rejected),
        _read,
        ATTEMPTS,
        "answer",
    )
    outcome = pipeline.ask(task, model, tx)
    if outcome.value is None:
        logger.error("%s gave no answer: %s", person.name or "The person", outcome.reason)
        tx.fail(
            f"no usable answer in {count(outcome.attempt, 'attempt', 'attempts')}; last: "
            f"{outcome.reason}",
            keep=outcome.replied,
        )
        return None
    said = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": outcome.value},
    ]
    tx.stage({"append": {"conversation": said}})
    return outcome.value


def request_for(
    person: PersonLike, question: str, temperature: float | None, rejected: str = ""
) -> ChatRequest:
    """Build the request: the persona, which is always the same, then the last exchanges."""
    told = {key: value for key, value in person.persona.items() if key not in _NOT_IN_PROMPT}
    system = prompts.render(
        prompts.template("talk.instructions"),
        {"person": json.dumps(told, ensure_ascii=False)},
        "the instructions",
    )
    asked = f"{question}\n\n[{rejected}]" if rejected else question
    messages = (
        {"role": "system", "content": system},
        *latest(person.conversation),
        {"role": "user", "content": asked},
    )
    return ChatRequest(messages, temperature, schema_name="talk")


def latest(conversation: Sequence[Json]) -> list[Json]:
    r"""Return the last part of a conversation; its first line says how much is left out.

    Examples
    --------
    >>> pair = [{"role": "user", "content": "Hm?"}, {"role": "assistant", "content": "Hm."}]
    >>> told = latest(pair * 21)
    >>> len(told), told[0]["content"]
    (22, '[10 earlier questions and their answers are left out here.]\n\nHm?')
    """
    number = len(conversation) // 2
    start = 0
    while number - start > MOST_EXCHANGES:
        start += BLOCK
    while sum(len(line["content"]) for line in conversation[2 * start :]) > MOST_CHARACTERS:
        start += 1
    told = [dict(line) for line in conversation[2 * start :]]
    if start and told:
        told[0]["content"] = (
            f"[{start} earlier questions and their answers are left out here.]\n\n"
            f"{told[0]['content']}"
        )
    return told


def _read(reply: ChatReply) -> str:
    """Read the answer in a reply."""
    if reply.refusal:
        raise ReplyRejected(
            f"Your last answer was a refusal: {reply.refusal[:200]} Stay in the part."
        )
    check_finish(reply.finish_reason, None, "what this person would say")
    text: str = readable(reply.text or "").strip()
    if not text:
        raise ReplyRejected("Your last answer was empty. Answer in words.")
    return text
