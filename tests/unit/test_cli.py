"""``python -m tinyfactory journal``: plain, stable, and nothing goes without asking."""

from __future__ import annotations

import builtins
import json
import os
import sqlite3
import subprocess
import sys

import pytest

from tests.support.people import person as persona
from tinyfactory import Simulation, TinyFactory, TinyPersonFactory
from tinyfactory.cli import main
from tinyfactory.errors import InvalidInput
from tinyfactory.journal.recording.recording import Recording
from tinyfactory.journal.storage.store import Store
from tinyfactory.journal.transactional import transactional
from tinyfactory.models.chat import ChatReply, Usage


class Writer:
    """A model with no network."""

    def __init__(self):
        self.identity = {"kind": "test", "model": "writer"}
        self.calls = 0

    async def complete(self, request):
        self.calls += 1
        return ChatReply(json.dumps(persona(self.calls)), model="writer", usage=Usage(100, 50))


class Guild(TinyFactory):
    """A method whose event has events within."""

    members = 0

    @transactional
    def found(self, makers: list) -> list:
        self.members += len(makers)
        return [maker.generate_person() for maker in makers]

    def encode_complete_state(self):
        return super().encode_complete_state() | {"members": self.members}

    def decode_complete_state(self, state):
        self.members = state["members"]
        return super().decode_complete_state(state)


def notebook(folder, simulation="lesson"):
    """Two lines of two and one people; the people."""
    with Simulation(folder, simulation) as open_simulation:
        model = Writer()
        one, two = (TinyPersonFactory(f"context {i}", model=model) for i in (1, 2))
        people = [*one.generate_people(2), two.generate_person()]
        return people, open_simulation.lines(), model.calls


@pytest.fixture
def folder(tmp_path):
    notebook(tmp_path / "j")
    return tmp_path / "j"


@pytest.fixture
def run(capsys):
    def call(*arguments, path=None):
        command = ["journal", *map(str, arguments)]
        code = main(command if path is None else [*command, "--path", str(path)])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return call


def keys_of(folder):
    store = Store(folder)
    try:
        return {key: store.get(key) for key in store}
    finally:
        store.close()


def flip(folder, key):
    with sqlite3.connect(folder / "cache.db") as database:
        database.execute(
            "UPDATE Cache SET value = replace(value, 'rowing', 'sawing') WHERE key = ?", (key,)
        )
    database.close()


# -- ls ------------------------------------------------------------------------------------


def test_ls_lists_simulations_lines_events_replies_and_sizes(run, folder):
    notebook(folder, "another")
    code, out, err = run("ls", path=folder)
    assert (code, err) == (0, "")
    head, *rows = (line.split() for line in out.splitlines())
    assert head == ["simulation", "lines", "events", "replies", "bytes"]
    assert [row[:4] for row in rows] == [["another", "2", "3", "3"], ["lesson", "2", "3", "3"]]
    assert all(int(row[4]) > 3_000 for row in rows)
    assert run("ls", path=folder) == (code, out, err)  # looking changes nothing


def test_the_folder_of_the_working_directory_is_meant_unless_one_is_given(run, tmp_path):
    notebook(tmp_path / ".tinyfactory")
    assert "lesson" in run("ls")[1]


@pytest.mark.parametrize("command", ["ls", "verify", "show x", "export x.gz", "prune lesson"])
def test_looking_at_a_folder_without_a_journal_makes_none(run, tmp_path, command):
    code, out, err = run(*command.split(), path=tmp_path / "none")
    assert (code, out) == (2, "") and err.count("\n") == 1 and "no journal" in err
    assert not (tmp_path / "none").exists()


