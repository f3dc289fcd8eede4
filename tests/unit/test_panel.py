"""What every widget has: status, errors in it, code, and an end."""

from __future__ import annotations

import ipywidgets
import pytest

from tests.support.widgets import raise_in_handlers, widgets_alive
from tinyfactory.errors import InvalidInput
from tinyfactory.widgets.parts import base_panel, request_widget
from tinyfactory.widgets.parts.base_panel import BasePanel
from tinyfactory.widgets.parts.debounce import Debounced


@pytest.fixture(autouse=True)
def handlers_raise(monkeypatch):
    raise_in_handlers(monkeypatch)


class Counter(BasePanel):
    """Counts clicks; too many are refused."""

    def __init__(self):
        self.clicks = 0
        self.button = ipywidgets.Button(description="Click")
        self.button.on_click(self.guarded(self._clicked))
        super().__init__([self.button], ready="Ready.")

    def _clicked(self, _):
        self.clicks += 1
        if self.clicks > 2:
            raise InvalidInput("Two clicks are enough.")
        self.say(f"{self.clicks} clicks")

    def code(self):
        return f"clicks = {self.clicks}  # <b>"


def test_what_is_said_is_read_out():
    counter = Counter()
    assert counter.status == "Ready."
    counter.button.click()
    assert counter.status == "1 clicks" and 'role="status"' in counter._status.value


def test_an_error_of_a_handler_stands_in_the_panel_until_the_next_word():
    counter = Counter()
    seen = []
    counter.observe(lambda change: seen.append(change.new), "error")
    for _ in range(3):
        counter.button.click()
    assert isinstance(counter.error, InvalidInput) and seen == [counter.error]
    assert "Two clicks are enough." in counter.status
    assert 'role="alert"' in counter._status.value
    counter.say("Begun again.")
    assert counter.error is None and 'role="status"' in counter._status.value


def test_what_was_kept_stands_beside_the_error():
    counter = Counter()
    counter.failed(InvalidInput("No."), "3 people are kept.")
    assert counter.status.endswith("No. 3 people are kept.")


def test_the_code_is_shown_when_it_is_asked_for_and_follows():
    counter = Counter()
    view = counter._code
    assert view._shown.layout.display == "none"
    view.toggle.value = True
    assert "clicks = 0" in view._shown.value and "&lt;b&gt;" in view._shown.value
    assert view._shown.layout.display == ""
    counter.button.click()
    assert "clicks = 1" in view._shown.value
    view.toggle.value = False
    assert view._shown.layout.display == "none"


def test_closing_a_panel_leaves_no_widget():
    before = widgets_alive()
    counter = Counter()
    assert widgets_alive() > before + 10
    counter.close()
    assert widgets_alive() == before
    counter.close()


def test_the_error_is_not_sent_to_the_page():
    counter = Counter()
    counter.failed(InvalidInput("No."))
    assert not {"error", "people"} & set(counter.get_state())


def test_style_and_keys_come_with_the_package_and_from_nowhere_else():
    folder = request_widget.STATIC
    script, style = (folder / "page.js").read_text(), (folder / "page.css").read_text()
    unseen = base_panel.Page()
    assert unseen.get_state("_esm")["_esm"] == script and unseen.layout.display == "none"
    assert unseen.get_state("_css")["_css"] == style
    for text in (script, style):
        assert "http" not in text and "@import" not in text and "url(" not in text
    assert f".{base_panel.PANEL}" in script and f".{base_panel.PANEL}" in style
    assert f"button.{base_panel.DEFAULT_BUTTON}" in script
    assert base_panel.PANEL in Counter()._dom_classes


def test_ink_and_paper_are_set_together():
    """A native input that has the page's ink on its own white paper cannot be read in the dark."""
    style = (request_widget.STATIC / "page.css").read_text()
    for rule in style.split("}"):
        if "background-color:" in rule:
            assert "\n  color:" in rule, rule


def test_what_is_put_off_is_done_once_and_the_last_call_has_the_last_word():
    said: list[str] = []
    done: list[str] = []
    later = Debounced(lambda: done.append(said[-1]), 1.0)
    for word in ("one", "two", "three"):
        said.append(word)
        later.soon()
    later.join()
    assert done == ["three"]
    later.soon()
    later.cancel()
    later.join()
    assert done == ["three"]
