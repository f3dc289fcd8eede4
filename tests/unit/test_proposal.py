"""One field or part written anew: asked for by itself, compared, accepted or not."""

from __future__ import annotations

import json

import pytest

from tests.support.chat_server import answer, empty, hang, html_page, prefixed, wrong_key
from tinyfactory import Simulation, TinyPerson, TinyPersonFactory
from tinyfactory.budget import Budget
from tinyfactory.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    Cancelled,
    InvalidInput,
    ReplyRejected,
)
from tinyfactory.generation.pipeline import cancellable
from tinyfactory.journal.scopes.scope import scope
from tinyfactory.journal.timeline import history_of
from tinyfactory.models.event_loop import CancelToken
from tinyfactory.people.schema.layout import reply_schema

BELIEFS = {"beliefs": ["Rain is fair."]}


def made(model: str = "test") -> TinyPerson:
    return TinyPersonFactory("Bakers in Vienna", model=model).generate_person()


# -- what is asked ----------------------------------------------------------------------------


def test_it_is_told_the_rest_what_stands_now_and_the_wish(serve):
    server = serve()
    person = made()
    server.rules.append(answer(BELIEFS))
    person.rewrite("beliefs", wish="  About the weather.  ")
    body = server.bodies[-1]
    text = body["messages"][-1]["content"]
    rest = json.loads(text.split("<person>\n")[1].split("\n</person>")[0])
    assert "beliefs" not in rest and rest["skills"] == person.get("skills")
    assert "<context>\nBakers in Vienna\n</context>" in text
    assert "<now>\n" + json.dumps(person.get("beliefs")) + "\n</now>" in text
    assert "<wish>\nAbout the weather.\n</wish>" in text
    assert "<about>Convictions and opinions, in full sentences.</about>" in text
    sent = body["response_format"]["json_schema"]
    assert sent["schema"] == {
        "type": "object",
        "properties": {"beliefs": reply_schema()["properties"]["beliefs"]},
        "required": ["beliefs"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("occupation.title", "title"),
        ("behaviors.routines.morning", "morning"),
        ("personality.big_five", "big_five"),
        ("hobbies", "interests"),
    ],
)
def test_a_part_has_the_committed_schema_of_that_part(serve, path, key):
    server = serve()
    person = made()
    server.rules.append(wrong_key())
    with pytest.raises(AuthenticationFailed):
        person.rewrite(path)
    here = reply_schema()
    for step in path.replace("hobbies", "preferences.interests").split("."):
        here = here["properties"][step]
    schema = server.bodies[-1]["response_format"]["json_schema"]["schema"]
    assert schema["properties"] == {key: here}


def test_a_text_or_list_of_ones_own_can_be_rewritten(serve):
    serve([answer({"motto": "Fast."}), answer({"habits of speech": ["Mumbles."]})])
    persona = {"motto": "Slowly.", "habits of speech": ["Shouts."], "height": 180}
    person = TinyPerson("Ana", persona, register=False)
    factory = TinyPersonFactory("Anyone", model="test")
    assert person.rewrite("motto", factory=factory).after == "Fast."
    assert person.rewrite("habits of speech", factory=factory).after == ["Mumbles."]
    for path in ("height", "nothing", "occupation.salary", "", None, "skills.0"):
        with pytest.raises(InvalidInput, match="Nothing was sent"):
            person.rewrite(path, factory=factory)


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"wish": 3}])
def test_arguments_that_cannot_work_are_refused(server, wrong):
    person = TinyPerson("Ana", register=False)
    with pytest.raises(InvalidInput, match="Nothing was sent"):
        person.rewrite("beliefs", **wrong)
    assert not server.requests


# -- the proposal -----------------------------------------------------------------------------


