"""What every widget here promises: no text is markup, and nothing is kept for ever."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import ipywidgets
import pytest
from ipywidgets.widgets.widget import _instances

from tests.support.chat_server import answer
from tests.support.widgets import raise_in_handlers, widgets_alive
from tinyfactory import TinyPerson, TinyPersonFactory, control
from tinyfactory import widgets as package
from tinyfactory.errors import InvalidInput
from tinyfactory.people import People
from tinyfactory.populations import Demography
from tinyfactory.widgets import (
    HistoryView,
    PersonaBrowser,
    PersonaCard,
    PersonaChat,
    PersonaCompare,
    PersonaForm,
    PopulationView,
    Studio,
)

FOLDER = Path(package.__file__).parent / "static"
HOSTILE = (
    "<script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    "<svg onload=window.hacked=1>",
    "</style><style>*{display:none}</style>",
    "' onmouseover='window.hacked=1' x='",
    '" onfocus="window.hacked=1" autofocus="',
    "<a href=javascript:window.hacked=1>x</a>",
    "</textarea></pre></td><!-- x --><iframe srcdoc=window.hacked=1>",
)
ALL = " ".join(HOSTILE)
# The tags that the parts of a page are made of; none of them can run or fetch anything.
TAGS = set(
    "div span p b i em strong small code pre ul ol li dl dt dd table caption colgroup col thead "
    "tbody tr th td h2 h3 h4 h5 h6 details summary figure figcaption section article header "
    "progress mark del ins br hr a svg g rect circle line path text title desc polyline polygon "
    "abbr time nav".split()
)


class Reader(HTMLParser):
    """Reads a page as a browser does, and notes what only somebody's text can have put there."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            runs = name.startswith("on") or name in ("src", "srcset", "srcdoc", "autofocus")
            leads = name.endswith("href") and not (value or "").startswith(("#", "https://"))
            if runs or leads or (name == "style" and "url(" in (value or "")):
                self.found.append(f"<{tag} {name}={value!r}>")

    def handle_decl(self, decl: str) -> None:
        self.found.append(f"<!{decl}>")

    def handle_comment(self, data: str) -> None:
        self.found.append(f"<!--{data}-->")


@pytest.fixture(autouse=True)
def handlers_raise(monkeypatch):
    raise_in_handlers(monkeypatch)


def hostile_people() -> People:
    """A person for each of these texts, who says nothing else."""
    return People(TinyPerson(persona=says(text), register=False) for text in HOSTILE)


def says(text: str) -> dict[str, Any]:
    """A description in which every text is this."""
    return {
        "name": f"Ana {text}",
        "age": 40,
        "gender": text,
        "nationality": text,
        "residence": text,
        "education": text,
        "health": text,
        "style": text,
        "occupation": {"title": text, "organization": text, "description": text},
        "beliefs": [text],
        "skills": [text],
        "preferences": {"interests": [text], "likes": [text]},
        "behaviors": {"routines": {"morning": text}},
        "relationships": [{"name": text, "description": text}],
        f"more {text}": {f"deep {text}": text},
    }


def form(people: People) -> PersonaForm:
    made = PersonaForm(ALL, model="offline")
    made.particularities = ALL
    made.generate()
    made.people = people
    made.failed(InvalidInput(ALL), ALL)
    return made


def card(people: People) -> PersonaCard:
    made = PersonaCard(people[0])
    people[0].revise({"style": ALL, "beliefs": [*HOSTILE]})
    for tab in range(5):
        made._tabs.selected_index = tab
    return made


def chat(people: People) -> PersonaChat:
    made = PersonaChat(people, model="test")
    made.ask(ALL)
    made.person = None
    made.ask(ALL)
    made._answers.table.selected = 0
    made.person = people[0]
    return made


def browser(people: People) -> PersonaBrowser:
    made = PersonaBrowser(people)
    made.filters = {"gender": [*HOSTILE], "health": [*HOSTILE]}
    made.narrow(ALL, lambda _: True)
    made.query = "hacked"
    made.query = ""
    return made


def population(people: People) -> PopulationView:
    asked = Demography.from_dict({ALL: {ALL: 0.5, "b": 0.5}, "sex": {HOSTILE[0]: 1}})
    made = PopulationView(people, asked)
    made.wait()
    return made


def history(people: People) -> HistoryView:
    factory = TinyPersonFactory(ALL, model="offline")
    factory.generate_person(ALL)
    people[0].define("health", ALL)
    made = HistoryView()
    made.selected = factory.history()[0]
    return made


