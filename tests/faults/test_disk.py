"""Faults 9 to 16: a disk that is full, closed, broken, gone, or that somebody tampered with."""

from __future__ import annotations

import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import diskcache
import pytest

from tests.support.drills import locked
from tests.support.processes import AS_NOBODY, end, finish, hear, run, start, tell
from tests.support.products import ProductFactory
from tinyfactory import TinyPersonFactory, control
from tinyfactory.errors import DamagedRecord, JournalUnavailable
from tinyfactory.journal.storage.database import JsonDisk
from tinyfactory.journal.storage.store import Store

CONTEXT = "A group of friends are on a camping trip."


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "journal"
    control.reset()


def tamper(folder, sql, *values):
    """Change the database behind the journal's back."""
    connection = sqlite3.connect(folder / "cache.db")
    assert connection.execute(sql, values).rowcount > 0
    connection.commit()
    connection.close()


def rows(folder, where="1"):
    connection = sqlite3.connect(folder / "cache.db")
    found = connection.execute(f"SELECT key, value FROM Cache WHERE {where}").fetchall()
    connection.close()
    return found


def make_three(folder):
    """Three steps in a journal; gives the factory."""
    simulation = control.begin(folder)
    factory = ProductFactory()
    for name in "abc":
        factory.make(name)
    control.reset()
    return factory, simulation


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


# -- 9: full ---------------------------------------------------------------------------------

FULL = """
import resource
messages = []
class Heard(logging.Handler):
    def emit(self, record):
        messages.append(record.getMessage())
logging.getLogger("tinyfactory").addHandler(Heard(logging.WARNING))
way = arguments[0]

def fill():
    if way == "limit":
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
        return
    with open(os.path.join(folder, "ballast"), "wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(b"x" * 512)
        except OSError:
            pass

def make_room():
    if way == "limit":
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    else:
        os.remove(os.path.join(folder, "ballast"))

simulation = control.begin(folder)
"""
LONG = [letter * 10_000 for letter in "abc"]


@pytest.fixture(params=["limit", "tmpfs"])
def way(request, folder):
    """A limit on the size of files; or a real disk of 400 kB, where one can be mounted."""
    if request.param == "limit":
        yield "limit"
        return
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400k", "none", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(command, check=False).returncode == 0
    # Where nothing can be mounted, the limit stands in for it.
    yield "tmpfs" if mounted else "limit"
    if mounted:
        control.reset()
        subprocess.run(["umount", str(folder)], check=True)


def test_fault_09_a_full_disk_costs_nobody_a_result(folder, way):
    said = run(
        FULL
        + """
factory = ProductFactory()
names = [letter * 10_000 for letter in "abc"]
factory.make(names[0])
fill()
for name in names[1:] + ["d" * 10_000]:
    assert factory.make(name) == name + "!"
say("full", simulation.unsaved, len(messages), messages[0])
simulation.begin()  # a notebook that is run again from its top
again = ProductFactory()
for name in names:
    again.make(name)
say("again", again.runs, simulation.hits)
make_room()
again.make("d" * 10_000)
again.make("e")
say("room", simulation.unsaved, messages[1:])
os._exit(0)  # nothing is left to be done at the end
""",
        folder,
        way,
    )
    assert said[0][:3] == ["full", 3, 1]
    assert "cannot be written" in said[0][3] and "Make room" in said[0][3]
    assert said[1] == ["again", 0, 3]
    assert said[2][:2] == ["room", 0] and "all is saved" in said[2][2][0]
    simulation = control.begin(folder)
    factory = ProductFactory()
    for name in [*LONG, "d" * 10_000, "e"]:
        factory.make(name)
    assert (simulation.hits, factory.runs) == (5, 0)


@pytest.mark.parametrize("how", ["control.checkpoint()", "control.end()", "sys.exit(0)"])
def test_fault_09_what_waits_is_saved_at_checkpoint_end_and_exit(folder, how):
    said = run(
        FULL
        + f"""
factory = ProductFactory()
factory.make("a")
fill()
factory.make("b" * 10_000)
try:
    control.checkpoint()
except Exception as error:
    say(type(error).__name__, str(error))
make_room()
{how}
os._exit(0)
""",
        folder,
        "limit",
    )
    assert said[0][0] == "JournalUnavailable"
    assert "1 events and replies wait" in said[0][1]
    simulation = control.begin(folder)
    factory = ProductFactory()
    factory.make("a")
    factory.make("b" * 10_000)
    assert (simulation.hits, factory.runs) == (2, 0)


def test_fault_09_what_is_lost_at_the_end_is_said(folder):
    said = run(
        FULL
        + """
ProductFactory().make("a")
fill()
ProductFactory("x").make("b" * 10_000)
control.end()
say(messages)
""",
        folder,
        "limit",
    )
    assert len(said[0]) == 2 and "1 events and replies are still not on disk" in said[0][1]


