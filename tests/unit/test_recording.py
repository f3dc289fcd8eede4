"""Recordings: one portable file that replays anywhere, holds no secret, and is whole or refused."""

from __future__ import annotations

import getpass
import gzip
import json
import logging
import tracemalloc
from pathlib import Path

import pytest

import tinyfactory
from tests.support.chat_server import answer, empty
from tests.support.people import person as persona
from tests.support.replies import keep_reply
from tinyfactory import Budget, Simulation, TinyFactory, TinyPerson, TinyPersonFactory, control
from tinyfactory.errors import (
    DamagedRecord,
    InvalidInput,
    JournalUnavailable,
    ReplayMiss,
)
from tinyfactory.journal.recording.recording import Recording, write
from tinyfactory.journal.storage.store import Store
from tinyfactory.journal.transactional import transactional
from tinyfactory.journal.values.stored_text import digest_text
from tinyfactory.models.chat import ChatReply

CONTEXT = "A group of friends are on a camping trip."
KEY = "sk-test-canary-0123456789abcdef"
ENVIRONMENT = ("OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL")


@pytest.fixture
def laptop(monkeypatch):
    """From here on there is no key, no endpoint and no model in the environment."""

    def go():
        control.reset()
        for name in ENVIRONMENT:
            monkeypatch.delenv(name, raising=False)

    return go


class Writer:
    """A model of the user's own, with no network."""

    def __init__(self, name="writer", first=0, **more):
        self.identity = {"kind": "test", "model": name, **more}
        self.calls = 0
        self.first = first

    async def complete(self, request):
        self.calls += 1
        return ChatReply(
            json.dumps(persona(self.first + self.calls) | {"style": self.identity["model"]})
        )


def lesson(model=None):
    """What a notebook does."""
    factories = TinyPersonFactory.generate_person_factories(3, CONTEXT, model=model)
    people = [factory.generate_person() for factory in factories]
    people += factories[0].generate_people(2, "a quiet one")
    return factories, people


def recorded(serve, tmp_path, **options):
    """A lesson, and its recording."""
    serve()
    with Simulation(tmp_path / "teacher", "lesson") as simulation:
        _, people = lesson()
        path = simulation.export(tmp_path / "lesson.recording.jsonl.gz", **options)
    return path, [person.to_dict() for person in people]


def written(folder, model=None, number=3, context=CONTEXT):
    """A recording of a few people of a model of one's own."""
    with Simulation(folder / "journal", "lesson") as simulation:
        TinyPersonFactory(context, model=model or Writer()).generate_people(number)
        return simulation.export(folder / "own.recording.jsonl.gz")


def lines_of(path):
    return gzip.decompress(path.read_bytes()).decode().splitlines()


# -- replay --------------------------------------------------------------------------------


def test_a_recording_replays_without_key_endpoint_and_model(serve, tmp_path, laptop):
    path, people = recorded(serve, tmp_path)
    laptop()
    with Simulation.from_recording(path) as simulation:
        factories, again = lesson()
        assert [person.to_dict() for person in again] == people
        assert (simulation.hits, simulation.misses) == (6, 0)
        assert simulation.spent.calls == 0
        assert [len(f.generated_names) for f in factories] == [3, 1, 1]
        assert factories[0].history()[0].hit


def test_a_replay_needs_no_server_and_writes_nothing(serve, tmp_path, laptop):
    path, people = recorded(serve, tmp_path)
    bytes_before = path.read_bytes()
    laptop()
    path.chmod(0o400)
    before = sorted(tmp_path.rglob("*"))
    with Simulation.from_recording(path):
        assert [person.to_dict() for person in lesson()[1]] == people
    assert sorted(tmp_path.rglob("*")) == before and path.read_bytes() == bytes_before


def test_it_replays_under_another_model_that_is_configured(serve, tmp_path, laptop):
    path, people = recorded(serve, tmp_path)
    laptop()
    tinyfactory.configure(model="offline")
    with Simulation.from_recording(path):
        assert [person.to_dict() for person in lesson()[1]] == people