def studio(people: People) -> Studio:
    made = Studio(people=people, context=ALL, model="offline")
    for title in made._titles:
        made.go_to(title)
    made.population.wait()
    return made


WIDGETS: dict[str, Callable[[People], Any]] = {
    "PersonaForm": form,
    "PersonaBrowser": browser,
    "PersonaCard": card,
    "PersonaCompare": lambda people: PersonaCompare(people[4:]),
    "PopulationView": population,
    "HistoryView": history,
    "PersonaChat": chat,
    "Studio": studio,
}


def test_all_widgets_of_the_package_are_here():
    assert sorted(package.__all__) == sorted(WIDGETS)


@pytest.mark.parametrize("text", HOSTILE)
def test_the_reader_finds_what_was_not_made_text(text):
    assert Reader(f"<p title='{text}' class=\"{text}\">{text}</p>").found


@pytest.mark.parametrize("name", WIDGETS)
def test_no_text_is_markup(name, serve, tmp_path):
    serve(rules=[lambda request: answer(ALL)])
    with control.begin(tmp_path / "journal"):
        widget = WIDGETS[name](hostile_people())
        for one in list(_instances.values()):
            if type(one).__name__ == "CodeView":
                one.toggle.value = True
        pages = [
            one.value
            for one in list(_instances.values())
            if isinstance(one, ipywidgets.HTML | ipywidgets.HTMLMath)
            and not one.value.startswith("<style>.tf-saved-")
        ]
        assert any("window.hacked" in html for html in pages)
        for html in (*pages, widget.static_html()):
            assert Reader(html).found == [], html[:2000]
        # An option that says "html" instead of text is asked for by no one here.
        assert not any(
            getattr(one, "description_allow_html", False) for one in list(_instances.values())
        )
        widget.close()


@pytest.mark.parametrize("script", sorted(FOLDER.glob("*.js")), ids=lambda path: path.name)
def test_no_script_makes_markup_or_leaves_the_page(script):
    told = re.sub(r"//.*|/\*[\s\S]*?\*/", "", script.read_text(encoding="utf-8"))
    makes = "innerHTML outerHTML insertAdjacentHTML document.write DOMParser Fragment( eval("
    for way in f"{makes} fetch( import( http: https:".split():
        assert way not in told.replace("http://www.w3.org/2000/svg", "")


def used(studio: Studio, people: People) -> None:
    """What someone does in a quarter of an hour, by its values."""
    for title in studio._titles:
        studio.go_to(title)
    for person in people:
        studio.browser.selected = person
        studio.browser.query = person.name
        studio.browser.query = ""
        studio.compare_selected()
        studio.go_to("Person")
        for tab in range(5):
            studio.card._tabs.selected_index = tab
        studio.go_to("Talk")
    studio.browser.view, studio.browser.columns = "cards", ["name", "health"]
    studio.browser.view, studio.browser.columns = "table", ["name", "age"]
    studio.population.refresh()
    studio.population.wait()
    studio.chat.ask("What do you like?")
    studio.history.refresh()
    if studio.history.line:
        studio.history.selected = studio.history._events.items[0]


def test_a_studio_in_use_makes_no_more_widgets_and_closed_none_is_left(tmp_path):
    everyone = TinyPersonFactory("A choir in Cardiff", model="offline").generate_people(6)
    before = widgets_alive()
    with control.begin(tmp_path / "journal"):
        studio = Studio(people=everyone, model="offline")
        used(studio, everyone)
        alive = widgets_alive()
        for _ in range(3):
            used(studio, everyone)
        assert widgets_alive() == alive
        studio.close()
    assert widgets_alive() == before


def test_in_the_foreground_a_click_has_done_its_work_when_it_returns(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", sys)
    monkeypatch.chdir(tmp_path)
    people = TinyPersonFactory("A choir in Cardiff", model="offline").generate_people(3)
    browser, chat = PersonaBrowser(people), PersonaChat(people, model="offline")
    browser.query = "nobody says this"
    browser._parts.clear.click()
    assert browser.query == "" and len(browser.filtered) == 3
    browser._exporting.button.click()
    assert (tmp_path / "people.csv").exists() and "written" in browser.status
    chat._row.field.value = "What do you like?"
    chat._row.send_button.click()
    assert len(chat.conversation) == 2 and chat.status.endswith("answered.")
