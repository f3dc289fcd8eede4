"""Whose folder it is: older journals are read, newer and foreign ones refused untouched."""

from __future__ import annotations

import os
import re
import sqlite3
import tarfile
from contextlib import closing

import diskcache
import pytest

import tinyfactory
from tests.support import frozen
from tests.support.products import ProductFactory
from tinyfactory import control
from tinyfactory.errors import DamagedRecord, JournalUnavailable, NewerJournal, NotAJournal
from tinyfactory.journal.storage import format as formats
from tinyfactory.journal.storage.format import APPLICATION, FORMAT, THIS_RELEASE
from tinyfactory.journal.storage.store import Store
from tinyfactory.utils import files


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "journal"
    control.reset()


def numbers(folder):
    with closing(sqlite3.connect(folder / "cache.db")) as database:
        names = ("application_id", "user_version")
        return [database.execute(f"PRAGMA {name}").fetchone()[0] for name in names]


def execute(folder, *statements):
    with closing(sqlite3.connect(folder / "cache.db")) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def state_of(folder):
    """Everything that a refusal must not change."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in [folder, *folder.rglob("*")]
    }


def check_refused(folder, kind, words):
    before = state_of(folder)
    for _ in range(2):
        with pytest.raises(kind, match=words) as raised:
            control.begin(folder)
        assert isinstance(raised.value, JournalUnavailable)
        assert "Nothing" in str(raised.value) and "Simulation(path=" in str(raised.value)
    assert state_of(folder) == before


# -- formats ---------------------------------------------------------------------------------


def test_the_release_in_a_journal_is_that_of_the_package():
    assert tinyfactory.__version__ == THIS_RELEASE


def test_a_new_journal_says_what_it_is(folder):
    Store(folder).close()
    assert numbers(folder) == [APPLICATION, FORMAT]


def test_an_older_journal_is_read_and_gets_the_numbers(tmp_path):
    with tarfile.open(frozen.JOURNAL) as packed:
        packed.extractall(tmp_path, filter="data")
    folder = tmp_path / "journal"
    assert numbers(folder) == [0, 0]
    with closing(Store(folder)) as store:
        assert all(store.get(name) is not None for name in store)
    assert numbers(folder) == [APPLICATION, FORMAT]
    with closing(Store(folder)) as store:
        assert all(store.get(name) is not None for name in store)


def test_an_older_empty_journal_is_opened(folder):
    Store(folder).close()
    execute(folder, "PRAGMA application_id = 0", "PRAGMA user_version = 0")
    Store(folder).close()
    assert numbers(folder) == [APPLICATION, FORMAT]


@pytest.mark.parametrize("release", [THIS_RELEASE, "7.3"])
def test_a_newer_journal_is_refused_with_the_release_that_is_needed(folder, release):
    Store(folder).close()
    execute(
        folder,
        "PRAGMA user_version = 99",
        f"UPDATE Settings SET value = '{release}' WHERE key = 'tinyfactory_release'",
    )
    needed = "a newer release" if release == THIS_RELEASE else f"tinyfactory {release} or newer"
    check_refused(folder, NewerJournal, f"format 99.*Install {needed}")


def test_opening_again_writes_nothing(folder):
    Store(folder).close()
    before = state_of(folder)
    Store(folder).close()
    assert state_of(folder) == before


def test_a_row_of_an_older_release_beside_new_ones_is_read(folder):
    """Two kernels of different releases in one folder."""
    with closing(Store(folder)) as store:
        store.add("new", 1)
        store.add("old", 2)
        execute(folder, "UPDATE Cache SET tag = NULL WHERE key = 'old'")
        assert (store.get("new"), store.get("old")) == (1, 2)


# -- folders of others -----------------------------------------------------------------------


@pytest.mark.parametrize("open_still", [False, True])
def test_a_folder_of_diskcache_is_refused_untouched(folder, open_still):
    cache = diskcache.Cache(str(folder), size_limit=10**6)
    cache["theirs"] = {"a": 1}
    if not open_still:
        cache.close()
    check_refused(folder, NotAJournal, "database of another program")
    assert cache["theirs"] == {"a": 1}
    cache.close()


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_database_of_another_program_is_refused_untouched(folder, mode):
    folder.mkdir()
    execute(folder, f"PRAGMA journal_mode = {mode}", "CREATE TABLE theirs (x)")
    check_refused(folder, NotAJournal, "database of another program")


def test_a_database_with_the_number_of_another_program_is_refused_untouched(folder):
    Store(folder).close()
    execute(folder, "PRAGMA application_id = 252006673")
    check_refused(folder, NotAJournal, "database of another program")


def test_a_folder_with_other_files_is_refused_untouched(folder):
    folder.mkdir()
    (folder / "thesis.docx").write_text("mine")
    check_refused(folder, NotAJournal, re.escape("thesis.docx"))
    (folder / "cache.db").write_text("no database, but theirs")
    check_refused(folder, NotAJournal, re.escape("thesis.docx"))


def test_hidden_files_and_recordings_do_not_make_a_folder_foreign(folder):
    folder.mkdir()
    for name in (".gitignore", ".DS_Store", "lesson.recording.jsonl.gz"):
        (folder / name).write_text("")
    control.begin(folder)
    assert ProductFactory().make("a") == "a!"


def test_other_files_beside_a_journal_are_no_reason(folder):
    Store(folder).close()
    (folder / "notes.txt").write_text("mine")
    with closing(Store(folder)) as store:
        store.add("a", 1)
        (folder / "cache.db").unlink()
        assert store.add("b", 2) == 2


def test_a_foreign_file_in_the_place_of_an_open_journal_is_not_written_to(folder, caplog):
    simulation = control.begin(folder)
    factory = ProductFactory()
    factory.make("a")
    (folder / "cache.db").unlink()
    execute(folder, "CREATE TABLE theirs (x)")
    theirs = (folder / "cache.db").read_bytes()
    with pytest.raises(NotAJournal):
        factory.make("b")
    assert (folder / "cache.db").read_bytes() == theirs
    (folder / "cache.db").unlink()
    assert factory.make("c") == "c!" and simulation.unsaved == 0


def test_a_link_to_a_folder_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with closing(Store(tmp_path / "link")) as store:
        store.add("a", 1)
    with closing(Store(tmp_path / "real")) as store:
        assert store.get("a") == 1


# -- folders that are synced -----------------------------------------------------------------


def test_the_parents_of_all_new_folders_are_synced(tmp_path, monkeypatch):
    synced = []

    def note(folder):
        synced.append(folder)
        files.sync_folder(folder)

    monkeypatch.setattr(formats, "sync_folder", note)
    Store(tmp_path / "a" / "b" / "c").close()
    assert set(synced) == {tmp_path / "a" / "b", tmp_path / "a", tmp_path}
    synced.clear()
    Store(tmp_path / "a" / "b" / "c").close()
    assert synced == []


def test_a_parent_that_cannot_be_synced_is_no_error(tmp_path, monkeypatch):
    def fail(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(formats, "sync_folder", fail)
    with closing(Store(tmp_path / "a" / "b")) as store:
        assert store.add("k", 1) == 1


# -- files that vanish -----------------------------------------------------------------------


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize("how", ["deleted", "emptied", "no tables", "replaced by an empty one"])
def test_files_that_vanish_under_a_kernel_are_made_again_with_one_word(folder, caplog, how):
    simulation = control.begin(folder)
    factory = ProductFactory()
    factory.make("a")
    file = folder / "cache.db"
    if how == "emptied":
        os.truncate(file, 0)
    elif how == "no tables":
        execute(folder, "DROP TABLE Cache", "DROP TABLE Settings")
    else:
        file.unlink()
    if how.startswith("replaced"):
        file.touch()
    assert [factory.make("b"), factory.make("c")] == ["b!", "c!"]
    history = factory.history()
    told = warnings_of(caplog)
    assert len(told) == 1 and ("removed" in told[0] or "emptied" in told[0]), told
    assert simulation.unsaved == 0 and len(history) == 2
    control.begin(folder)
    factory = ProductFactory()
    for name in "abc":
        factory.make(name)
    assert factory.runs == 1


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_a_database_that_is_no_regular_file_is_refused_at_once(folder, kind):
    folder.mkdir()
    file = folder / "cache.db"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    else:
        file.mkdir()
    with pytest.raises(NotAJournal, match="not a regular file"):
        Store(folder)
    assert [path.name for path in folder.iterdir()] == ["cache.db"]


NEVER_ENDS = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r)"


@pytest.mark.parametrize("application", [0, 0x74666A6E])
@pytest.mark.parametrize(
    "code",
    [
        f"CREATE VIEW v AS {NEVER_ENDS} SELECT x FROM r",
        "CREATE TRIGGER t AFTER INSERT ON Cache BEGIN DELETE FROM Cache; END",
        (
            "DROP TRIGGER Settings_size_update; CREATE TRIGGER Settings_size_update AFTER UPDATE "
            "ON Cache BEGIN UPDATE Settings SET value = (SELECT count(*) FROM Cache); END"
        ),
    ],
)
def test_a_journal_with_code_of_others_is_refused_untouched(folder, application, code):
    with closing(Store(folder)) as store:
        store.add("event:a", {"n": 1})
    with closing(sqlite3.connect(folder / "cache.db")) as database:
        database.executescript(f"{code}; PRAGMA application_id = {application};")
        if not application:
            database.execute("PRAGMA user_version = 0")
            database.commit()
    before = (folder / "cache.db").read_bytes()
    with pytest.raises(NotAJournal):
        Store(folder)
    assert (folder / "cache.db").read_bytes() == before


@pytest.mark.parametrize("statement", [
    "UPDATE Settings SET key = 5 WHERE key = 'cull_limit'",
    "UPDATE Settings SET key = x'ff' WHERE key = 'cull_limit'",
])  # fmt: skip
def test_a_journal_whose_settings_are_none_opens_with_its_rows(folder, statement):
    with closing(Store(folder)) as store:
        store.add("event:a", {"n": 1})
    with closing(sqlite3.connect(folder / "cache.db")) as database:
        database.execute(statement)
        database.commit()
    with closing(Store(folder)) as store:
        assert store.get("event:a") == {"n": 1}


def test_a_schema_that_is_no_text_is_damage(folder):
    with closing(Store(folder)) as store:
        store.add("event:a", {"n": 1})
    file = folder / "cache.db"
    file.write_bytes(file.read_bytes().replace(b"CREATE TRIGGER", b"CREATE TRIGG\x97R"))
    with closing(Store(folder)) as store:
        assert store.get("event:a") == {"n": 1}


def test_an_index_that_leads_to_another_row_gives_no_value_of_another_key(folder):
    with closing(Store(folder)) as store:
        store.add("event:a", {"n": 1})
    file = folder / "cache.db"
    with closing(sqlite3.connect(file)) as database:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'Cache_key_raw'"
        (page,) = database.execute(query).fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    content = file.read_bytes()
    index = content[(page - 1) * size : page * size]
    assert index.count(b"event:a") == 1
    changed = index.replace(b"event:a", b"event:c")
    file.write_bytes(content[: (page - 1) * size] + changed + content[page * size :])
    with closing(Store(folder)) as store:
        with pytest.raises(DamagedRecord):
            store.get("event:c")
        store.add("event:c", {"n": 3})
        assert store.get("event:c") == {"n": 3}


@pytest.mark.parametrize("tag", ["x'ff'", "CAST(x'ff97' AS TEXT)", "5", "1.5", "''"])
def test_a_damaged_seal_concerns_its_own_row_alone(folder, tag):
    with closing(Store(folder)) as store:
        store.add_all([("event:a", {"n": 1}), ("event:b", {"n": 2})])
    with closing(sqlite3.connect(folder / "cache.db")) as database:
        database.execute(f"UPDATE Cache SET tag = {tag} WHERE key = 'event:a'")
        database.commit()
    with closing(Store(folder)) as store:
        with pytest.raises(DamagedRecord):
            store.get("event:a")
        assert store.get("event:b") == {"n": 2}
