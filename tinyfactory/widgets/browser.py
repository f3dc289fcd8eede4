"""`PersonaBrowser`: a list of people, a search field, and one person to read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ipywidgets as widgets

from tinyfactory.people import People, TinyPerson
from tinyfactory.people.render import people_html, people_text, person_html
from tinyfactory.widgets.saved import StaticForm
from tinyfactory.widgets.shared import Status, count

# Rows that are in the page at once; the search narrows the rest.
MOST_ROWS = 200


class PersonaBrowser(StaticForm):
    """Look through people: `browser.query = "nurse"` types, `browser.selected` reads.

    Parameters
    ----------
    people : iterable of TinyPerson
        Who can be browsed; set `browser.people` to change it.

    Attributes
    ----------
    query : str
        What is searched for, in all text of a person; every word must be found.
    filtered : People
        Who matches.
    selected : TinyPerson or None
        Who is being read.

    Examples
    --------
    >>> from tinyfactory import TinyPerson
    >>> one = TinyPerson(persona={"name": "Ana Souza", "age": 34}, register=False)
    >>> two = TinyPerson(persona={"name": "Bo Lind", "age": 60}, register=False)
    >>> browser = PersonaBrowser([one, two])
    >>> browser.query = "souza"
    >>> [person.name for person in browser.filtered], browser.selected is one
    (['Ana Souza'], True)
    """

    def __init__(self, people: Iterable[TinyPerson] = ()) -> None:
        self._people = People()
        self._texts: list[str] = []
        self._matches = People()
        self._search = widgets.Text(
            "", description="Search:", placeholder="Any words", continuous_update=True,
            layout=widgets.Layout(width="98%"),
        )  # fmt: skip
        self._list = widgets.Select(
            description="People:", rows=14, layout=widgets.Layout(width="98%")
        )
        self._status = Status()
        self._detail = widgets.HTML()
        self._search.observe(lambda _: self._filter(), "value")
        self._list.observe(lambda _: self._show(), "index")
        left = widgets.VBox(
            [self._search, self._list, self._status], layout=widgets.Layout(width="38%")
        )
        right = widgets.VBox([self._detail], layout=widgets.Layout(width="62%", min_width="0"))
        super().__init__(children=[widgets.HBox([left, right])])
        self.people = people

    @property
    def people(self) -> People:
        """Who can be browsed."""
        return self._people

    @people.setter
    def people(self, people: Iterable[TinyPerson]) -> None:
        self._people = People(people)
        self._texts = [_searchable(person) for person in self._people]
        self._filter()

    @property
    def query(self) -> str:
        """What is searched for."""
        return str(self._search.value)

    @query.setter
    def query(self, query: str) -> None:
        self._search.value = query

    @property
    def filtered(self) -> People:
        """Who matches the query, all of them."""
        return self._matches

    @property
    def selected(self) -> TinyPerson | None:
        """Who is being read."""
        index = self._list.index
        return None if index is None else self._matches[index]

    @selected.setter
    def selected(self, person: TinyPerson | None) -> None:
        shown = self._matches[:MOST_ROWS]
        self._list.index = None if person is None else shown.index(person)

    def _filter(self) -> None:
        words = self.query.casefold().split()
        before = self.selected
        self._matches = People(
            person
            for person, text in zip(self._people, self._texts, strict=True)
            if all(word in text for word in words)
        )
        shown = self._matches[:MOST_ROWS]
        # Options are pairs with numbers: people of the same label stay apart.
        self._list.options = [(_label(person), i) for i, person in enumerate(shown)]
        self._list.index = None
        if shown:
            self._list.index = 0 if before is None or before not in shown else shown.index(before)
        self._show()
        found = count(len(self._matches), "person", "people")
        more = f", the first {MOST_ROWS} are listed" if len(self._matches) > MOST_ROWS else ""
        of = f" of {len(self._people)}" if words else ""
        self._status.say(f"{found}{of}{more}")

    def _show(self) -> None:
        person = self.selected
        self._detail.value = "" if person is None else person_html(person)

    def static_text(self) -> str:
        """The people as text."""
        return people_text(self._matches)

    def static_html(self) -> str:
        """The people as a table."""
        return people_html(self._matches)


def _label(person: TinyPerson) -> str:
    age, work = person.get("age"), person.get("occupation.title")
    return ", ".join(str(part) for part in (person.name, age, work) if part not in (None, ""))


def _searchable(person: TinyPerson) -> str:
    """All text of a person, for the search."""
    return " ".join(_texts(person.to_dict()["persona"])).casefold()


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif value is not None:
        yield str(value)