def test_fault_09_a_reply_on_a_full_disk_is_not_asked_for_twice(folder, server, way):
    said = run(
        FULL
        + f"""
ProductFactory().make("a")
fill()
first = TinyPersonFactory({CONTEXT!r}).generate_person()
say(first.name, simulation.unsaved)
simulation.begin()
again = TinyPersonFactory({CONTEXT!r}).generate_person()
say(again.name, simulation.hits)
make_room()
control.checkpoint()
say(simulation.unsaved)
""",
        folder,
        way,
    )
    (name, unsaved), again, none = said
    assert unsaved == 2  # the reply and the event
    assert again == [name, 1] and none == 0
    assert len(server.requests) == 1
    control.begin(folder)
    assert TinyPersonFactory(CONTEXT).generate_person().name == name
    assert len(server.requests) == 1


def test_fault_09_a_journal_is_read_where_the_disk_is_full_already(folder):
    make_three(folder)
    said = run(
        FULL.replace("simulation = control.begin(folder)", "")
        + """
fill()
simulation = control.begin(folder)
factory = ProductFactory()
results = [factory.make(name) for name in ("a", "b", "c", "d" * 10_000)]
say(factory.runs, simulation.hits, simulation.unsaved)
make_room()
factory.make("e")
say(simulation.unsaved)
""",
        folder,
        "limit",
    )
    assert said == [[1, 3, 1], 0]
    simulation = control.begin(folder)
    factory = ProductFactory()
    for name in ("a", "b", "c", "d" * 10_000, "e"):
        factory.make(name)
    assert (simulation.hits, factory.runs) == (5, 0)


# -- 10: read-only ---------------------------------------------------------------------------


@pytest.fixture
def lent():
    """A folder that others can walk to: pytest's own are closed to them, all the way down."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        yield Path(place) / "journal"
        control.reset()
        if (Path(place) / "journal").exists():
            (Path(place) / "journal").chmod(0o700)


def close(folder):
    (folder / "cache.db").chmod(0o444)
    folder.chmod(0o555)


def test_fault_10_a_read_only_folder_replays(lent):
    make_three(lent)
    close(lent)
    said = run(
        AS_NOBODY
        + """
simulation = control.begin(folder)
factory = ProductFactory()
say([factory.make(name) for name in "abc"], factory.runs, simulation.hits)
""",
        lent,
    )
    assert said == [[["a!", "b!", "c!"], 0, 3]]


def test_fault_10_a_miss_says_so_before_anything_is_paid(lent, server):
    make_three(lent)
    close(lent)
    said = run(
        AS_NOBODY
        + f"""
simulation = control.begin(folder)
factory = ProductFactory()
factory.make("a")
before, used = factory.encode_complete_state(), time.process_time()
for call in (lambda: factory.make("new"), TinyPersonFactory({CONTEXT!r}).generate_person):
    try:
        call()
    except Exception as error:
        say(type(error).__name__, str(error))
say(factory.runs, factory.encode_complete_state() == before, time.process_time() - used)
say(factory.make("b"))
""",
        lent,
    )
    *errors, (runs, restored, seconds), after = said
    assert [kind for kind, _ in errors] == ["JournalUnavailable"] * 2
    assert all("can only be read" in text and "control.begin(path=" in text for _, text in errors)
    assert (runs, restored, after) == (0, True, "b!")
    assert seconds < 10  # of the processor: no spinning, for the 60 s that a lock is waited for
    assert server.requests == []


def test_fault_10_a_damaged_row_in_a_read_only_folder_is_no_answer(lent):
    make_three(lent)
    tamper(lent, "UPDATE Cache SET value = replace(value, 'b!', 'X!') WHERE value LIKE '%b!%'")
    close(lent)
    said = run(
        AS_NOBODY
        + """
control.begin(folder)
factory = ProductFactory()
factory.make("a")
try:
    say(factory.make("b"))
except Exception as error:
    say(type(error).__name__)
""",
        lent,
    )
    assert said == ["JournalUnavailable"]


@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_fault_10_a_folder_that_cannot_be_made_is_said_at_once(lent, mode):
    lent.parent.chmod(mode)
    said = run(
        AS_NOBODY
        + """
try:
    control.begin(folder)
except Exception as error:
    say(type(error).__name__, str(error))
