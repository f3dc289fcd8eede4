"""What a widget leaves in a saved notebook, run in a real kernel."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient

from tests.support.notebook_kernel import kernel_environment

VIEW = "application/vnd.jupyter.widget-view+json"
SETUP = """from tinyfactory.widgets.parts.static_form import StaticForm
class Words(StaticForm):
    words = 'nobody yet'
    def static_text(self): return self.words
words = Words()"""


@pytest.fixture
def run(tmp_path):
    """Run cells in one kernel and give the outputs of each."""

    def run(*cells):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        with kernel_environment(tmp_path):
            NotebookClient(notebook, timeout=250, startup_timeout=250).execute()
        return [cell.outputs for cell in notebook.cells]

    return run


def test_the_widget_and_its_static_form_are_two_outputs(run):
    _, (live, static) = run(SETUP, "words")
    assert VIEW in live.data and "text/html" not in live.data
    assert VIEW not in static.data
    assert static.data["text/plain"] == "nobody yet"
    assert static.data["text/html"].startswith('<div class="tf-saved-1">')
    assert "nobody yet" in static.data["text/html"]


def test_what_changes_later_is_stored_in_the_cell_that_shows_it(run):
    _, shown, again, _ = run(SETUP, "words", "words", "words.words = 'Ana <b>'; words.store()")
    for outputs in (shown, again):
        assert outputs[1].data["text/plain"] == "Ana <b>"
        assert "Ana &lt;b&gt;" in outputs[1].data["text/html"]


def test_many_changes_are_stored_once_they_have_settled_and_from_a_thread(run):
    _, shown, _ = run(
        SETUP,
        "words",
        "import time\nfor n in range(100):\n    words.words = str(n)\n    words.store_soon()\n"
        "before = words._settling\nbefore.join()",
    )
    assert shown[1].data["text/plain"] == "99"


def test_a_change_of_a_cell_is_stored_with_it_however_soon_the_kernel_ends(run):
    _, shown, _ = run(SETUP, "words", "words.words = 'Ana'; words.store_soon()")
    assert shown[1].data["text/plain"] == "Ana"


def test_what_was_never_shown_stores_nothing_and_starts_no_thread():
    from tinyfactory.widgets.parts.static_form import StaticForm

    form = StaticForm()
    form.store_soon()
    assert form._settling is None


def test_a_rule_hides_the_static_form_where_the_widget_is_alive():
    from tinyfactory.widgets.parts.static_form import StaticForm

    form = StaticForm()
    rule = form.children[-1].value
    assert rule.startswith(f"<style>.{form._mark}") and "display: none" in rule
