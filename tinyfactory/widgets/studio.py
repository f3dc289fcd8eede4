"""`Studio`: all widgets over one simulation, in tabs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import ipywidgets as widgets

from tinyfactory.journal.simulation import Simulation, current_simulation
from tinyfactory.models.chat import ChatModel
from tinyfactory.people import People, TinyPerson
from tinyfactory.people.render.person import people_html, people_text
from tinyfactory.populations import Demography
from tinyfactory.utils.text import cut, legible
from tinyfactory.widgets.browser.persona_browser import PersonaBrowser
from tinyfactory.widgets.card.persona_card import PersonaCard
from tinyfactory.widgets.chat.persona_chat import PersonaChat
from tinyfactory.widgets.compare.persona_compare import PersonaCompare
from tinyfactory.widgets.form.persona_form import PersonaForm
from tinyfactory.widgets.history.history_view import HistoryView
from tinyfactory.widgets.parts.base_panel import BasePanel
from tinyfactory.widgets.parts.identity_trait import IdentityTrait
from tinyfactory.widgets.parts.status_line import Hint
from tinyfactory.widgets.population.population_view import PopulationView

# More people side by side, or more answers at once, are hard to read.
MOST_COMPARED = 4
MOST_ASKED = 12
_MOST_OF_A_NAME = 60
_ROW = {"flex_flow": "row wrap", "align_items": "center"}


class Studio(BasePanel):
    """All widgets over one simulation, in tabs; each is made when its tab is first opened.

    Parameters
    ----------
    simulation : Simulation, optional
        Where events are recorded; by default the current one. Without one nothing is recorded,
        and the studio says so.
    context : str
        The context of the form at first.
    people : iterable of TinyPerson
        People to begin with.
    model : str or ChatModel, optional
        As for `TinyPersonFactory`.
    demography : Demography, dict, str or path, optional
        As for `TinyPersonFactory.from_demography`.

    Attributes
    ----------
    people : People
        Those given and those that the form made; can be set and observed.
    selected : TinyPerson or None
        The person last chosen in the browser.
    form, browser, card, compare, population, chat, history
        The widgets of the tabs.

    Examples
    --------
    >>> studio = Studio(context="Bakers in Vienna", model="offline")
    >>> studio.form.number = 2
    >>> len(studio.form.generate()), len(studio.people), len(studio.browser.people)
    (2, 2, 2)
    """

    people = IdentityTrait(People())
    selected = IdentityTrait(None)

    def __init__(
        self,
        simulation: Simulation | None = None,
        *,
        context: str = "",
        people: Iterable[TinyPerson] = (),
        model: str | ChatModel | None = None,
        demography: Demography | dict[str, Any] | str | None = None,
    ) -> None:
        self.simulation = simulation if simulation is not None else current_simulation()
        self._context, self._model, self._demography = context, model, demography
        self._given = People(people)
        self._rooms: dict[str, Any] = {}
        self._told: dict[str, People] = {}
        self._titles: dict[str, Callable[[], Any]] = {
            "Generate": self._make_form,
            "People": self._make_browser,
            "Person": self._make_card,
            "Compare": self._make_compare,
            "Population": self._make_population,
            "Talk": self._make_chat,
            "History": self._make_history,
        }
        self._tabs = widgets.Tab(
            children=[widgets.VBox() for _ in self._titles], titles=tuple(self._titles)
        )
        self._opened = widgets.Button(
            description="Open", icon="id-card", tooltip="Read and edit this person in a tab"
        )
        self._compared = widgets.Button(
            description="Compare", icon="columns", tooltip="Put this person into the tab Compare"
        )
        self._addressed = widgets.Button(
            description="Talk", icon="comments", tooltip="Talk to this person in the tab Talk"
        )
        self._whom = Hint()
        super().__init__([self._tabs], ready=self._where(), lines="Code of the studio")
        self._opened.on_click(self.guarded(lambda _: self.go_to("Person")))
        self._compared.on_click(self.guarded(lambda _: self.compare_selected()))
        self._addressed.on_click(self.guarded(lambda _: self.go_to("Talk")))
        self._gather()
        self._tabs.observe(self.guarded(lambda _: self._enter()), "selected_index")
        self._tabs.selected_index = 1 if self._given else 0
        self._enter()

    # -- the tabs ----------------------------------------------------------------------

    def go_to(self, title: str) -> None:
        """Open the tab of a title, such as ``"People"``."""
        self._tabs.selected_index = list(self._titles).index(title)

    @property
    def form(self) -> PersonaForm:
        """The form of the tab Generate."""
        room: PersonaForm = self._room("Generate")
        return room

    @property
    def browser(self) -> PersonaBrowser:
        """The list of the tab People."""
        room: PersonaBrowser = self._room("People")
        return room

    @property
    def card(self) -> PersonaCard:
        """The person of the tab Person."""
        room: PersonaCard = self._room("Person")
        return room

    @property
    def compare(self) -> PersonaCompare:
        """The people side by side in the tab Compare."""
        room: PersonaCompare = self._room("Compare")
        return room

    @property
    def population(self) -> PopulationView:
        """The report card of the tab Population."""
        room: PopulationView = self._room("Population")
        return room

    @property
    def chat(self) -> PersonaChat:
        """The conversations of the tab Talk."""
        room: PersonaChat = self._room("Talk")
        return room

    @property
    def history(self) -> HistoryView:
        """The steps of the tab History."""
        room: HistoryView = self._room("History")
        return room

    def _room(self, title: str) -> Any:
        if title not in self._rooms:
            self._rooms[title] = self._titles[title]()
            place = list(self._titles).index(title)
            self._tabs.children[place].children = [*self._beside(title), self._rooms[title]]
        return self._rooms[title]

    def _beside(self, title: str) -> list[Any]:
        """The buttons that take the selected person to another tab."""
        carry = [self._opened, self._compared, self._addressed, self._whom]
        return [widgets.HBox(carry, layout=_ROW)] if title == "People" else []

    def _make_form(self) -> PersonaForm:
        form = PersonaForm(self._context, model=self._model, demography=self._demography)
        form.observe(self.guarded(lambda _: self._gather()), "people")
        return form

    def _make_browser(self) -> PersonaBrowser:
        browser = PersonaBrowser(self.people)
        browser.observe(self.guarded(lambda _: self._select(browser.selected)), "selected")
        self._told["People"] = self.people
        self._select(browser.selected)
        return browser

    def _make_card(self) -> PersonaCard:
        card = PersonaCard(self.selected)
        card.observe(self.guarded(lambda _: self._edited()), "edited")
        return card

    def _make_compare(self) -> PersonaCompare:
        return PersonaCompare(self.people[:2])

    def _make_population(self) -> PopulationView:
        self._told["Population"] = self.people
        return PopulationView(self.people, self.form.demography, browser=self.browser)

    def _make_chat(self) -> PersonaChat:
        return PersonaChat(self._asked(), model=self._model)

    def _make_history(self) -> HistoryView:
        return HistoryView(self.simulation)

    # -- one population in all of them -------------------------------------------------

    def _gather(self) -> None:
        made = self._rooms["Generate"].people if "Generate" in self._rooms else ()
        self.people = People([*self._given, *made])
        self.store_soon()

    def _select(self, person: TinyPerson | None) -> None:
        self.selected = person
        name = "" if person is None else legible(person.name)
        short = cut(name, _MOST_OF_A_NAME)
        self._whom.say(f"with {short}" if name else "")
        for button in (self._opened, self._compared, self._addressed):
            button.disabled = person is None

    def _edited(self) -> None:
        self.browser.refresh()
        self._select(self.selected)  # their name may have changed

    def _enter(self) -> None:
        """Make the widget of the open tab, or update it after changes in other tabs."""
        title = list(self._titles)[self._tabs.selected_index or 0]
        room = self._room(title)
        if title in ("People", "Population") and self._told.get(title) is not self.people:
            self._told[title] = self.people
            if title == "Population":
                room.target = self.form.demography
            room.people = self.people
        if title == "Person" and room.person is not self.browser.selected:
            room.person = self.browser.selected
        if title == "Talk":
            room.people = self._asked()
            room.person = self.selected  # else the last person would stay, if listed
        if title == "History":
            room.refresh()

    def compare_selected(self) -> None:
        """Add the selected person to the comparison, in place of the first if it is full."""
        person = self.selected
        if person is None:
            return
        others = [p for p in self.compare.people if p is not person]
        self.compare.people = People([*others[-(MOST_COMPARED - 1) :], person])
        self.go_to("Compare")

    def _asked(self) -> People:
        """The selected person, and some of the listed people."""
        listed = self.browser.filtered[:MOST_ASKED]
        first = [self.selected] if self.selected is not None else []
        return People([*first, *(p for p in listed if p is not self.selected)][:MOST_ASKED])

    # -- what it says ------------------------------------------------------------------

    def _where(self) -> str:
        if self.simulation is None:
            return (
                "No simulation is open, so nothing is kept beyond this kernel. To keep every "
                "step, run control.begin() before studio()."
            )
        return f"Simulation {self.simulation.id!r}: every step is kept."

    def code(self) -> str:
        """The code that opens the same studio."""
        begin = (
            "" if self.simulation is None else "from tinyfactory import control\ncontrol.begin()\n"
        )
        context = self._rooms["Generate"].context if "Generate" in self._rooms else ""
        return f"{begin}import tinyfactory\n\ntinyfactory.studio(context={context!r})"

    def static_text(self) -> str:
        """The people as text."""
        return people_text(self.people)

    def static_html(self) -> str:
        """The people as a table."""
        return people_html(self.people)


def studio(
    simulation: Simulation | None = None,
    *,
    context: str = "",
    people: Iterable[TinyPerson] = (),
    model: str | ChatModel | None = None,
    demography: Demography | dict[str, Any] | str | None = None,
) -> Studio:
    """Open a `Studio`; its parameters are these.

    Examples
    --------
    >>> import tinyfactory
    >>> tinyfactory.studio(context="Bakers in Vienna", model="offline").form.context
    'Bakers in Vienna'
    """
    return Studio(simulation, context=context, people=people, model=model, demography=demography)
