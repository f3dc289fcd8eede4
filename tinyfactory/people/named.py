"""Names: who bears one in a simulation, so that nobody else does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinyfactory.errors import InvalidPersona, NameTaken

if TYPE_CHECKING:
    from tinyfactory.journal.scope import Registry
    from tinyfactory.people.people_list import People


class Named:
    """A person's name and its place in the registry of a simulation; a part of `TinyPerson`."""

    _persona: dict[str, Any]
    simulation_id: str | None

    @property
    def name(self) -> str:
        """The name; empty as long as there is none."""
        return str(self._persona.get("name", ""))

    def _registry(self) -> Registry:
        from tinyfactory.journal.scope import scope

        return scope(self.simulation_id).registry("person")

    @property
    def is_registered(self) -> bool:
        """Whether the name is taken by this very person."""
        return bool(self.name) and self._registry().get(self.name) is self

    def register(self) -> None:
        """Take the name in the simulation; NameTaken when someone else bears it."""
        if not self.name:
            raise InvalidPersona("A person needs a name to be registered. Define it first.")
        self._registry().add(self.name, self)

    def unregister(self) -> None:
        """Give the name free; nothing happens when this person does not hold it."""
        if self.is_registered:
            self._registry().remove(self.name)

    def let_go(self) -> None:
        """Keep the name taken, while the simulation forgets the person, who may need memory."""
        self._registry().let_go(self.name, self)

    def _leave_simulation(self, simulation_id: str) -> None:
        """The one there who is this person by content gives the name free."""
        self.simulation_id = simulation_id
        if self._registry().get(self.name) == self:
            self._registry().remove(self.name)

    @staticmethod
    def all_people(simulation_id: str | None = None) -> People:
        """Everyone registered in a simulation; unless given, in the current one."""
        from tinyfactory.journal.scope import scope
        from tinyfactory.people.people_list import People

        return People(scope(simulation_id).registry("person"))

    @staticmethod
    def clear_people(simulation_id: str | None = None) -> None:
        """Give all names of a simulation free."""
        from tinyfactory.journal.scope import scope

        scope(simulation_id).registry("person").clear()

    def _rename(self, name: str) -> None:
        """Hold the new name in the registry, if the old one is held."""
        if name == self.name or not self.is_registered:
            return
        before, registry = self.name, self._registry()
        # First the old name goes: a new spelling of it may be the same to the registry.
        registry.remove(before)
        try:
            registry.add(name, self)
        except NameTaken:
            registry.add(before, self)
            raise