@pytest.mark.parametrize("name", [None, "mine", "default"])
def test_it_replays_under_any_name(serve, tmp_path, laptop, name):
    path, people = recorded(serve, tmp_path)
    laptop()
    simulation = control.begin(simulation_id=name, recording=path)
    assert simulation.id == (name or "lesson")
    assert [person.to_dict() for person in lesson()[1]] == people
    assert sum(line.events for line in simulation.lines()) == 6


def test_it_can_be_begun_again(serve, tmp_path, laptop):
    path, people = recorded(serve, tmp_path)
    laptop()
    simulation = control.begin(recording=path)
    for _ in range(2):
        assert [person.to_dict() for person in lesson()[1]] == people
        simulation.begin()
    control.end()
    simulation.begin()
    assert [person.to_dict() for person in lesson()[1]] == people


def test_people_made_together_replay_from_a_recording(serve, tmp_path, laptop):
    server = serve(slow=0.02)
    with Simulation(tmp_path / "j", "lesson") as simulation:
        factory = TinyPersonFactory(CONTEXT)
        people = [*factory.generate_people(6, concurrency=3), factory.generate_person("after")]
        path = simulation.export(tmp_path / "r.gz")
    asked = len(server.requests)
    laptop()
    with Simulation.from_recording(path):
        factory = TinyPersonFactory(CONTEXT)
        again = [*factory.generate_people(6, concurrency=3), factory.generate_person("after")]
    assert again == people and len(server.requests) == asked


def test_a_step_that_gave_nobody_replays_as_such(serve, tmp_path, laptop):
    serve(rules=[lambda _: empty()])
    with Simulation(tmp_path / "j", "lesson") as simulation:
        assert TinyPersonFactory(CONTEXT).generate_person(attempts=2) is None
        path = simulation.export(tmp_path / "r.gz")
    laptop()
    with Simulation.from_recording(path):
        factory = TinyPersonFactory(CONTEXT)
        assert factory.generate_person(attempts=2) is None
        assert "2 attempts" in factory.last_failure


class Town(TinyFactory):
    """A method of the user's own that makes people by the way: an event with events within."""

    size = 0

    @transactional
    def found(self, makers: list) -> list:
        people = [maker.generate_person() for maker in makers]
        self.size += len(people)
        return people

    def encode_complete_state(self):
        return super().encode_complete_state() | {"size": self.size}

    def decode_complete_state(self, state):
        self.size = state["size"]
        return super().decode_complete_state(state)


def test_events_within_events_are_found_under_the_recorded_model(serve, tmp_path, laptop):
    server = serve()

    def town():
        makers = [TinyPersonFactory(f"{CONTEXT} {i}") for i in range(2)]
        people = Town().found(makers)
        return [p.to_dict() for p in people], [m.generated_names for m in makers]

    with Simulation(tmp_path / "j", "lesson") as simulation:
        first = town()
        path = simulation.export(tmp_path / "r.gz")
    assert len(server.requests) == 2
    laptop()
    with Simulation.from_recording(path) as simulation:
        assert town() == first and simulation.misses == 0


class Oracle(TinyFactory):
    """A method that asks by itself, besides making a person."""

    asked = 0
    maker: TinyPersonFactory

    @transactional
    def consult(self) -> str:
        type(self).maker.generate_person()
        return keep_reply({"question": "?"}, self.answer)["text"]

    def answer(self):
        type(self).asked += 1
        return {"text": "yes"}


def test_a_replay_asks_nothing_even_where_a_method_of_the_users_own_would(tmp_path):
    def consult():
        # The call changes an object that is none of its own, so its body runs in a replay.
        Oracle.maker = TinyPersonFactory(CONTEXT, model=Writer())
        return Oracle().consult()

    with Simulation(tmp_path / "j", "lesson") as simulation:
        assert consult() == "yes"
        bare = simulation.export(tmp_path / "bare.gz")
        full = simulation.export(tmp_path / "full.gz", replies=True)
    with Simulation.from_recording(full):
        assert consult() == "yes"
    with Simulation.from_recording(bare), pytest.raises(ReplayMiss, match="asks a model"):
        consult()
    assert Oracle.asked == 1