def test_it_runs_as_a_program(folder):
    def program(*arguments):
        command = [sys.executable, "-m", "tinyfactory", "journal", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = program("verify", "--path", str(folder))
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.endswith("0 damaged\n")
    wrong = program("show", "nothing", "--path", str(folder))
    assert (wrong.returncode, wrong.stdout) == (2, "") and wrong.stderr.count("\n") == 1
    assert program("no-such-command").returncode == 2


# -- show ----------------------------------------------------------------------------------


def test_show_tells_one_event(run, folder):
    key = next(key for key in keys_of(folder) if key.startswith("event:"))[6:]
    code, out, _ = run("show", key[:10], path=folder)
    assert code == 0
    for part in (key, "TinyPersonFactory.generate_person", "lesson", "writer, 100+50 tokens",
                 "price unknown", persona(1)["name"], '"temperature": 1.5'):  # fmt: skip
        assert part in out
    assert run("show", "event:" + key, path=folder)[1] == out


def test_show_wants_the_beginning_of_one_key(run, folder):
    assert run("show", "zz", path=folder)[0] == 2
    code, _, err = run("show", "", path=folder)
    assert code == 2 and "3 events begin" in err


def test_what_a_model_wrote_cannot_steer_the_terminal(run, tmp_path):
    class Rude(Writer):
        async def complete(self, request):
            reply = await super().complete(request)
            return ChatReply(reply.text, model="\x1b[2Jrude\x9b31m", usage=Usage(1, 1))

    with Simulation(tmp_path / "j", "lesson"):
        TinyPersonFactory("x", model=Rude()).generate_person("quiet \x1b[31m \x9b")
    key = next(key for key in keys_of(tmp_path / "j") if key.startswith("event:"))[6:]
    code, out, _ = run("show", key, path=tmp_path / "j")
    assert code == 0 and "rude" in out and "\x1b" not in out and "\x9b" not in out


# -- verify --------------------------------------------------------------------------------


def test_verify_names_a_value_that_differs_from_what_was_stored(run, folder):
    key = [key for key in keys_of(folder) if key.startswith("event:")][1]
    flip(folder, key)
    code, out, _ = run("verify", path=folder)
    assert code == 1 and f"damaged: {key}: " in out and "1 damaged" in out
    assert out.count("damaged: ") == 1


def test_verify_names_an_event_whose_head_does_not_follow_from_it(run, folder):
    key, record = next(item for item in keys_of(folder).items() if item[0].startswith("event:"))
    store = Store(folder)
    store.remove_all([key])
    record["result"]["state"]["persona"]["name"] = "Somebody Else"
    store.add(key, record)  # with a right digest of its own
    store.close()
    code, out, _ = run("verify", path=folder)
    assert code == 1 and f"damaged: {key}: Its head" in out


def test_verify_tells_what_was_set_aside_and_is_whole_again(run, folder):
    key = next(key for key in keys_of(folder) if key.startswith("event:"))
    flip(folder, key)
    assert notebook(folder)[2] == 0  # done anew, from the replies that are kept
    code, out, _ = run("verify", path=folder)
    assert code == 0 and f"set aside earlier: {key}" in out


# -- export and import ---------------------------------------------------------------------


def test_export_and_import_carry_a_simulation_to_another_folder(run, folder, tmp_path):
    file = tmp_path / "r.recording.jsonl.gz"
    code, out, _ = run("export", file, "--replies", path=folder)
    assert code == 0 and "simulation lesson, 3 events" in out
    assert Recording(file).header["replies"] == 3
    code, out, _ = run("import", file, path=tmp_path / "other")
    assert (code, out) == (0, "simulation lesson: 8 rows taken in, 0 were there already\n")
    assert "0 rows taken in, 8" in run("import", file, path=tmp_path / "other")[1]
    assert run("verify", path=tmp_path / "other")[0] == 0
    people, _, calls = notebook(tmp_path / "other")
    assert calls == 0 and people == notebook(folder)[0]
    run("export", tmp_path / "again.gz", "--replies", path=tmp_path / "other")
    assert (tmp_path / "again.gz").read_bytes() == file.read_bytes()


def test_export_asks_which_of_several(run, folder, tmp_path):
    notebook(folder, "another")
    code, _, err = run("export", tmp_path / "r.gz", path=folder)
    assert code == 2 and "another, lesson" in err and not (tmp_path / "r.gz").exists()
    assert run("export", tmp_path / "r.gz", "--simulation", "another", path=folder)[0] == 0
    assert Recording(tmp_path / "r.gz").simulation == "another"


def test_a_damaged_recording_is_not_imported(run, folder, tmp_path):
    run("export", tmp_path / "r.gz", path=folder)
    data = (tmp_path / "r.gz").read_bytes()
    (tmp_path / "r.gz").write_bytes(data[: len(data) // 2])
    code, out, err = run("import", tmp_path / "r.gz", path=tmp_path / "other")
    assert (code, out) == (2, "") and "line" in err and err.count("\n") == 1
    assert not (tmp_path / "other").exists()


def test_a_stripped_recording_is_replayed_but_not_imported(run, tmp_path):
    with Simulation(tmp_path / "j", "lesson"):
        TinyPersonFactory("at /home/somebody/x", model=Writer()).generate_person()
    assert run("export", tmp_path / "r.gz", path=tmp_path / "j")[0] == 2
    assert run("export", tmp_path / "r.gz", "--strip", path=tmp_path / "j")[0] == 0
    code, _, err = run("import", tmp_path / "r.gz", path=tmp_path / "other")
    assert code == 2 and "from_recording" in err and not (tmp_path / "other").exists()


# -- prune ---------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["no", "y", "", EOFError])
def test_prune_asks_first_and_removes_nothing_without_a_yes(run, folder, monkeypatch, said):
    before = keys_of(folder)

    def answer(prompt):
        if said is EOFError:
            raise EOFError
        return said

    monkeypatch.setattr(builtins, "input", answer)
    code, out, _ = run("prune", "lesson", path=folder)
    assert code == 0 and "would remove 2 lines, 3 events and 3 replies" in out
    assert "Nothing was removed." in out and keys_of(folder) == before


def test_prune_removes_a_simulation_and_leaves_the_others(run, folder, monkeypatch):
    people, _, _ = notebook(folder, "another")
    monkeypatch.setattr(builtins, "input", lambda prompt: "yes")
    assert run("prune", "lesson", path=folder)[0] == 0
    assert all(value.get("simulation") != "lesson" for value in keys_of(folder).values())
    again, _, calls = notebook(folder, "another")
    assert calls == 0 and again == people
    assert notebook(folder)[2] == 3  # what was pruned is made anew


def test_prune_of_a_line_keeps_the_other_lines_whole(run, folder):
    _, lines, _ = notebook(folder)
    longer = next(line for line in lines if line.events == 2)
    code, out, _ = run("prune", "lesson", "--line", longer.root[:8], "--yes", path=folder)
    assert code == 0 and "would remove 1 lines, 2 events and 2 replies" in out
    assert not any(longer.root in key for key in keys_of(folder))
    assert run("verify", path=folder)[0] == 0
    with Simulation(folder, "lesson") as simulation:
        TinyPersonFactory("context 2", model=Writer()).generate_person()
        assert (simulation.hits, simulation.misses) == (1, 0)


def test_prune_of_a_line_takes_along_what_happened_within_its_events(run, tmp_path):
    with Simulation(tmp_path / "j", "lesson") as simulation:
        model = Writer()
        Guild().found([TinyPersonFactory(f"guild {i}", model=model) for i in range(2)])
        TinyPersonFactory("alone", model=model).generate_person()
        guild = next(line for line in simulation.lines() if line.origin["class"].endswith("Guild"))
    assert run("prune", "lesson", "--line", guild.root, "--yes", path=tmp_path / "j")[0] == 0
    left = [value for key, value in keys_of(tmp_path / "j").items() if key.startswith("event:")]
    assert [record["method"] for record in left] == ["generate_person"]
    assert left[0]["line"] is not None


def test_prune_of_people_made_together_takes_the_join_along(run, tmp_path):
    with Simulation(tmp_path / "j", "lesson"):
        factory = TinyPersonFactory("context", model=Writer())
        factory.generate_people(4, concurrency=2)
    assert run("prune", "lesson", "--yes", path=tmp_path / "j")[0] == 0
    assert keys_of(tmp_path / "j") == {}


def test_prune_refuses_names_that_are_not_there(run, folder):
    before = keys_of(folder)
    for arguments in (["lessons"], ["lesson", "--line", "zz"], ["lesson", "--line", ""]):
        code, _, err = run("prune", *arguments, "--yes", path=folder)
        assert code == 2 and err.count("\n") == 1
    assert keys_of(folder) == before


def command(*arguments):
    return [sys.executable, "-m", "tinyfactory", *map(str, arguments)]


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_a_console_shows_the_characters_that_it_has(encoding):
    context = "Nurses in Kraków and 東京"
    ended = subprocess.run(
        command("demo", "-n", "1", "-c", context),
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert ended.returncode == 0, ended.stderr
    assert context[10:].encode(encoding, errors="replace") in ended.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "-n", "1"],
        ["--help"],
        ["journal", "ls"],
        ["journal", "verify"],
        ["journal", "export", "out.recording.jsonl.gz"],
        ["journal", "prune", "lesson", "--yes"],
    ],
)
def test_a_reader_who_has_enough_ends_a_command_quietly(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    if arguments[0] == "journal":
        notebook(tmp_path)
        arguments = [*arguments, "--path", str(tmp_path)]
    reading, writing = os.pipe()
    os.close(reading)  # before the command writes anything
    try:
        ended = subprocess.run(command(*arguments), stdout=writing, stderr=subprocess.PIPE)
    finally:
        os.close(writing)
    assert ended.stderr == b""
    assert ended.returncode in (0, 141)  # argparse keeps quiet about its help by itself


def test_the_home_folder_is_meant_by_its_sign(tmp_path, monkeypatch, capsys):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    notebook("~/lesson")
    assert (home / "lesson").is_dir()
    assert main(["journal", "export", "~/a.recording.jsonl.gz", "--path", "~/lesson"]) == 0
    assert main(["journal", "import", "~/a.recording.jsonl.gz", "--path", "~/other"]) == 0
    assert main(["journal", "ls", "--path", "~/other"]) == 0
    with Simulation.from_recording("~/a.recording.jsonl.gz") as simulation:
        simulation.export("~/again.recording.jsonl.gz")
    assert sorted(path.name for path in home.iterdir()) == [
        *("a.recording.jsonl.gz", "again.recording.jsonl.gz", "lesson", "other"),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]


def test_the_cache_file_of_another_program_is_no_journal(tmp_path):
    for name in ("synthetic.cache.json", "A.CACHE.JSON", ".cache.json"):
        with pytest.raises(
            InvalidInput, match=r"cache file .*a journal is a folder.* Give a folder"
        ):
            Simulation(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old.cache.json").mkdir()
    with Simulation(tmp_path / "old.cache.json") as simulation:  # a folder made earlier
        assert simulation.is_open
