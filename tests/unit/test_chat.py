"""PersonaChat by its traits and handlers, without a browser."""

from __future__ import annotations

import json
import os
import signal
import threading

import pytest

from tests.support.chat_server import answer, empty, hang, wrong_key
from tests.support.waiting import main_waits_in, until
from tests.support.widgets import raise_in_handlers, widgets_alive
from tinyfactory import Simulation, TinyPerson
from tinyfactory.errors import AuthenticationFailed, Cancelled, InvalidInput, NotConfigured
from tinyfactory.people import People
from tinyfactory.people.render.conversation import MOST_SHOWN, conversation_html, panel_html
from tinyfactory.widgets import PersonaChat
from tinyfactory.widgets.chat.chat_controls import EVERYONE, MOST_LISTED
from tinyfactory.widgets.chat.message_log import Line, MessageLog
from tinyfactory.widgets.chat.persona_chat import NOBODY
from tinyfactory.widgets.parts.background import BackgroundWork

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "</style><style>*{display:none}</style>",
    "\u202egnp.exe",
)


@pytest.fixture(autouse=True)
def handlers_raise(monkeypatch):
    raise_in_handlers(monkeypatch)


def some(count: int = 3) -> People:
    return People(
        TinyPerson(f"Person {n}", {"age": 20 + n % 80}, register=False) for n in range(count)
    )


def by_age(request):
    told = request.body["messages"][0]["content"].split("<person>\n")[1].split("\n")[0]
    return answer(f"I am {json.loads(told)['age']}.")


def send(chat: PersonaChat, question: str) -> None:
    """As someone does who types and presses Enter."""
    chat._row.field.value = question
    chat._row.send_button.click()
    until(lambda: not chat._row.send_button.disabled)
    chat.wait()  # the button is free before all is told


def sent(monkeypatch, chat: PersonaChat) -> list[dict]:
    """What goes to the page for the log."""
    messages: list[dict] = []
    monkeypatch.setattr(chat._log, "send", lambda content, buffers=None: messages.append(content))
    return messages


# -- one person -------------------------------------------------------------------------------


def test_a_question_is_answered_in_the_log(serve):
    serve(rules=[by_age])
    people = some()
    chat = PersonaChat(people, model="test")
    assert chat.person is people[0] and chat.conversation == []
    send(chat, "Age?")
    assert [(line.who, line.text) for line in chat._log.lines] == [
        ("You", "Age?"),
        ("Person 0", "I am 20."),
    ]
    assert chat.conversation == people[0].conversation
    assert chat.question == "" and chat.status == "Person 0 answered." and chat.error is None


def test_the_values_can_be_observed(serve):
    serve(rules=[by_age])
    chat = PersonaChat(some(), model="test")
    seen = []
    chat.observe(lambda change: seen.append(change.name), ["conversation", "person"])
    chat.ask("Age?")
    chat.person = chat.people[1]
    assert seen[0] == "conversation" and "person" in seen


def test_choosing_someone_shows_what_was_said_with_them(serve):
    serve(rules=[by_age])
    chat = PersonaChat(some(), model="test")
    chat.ask("Age?")
    chat._who.value = 2
    assert chat.person is chat.people[2]
    assert chat._log.lines == [] and chat.status == "You talk to Person 2."
    chat.people[2].ask("In code?", model="test")
    assert chat.ask("And here?") == "I am 22."
    assert [line.text for line in chat._log.lines] == [
        "In code?",
        "I am 22.",
        "And here?",
        "I am 22.",
    ]
    chat.person = chat.people[0]
    assert chat._who.value == 0 and len(chat._log.lines) == 2


def test_people_who_are_equal_are_two():
    twins = [TinyPerson("Ana", {"age": 34}, register=False) for _ in range(2)]
    chat = PersonaChat(twins, model="offline")
    seen = []
    chat.observe(lambda change: seen.append(change.new), "person")
    chat._who.value = 1
    assert chat.person is twins[1] and seen == [twins[1]] and seen[0] is twins[1]
    chat.ask("Age?")
    assert twins[0].conversation == [] and len(twins[1].conversation) == 2


def test_other_people_can_be_set_and_one_who_stays_goes_on():
    people = some()
    chat = PersonaChat(people, model="offline")
    chat.person = people[1]
    chat.people = people[1:]
    assert chat.person is people[1] and chat._who.value == 0
    chat.people = people[2:]
    assert chat.person is people[2]
    chat.people = []
    assert chat.person is None and chat.status == NOBODY and chat._row.send_button.disabled
    with pytest.raises(InvalidInput, match="nobody"):
        chat.ask("Hm?")
    with pytest.raises(InvalidInput, match="not among"):
        chat.person = people[0]