# -- several models ------------------------------------------------------------------------


def test_several_models_are_all_found_the_very_one_first(tmp_path, laptop):
    often, seldom = Writer("often"), Writer("seldom")
    with Simulation(tmp_path / "j", "lesson") as simulation:
        for model in (often, seldom):
            simulation.begin()
            TinyPersonFactory(CONTEXT, model=model).generate_person()
        TinyPersonFactory("elsewhere", model=often).generate_person()
        path = simulation.export(tmp_path / "r.gz")
    assert [i["model"] for i in Recording(path).identities] == ["often", "seldom"]

    def style(model):
        with Simulation.from_recording(path):
            return TinyPersonFactory(CONTEXT, model=model).generate_person().get("style")

    assert (style(Writer("often")), style(Writer("seldom"))) == ("often", "seldom")
    assert style(Writer("neither")) == "often"


# -- a miss --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"temperature": 1.0}, "temperature 1.5 → 1.0"),
        ({"agent_particularities": "a loud one"}, "'a loud one'"),
        ({"attempts": 2}, "attempts 5 → 2"),
    ],
)
def test_a_miss_is_an_error_before_anything_is_sent_that_says_what_differs(
    tmp_path, arguments, said
):
    path = written(tmp_path)
    model = Writer()
    with Simulation.from_recording(path):
        factory = TinyPersonFactory(CONTEXT, model=model)
        with pytest.raises(ReplayMiss) as caught:
            factory.generate_person(**arguments)
        message = str(caught.value)
        assert said in message and 'mode="extend"' in message and path.name in message
        assert message.count(said) == 1 and "model" not in message.partition("Nothing was sent")[0]
        # What was recorded is still to be had from here.
        assert factory.generate_person().name == persona(1)["name"]
    assert model.calls == 0


def test_a_miss_because_of_another_context_says_so(tmp_path):
    path = written(tmp_path)
    with (
        Simulation.from_recording(path),
        pytest.raises(ReplayMiss, match=r"context_text .*camping.* → 'At sea'"),
    ):
        TinyPersonFactory("At sea").generate_person()


def test_a_miss_is_compared_with_the_call_that_is_most_alike(tmp_path):
    with Simulation(tmp_path / "journal") as simulation:
        for name, context in (("Ana", "Bakers in Vienna"), ("Eva", "Sailors of a small ferry")):
            factory = TinyPersonFactory(context, model="offline")
            for number in (30, 50):
                factory.generate_person({"name": f"{name} Huber {number}", "age": number})
        person = factory.generate_person()
        for question in ("What worries you?", "Why did you become a sailor?"):
            person.ask(question, model="offline")
        path = simulation.export(tmp_path / "r.recording.jsonl.gz")
    with Simulation.from_recording(path):
        factory = TinyPersonFactory("Bakers in Graz", model="offline")
        with pytest.raises(ReplayMiss, match="context_text 'Bakers in Vienna' → 'Bakers in Graz'"):
            factory.generate_person({"name": "Ana Huber 30", "age": 30})
        factory = TinyPersonFactory("Sailors of a small ferry", model="offline")
        with pytest.raises(ReplayMiss, match=r"30.* → \{'name': 'Eva Huber 30', 'age': 31\}"):
            factory.generate_person({"name": "Eva Huber 30", "age": 31})
        with pytest.raises(ReplayMiss, match=r"TinyPerson.ask: .*'What worries you\?' → "):
            factory.generate_person().ask("What worries you")