""",
        lent,
    )
    ((kind, message),) = said
    assert kind == "JournalUnavailable" and "Give a folder that can be written" in message


# -- 11: a corrupt database ------------------------------------------------------------------


def overwrite_header(file):
    with file.open("r+b") as opened:
        opened.write(b"not a database at all, not any more")


def truncate(file):
    os.truncate(file, file.stat().st_size // 2 + 100)


def fill_with_garbage(file):
    file.write_bytes(os.urandom(50_000))


@pytest.mark.parametrize("damage", [overwrite_header, truncate, fill_with_garbage])
def test_fault_11_a_corrupt_database_is_set_aside_and_named(folder, caplog, damage):
    make_three(folder)
    damage(folder / "cache.db")
    evidence = (folder / "cache.db").read_bytes()
    simulation = control.begin(folder)
    factory = ProductFactory()
    assert [factory.make(name) for name in "abc"] == ["a!", "b!", "c!"]
    control.reset()
    aside = folder / "cache.db.damaged-1"
    assert aside.read_bytes() == evidence
    told = warnings_of(caplog)
    assert len(told) == 1 and aside.name in told[0] and "not deleted" in told[0]
    assert factory.runs + simulation.hits == 3
    simulation = control.begin(folder)
    factory = ProductFactory()
    for name in "abc":
        factory.make(name)
    assert simulation.hits == 3 and len(warnings_of(caplog)) == 1


def test_fault_11_what_can_still_be_read_is_taken_over(folder, caplog):
    store = Store(folder)
    for number in range(100):
        store.add(f"k{number}", f"{number}" + "x" * 3000)
    store.close()
    file = folder / "cache.db"
    with file.open("r+b") as opened:  # one page in the middle
        opened.seek(file.stat().st_size // 2 // 4096 * 4096)
        opened.write(os.urandom(4096))
    store = Store(folder)
    found = 0
    for number in range(100):
        try:
            found += store.get(f"k{number}") == f"{number}" + "x" * 3000
        except DamagedRecord:
            found += 0
    store.close()
    assert found >= 90


def test_fault_11_damage_under_a_running_kernel_is_noticed(folder, caplog):
    simulation = control.begin(folder)
    factory = ProductFactory()
    factory.make("a")
    # By another process: this one would lose its locks with the file that it closes.
    subprocess.run(
        [sys.executable, "-c", "import os,sys; open(sys.argv[1], 'r+b').write(os.urandom(4096))",
         str(folder / "cache.db")],
        check=True,
    )  # fmt: skip
    assert factory.make("b") == "b!"
    assert (folder / "cache.db.damaged-1").exists()
    assert simulation.unsaved == 0
    assert len(warnings_of(caplog)) == 1


def test_fault_11_a_locked_database_is_not_corrupt(folder):
    """Locked for longer than its patience, which is cut short for this."""
    make_three(folder)
    child = start(
        """
from tinyfactory.journal.storage import database
database.PATIENCE = 0.5
simulation = control.begin(folder)
factory = ProductFactory()
say("ready")
wait()
say([factory.make(name) for name in "abcd"], simulation.hits, simulation.unsaved)
wait()
say(factory.make("e"), simulation.unsaved)
""",
        folder,
    )
    try:
        assert hear(child) == "ready"
        with locked(folder):
            tell(child)
            assert hear(child) == [["a!", "b!", "c!", "d!"], 3, 1]
        tell(child)
        assert finish(child) == [["e!", 0]]
    finally:
        end(child)
    assert sorted(path.name for path in folder.iterdir()) == ["cache.db"]


# -- 12, 13, 15: rows that are not ours ------------------------------------------------------


def replayed(folder, caplog):
    """The three steps again: results, how many were really run, and what the user was told."""
    caplog.clear()
    simulation = control.begin(folder)
    factory = ProductFactory()
    results = [factory.make(name) for name in "abc"]
    control.reset()
    assert factory.runs + simulation.hits == 3
    return results, factory.runs, warnings_of(caplog)


B = 'value LIKE \'%"result":"b!"%\''


def test_fault_12_a_flipped_bit_is_a_visible_miss(folder, caplog):
    make_three(folder)
    ((key, value),) = rows(folder, B)
    position = value.index('"b!"') + 1
    flipped = value[:position] + chr(ord("b") ^ 1) + value[position + 1 :]
    tamper(folder, "UPDATE Cache SET value = ? WHERE key = ?", flipped, key)
    results, runs, told = replayed(folder, caplog)
    assert results == ["a!", "b!", "c!"] and runs == 1
    assert len(told) == 1 and "differs from the stored one" in told[0]
    # Done anew and kept, with the damaged one as evidence beside it.
    assert rows(folder, "key LIKE 'damaged:%'") == [(f"damaged:{key}:1", flipped)]
    assert replayed(folder, caplog) == (["a!", "b!", "c!"], 0, [])


def test_fault_12_bytes_that_are_no_text_any_more_are_a_visible_miss(folder, caplog):
    make_three(folder)
    tamper(folder, f"UPDATE Cache SET value = CAST(x'ff' || value AS TEXT) WHERE {B}")
    results, runs, told = replayed(folder, caplog)
    assert (results, runs, len(told)) == (["a!", "b!", "c!"], 1, 1)


def test_fault_12_a_second_damage_does_not_replace_the_first_evidence(folder, caplog):
    make_three(folder)
    for number in (1, 2):
        tamper(folder, f"UPDATE Cache SET value = 'damage {number}' WHERE {B}")
        replayed(folder, caplog)
    assert [v for _, v in rows(folder, "key LIKE 'damaged:%'")] == ["damage 1", "damage 2"]


@pytest.mark.parametrize("there", [True, False])
def test_fault_13_a_row_that_points_to_a_file_is_a_visible_miss(folder, caplog, there):
    """diskcache keeps long values in files, which it does not sync; we never do."""
    make_three(folder)
    if there:
        (folder / "ab").mkdir()
        (folder / "ab" / "value.val").write_text('"wrong"')
    for mode in (3, 17):  # diskcache's own for text, and ours
        change = f"UPDATE Cache SET mode = ?, filename = 'ab/value.val', value = NULL WHERE {B}"
        tamper(folder, change, mode)
        results, runs, told = replayed(folder, caplog)
        assert (results, runs) == (["a!", "b!", "c!"], 1)
        assert len(told) == 1 and "of an unknown kind" in told[0]
    assert not there or (folder / "ab" / "value.val").exists()


class Canary:
    """Unpickling it leaves a file behind."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return open, (str(self.place), "w")