def test_of_very_many_people_the_first_are_listed_and_anyone_can_be_set():
    people = some(MOST_LISTED + 50)
    chat = PersonaChat(people, model="offline")
    assert len(chat._who.options) == MOST_LISTED + 1 and "first 200 are listed" in chat.status
    chat.person = people[MOST_LISTED + 20]
    assert chat.person is people[MOST_LISTED + 20] and chat._who.value == MOST_LISTED + 20
    assert chat._who.label.startswith("221. Person 220")


def test_the_button_waits_with_the_answer_and_the_kernel_does_not(serve):
    server = serve(rules=[by_age])
    server.allowed = 0
    chat = PersonaChat(some(), model="test")
    chat._row.field.value = "Age?"
    chat._row.send_button.click()
    chat._row.send_button.click()  # twice by mistake
    assert chat._row.send_button.disabled
    until(lambda: server.requests)
    assert chat.running and chat.status == "Waiting for Person 0 …"
    assert not chat._row.cancel_button.disabled and chat._who.disabled
    assert [line.text for line in chat._log.lines] == ["Age?"]
    with pytest.raises(InvalidInput, match="awaited"):
        chat.start("Another?")
    chat.people = chat.people  # shown again meanwhile
    assert [line.text for line in chat._log.lines] == ["Age?"]
    assert chat.status == "Waiting for Person 0 …"
    server.allowed = 1
    chat.wait()
    assert len(server.requests) == 1 and chat._row.cancel_button.disabled
    assert [line.text for line in chat._log.lines] == ["Age?", "I am 20."]


def test_cancel_gives_the_question_back(serve):
    server = serve([hang()])
    chat = PersonaChat(some(), model="test")
    chat._row.field.value = "Age?"
    chat._row.send_button.click()
    until(lambda: server.requests)
    chat._row.cancel_button.click()
    until(lambda: not chat.running and chat.error is not None)
    assert isinstance(chat.error, Cancelled) and chat.status.startswith("Stopped.")
    assert chat.question == "Age?" and chat._log.lines == [] and chat.conversation == []
    assert not chat._row.send_button.disabled


def test_what_is_being_typed_is_not_overwritten(serve):
    server = serve([wrong_key()])
    server.allowed = 0
    chat = PersonaChat(some(), model="test")
    chat._row.field.value = "Age?"
    chat._row.send_button.click()
    until(lambda: server.requests)
    chat._row.field.value = "The next one"
    server.allowed = 1
    until(lambda: chat.error is not None)
    assert chat.question == "The next one"


@pytest.mark.parametrize(
    ("question", "words"), [("Age?", "did not accept the key"), ("  ", "not blank")]
)
def test_an_error_stands_in_plain_words_and_as_a_value(serve, question, words):
    serve(rules=[wrong_key()])
    chat = PersonaChat(some(), model="test")
    send(chat, question)
    assert words in chat.status and chat.error is not None and chat._status.wrong
    assert chat.conversation == [] and chat._log.lines == []
    with pytest.raises((AuthenticationFailed, InvalidInput)):
        chat.ask(question)


def test_without_a_model_it_says_what_to_do():
    chat = PersonaChat(some())
    send(chat, "Age?")
    assert isinstance(chat.error, NotConfigured) and "No model is set up yet" in chat.status
    chat.model = "offline"
    send(chat, "Age?")
    assert chat.error is None
    assert chat._log.lines[-1].text.startswith("The offline writer cannot hold a conversation")


def test_who_looked_before_the_end_does_not_have_the_last_word(serve, monkeypatch):
    """On a slow machine an answer comes between a look and what is done about it."""
    busy = vars(BackgroundWork)["busy"].fget

    def looked(work):
        found = busy(work)
        if threading.current_thread().name == "looks":
            server.allowed = 1
            work._run.told.wait(1.0)  # which the lock prevents: the look ends before the answer
        return found

    server = serve(rules=[wrong_key()])
    server.allowed = 0
    chat = PersonaChat(some(), model="test")
    monkeypatch.setattr(BackgroundWork, "busy", property(looked))
    chat.start("Age?")
    looks = threading.Thread(target=chat.work.update, name="looks")
    looks.start()
    looks.join()
    chat.wait()
    assert not chat._row.send_button.disabled and chat._row.cancel_button.disabled


def test_the_kernels_interrupt_cancels_what_is_waited_for(serve):
    server = serve([hang()])
    chat = PersonaChat(some(), model="test")

    def interrupt():
        until(lambda: server.requests and main_waits_in(BackgroundWork.wait))
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        chat.ask("Age?")
    thread.join()
    assert not chat.running and isinstance(chat.error, Cancelled) and chat.conversation == []


