"""One call at a time in a thread: its outcome is told once, and it can be stopped."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from tests.support.waiting import until
from tinyfactory.errors import Cancelled, InvalidInput
from tinyfactory.generation.pipeline import current_token
from tinyfactory.widgets.parts.background import BackgroundWork, Task


def start(do, done, failed, waiting=None):
    work = BackgroundWork(lambda: None, failed, running="Something is running.")
    work.start(lambda: Task(do, done, waiting=waiting))
    return work


def until_stopped(run):
    while True:
        current_token().raise_if_cancelled()
        time.sleep(0.01)


def test_what_came_of_it_is_told_once():
    told: list[object] = []
    failed: list[BaseException] = []
    work = start(lambda run: 7, told.append, failed.append)
    work.wait()
    assert (told, failed, work.running) == ([7], [], False)


def test_an_error_is_told_and_not_raised():
    def refuse(run):
        raise InvalidInput("No.")

    told: list[object] = []
    failed: list[BaseException] = []
    start(refuse, told.append, failed.append).wait()
    assert told == [] and [str(error) for error in failed] == ["No."]


def test_it_can_be_stopped():
    failed: list[BaseException] = []
    work = start(until_stopped, print, failed.append)
    assert work.running and work.can_cancel
    work.cancel()
    work.wait()
    assert isinstance(failed[0], Cancelled) and not work.running


def test_the_clock_is_told_while_it_waits_and_never_after_the_end():
    gate = threading.Event()
    told: list[object] = []
    work = start(lambda _: gate.wait(), lambda _: told.append("done"), print, told.append)
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

    def fails(_: object) -> None:
        here()
        raise InvalidInput("No.")

    for do in (here, fails):
        work = start(do, here, here, here)
        assert not work.running
        work.wait()
    assert where == [threading.current_thread()] * 4


def test_the_interrupt_ends_what_is_done_in_the_foreground_and_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", sys)
    failed: list[BaseException] = []

    def interrupted(run):
        raise KeyboardInterrupt

    start(interrupted, print, failed.append).wait()
    assert [type(error) for error in failed] == [KeyboardInterrupt]


def test_a_second_start_is_refused_while_one_is_running():
    failed: list[object] = []
    work = start(until_stopped, print, failed.append)
    with pytest.raises(InvalidInput, match=r"Something is running\. Wait, or call cancel\(\)\."):
        work.start(lambda: Task(until_stopped, print))
    work.cancel()
    work.wait()
    work.start(lambda: Task(lambda run: 8, failed.append))
    work.wait()
    assert failed[1:] == [8]


def test_a_task_that_takes_the_place_of_another_one_has_the_only_outcome():
    told: list[object] = []
    work = start(until_stopped, told.append, told.append)
    first = work._run
    work.start(lambda: Task(lambda run: "second", told.append), replace=True)
    work.wait()
    first.told.wait()
    assert first.replaced and told == ["second"]


def test_only_one_of_two_clicks_starts_something():
    states: list[tuple[bool, bool]] = []
    told: list[object] = []
    work = BackgroundWork(
        lambda: states.append((work.busy, work.can_cancel)), told.append, running="It is running."
    )
    for _ in range(2):
        work.click(lambda: work.start(lambda: Task(lambda run: 7, told.append)))
    work.wait()
    assert told == [7]
    assert states == [(True, False), (True, True), (True, False), (False, False)]


def test_a_click_whose_start_fails_is_told_and_another_one_is_possible():
    def refuse():
        raise InvalidInput("No.")

    failed: list[BaseException] = []
    work = BackgroundWork(lambda: None, failed.append, running="It is running.")
    work.click(refuse)
    work.wait()
    assert [str(error) for error in failed] == ["No."] and not work.busy


def test_a_click_can_be_forgotten():
    told: list[object] = []
    work = BackgroundWork(lambda: None, print, running="It is running.")
    work.click(lambda: told.append("started"))
    assert work.busy
    work.forget_click()
    work.wait()
    assert told == [] and not work.busy
