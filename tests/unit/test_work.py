"""One call in a thread of its own: told once how it ended, and can be stopped."""

from __future__ import annotations

import threading
import time

from tests.support.widgets import wait_until
from tinyfactory.errors import Cancelled, InvalidInput
from tinyfactory.models.flow import token
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
            token.get().raise_if_cancelled()
            time.sleep(0.01)

    failed: list[BaseException] = []
    work = Work(until_stopped, print, failed.append).start()
    assert work.running
    work.cancel()
    work.wait(5)
    assert isinstance(failed[0], Cancelled) and not work.running


def test_the_clock_is_told_while_it_waits_and_never_after_the_end():
    gate = threading.Event()
    told: list[object] = []
    work = Work(gate.wait, lambda _: told.append("done"), print, lambda s: told.append(s)).start()
    wait_until(lambda: len(told) >= 2)
    gate.set()
    work.wait()
    time.sleep(0.7)
    assert told[-1] == "done" and told.count("done") == 1
    seconds = [float(str(s)) for s in told[:-1]]
    assert 0.4 < seconds[0] < seconds[1]