def test_a_conversation_in_a_simulation_replays(serve, tmp_path):
    server = serve(rules=[by_age])

    def notebook():
        with Simulation(tmp_path, "chat"):
            chat = PersonaChat(some(), model="test")
            chat.ask("Age?")
            chat.person = None
            chat.ask("Age?")
            return chat.static_text()

    assert notebook() == notebook() and len(server.requests) == 4


# -- the log ----------------------------------------------------------------------------------


def test_an_empty_conversation_says_so_until_something_is_said(serve, monkeypatch):
    serve(rules=[by_age])
    chat = PersonaChat(some(), model="test")
    assert chat._log.note == "Nothing was said yet."
    messages = sent(monkeypatch, chat)
    chat.ask("Age?")
    # With the question it goes, and not only with the answer.
    assert [message["note"] for message in messages if message["lines"]] == ["", ""]
    chat.person = chat.people[1]
    assert chat._log.note == "Nothing was said yet."


def test_only_what_is_new_is_sent(serve, monkeypatch):
    serve(rules=[by_age])
    chat = PersonaChat(some(), model="test")
    for _ in range(MOST_SHOWN + 5):
        chat.people[0].ask("Age?", model="offline")
    messages = sent(monkeypatch, chat)
    chat.ask("Age?")
    assert [(m["kind"], len(m["lines"])) for m in messages[1:]] == [("add", 1), ("add", 1)]
    assert messages[-1]["keep"] == 2 * MOST_SHOWN
    assert messages[-1]["note"].startswith("6 earlier questions and answers are not shown here")
    assert len(chat._log.lines) == 2 * MOST_SHOWN and len(chat.conversation) == 52


def test_a_view_that_begins_late_gets_all_that_is_shown(monkeypatch):
    log = MessageLog("Conversation")
    log.show([Line("user", "You", "Tea?")], "a note")
    messages: list[dict] = []
    monkeypatch.setattr(log, "send", lambda content, buffers=None: messages.append(content))
    for content in ({"view": "v", "wish": "all"}, {"wish": 3}):
        data = {"method": "custom", "content": content}
        log._handle_msg({"content": {"data": data}, "buffers": []})
    assert messages == [
        {
            "kind": "all",
            "view": "v",
            "number": 1,
            "lines": [{"role": "user", "who": "You", "text": "Tea?"}],
            "note": "a note",
        }
    ]


def test_a_message_stays_small_whatever_was_said(monkeypatch):
    log = MessageLog("Conversation")
    messages: list[dict] = []
    monkeypatch.setattr(log, "send", lambda content, buffers=None: messages.append(content))
    for _ in range(60):
        log.add([Line("assistant", "\U0001f9f5" * 500, "\U0001f9f5" * 20_000)])
    log.show(log.lines)
    assert max(len(json.dumps(m, ensure_ascii=False).encode()) for m in messages) < 200_000
    assert log.lines[-1].text.endswith("…") and len(log.lines) > 1


# -- everyone ---------------------------------------------------------------------------------


def test_everyone_answers_in_a_table(serve):
    serve(rules=[by_age])
    chat = PersonaChat(some(), model="test")
    chat._who.value = EVERYONE
    assert chat.person is None and chat.status == "3 people will be asked."
    assert chat._log.layout.display == "none" and chat._answers.layout.display == ""
    send(chat, "Age?")
    assert chat.panel is not None and chat.panel.answers == ["I am 20.", "I am 21.", "I am 22."]
    assert chat._answers.table.rows.cells[1] == ["2", "Person 1", "I am 21."]
    assert chat.status == "3 of 3 answered."
    assert chat.people[1].conversation[1]["content"] == "I am 21."


def test_the_table_sorts_and_shows_the_whole_of_one_answer(serve):
    serve(rules=[lambda request: answer("word " * 100)])
    chat = PersonaChat(some(), model="test")
    chat.person = None
    chat.ask("Say much.")
    table = chat._answers.table
    assert table.rows.cells[0][2].endswith("…")
    table.sort = ("name", True)
    table.selected = 0
    assert "Person 2" in chat._answers.detail.value
    assert chat._answers.detail.value.count("word") == 100
    table.sort = ("number", True)
    assert [row[0] for row in table.rows.cells] == ["3", "2", "1"]
    assert chat._answers.detail.value == ""


def test_rows_fill_as_answers_come(serve):
    release = threading.Event()

    def slow_last(request):
        if '"age": 22' in request.body["messages"][0]["content"]:
            return hang() if not release.is_set() else None
        return None

    server, texts = serve(rules=[slow_last, by_age]), ["I am 20.", "I am 21."]
    chat = PersonaChat(some(), model="test")
    chat.person = None
    chat.start("Age?")
    until(lambda: len(server.requests) == 3 and chat._answers.done == 2)
    # Both are in the table, though they came in the same moment and the third has not.
    until(lambda: [row[2] for row in chat._answers.table.rows.cells][:2] == texts)
    chat.cancel()
    chat.wait()
    assert chat.panel is not None and chat.panel.answers == ["I am 20.", "I am 21.", ""]
    assert "stopped" in chat.panel.reasons[2]
    assert chat.status == "2 of 3 answered. The rows of the others say why they did not."
    assert chat._answers.table.rows.cells[2][2].startswith("(no answer)")