def test_a_miss_names_the_method_that_was_called(tmp_path):
    with Simulation(tmp_path / "journal") as simulation:
        factory = TinyPersonFactory("Bakers in Vienna", model="offline")
        person = factory.generate_person()
        person.twin(age=80)
        person.rewrite("beliefs")
        assert simulation.explain().startswith("TinyPerson.rewrite is new")
        person.revise({"age": 33})
        assert simulation.explain().startswith("TinyPerson.revise is new")
        TinyPersonFactory.generate_person_factories(2, "A choir", model="offline")
        path = simulation.export(tmp_path / "r.recording.jsonl.gz")
    with Simulation.from_recording(path):
        person = TinyPersonFactory("Bakers in Vienna", model="offline").generate_person()
        with pytest.raises(ReplayMiss, match=r"this call, TinyPerson\.twin: "):
            person.twin(age=81)
        with pytest.raises(ReplayMiss, match=r"this call, TinyPerson\.rewrite: "):
            person.rewrite("style")
        with pytest.raises(ReplayMiss, match=r"TinyPersonFactory\.generate_person_factories: "):
            TinyPersonFactory.generate_person_factories(3, "A choir")


def test_a_miss_because_the_recording_is_over_says_so(tmp_path):
    path = written(tmp_path, number=2)
    with Simulation.from_recording(path):
        factory = TinyPersonFactory(CONTEXT)
        with pytest.raises(ReplayMiss):
            factory.generate_people(3)
        assert len(factory.last_job.people) == 2


def test_a_miss_of_a_method_that_was_never_called_says_so(tmp_path):
    path = written(tmp_path)
    with Simulation.from_recording(path), pytest.raises(ReplayMiss, match="no call of that"):
        Town().found([])


def test_a_name_that_is_taken_now_is_a_miss_that_says_so(tmp_path):
    path = written(tmp_path)
    with Simulation.from_recording(path):
        TinyPerson(persona(1)["name"])
        with pytest.raises(ReplayMiss, match="taken"):
            TinyPersonFactory(CONTEXT).generate_person()


# -- extend --------------------------------------------------------------------------------


def test_extend_asks_for_what_is_new_and_keeps_it_in_the_own_journal(serve, tmp_path, laptop):
    path, people = recorded(serve, tmp_path)
    bytes_before = path.read_bytes()
    laptop()

    def longer(model):
        tinyfactory.configure(model=model)
        with Simulation.from_recording(path, "extend") as simulation:
            factories, again = lesson()
            again += factories[1].generate_people(2, "a loud one")
            again.append(TinyPersonFactory("At sea").generate_person())
            counts = simulation.hits, simulation.misses, simulation.model_calls
        return [person.to_dict() for person in again], counts

    model = Writer(first=100)
    first, counts = longer(model)
    assert first[:5] == people and counts == (6, 3, 3) and model.calls == 3
    again, counts = longer(model)
    assert again == first and counts == (9, 0, 0) and model.calls == 3
    assert path.read_bytes() == bytes_before
    assert (tmp_path / ".tinyfactory").is_dir()
    own = Store(tmp_path / ".tinyfactory")
    models = [own.get(k)["request"]["model"] for k in own if k.startswith("event:")]
    own.close()
    assert models == [model.identity] * 3  # what is new is told as what it is


def test_extend_with_the_offline_model(serve, tmp_path, laptop):
    path, people = recorded(serve, tmp_path)
    laptop()
    tinyfactory.configure(model="offline")
    control.begin(tmp_path / "mine", recording=path, mode="extend", budget=Budget(usd=0))
    factories, again = lesson()
    assert [person.to_dict() for person in again] == people
    new = factories[2].generate_person("a loud one")
    assert new.provenance["source"] == "offline"
    assert (tmp_path / "mine").is_dir()