def test_fault_15_a_planted_pickle_is_not_executed(folder, tmp_path, caplog):
    make_three(folder)
    bomb = pickle.dumps(Canary(tmp_path / "executed"))
    tamper(folder, f"UPDATE Cache SET mode = 4, value = ? WHERE {B}", bomb)
    tamper(folder, "INSERT INTO Cache (key, raw, mode, value) VALUES (?, 0, 4, ?)", bomb, bomb)
    results, runs, told = replayed(folder, caplog)
    assert (results, runs, len(told)) == (["a!", "b!", "c!"], 1, 1)
    store = Store(folder)
    assert all(isinstance(key, str) for key in store)
    store.close()
    disk = JsonDisk(str(folder))
    with pytest.raises(DamagedRecord):
        disk.fetch(4, None, bomb, False)
    with pytest.raises(DamagedRecord):
        disk.get(bomb, False)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("mode", [2, 3, 4, 17])
def test_fault_15_a_path_that_leads_out_is_neither_read_nor_deleted(folder, tmp_path, caplog, mode):
    make_three(folder)
    outside = tmp_path / "outside"
    outside.write_bytes(pickle.dumps(Canary(tmp_path / "executed")))
    change = f"UPDATE Cache SET mode = ?, filename = '../outside', value = NULL WHERE {B}"
    tamper(folder, change, mode)
    results, runs, told = replayed(folder, caplog)
    assert (results, runs, len(told)) == (["a!", "b!", "c!"], 1, 1)
    JsonDisk(str(folder)).remove("../outside")  # what diskcache does when it replaces a row
    assert outside.exists() and not (tmp_path / "executed").exists()


# -- 14: gone --------------------------------------------------------------------------------


def test_fault_14_a_folder_that_is_removed_is_made_anew(folder, caplog):
    simulation = control.begin(folder)
    factory = ProductFactory()
    factory.make("a")
    shutil.rmtree(folder)
    assert factory.make("b") == "b!"
    assert factory.make("c") == "c!"
    told = warnings_of(caplog)
    assert len(told) == 1 and "was removed" in told[0] and str(folder) in told[0]
    assert simulation.unsaved == 0 and (folder / "cache.db").exists()
    assert folder.stat().st_mode & 0o777 == 0o700
    control.begin(folder)
    factory = ProductFactory()
    for name in "abc":
        factory.make(name)
    assert factory.runs == 1  # the step before is gone; those after it are kept


# -- 16: much --------------------------------------------------------------------------------


def test_fault_16_nothing_is_evicted(folder):
    """A folder that was opened with diskcache's own way of evicting, and a limit of one byte."""
    folder.mkdir()
    diskcache.Cache(
        str(folder), size_limit=1, cull_limit=10, eviction_policy="least-recently-stored"
    ).close()
    store = Store(folder)
    for number in range(50):
        store.add(f"k{number}", "x" * 1000)
    store.close()
    store = Store(folder)
    assert list(store) == [f"k{number}" for number in range(50)]
    store.close()


def test_fault_16_an_expiry_that_was_planted_has_no_effect(folder, caplog):
    make_three(folder)
    tamper(folder, "UPDATE Cache SET expire_time = 1, store_time = 1")
    assert replayed(folder, caplog)[1] == 0


def test_a_folder_that_is_no_journal_at_all_is_refused(tmp_path):
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "cache.db").mkdir()
    with pytest.raises(JournalUnavailable):
        control.begin(tmp_path / "journal")
