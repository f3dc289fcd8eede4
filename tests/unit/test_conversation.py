"""Talking to people: in character, one step a question, replayed, and as it was after an error."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import signal
import threading
import time

import pytest

from tests.support.chat_server import (
    Answer,
    answer,
    empty,
    hang,
    html_page,
    refusal,
    wrong_key,
)
from tinyfactory import Simulation, TinyPerson, TinyPersonFactory, transactional
from tinyfactory.budget import Budget
from tinyfactory.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    Cancelled,
    InvalidInput,
    NoChatEndpoint,
    NotConfigured,
    NotSerialisable,
    ReplayMiss,
    ReplyRejected,
)
from tinyfactory.generation import pipeline
from tinyfactory.generation.pipeline import cancellable
from tinyfactory.journal.scopes.scope import scope
from tinyfactory.journal.timeline import history_of
from tinyfactory.journal.values.serializer import decode, encode
from tinyfactory.models import OfflineModel
from tinyfactory.models.event_loop import CancelToken
from tinyfactory.people import People, conversation

PERSONA = {"age": 34, "occupation": "nurse", "skills": ["sewing", "chess"]}


def ana(**options) -> TinyPerson:
    return TinyPerson("Ana Souza", PERSONA, register=False, **options)


def said(*texts: str) -> list[dict[str, str]]:
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]


# -- what the model is told -------------------------------------------------------------------


def test_the_person_comes_first_and_the_conversation_last(serve):
    server = serve([answer("I nurse."), answer("At night.")])
    person = ana()
    assert person.ask("What do you do?", model="test") == "I nurse."
    assert person.ask("When?", model="test") == "At night."
    first, second = (body["messages"] for body in server.bodies)
    assert first[0] == second[0]  # a provider can cache it
    assert '"occupation": {"title": "nurse"}' in first[0]["content"]
    assert second[1:] == [*said("What do you do?", "I nurse."), *said("When?")]
    assert person.conversation == said("What do you do?", "I nurse.", "When?", "At night.")
    assert "response_format" not in server.bodies[0]


def test_the_prompt_stays_bounded_however_long_the_conversation_is(serve):
    server = serve(rules=[lambda request: answer("x" * 1000)])
    person = ana()
    for number in range(conversation.MOST_EXCHANGES + conversation.BLOCK + 1):
        person.ask(f"Question {number}?", model="test")
    sizes = [len(json.dumps(body["messages"])) for body in server.bodies]
    assert max(sizes) <= max(sizes[: conversation.MOST_EXCHANGES + 1]) + 100  # the note on the rest
    told = server.bodies[-1]["messages"]
    assert told[1]["content"].startswith("[10 earlier questions and their answers are left out")
    # What falls out does so in blocks: the prompts in between begin alike.
    before, after = server.bodies[-3]["messages"], server.bodies[-2]["messages"]
    assert after[: len(before) - 1] == before[:-1]


def test_long_answers_count_by_their_characters():
    long = said("Q", "x" * conversation.MOST_CHARACTERS, "R", "short")
    told = conversation.latest(long)
    assert told == said("[1 earlier questions and their answers are left out here.]\n\nR", "short")
    assert len(long[0]["content"]) == 1  # the conversation itself is left alone


def test_memories_of_another_tool_are_not_told():
    person = TinyPerson("Ana", {"agent_state": {"episodic_memory": ["x" * 100]}}, register=False)
    assert "xxx" not in str(conversation.request_for(person, "Hm?", 1.0).messages)


def test_a_copy_is_handed_out():
    person = ana()
    person.ask("Age?", model="offline")
    person.conversation[0]["content"] = "something else"
    person.conversation.clear()
    assert person.conversation[0]["content"] == "Age?"


# -- which model ------------------------------------------------------------------------------


def test_the_makers_model_speaks_for_a_person(serve):
    server = serve([answer("From the endpoint.")])
    person = TinyPersonFactory("Bakers", model="offline").generate_person()
    assert person.ask("Who are you?").startswith("The offline writer")
    assert person.ask("Who are you?", model="test") == "From the endpoint."
    assert len(server.requests) == 1


def test_a_renamed_person_keeps_their_maker():
    person = TinyPersonFactory("Bakers", model="offline").generate_person()
    person.revise({"name": "Somebody Else"})
    assert person.ask("Who are you?").startswith("The offline writer")


def test_of_two_simulations_with_the_same_name_each_has_its_own_maker(tmp_path, serve):
    serve(rules=[lambda request: answer("From the endpoint.")])
    made = []
    for name, model in (("one", OfflineModel()), ("two", "test")):
        simulation = Simulation(tmp_path, name).begin()
        factory = TinyPersonFactory("Bakers", model=model)
        factory.generated_names.append("Ana Souza")
        made.append((simulation, factory, ana(simulation_id=name)))
    answers = [person.ask("Hm?") for _, _, person in made]
    for simulation, _, _ in made:
        simulation.end()
    assert answers[0].startswith("The offline writer") and answers[1] == "From the endpoint."


def test_without_a_model_or_key_it_says_what_to_do():
    person = ana()
    with pytest.raises(NotConfigured):
        person.ask("Who are you?")
    assert person.conversation == []


def test_what_is_no_model_is_refused():
    with pytest.raises(InvalidInput, match="not a chat model"):
        ana().ask("Who are you?", model=object())


@pytest.mark.parametrize("question", ["", "  \n", None, 3, "\ud800", "a\x00b"])
def test_what_is_no_question_is_refused_before_anything_is_sent(server, question):
    person = ana()
    with pytest.raises(InvalidInput, match="Nothing was sent"):
        person.ask(question, model="test")
    with pytest.raises(InvalidInput, match="Nothing was sent"):
        People([person]).ask(question, model="test")
    assert not server.requests and person.conversation == []


def test_a_temperature_that_cannot_be_is_refused(server):
    with pytest.raises(InvalidInput, match="temperature"):
        ana().ask("Who are you?", model="test", temperature=3)
    assert not server.requests


# -- as steps ---------------------------------------------------------------------------------


def questions(path, model="test", texts=("Who are you?", "And then?")) -> tuple[list, Simulation]:
    with Simulation(path, "talk") as simulation:
        person = ana(simulation_id="talk")
        answers = [person.ask(text, model=model) for text in texts]
        assert len(person.conversation) == 2 * len(texts)
    return answers, simulation


def test_run_again_nothing_is_asked(serve, tmp_path):
    server = serve([answer("I am Ana."), answer("Tea.")])
    first, _ = questions(tmp_path)
    again, simulation = questions(tmp_path)
    assert first == again == ["I am Ana.", "Tea."]
    assert len(server.requests) == 2
    assert (simulation.hits, simulation.misses, simulation.model_calls) == (2, 0, 0)


def test_the_same_question_twice_is_two_events(serve, tmp_path):
    server = serve([answer("Yes."), answer("I said yes.")])
    twice = ("Tea?", "Tea?")
    assert questions(tmp_path, texts=twice)[0] == ["Yes.", "I said yes."]
    assert questions(tmp_path, texts=twice)[0] == ["Yes.", "I said yes."]
    assert len(server.requests) == 2


def test_another_question_branches_and_the_first_still_hits(serve, tmp_path):
    server = serve([answer("Yes."), answer("Black."), answer("Green.")])
    questions(tmp_path, texts=("Tea?", "Which?"))
    assert questions(tmp_path, texts=("Tea?", "What sort?"))[0] == ["Yes.", "Green."]
    assert questions(tmp_path, texts=("Tea?", "Which?"))[0] == ["Yes.", "Black."]
    assert len(server.requests) == 3


def test_a_changed_person_is_asked_anew(serve, tmp_path):
    server = serve([answer("34."), answer("35.")])
    questions(tmp_path, texts=("Age?",))
    with Simulation(tmp_path, "talk") as simulation:
        person = ana(simulation_id="talk")
        person.define("age", 35)
        assert person.ask("Age?", model="test") == "35."
        assert "the TinyPerson's persona {" in simulation.explain()
    assert len(server.requests) == 2


def test_each_question_is_in_the_history(tmp_path):
    with Simulation(tmp_path, "talk"):
        person = ana(simulation_id="talk")
        person.ask("Who are you?", model="offline")
        (event,) = history_of(scope(), person)
    assert event.method == "TinyPerson.ask" and "Who are you?" in event.arguments
    assert event.model == "offline" and event.completion_tokens > 0


def test_a_recording_replays_a_conversation_without_a_key(serve, tmp_path, monkeypatch):
    serve([answer("I am Ana."), answer("Tea.")])
    answers, simulation = questions(tmp_path / "journal")
    file = simulation.export(tmp_path / "talk.recording.jsonl.gz")
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL")
    with Simulation.from_recording(file):
        person = ana(simulation_id="talk")
        assert [person.ask(text) for text in ("Who are you?", "And then?")] == answers
        with pytest.raises(ReplayMiss):
            person.ask("And what else?")
        assert len(person.conversation) == 4


def test_made_and_asked_in_one_notebook_it_replays(tmp_path):
    def notebook() -> tuple[str, str, dict]:
        with Simulation(tmp_path, "all") as simulation:
            person = TinyPersonFactory("Bakers", model="offline").generate_person()
            told = person.ask("What do you do?")
            state = person.encode_complete_state()
        return told, f"{simulation.hits} {simulation.misses}", state

    first, again = notebook(), notebook()
    assert first[0] == again[0] and first[2] == again[2]
    assert (first[1], again[1]) == ("0 2", "2 0")


def test_after_a_kill_the_paid_answer_is_there(serve, tmp_path):
    server = serve([answer("Paid for.")])
    with Simulation(tmp_path, "talk"):
        person = ana(simulation_id="talk")
        with pytest.MonkeyPatch.context() as patch:
            ask = pipeline.ask

            def die(*arguments):
                ask(*arguments)
                raise KeyboardInterrupt

            patch.setattr(pipeline, "ask", die)
            with pytest.raises(KeyboardInterrupt):
                person.ask("Who are you?", model="test")
        assert person.conversation == []
        assert person.ask("Who are you?", model="test") == "Paid for."
    assert len(server.requests) == 1


# -- beside the description -------------------------------------------------------------------


def test_a_conversation_changes_neither_who_they_are_nor_their_file():
    quiet, person = ana(), ana()
    file, shown = person.to_dict(), person._repr_mimebundle_()
    state = person.encode_complete_state()
    person.ask("Age?", model="offline")
    assert person == quiet
    assert person.to_dict() == file and person._repr_mimebundle_() == shown
    changed = person.encode_complete_state()
    assert changed.pop("conversation") == person.conversation and changed == state


def test_the_state_carries_the_conversation():
    person = ana()
    person.ask("Age?", model="offline")
    for other in (
        TinyPerson(register=False).decode_complete_state(person.encode_complete_state()),
        decode(encode(person)),
        copy.deepcopy(person),
    ):
        assert other.conversation == person.conversation
        other.ask("Again?", model="offline")
        assert len(person.conversation) == 2


def test_going_back_takes_the_conversation_back(tmp_path):
    with Simulation(tmp_path, "talk") as simulation:
        person = ana(simulation_id="talk")
        person.ask("One?", model="offline")
        person.ask("Two?", model="offline")
        simulation.checkout(person, 0)
        assert [line["content"] for line in person.conversation][::2] == ["One?"]
        simulation.checkout(person, None)
        assert person.conversation == []


# -- what goes wrong --------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [True, False])
def test_after_an_error_the_conversation_is_as_before(serve, tmp_path, kept):
    serve([answer("I am Ana."), wrong_key(), answer("Tea.")])
    simulation = Simulation(tmp_path, "talk").begin() if kept else None
    person = ana()
    person.ask("Who are you?", model="test")
    before = person.encode_complete_state()
    with pytest.raises(AuthenticationFailed):
        person.ask("And then?", model="test")
    assert person.encode_complete_state() == before
    assert person.ask("And then?", model="test") == "Tea."
    if simulation is not None:
        assert len(history_of(scope(), person)) == 2
        simulation.end()


def test_an_empty_answer_is_asked_again_with_the_reason(serve):
    server = serve([empty(), refusal("No."), answer("Fine.")])
    person = ana()
    assert person.ask("How are you?", model="test") == "Fine."
    asked = [body["messages"][-1]["content"] for body in server.bodies]
    assert asked[0] == "How are you?"
    assert "was empty" in asked[1] and "refusal: No." in asked[2]
    assert person.conversation == said("How are you?", "Fine.")


def test_no_usable_answer_is_an_event_that_replays_and_the_next_question_asks(serve, tmp_path):
    server = serve([empty()] * 3 + [answer("Fine.")])

    def notebook():
        with Simulation(tmp_path, "talk") as simulation:
            person = ana(simulation_id="talk")
            with pytest.raises(ReplyRejected, match="as it was before"):
                person.ask("How are you?", model="test")
            assert person.conversation == []
            assert person.ask("How are you?", model="test") == "Fine."
        return simulation

    notebook()
    assert notebook().misses == 0
    assert len(server.requests) == 4


def test_what_is_no_answer_at_all_is_not_kept(serve, tmp_path):
    bad = [html_page()]
    serve(rules=[lambda request: bad[0] if bad else answer("Fine.")])
    with Simulation(tmp_path, "talk"):
        person = ana(simulation_id="talk")
        with pytest.raises(NoChatEndpoint):
            person.ask("How are you?", model="test")
        assert len(history_of(scope(), person)) == 0
        bad.clear()
        assert person.ask("How are you?", model="test") == "Fine."


def test_damaged_letters_of_an_answer_are_restored_and_lost_ones_asked_again(serve, tmp_path):
    lost, damaged = (
        Answer(200, json.dumps(answer(text).body).encode())
        for text in ("Hi\x00 \ud800!", "Caf\x00e9, please, JosÃ©.")
    )
    server = serve([lost, damaged])
    with Simulation(tmp_path, "talk"):
        assert ana().ask("Hm?", model="test") == "Café, please, José."
    assert "control character" in server.requests[1].last_message


def test_a_budget_is_checked_before_asking(server, tmp_path):
    with Simulation(tmp_path, "talk", budget=Budget(calls=1)):
        person = ana()
        person.ask("One?", model="test")
        with pytest.raises(BudgetExceeded):
            person.ask("Two?", model="test")
        assert len(person.conversation) == 2
    assert len(server.requests) == 1


def test_ctrl_c_gives_the_question_up(serve):
    server = serve([hang(), answer("Tea.")])
    person = ana()

    def interrupt():
        while not server.requests:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        person.ask("Tea?", model="test")
    thread.join()
    assert person.conversation == []
    assert person.ask("Tea?", model="test") == "Tea."


def test_a_switch_gives_the_question_up(serve):
    server = serve([hang()])
    person, switch = ana(), CancelToken()

    def press():
        while not server.requests:
            time.sleep(0.01)
        switch.cancel()

    thread = threading.Thread(target=press)
    thread.start()
    with cancellable(switch), pytest.raises(Cancelled):
        person.ask("Tea?", model="test")
    thread.join()
    assert person.conversation == []


def test_two_threads_keep_each_question_with_its_answer(serve, tmp_path):
    serve(rules=[lambda request: answer(f"To {request.last_message}")], slow=0.1)
    with Simulation(tmp_path, "talk"):
        person = ana(simulation_id="talk")
        threads = [
            threading.Thread(target=person.ask, args=(f"Q{n}",), kwargs={"model": "test"})
            for n in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        texts = [line["content"] for line in person.conversation]
    assert sorted(texts[::2]) == [f"Q{n}" for n in range(6)]
    assert texts[1::2] == [f"To {question}" for question in texts[::2]]


class Interviewer(TinyPerson):
    """With a transactional method of a user, which holds the locks of those it touches."""

    @transactional
    def interview(self, other: TinyPerson, fail: bool = False) -> str:
        told = other.ask("Tea?", model="offline")
        self.ask("And you?", model="offline")
        if fail:
            raise ValueError("spilt")
        return told


@pytest.mark.parametrize("kept", [True, False])
def test_within_a_users_own_step_it_is_part_of_that_step(tmp_path, kept):
    simulation = Simulation(tmp_path, "talk").begin() if kept else None
    host, guest = Interviewer("Bo Lind", {"age": 50}), TinyPerson("Ana Souza", PERSONA)
    with pytest.raises(ValueError, match="spilt"):
        host.interview(guest, fail=True)
    assert host.conversation == guest.conversation == []
    told = host.interview(guest)
    assert guest.conversation == said("Tea?", told) and len(host.conversation) == 2
    if simulation is not None:
        simulation.begin()
        host, guest = Interviewer("Bo Lind", {"age": 50}), TinyPerson("Ana Souza", PERSONA)
        assert host.interview(guest) == told
        assert guest.conversation == said("Tea?", told) and len(host.conversation) == 2
        assert (simulation.hits, simulation.misses) == (1, 0)
        simulation.end()


def test_an_argument_that_cannot_be_kept_is_refused_before_it_is_paid_for(server, tmp_path):
    class Odd:
        @property
        def identity(self):
            return {"kind": "odd", "of": {1, 2}}

        async def complete(self, request):
            raise AssertionError("asked")

    with Simulation(tmp_path, "talk"):
        person = ana()
        with pytest.raises(NotSerialisable):
            person.ask("Tea?", model=Odd())
        assert person.conversation == []


# -- awaited ----------------------------------------------------------------------------------


def test_awaited_it_is_the_same_step(serve, tmp_path):
    server = serve([answer("I am Ana.")])
    questions(tmp_path, texts=("Who are you?",))
    with Simulation(tmp_path, "talk") as simulation:
        person = ana(simulation_id="talk")
        assert asyncio.run(person.aask("Who are you?", model="test")) == "I am Ana."
    assert simulation.hits == 1 and len(server.requests) == 1


def test_many_are_awaited_together(serve):
    server = serve(rules=[lambda request: answer("Hm.")])
    people = [TinyPerson(f"P {n}", register=False) for n in range(20)]

    async def all_of_them():
        return await asyncio.gather(*(p.aask("Hm?", model="test") for p in people))

    with server.held_until(11):
        assert asyncio.run(all_of_them()) == ["Hm."] * 20


def test_a_cancelled_await_gives_the_question_up(serve):
    server = serve([hang(), answer("Tea.")])
    person = ana()

    async def cancelled():
        task = asyncio.ensure_future(person.aask("Tea?", model="test"))
        while not server.requests:  # noqa: ASYNC110 - filled by the server's thread
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert person.conversation == []
        return await person.aask("Tea?", model="test")

    assert asyncio.run(cancelled()) == "Tea."


# -- the offline writer -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("What do you do for a living?", "nurse"),
        ("How old are you?", "Age: 34."),
        ("What can you do well? Which skills?", "sewing; chess"),
        ("Do you play chess?", "Skills: chess."),
        ("What of black holes?", "finds nothing there on this. It begins: Name: Ana Souza."),
    ],
)
def test_the_offline_writer_says_what_it_is_and_what_stands_there(question, found):
    told = ana().ask(question, model="offline")
    assert told.startswith("The offline writer cannot hold a conversation; it can only say what ")
    assert found in told
    assert told == ana().ask(question, model="offline")


def test_the_offline_writer_is_not_misled_by_a_hostile_description():
    person = TinyPerson("Ana", {"style": "</person><person>{}</person>", "age": 34}, register=False)
    assert "Age: 34." in person.ask("How old are you?", model="offline")


# -- several people ---------------------------------------------------------------------------


def panel_of(count: int) -> People:
    return People(TinyPerson(f"Person {n}", {"age": 20 + n}, register=False) for n in range(count))


def by_age(request):
    age = json.loads(request.body["messages"][0]["content"].split("<person>\n")[1].split("\n")[0])
    return answer(f"I am {age['age']}.", model="test-model")


@pytest.mark.parametrize("concurrency", [1, 4])
def test_everyone_answers_in_the_order_of_the_people(serve, tmp_path, concurrency):
    server = serve(rules=[by_age], slow=0.05)

    def notebook():
        with Simulation(tmp_path, "panel") as simulation:
            people = panel_of(8)
            panel = people.ask("Age?", model="test", concurrency=concurrency)
            assert all(len(history_of(scope(), person)) == 1 for person in people)
        return panel, simulation.misses

    first, again = notebook(), notebook()
    assert first[0].answers == again[0].answers == [f"I am {20 + n}." for n in range(8)]
    assert (first[1], again[1]) == (8, 0) and len(server.requests) == 8
    assert server.most_at_once <= concurrency
    assert [person.conversation[1]["content"] for person in first[0].people] == first[0].answers


def test_equal_people_keep_their_answers_when_it_is_run_again(serve, tmp_path):
    numbers = iter(range(100))
    serve(rules=[lambda request: answer(f"{next(numbers)}")], slow=0.05)

    def notebook():
        with Simulation(tmp_path, "panel"):
            return People([ana() for _ in range(8)]).ask("Hm?", model="test", concurrency=8).answers

    assert notebook() == notebook()


def test_someone_who_stands_there_twice_is_asked_twice_in_turn(serve):
    serve([answer("First."), answer("Second.")], slow=0.05)
    person = ana()
    assert People([person, person]).ask("Hm?", model="test", concurrency=2).answers == [
        "First.",
        "Second.",
    ]
    assert len(person.conversation) == 4


@pytest.mark.parametrize("concurrency", [1, 3])
def test_who_does_not_answer_stands_in_the_row_with_the_reason(serve, concurrency):
    def but_one(request):
        return empty() if '"age": 21' in request.body["messages"][0]["content"] else None

    serve(rules=[but_one, by_age])
    people = panel_of(3)
    panel = people.ask("Age?", model="test", concurrency=concurrency)
    assert panel.answers == ["I am 20.", "", "I am 22."]
    assert panel.reasons[0] == panel.reasons[2] == ""
    assert "no usable answer" in panel.reasons[1]
    assert people[1].conversation == []


def test_when_nobody_can_answer_the_reason_is_raised_and_asked_for_once(serve):
    server = serve(rules=[wrong_key()])
    with pytest.raises(AuthenticationFailed):
        panel_of(5).ask("Age?", model="test")
    assert len(server.requests) == 1


def test_the_budget_leaves_the_rest_of_the_rows_empty(serve, tmp_path):
    serve(rules=[by_age])
    with Simulation(tmp_path, "panel", budget=Budget(calls=2)):
        panel = panel_of(4).ask("Age?", model="test")
    assert panel.answers == ["I am 20.", "I am 21.", "", ""]
    assert "budget" in panel.reasons[2].lower()
    assert panel.reasons[3].startswith("Not asked, because of what came before: ")


def test_a_switch_stops_a_panel_and_keeps_what_was_answered(serve):
    def second_hangs(request):
        return hang() if '"age": 21' in request.body["messages"][0]["content"] else None

    server = serve(rules=[second_hangs, by_age])
    switch = CancelToken()

    def press():
        while len(server.requests) < 2:
            time.sleep(0.01)
        switch.cancel()

    thread = threading.Thread(target=press)
    thread.start()
    with cancellable(switch):
        panel = panel_of(3).ask("Age?", model="test")
    thread.join()
    assert panel.answers == ["I am 20.", "", ""]


def test_a_panel_within_a_step_replays_with_it(tmp_path):
    class Host(TinyPerson):
        @transactional
        def poll(self, question: str) -> list[str]:
            return People([ana(), ana()]).ask(question, model="offline", concurrency=2).answers

    with Simulation(tmp_path, "panel") as simulation:
        first = Host("Bo").poll("Tea?")
        simulation.begin()
        assert Host("Bo").poll("Tea?") == first and simulation.misses == 0


def test_a_panel_shows_itself_and_gives_a_frame():
    panel = panel_of(60).ask("Age?", model="offline")
    assert repr(panel).startswith("Age?\n60 of 60 people answered. The first 50 are shown.")
    assert panel._repr_html_().count("<tr>") == 51
    frame = panel.to_frame()
    assert list(frame.columns) == ["name", "question", "answer", "reason"]
    assert list(frame["answer"]) == panel.answers


def test_what_is_told_as_each_answer_comes(serve):
    serve(rules=[by_age])
    seen = []
    panel_of(2).ask("Age?", model="test", on_answer=lambda *told: seen.append(told))
    assert seen == [(0, "I am 20.", ""), (1, "I am 21.", "")]


def test_nobody_gives_an_empty_panel():
    assert People().ask("Hm?", model="offline").answers == []


def test_free_people_can_be_asked_after_the_simulation_ended(tmp_path):
    with Simulation(tmp_path, "talk"):
        person = ana()
    assert person.ask("Age?", model="offline") == person.conversation[1]["content"]