def test_who_does_not_answer_has_the_reason_in_the_row(serve):
    def but_one(request):
        return empty() if '"age": 21' in request.body["messages"][0]["content"] else None

    serve(rules=[but_one, by_age])
    chat = PersonaChat(some(), model="test")
    chat.person = None
    panel = chat.ask("Age?")
    assert panel is chat.panel
    assert "no usable answer" in chat._answers.table.rows.cells[1][2]


def test_when_nobody_answers_the_error_is_shown(serve):
    serve(rules=[wrong_key()])
    chat = PersonaChat(some(), model="test")
    chat.person = None
    send(chat, "Age?")
    assert isinstance(chat.error, AuthenticationFailed) and chat.panel is None
    assert chat.question == "Age?"


def test_one_person_alone_is_not_everyone():
    chat = PersonaChat(some(1), model="offline")
    assert [label for label, _ in chat._who.options] == ["1. Person 0, 20"]


# -- code and what stands in the notebook -----------------------------------------------------


@pytest.mark.parametrize("everyone", [False, True])
def test_the_code_does_the_same(everyone):
    people = some()
    chat = PersonaChat(people, model="offline")
    chat.person = None if everyone else people[1]
    chat.ask("Is it 'tea'?")
    fresh: dict = {"people": some()}
    exec(chat.code(), fresh)
    if everyone:
        assert fresh["panel"].answers == chat.panel.answers
    else:
        assert fresh["person"].conversation == chat.conversation


def test_a_hostile_name_does_not_get_out_of_the_comment():
    person = TinyPerson("Ana\nimport os\u2028os.abort()", register=False)
    chat = PersonaChat([person], model="offline")
    assert len(chat.code().splitlines()) == 2


def test_a_model_object_is_named_in_the_code():
    from tinyfactory.models import OfflineModel

    chat = PersonaChat(some(), model=OfflineModel(seed=3))
    assert "model=model" in chat.code()


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("everyone", [False, True])
def test_hostile_text_is_shown_as_text(serve, hostile, everyone):
    serve(rules=[lambda request: answer(f"A {hostile}")])
    people = People(TinyPerson(f"Ana {hostile}", register=False) for _ in range(2))
    chat = PersonaChat(people, model="test")
    chat.person = None if everyone else people[0]
    chat.ask(f"Q {hostile}")
    if everyone:
        chat._answers.table.selected = 0
    shown = (
        chat.static_html()
        + chat._status.value
        + chat._answers.detail.value
        + conversation_html(people[0].name, people[0].conversation)
    )
    for tag in ("<script", "<img", "<svg", "</style", "\u202e"):
        assert tag not in shown
    assert "\u202e" not in chat.static_text() + "".join(line.text for line in chat._log.lines)


def test_the_log_never_makes_markup_of_text():

    from tinyfactory.widgets.parts.request_widget import STATIC

    script = (STATIC / "log.js").read_text()
    assert "textContent" in script
    for way in ("innerHTML", "insertAdjacentHTML", "outerHTML", "document.write", "http"):
        assert way not in script


def test_the_static_form_shows_the_conversation_and_says_what_it_leaves_out(serve):
    person = some(1)[0]
    chat = PersonaChat([person], model="offline")
    assert (
        "Nothing was said yet." in chat.static_html() and "Nothing was said" in chat.static_text()
    )
    for number in range(MOST_SHOWN + 2):
        person.ask(f"Question {number}?", model="offline")
    chat.ask("The last?")
    assert "3 earlier questions and answers are not shown." in chat.static_html()
    assert chat.static_text().startswith("3 earlier") and "You: The last?" in chat.static_text()
    assert "Question 2?" not in chat.static_text() and "Question 3?" in chat.static_text()


def test_the_static_form_of_everyone_is_the_table():
    chat = PersonaChat(some(), model="offline")
    chat.person = None
    assert chat.static_html() == "<p>3 people will be asked.</p>"
    chat.ask("Age?")
    assert chat.static_html() == panel_html(chat.panel)
    assert chat.static_text() == repr(chat.panel)


def test_closing_it_closes_all_that_it_is_made_of():
    before = widgets_alive()
    chat = PersonaChat(some(), model="offline")
    chat.ask("Age?")
    chat.close()
    assert widgets_alive() == before
