"""One call in a thread of its own: told once how it ended, and can be stopped."""

from __future__ import annotations

import sys
import threading
import time

from tests.support.waiting import until
from tinyfactory.errors import Cancelled, InvalidInput
from tinyfactory.generation.pipeline import current_token
from tinyfactory.widgets.work import Work


def test_what_came_of_it_is_told_once():
    told: list[object] = []
    failed: list[BaseException] = []
    work = Work(lambda: 7, told.append, failed.append).start()
    work.wait()
    assert (told, failed, work.running) == ([7], [], False)


def test_an_error_is_told_and_not_raised():
    def refuse():
        raise InvalidInput("No.")

    told: list[object] = []
    failed: list[BaseException] = []
    Work(refuse, told.append, failed.append).start().wait()
    assert told == [] and [str(error) for error in failed] == ["No."]


def test_it_can_be_stopped():
    def until_stopped():
        while True:
            current_token().raise_if_cancelled()
            time.sleep(0.01)

    failed: list[BaseException] = []
    work = Work(until_stopped, print, failed.append).start()
    assert work.running
    work.cancel()
    work.wait()
    assert isinstance(failed[0], Cancelled) and not work.running


def test_the_clock_is_told_while_it_waits_and_never_after_the_end():
    gate = threading.Event()
    told: list[object] = []
    work = Work(gate.wait, lambda _: told.append("done"), print, lambda s: told.append(s)).start()
    until(lambda: len(told) >= 2)
    gate.set()
    work.wait()
    time.sleep(0.7)
    assert told[-1] == "done" and told.count("done") == 1
    seconds = [float(str(s)) for s in told[:-1]]
    assert 0.4 < seconds[0] < seconds[1]


def test_where_threads_show_nothing_the_one_who_starts_it_does_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", sys)
    where: list[object] = []

    def here(*_: object) -> None:
        where.append(threading.current_thread())

    def fails() -> None:
        here()
        raise InvalidInput("No.")

    for do in (here, fails):
        work = Work(do, here, here, here).start()
        assert not work.running
        work.wait()
    assert where == [threading.current_thread()] * 4


def test_the_interrupt_ends_what_is_done_in_the_foreground_and_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", sys)
    failed: list[BaseException] = []

    def interrupted():
        raise KeyboardInterrupt

    Work(interrupted, print, failed.append).start().wait()
    assert [type(error) for error in failed] == [KeyboardInterrupt]