def test_nothing_changes_before_it_is_accepted(serve):
    server = serve()
    person = made()
    server.rules.append(prefixed(BELIEFS))
    before = person.persona
    proposal = person.rewrite("beliefs")
    assert person.persona == before and person.revisions == []
    assert (proposal.before, proposal.after) == (before["beliefs"], ["Rain is fair."])
    assert [field.path for field in proposal.comparison.differences] == ["beliefs"]
    assert "fair." in repr(proposal) and "fair." in proposal._repr_html_()
    revision = proposal.accept()
    assert (revision.source, revision.number) == ("rewritten", 1)
    assert person.get("beliefs") == ["Rain is fair."]
    assert person.origins()["beliefs"] == "model"
    person.undo()
    assert person.persona == before


def test_it_is_decided_once(serve):
    server = serve()
    person = made()
    server.rules.append(answer(BELIEFS))
    accepted, rejected = person.rewrite("beliefs"), person.rewrite("beliefs")
    rejected.reject()
    with pytest.raises(InvalidInput, match="rejected already"):
        rejected.accept()
    accepted.accept()
    with pytest.raises(InvalidInput, match="accepted already"):
        accepted.accept()
    with pytest.raises(InvalidInput, match="accepted already"):
        accepted.reject()


def test_a_field_that_was_changed_meanwhile_is_left_alone(serve):
    server = serve()
    person = made()
    server.rules.append(answer(BELIEFS))
    proposal = person.rewrite("beliefs")
    person.revise({"beliefs": ["Something else."]})
    with pytest.raises(InvalidInput, match="changed since"):
        proposal.accept()
    assert person.get("beliefs") == ["Something else."]
    person.undo()
    person.revise({"age": 70})
    proposal.accept()
    assert (person.get("beliefs"), person.get("age")) == (["Rain is fair."], 70)


def test_fields_of_a_part_that_the_model_does_not_know_stay(serve):
    serve([answer({"occupation": {"title": "judge", "organization": "", "description": "Days."}})])
    persona = {"occupation": {"title": "nurse", "description": "Nights.", "salary": 3}}
    person = TinyPerson("Ana", persona, register=False)
    proposal = person.rewrite("occupation", factory=TinyPersonFactory("Anyone", model="test"))
    proposal.accept()
    assert person.get("occupation") == {"title": "judge", "description": "Days.", "salary": 3}


# -- replies that cannot be used --------------------------------------------------------------


def test_a_reply_that_cannot_be_used_is_told_why(serve):
    server = serve()
    person = made()
    server.rules.append(
        lambda request: [
            empty(),
            answer({"age": "ancient"}),
            answer({"years": 3}),
            answer({"age": person.get("age")}),
            answer({"occupation": {"age": 71}}),
        ][len(server.requests) - 2]
    )
    assert person.rewrite("age").after == 71
    told = [body["messages"][-1]["content"] for body in server.bodies[1:]]
    assert "<rejected>" not in told[0]
    assert "was empty" in told[1]
    assert '"ancient" is not possible' in told[2]
    assert "no 'age'" in told[3]
    assert "as it stands now" in told[4]


def test_no_usable_reply_leaves_all_as_it_was_and_replays(serve, tmp_path):
    def notebook():
        with Simulation(tmp_path, "rewrite") as simulation:
            person = made()
            before = person.encode_complete_state()
            server.rules.append(empty())
            with pytest.raises(ReplyRejected, match="Nothing was changed"):
                person.rewrite("beliefs", attempts=2)
            server.rules.clear()
            assert person.encode_complete_state() == before
        return simulation

    server = serve()
    notebook()
    assert notebook().misses == 0 and len(server.requests) == 3


def test_what_is_no_reply_is_not_kept(serve, tmp_path):
    server = serve()
    with Simulation(tmp_path, "rewrite"):
        person = made()
        server.rules.append(html_page())
        with pytest.raises(ReplyRejected):
            person.rewrite("beliefs", attempts=1)
        assert history_of(scope(), person) == []