def test_what_was_extended_can_be_exported_whole(serve, tmp_path, laptop):
    path, people = recorded(serve, tmp_path)
    laptop()
    tinyfactory.configure(model=Writer(first=100))
    with Simulation.from_recording(path, "extend", tmp_path / "mine") as simulation:
        new = lesson()[0][0].generate_person("a loud one")
        whole = simulation.export(tmp_path / "whole.gz")
    laptop()
    tinyfactory.configure(model=None)
    with Simulation.from_recording(whole, simulation_id="third"):
        factories, again = lesson()
        assert [person.to_dict() for person in again] == people
        assert factories[0].generate_person("a loud one") == new


def test_another_mode_is_refused(tmp_path):
    path = written(tmp_path)
    with pytest.raises(InvalidInput, match="extend"):
        Simulation.from_recording(path, mode="append")  # type: ignore[arg-type]


# -- the file ------------------------------------------------------------------------------


def test_the_same_journal_gives_the_same_bytes(tmp_path):
    with Simulation(tmp_path / "j", "lesson") as simulation:
        TinyPersonFactory(CONTEXT, model=Writer()).generate_people(3)
        first = simulation.export(tmp_path / "one.gz").read_bytes()
    assert simulation.export(tmp_path / "another name.gz").read_bytes() == first
    assert first[3:8] == bytes(5)  # gzip's flags and clock: no name, no time


