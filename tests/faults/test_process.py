"""Faults 1 to 8: a process that is killed, interrupted, forked, or that just ends."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import time

import pytest

from tests.support.chat_server import hang
from tests.support.drills import WRITE, interrupt_often
from tests.support.processes import end, finish, hear, run, start, tell
from tests.support.products import ProductFactory
from tests.support.waiting import PATIENCE, until
from tinyfactory import TinyPersonFactory, control
from tinyfactory.journal.storage.store import Store

CONTEXT = "A group of friends are on a camping trip."


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "journal"
    control.reset()


@pytest.fixture
def children():
    """Processes that do not outlive the test."""
    started = []

    def child(*arguments):
        started.append(start(*arguments))
        return started[-1]

    yield child
    for process in started:
        end(process)


# -- killed ----------------------------------------------------------------------------------


def test_fault_01_killed_in_a_model_call_keeps_every_earlier_step(folder, children, server):
    good = server.good
    server.good = lambda request: good(request) if len(server.requests) < 3 else hang()
    child = children(
        f"""
control.begin(folder)
factory = TinyPersonFactory({CONTEXT!r})
for number in range(3):
    say(factory.generate_person().name)
""",
        folder,
    )
    names = [hear(child), hear(child)]
    until(lambda: len(server.requests) == 3)
    child.kill()
    child.wait()
    server.good = good
    simulation = control.begin(folder)
    factory = TinyPersonFactory(CONTEXT)
    assert [factory.generate_person().name for _ in range(2)] == names
    assert (simulation.hits, len(server.requests)) == (2, 3)
    assert factory.generate_person().name not in names
    assert len(server.requests) == 4  # only the call in flight is paid for again


def test_fault_02_killed_during_a_commit_leaves_the_old_state_or_the_new(folder, children):
    """Between two rows of one commit, when the first one is on its way to the disk."""
    child = children(
        """
from tinyfactory.journal.storage.database import Database
store = Store(folder)
store.add_all([("event:1", 1), ("reply:1", 1)])
add_row = Database.add_row

def kill_at_the_last(self, key, row):
    standing = add_row(self, key, row)
    if key == "reply:2":
        self._sql("PRAGMA cache_spill = 1"), self._sql("PRAGMA cache_size = 1")
        for number in range(200):  # more than its memory holds: it goes to the file now
            add_row(self, f"filler:{number}", row)
        os.kill(os.getpid(), signal.SIGKILL)
    return standing

Database.add_row = kill_at_the_last
store.add_all([("event:2", 2), ("reply:2", "x" * 4000), ("line:2", 2)])
""",
        folder,
    )
    assert child.wait(PATIENCE) == -signal.SIGKILL, child.stderr.read()
    store = Store(folder)
    assert list(store) == ["event:1", "reply:1"]
    store.add_all([("event:2", 2), ("reply:2", 2)])
    assert (store.get("event:2"), store.get("reply:2")) == (2, 2)
    store.close()


def test_fault_03_killed_between_a_reply_and_its_parsing_reuses_the_reply(folder, children, server):
    child = children(
        f"""
from tinyfactory.factory import person_generator
person_generator.read_reply = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
control.begin(folder)
TinyPersonFactory({CONTEXT!r}).generate_person()
""",
        folder,
    )
    assert child.wait(PATIENCE) == -signal.SIGKILL, child.stderr.read()
    assert len(server.requests) == 1
    simulation = control.begin(folder)
    assert TinyPersonFactory(CONTEXT).generate_person() is not None
    assert len(server.requests) == 1
    assert (simulation.hits, simulation.model_calls) == (0, 0)


# -- interrupted -----------------------------------------------------------------------------


def test_fault_04_interrupt_during_a_call_restores_and_leaves_no_lock(folder, children, server):
    good = server.good
    server.good = lambda request: good(request) if len(server.requests) < 2 else hang()
    child = children(
        f"""
control.begin(folder)
people = TinyPersonFactory({CONTEXT!r})
people.generate_person()
before = people.encode_complete_state()
factory = ProductFactory()
on_the_way[:] = [people.generate_person]  # a step that asks a model on its way
try:
    factory.make("a")
except KeyboardInterrupt as error:
    kept = error  # as a notebook keeps the last traceback
on_the_way.clear()
say(factory.products, people.encode_complete_state() == before)
wait()
say(factory.make("b"), factory.products)
""",
        folder,
    )
    until(lambda: len(server.requests) == 2)
    child.send_signal(signal.SIGINT)
    assert hear(child) == [[], True]
    # While the interrupted one still lives; a lock that it left would be waited for 60 s.
    assert run(WRITE, folder)[0] < 30
    tell(child)
    assert finish(child) == [["b!", ["b"]]]


def test_fault_05_interrupt_during_a_commit_is_resolved_one_way(folder, children):
    """The commit is held up by another writer; the interrupt comes meanwhile."""
    child = children(
        """
from tinyfactory.utils.concurrency import deferred_interrupts
from tinyfactory.journal.storage.store import Writer
control.begin(folder)
factory = ProductFactory()
factory.make("a")
say("ready")
wait()
submit, note = Writer.submit, deferred_interrupts._note

def told(self, work):
    future = submit(self, work)
    Writer.submit = submit
    say("queued")
    return future

def heard(self, *signal):
    say("held back")
    note(self, *signal)

Writer.submit, deferred_interrupts._note = told, heard
try:
    factory.make("b")
except KeyboardInterrupt:
    say("interrupted")