def test_a_name_that_is_taken_is_asked_for_again(serve, tmp_path):
    server = serve()
    with Simulation(tmp_path, "rewrite"):
        person = made()
        TinyPerson("Bo Lind")
        names = iter(["bo lind", "Ana Dias"])
        server.rules.append(lambda request: answer({"name": next(names)}))
        proposal = person.rewrite("name")
        assert proposal.after == "Ana Dias"
        assert "taken by someone else" in server.bodies[-1]["messages"][-1]["content"]
        proposal.accept()
        assert {p.name for p in TinyPerson.all_people()} == {"Ana Dias", "Bo Lind"}


def test_a_hostile_reply_stays_text(serve):
    server = serve()
    person = made()
    server.rules.append(answer({"style": "<script>alert(1)</script><img src=x onerror=alert(1)>"}))
    shown = person.rewrite("style")._repr_html_()
    assert "<script" not in shown and "<img" not in shown and "&lt;script&gt;" in shown


def test_a_budget_and_a_switch_stop_it(serve, tmp_path):
    server = serve()
    with Simulation(tmp_path, "rewrite", budget=Budget(calls=1)):
        person = made()
        with pytest.raises(BudgetExceeded):
            person.rewrite("beliefs")
    assert len(server.requests) == 1
    server.rules.append(hang())
    switch = CancelToken()
    person = TinyPerson("Ana", register=False)
    factory = TinyPersonFactory("Anyone", model="test")
    switch.cancel()
    with cancellable(switch), pytest.raises(Cancelled):
        person.rewrite("beliefs", factory=factory)


# -- as steps ---------------------------------------------------------------------------------


def test_asked_twice_it_is_two_proposals_and_both_replay(tmp_path):
    def notebook() -> tuple[list, Simulation, dict]:
        with Simulation(tmp_path, "rewrite") as simulation:
            person = made("offline")
            first, second = person.rewrite("beliefs"), person.rewrite("beliefs")
            second.accept()
            assert len(history_of(scope(), person)) == 3
            return [first.after, second.after], simulation, person.encode_complete_state()

    first, again = notebook(), notebook()
    assert first[0] == again[0] and first[0][0] != first[0][1]
    assert first[2] == again[2]
    assert (again[1].hits, again[1].misses) == (4, 0)


def test_a_recording_replays_a_rewriting_without_a_key(serve, tmp_path, monkeypatch):
    server = serve()

    def notebook():
        person = TinyPersonFactory("Bakers", model="test").generate_person()
        server.rules[:] = [answer(BELIEFS)]
        proposal = person.rewrite("beliefs")
        proposal.accept()
        return person.encode_complete_state()

    with Simulation(tmp_path / "journal", "rewrite") as simulation:
        state = notebook()
    file = simulation.export(tmp_path / "rewrite.recording.jsonl.gz")
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL")
    with Simulation.from_recording(file):
        assert notebook() == state
    assert len(server.requests) == 2


# -- the offline writer -----------------------------------------------------------------------


@pytest.mark.parametrize("path", [*reply_schema()["properties"], "behaviors.routines.evening"])
def test_the_offline_writer_writes_every_part_anew(path):
    person = made("offline")
    proposal = person.rewrite(path)
    assert proposal.after not in (None, "", [], {}, person.get(path))
    assert proposal.accept().source == "rewritten"
    assert set(person.origins().values()) == {"offline"}


def test_the_offline_writer_proposes_the_same_to_equal_people_of_equal_past():
    factory = TinyPersonFactory("People of a town", model="offline")
    persona = {"age": 67, "occupation": "judge", "residence": "Porto, Portugal", "motto": "Slowly."}

    def proposed() -> list:
        person = TinyPerson("Ana Souza", persona, register=False)
        paths = ("occupation", "motto", "beliefs", "beliefs")
        return [person.rewrite(path, factory=factory).after for path in paths]

    first = proposed()
    assert first == proposed()
    assert first[1] not in ("", "Slowly.") and first[2] != first[3]
    assert first[0]["title"] and first[0]["description"]


def test_the_offline_writer_follows_a_wish_where_it_can():
    person = made("offline")
    assert person.rewrite("age", wish="a 71-year-old").after == 71