def test_the_same_notebook_gives_the_same_bytes_on_any_day(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    one, other = (written(tmp_path / name) for name in "ab")
    assert one.read_bytes() == other.read_bytes()


def test_it_is_readable_lines_of_json(tmp_path):
    path = written(tmp_path)
    lines = [json.loads(line) for line in lines_of(path)]
    assert lines[0]["format"] == "tinyfactory recording" and lines[0]["version"] == 1
    assert lines[0]["simulation"] == "lesson" and lines[0]["events"] == 3
    assert lines[0]["models"] == [{"identity": Writer().identity, "events": 3}]
    assert lines[-1]["end"] is True and lines[-1]["rows"] == len(lines) - 2
    events = [line for line in lines if line.get("key", "").startswith("event:")]
    assert {e["value"]["result"]["state"]["persona"]["name"] for e in events} == {
        persona(i)["name"] for i in (1, 2, 3)
    }
    text = "\n".join(lines_of(path))
    assert '"at"' not in text and '"seconds"' not in text
    assert str(tmp_path) not in text


def test_replies_are_left_out_unless_asked_for_with_the_rejected_ones(serve, tmp_path, laptop):
    serve([answer("a rejected canary")])
    with Simulation(tmp_path / "j", "lesson") as simulation:
        person = TinyPersonFactory(CONTEXT).generate_person()
        without = simulation.export(tmp_path / "a.gz")
        including = simulation.export(tmp_path / "b.gz", replies=True)
        including_again = simulation.export(tmp_path / "c.gz", replies=True)
    assert "a rejected canary" not in "\n".join(lines_of(without))
    assert "a rejected canary" in "\n".join(lines_of(including))
    assert including.read_bytes() == including_again.read_bytes()
    laptop()
    for path in (without, including):
        with Simulation.from_recording(path):
            assert TinyPersonFactory(CONTEXT).generate_person() == person


def test_only_the_simulation_that_was_named_is_written(tmp_path):
    for name in ("one", "other"):
        with Simulation(tmp_path / "j", name) as simulation:
            TinyPersonFactory(f"context of {name}", model=Writer()).generate_person()
            path = simulation.export(tmp_path / name, replies=True)
    text = "\n".join(lines_of(path))
    assert "context of other" in text and "context of one" not in text
    assert Recording(path).header["replies"] == 1


def test_nothing_to_export_is_said_and_no_file_is_left(tmp_path):
    with (
        Simulation(tmp_path / "j", "lesson") as simulation,
        pytest.raises(InvalidInput, match="no events"),
    ):
        simulation.export(tmp_path / "r.gz")
    with Simulation(tmp_path / "j", "lesson") as simulation:
        TinyPersonFactory(CONTEXT, model=Writer()).generate_person()
        with pytest.raises(JournalUnavailable, match="unharmed"):
            simulation.export(tmp_path / "no such folder" / "r.gz")
    assert not list(tmp_path.glob("*.gz")) and not list(tmp_path.glob(".*.new"))


def test_a_damaged_row_is_left_out_and_named(tmp_path, caplog):
    import sqlite3

    with Simulation(tmp_path / "j", "lesson") as simulation:
        TinyPersonFactory(CONTEXT, model=Writer()).generate_people(2)
    with sqlite3.connect(tmp_path / "j" / "cache.db") as database:
        database.execute(
            "UPDATE Cache SET value = replace(value, 'rowing', 'sawing') WHERE rowid ="
            " (SELECT max(rowid) FROM Cache WHERE key LIKE 'event:%')"
        )
    database.close()
    with caplog.at_level(logging.WARNING):
        path = simulation.export(tmp_path / "r.gz")
    assert "left out: event:" in caplog.text and Recording(path).header["events"] == 1


def test_export_and_reading_stream(tmp_path):
    """A journal of 20 MB goes out and in with a few MB of memory."""
    store = Store(tmp_path / "j")
    text = "x" * 400_000
    for i in range(50):
        store.add(
            f"event:{i:040}",
            {"simulation": "s", "line": "l", "parent": "", "base": "", "class": "C",
             "method": "m", "version": "1", "arguments": {}, "request": None, "state": None,
             "result": f"{i}{text}", "changes": {}, "failure": None, "composite": False,
             "steps": [], "head": "h", "meta": {"at": 0, "seconds": 0, "why": "", "replies": []}},
        )  # fmt: skip
    tracemalloc.start()
    try:
        path = write(store, "s", tmp_path / "r.gz")
        recording = Recording(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    store.close()
    assert len(recording) == 50 and recording.get(f"event:{7:040}")["result"] == f"7{text}"
    assert peak < 8_000_000


# -- what is not as it was written ---------------------------------------------------------


def packed(path, lines):
    path.write_bytes(gzip.compress("".join(line + "\n" for line in lines).encode()))
    return path


def test_an_edited_line_is_refused_with_its_number(tmp_path):
    path = written(tmp_path)
    lines = lines_of(path)
    for number, line in enumerate(lines):
        place = line.index(":") + 3
        edited = line[:place] + ("x" if line[place] != "x" else "y") + line[place + 1 :]
        bad = packed(tmp_path / "bad.gz", [*lines[:number], edited, *lines[number + 1 :]])
        with pytest.raises(DamagedRecord, match=rf"line {number + 1} is not as it was"):
            Simulation.from_recording(bad)


def test_a_missing_a_repeated_and_a_swapped_line_are_refused_with_the_number(tmp_path):
    path = written(tmp_path)
    lines = lines_of(path)
    for changed, number in (
        ([*lines[:2], *lines[3:]], 3),
        ([*lines[:2], lines[1], *lines[2:]], 3),
        ([lines[0], lines[2], lines[1], *lines[3:]], 2),
        ([*lines, lines[-1]], len(lines) + 1),
        (lines[1:], 1),
    ):
        with pytest.raises(DamagedRecord, match=rf"line {number} is not as it was"):
            Recording(packed(tmp_path / "bad.gz", changed))


def test_whole_lines_missing_at_the_end_are_refused(tmp_path):
    lines = lines_of(written(tmp_path))
    for count in range(1, len(lines)):
        with pytest.raises(DamagedRecord, match=f"after line {count}"):
            Recording(packed(tmp_path / "bad.gz", lines[:count]))


def test_a_file_cut_anywhere_is_refused_with_the_line(tmp_path):
    path = written(tmp_path)
    data = path.read_bytes()
    bad = tmp_path / "bad.gz"
    for length in range(0, len(data), 97):
        bad.write_bytes(data[:length])
        with pytest.raises(DamagedRecord, match=r"line \d"):
            Recording(bad)


def test_a_flipped_byte_anywhere_is_refused(tmp_path):
    path = written(tmp_path)
    data = path.read_bytes()
    bad = tmp_path / "bad.gz"
    for place in range(10, len(data), 101):
        bad.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        with pytest.raises(DamagedRecord, match=r"line \d"):
            Recording(bad)


def test_what_stands_behind_the_end_is_refused(tmp_path):
    path = written(tmp_path)
    path.write_bytes(path.read_bytes() + gzip.compress(b"more"))
    with pytest.raises(DamagedRecord, match="something after its end"):
        Recording(path)


def test_what_is_no_recording_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="no recording at"):
        Simulation.from_recording(tmp_path / "nowhere.gz")
    for content in (b"", b"hello", gzip.compress(b""), gzip.compress(b"hello\n")):
        (tmp_path / "x.gz").write_bytes(content)
        with pytest.raises(DamagedRecord):
            Simulation.from_recording(tmp_path / "x.gz")


def test_a_recording_that_a_browser_unpacked_replays(tmp_path):
    path = written(tmp_path)
    plain = tmp_path / "lesson.recording.jsonl"
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    with control.begin(plain):
        people = TinyPersonFactory(CONTEXT).generate_people(3)
    with control.begin(path):
        assert TinyPersonFactory(CONTEXT).generate_people(3) == people
    lines = lines_of(path)
    plain.write_text("\n".join(lines[:3]) + "\n" + lines[3][:9], encoding="utf-8")
    with pytest.raises(DamagedRecord, match="line 4"):
        control.begin(plain)


def test_a_file_with_the_name_of_a_recording_is_one_and_damaged(tmp_path):
    path = tmp_path / "lesson.recording.jsonl.gz"
    path.write_text("<html>Not found</html>")
    with pytest.raises(DamagedRecord, match=r"Get the file again"):
        control.begin(path)


@pytest.mark.parametrize("wrong", [3, b"x", ["x"]])
def test_a_path_that_is_none_is_refused_in_one_sentence(wrong):
    for call in (control.begin, Simulation, Simulation.from_recording):
        with pytest.raises(InvalidInput, match="path must be a text"):
            call(wrong)


def test_a_newer_format_is_refused_with_what_to_do(tmp_path):
    body = '{"format":"tinyfactory recording","version":2}'
    line = f'{body[:-1]},"chain":"{digest_text(body)}"}}'
    with pytest.raises(InvalidInput, match="newer release"):
        Recording(packed(tmp_path / "new.gz", [line]))


# -- secrets -------------------------------------------------------------------------------


def planted(monkeypatch):
    """Canaries of every kind, and the texts that carry them."""
    home = str(Path.home())
    monkeypatch.setenv("OPENAI_API_KEY", "plain-looking-key-of-a-proxy")
    return {
        "sk-canary-0123456789abcdef": "my key is sk-canary-0123456789abcdef, keep it",
        "canarytoken12345": "Authorization: Bearer canarytoken12345",
        "plain-looking-key-of-a-proxy": "it was plain-looking-key-of-a-proxy",
        "canarypass": "http://canaryuser:canarypass@proxy.example/v1",
        "querycanary": "https://example.org/v1?api-key=querycanary",
        home: f"File {home}/lessons/one.ipynb",
        "canaryperson": "/home/canaryperson/lesson.ipynb",
        "othercanary": r"C:\Users\othercanary\lesson.ipynb",
        f"/{getpass.getuser()}/": f"/data/{getpass.getuser()}/lesson.ipynb",
    }


def test_secrets_in_what_is_only_told_are_taken_out(tmp_path, monkeypatch, laptop):
    """Particularities, errors, provenance of replies, reasons: a replay does not need them."""
    canaries = planted(monkeypatch)
    texts = list(canaries.values())

    class Leaky(Writer):
        async def complete(self, request):
            reply = await super().complete(request)
            return ChatReply(reply.text, model=texts[self.calls - 1], sent={"note": texts})

    with Simulation(tmp_path / "j", "lesson") as simulation:
        factory = TinyPersonFactory(CONTEXT, model=Leaky())
        for text in texts:
            factory.generate_person(f"a quiet one. {text}")
        with pytest.raises(InvalidInput, match="what looks like"):
            simulation.export(tmp_path / "refused.gz")  # a person's provenance is in its result
        simulation.export(tmp_path / "r.gz", replies=True, strip=True)
    assert not (tmp_path / "refused.gz").exists()
    text = "\n".join(json.dumps(json.loads(line), indent=0) for line in lines_of(tmp_path / "r.gz"))
    assert [canary for canary in canaries if json.dumps(canary)[1:-1] in text] == []


def test_secrets_in_arguments_alone_do_not_stop_the_export_nor_the_replay(tmp_path, monkeypatch):
    canaries = planted(monkeypatch)

    def notebook():
        factory = TinyPersonFactory(CONTEXT, model=Writer())
        return [factory.generate_person(f"a quiet one. {text}") for text in canaries.values()]

    with Simulation(tmp_path / "j", "lesson") as simulation:
        people = notebook()
        path = simulation.export(tmp_path / "r.gz")
    text = "\n".join(lines_of(path))
    assert [canary for canary in canaries if json.dumps(canary)[1:-1] in text] == []
    with Simulation.from_recording(path):
        assert notebook() == people


@pytest.mark.parametrize("number", range(9))
def test_a_secret_where_a_replay_needs_the_text_stops_the_export(tmp_path, monkeypatch, number):
    canary, text = list(planted(monkeypatch).items())[number]
    with Simulation(tmp_path / "j", "lesson") as simulation:
        TinyPersonFactory(f"{CONTEXT} {text}", model=Writer()).generate_person()
        with pytest.raises(InvalidInput, match="context_text") as caught:
            simulation.export(tmp_path / "r.gz")
        assert canary not in str(caught.value) and "strip=True" in str(caught.value)
        assert list(tmp_path.glob("*.gz")) == []
        path = simulation.export(tmp_path / "r.gz", strip=True)
    assert canary not in "\n".join(lines_of(path))
    assert Recording(path).footer["stripped"] >= 1
    # The context stands in the notebook; so it replays all the same.
    with Simulation.from_recording(path):
        TinyPersonFactory(f"{CONTEXT} {text}", model=Writer()).generate_person()


def test_an_address_with_a_password_leaves_only_what_names_the_endpoint(
    serve, tmp_path, monkeypatch
):
    server = serve([empty()])
    secret = f"http://canaryuser:canarypass@127.0.0.1:{server.port}/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", secret)
    with Simulation(tmp_path / "j", "lesson") as simulation:
        TinyPersonFactory(CONTEXT).generate_person()
        path = simulation.export(tmp_path / "r.gz", replies=True)
    text = "\n".join(lines_of(path))
    for canary in ("canaryuser", "canarypass", KEY):
        assert canary not in text
    assert Recording(path).identities[0]["endpoint"] == f"http://127.0.0.1:{server.port}/v1"


@pytest.mark.parametrize(
    "more",
    [{"endpoint": "http://user:canarypass@host/v1"},
     {"endpoint": "https://host/v1?api-key=querycanary"}, {"header": "Bearer canary12345678"},
     {"file": "/home/canary/models/x.gguf"}],
)  # fmt: skip
def test_a_model_whose_identity_holds_a_secret_stops_the_export(tmp_path, more):
    with pytest.raises(InvalidInput, match="the model's identity") as caught:
        written(tmp_path, Writer(**more))
    assert "canary" not in str(caught.value)


def test_ordinary_words_are_no_secrets(tmp_path):
    context = (
        "A bearer of good news. Her secret: chocolate. A work/home/office balance. "
        "Basic 2-bedroom flats. Password: none. The token of thanks; task-12 of ask-the-doctor; "
        "https://example.org/home/page?lang=en and sk-learn."
    )
    path = written(tmp_path, context=context)
    assert context in "\n".join(lines_of(path))
