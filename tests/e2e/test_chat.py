"""The chat in a real browser: asked by keyboard, cancelled, everyone asked, hostile text shown."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

PEOPLE = """import asyncio
from tinyfactory import TinyPersonFactory, control
from tinyfactory.models import ChatReply
from tinyfactory.widgets import PersonaChat
simulation = control.begin('{place}')
people = TinyPersonFactory('Nurses in Porto, Portugal', model='offline').generate_people(3)
BAD = '<img src=x onerror="window.hacked = 1"><script>window.hacked = 2</script>'
people[2].define('name', 'Eve ' + BAD)

class Model:
    identity = {{'kind': 'mine', 'model': 'mine'}}
    async def complete(self, request):
        await asyncio.sleep(3600 if 'slow' in request.messages[-1]['content'] else 0.5)
        return ChatReply(text='I sleep at noon. ' + BAD)

chat = PersonaChat(people, model=Model())
chat"""


def question(notebook, text):
    notebook.field("Question:").fill(text)
    notebook.field("Question:").press("Enter")


@pytest.mark.timeout(600)
def test_someone_is_talked_to_cancelled_and_everyone_is_asked(anywhere):
    notebook = anywhere.open([PEOPLE.format(place=f"{anywhere.app}-chat")], "chat.ipynb")
    notebook.page.set_viewport_size({"width": 1280, "height": 2000})
    notebook.run_all()
    assert notebook.cell_errors() == []
    notebook.wait_text(".tf-status", "You talk to")

    question(notebook, "When do you sleep?")
    notebook.wait_text(".tf-log", "When do you sleep?")
    notebook.wait_text(".tf-log", "I sleep at noon. <img src=x")
    notebook.wait_text(".tf-status", "answered.")
    expect(notebook.field("Question:")).to_have_value("")
    assert notebook.python("print(len(people[0].conversation), chat.error)") == "2 None\n"
    assert notebook.barriers(".tf-panel") == []

    # The kernel is free meanwhile, and a question that is given up is given back.
    question(notebook, "Be slow.")
    notebook.wait_text(".tf-status", "Waiting for")
    assert notebook.python("print(chat.running)") == "True\n"
    notebook.button("Cancel").click()
    notebook.wait_text(".tf-status", "Stopped.")
    expect(notebook.field("Question:")).to_have_value("Be slow.")
    expect(notebook.page.locator(".tf-log .tf-said")).to_have_count(2)
    assert notebook.python("print(len(people[0].conversation))") == "2\n"

    notebook.field("Talk to:").select_option(label="Everyone (3)")
    notebook.wait_text(".tf-status", "3 people will be asked.")
    question(notebook, "Tea?")
    notebook.wait_text(".tf-status", "3 of 3 answered.")
    notebook.page.locator(".tf-table tbody tr").nth(2).click()
    notebook.wait_text(".tf-panel", "Eve <img")
    assert notebook.python("print([len(p.conversation) for p in people])") == "[4, 2, 2]\n"
    assert notebook.barriers(".tf-panel") == []
    assert notebook.page.evaluate("window.hacked") is None
    assert notebook.errors == [] and anywhere.outside == []