say(factory.products)
say(factory.make("c"), factory.products)
say(control.current_simulation().unsaved)
""",
        folder,
    )
    assert hear(child) == "ready"
    other = sqlite3.connect(folder / "cache.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    tell(child)
    assert hear(child) == "queued"
    child.send_signal(signal.SIGINT)
    assert hear(child) == "held back"
    other.execute("ROLLBACK")
    other.close()
    # It came after the commit was queued: the commit is finished, then the interrupt is raised.
    assert finish(child) == ["interrupted", ["a", "b"], ["c!", ["a", "b", "c"]], 0]
    simulation = control.begin(folder)
    factory = ProductFactory()
    assert [factory.make(name) for name in "abc"] == ["a!", "b!", "c!"]
    assert (simulation.hits, factory.runs) == (3, 0)


def test_fault_05_interrupts_aimed_at_commits_leave_no_lock(folder):
    interrupts, _, seconds = interrupt_often(folder, 200)
    assert interrupts >= 200 and seconds < 30  # a lock would be waited for 60 s


# -- forked ----------------------------------------------------------------------------------

FORKED = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
control.begin(folder)
factory = ProductFactory()
factory.make("a")
pids = []
on_the_way[:] = [lambda: pids.append(os.fork())]
try:
    factory.make("b")
except Exception as error:
    say("child", type(error).__name__, str(error), factory.products)
    os._exit(0)
os.waitpid(pids[0], 0)
on_the_way[:] = []
say("parent", factory.products)
factory.make("c")
"""


def test_fault_06_a_transaction_open_across_a_fork_is_refused_in_the_child(folder):
    (_, kind, message, restored), parent = run(FORKED, folder)
    assert kind == "ForkedTransaction" and "Call it again" in message
    assert restored == ["a"]
    assert parent == ["parent", ["a", "b"]]
    simulation = control.begin(folder)
    factory = ProductFactory()
    for name in "abc":
        factory.make(name)
    assert (simulation.hits, factory.runs) == (3, 0)


def test_fault_06_a_forked_transaction_pays_for_nothing(folder, server):
    """The child notices before it asks the model what its parent asks, too."""
    said = run(
        f"""
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
from tinyfactory import transactional
from tinyfactory.models import event_loop
class Host(TinyFactory):
    @transactional(version="1")
    def invite(self, factory):
        self.child = os.fork()
        if self.child:
            os.waitpid(self.child, 0)
        return factory.generate_person()
control.begin(folder)
try:
    host = Host()
    say("parent", host.invite(TinyPersonFactory({CONTEXT!r})).name)
except Exception as error:
    say("child", type(error).__name__)
    os._exit(0)
""",
        folder,
    )
    assert said[0] == ["child", "ForkedTransaction"]
    assert said[1][0] == "parent"
    assert len(server.requests) == 1


def test_fault_06_a_child_has_a_writer_and_connections_of_its_own(folder):
    """Also when it is forked while other threads hold every lock that there is."""
    said = run(
        """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
control.begin(folder)
factory, stop = ProductFactory("shared"), threading.Event()

def work():
    while not stop.is_set():
        factory.make("x")
        if len(factory.products) > 50:
            factory.products.clear()

threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
codes = []
for number in range(20):
    child = os.fork()
    if child == 0:
        signal.alarm(100)  # a deadlock ends here
        own = ProductFactory(f"child {number}")
        factory.make(f"child {number}")  # its lock was held by a thread that is not here
        os._exit(0 if own.make("y") == "y!" else 1)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop.set()
for thread in threads:
    thread.join()
factory.make("last")
say(codes)
""",
        folder,
    )
    assert said == [[0] * 20]
    simulation = control.begin(folder)
    for number in range(20):
        ProductFactory(f"child {number}").make("y")
    assert simulation.hits == 20


# -- out of memory, out of stack -------------------------------------------------------------


@pytest.mark.parametrize("fault", ["MemoryError", "RecursionError"])
def test_fault_07_memory_and_recursion_errors_are_rolled_back(folder, fault):
    from tests.support.products import on_the_way

    def recurse():
        return recurse()

    control.begin(folder)
    factory = ProductFactory()
    factory.make("a")
    before = factory.encode_complete_state()
    on_the_way[:] = [recurse if fault == "RecursionError" else lambda: bytearray(2**62)]
    try:
        with pytest.raises((MemoryError, RecursionError)):
            factory.make("b")
    finally:
        on_the_way.clear()
    assert factory.encode_complete_state() == before
    assert factory.make("c") == "c!"
    simulation = control.begin(folder)
    factory = ProductFactory()
    factory.make("a")
    factory.make("c")
    assert simulation.hits == 2


# -- the end ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["", "sys.exit(0)", "threading.Thread(target=sys.exit).start()"])
def test_fault_08_what_is_queued_is_written_before_the_interpreter_goes(folder, children, how):
    child = children(
        f"""
store = Store(folder)
say("ready")
wait()
from tinyfactory.journal.storage.store import Writer
submit, queued = Writer.submit, []

def counted(self, work):
    future = submit(self, work)
    queued.append(work)
    return future

Writer.submit = counted
for number in range(20):  # these wait for the disk, and nobody waits for them
    threading.Thread(target=store.add, args=(f"k{{number}}", number), daemon=True).start()
while len(queued) < 20:
    time.sleep(0.01)
say("going")
{how}
""",
        folder,
    )
    assert hear(child) == "ready"
    other = sqlite3.connect(folder / "cache.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    tell(child)
    assert hear(child) == "going"
    time.sleep(0.3)
    other.execute("ROLLBACK")
    other.close()
    assert finish(child) == []
    store = Store(folder)
    assert sorted(store) == sorted(f"k{number}" for number in range(20))
    with contextlib.closing(store):
        assert all(store.get(f"k{number}") == number for number in range(20))
