"""`TinyPerson`: a simulated person, who is somebody: named, checked, and registered."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, ClassVar

from tinyfactory.errors import InvalidPersona
from tinyfactory.journal.scope import on_rollback
from tinyfactory.journal.serializer import Change, apply, journaled
from tinyfactory.people.named import Named
from tinyfactory.people.revisions import Revises
from tinyfactory.people.schema import edits
from tinyfactory.people.schema.fields import minibio
from tinyfactory.people.schema.normalise import merge, normalise, with_name
from tinyfactory.people.schema.values import plain
from tinyfactory.people.talks import Talks

Json = dict[str, Any]
# What an agent file holds beside the persona and its memories.
_FILE_KEYS = frozenset(("type", "persona", "tinyfactory"))


@journaled
class TinyPerson(Named, Talks, Revises):
    """A simulated person.

    What is read is a copy, and what is written is checked: a person is valid at any time.
    Only one made with neither name nor persona, and not registered, has no name yet.

    Parameters
    ----------
    name : str, optional
        The name; it goes before one in `persona`.
    persona : dict, optional
        Who the person is, in any shape that `normalise` takes.
    simulation_id : str, optional
        The simulation that the person belongs to; unless given, the current one.
    provenance : dict, optional
        Where the description came from, e.g. ``{"source": "offline"}`` or
        ``{"source": "model", "model": "..."}``.
    register : bool
        Whether the name is to be taken in the simulation.

    Raises
    ------
    InvalidPersona
        For a person that cannot be.
    NameTaken
        When someone registered in the simulation bears the name.

    Examples
    --------
    >>> ana = TinyPerson("Ana Souza", {"age": 34, "occupation": "nurse"}, register=False)
    >>> ana
    TinyPerson(name='Ana Souza', age=34, occupation='nurse')
    >>> ana.define("skill", "sewing", group="skills")
    >>> ana.get("skills")
    ['sewing']
    """

    # Where a person lives is no part of what happened to them.
    _not_in_journal: ClassVar[tuple[str, ...]] = ("simulation_id",)
    _joins = False  # whether a person out of a journal takes the name again
    __hash__ = None  # type: ignore[assignment]  # equal by content, and content may change

    def __init__(
        self,
        name: str | None = None,
        persona: Json | None = None,
        *,
        simulation_id: str | None = None,
        provenance: Json | None = None,
        register: bool = True,
    ) -> None:
        if persona is not None and not isinstance(persona, dict):
            raise InvalidPersona(f"persona is a dictionary, not {type(persona).__name__}.")
        if name is None and persona is None and not register:
            self._persona = {}
        elif name is None:
            self._persona = normalise(persona or {})
        else:
            self._persona = with_name(persona or {}, name)
        self.simulation_id = simulation_id
        self.provenance: Json = plain(provenance or {})
        self._conversation, self._revisions, self._proposals = [], [], 0
        if register:
            self.register()

    # Reading

    @property
    def persona(self) -> Json:
        """A copy of all fields, as plain JSON; change fields with `define`."""
        return copy.deepcopy(self._persona)

    def get(self, key: str, default: Any = None) -> Any:
        """A copy of a field, or `default` where there is none.

        Parameters
        ----------
        key : str
            A field (``"skills"``), a dotted path (``"occupation.title"``), or an older name
            (``"country_of_residence"``, ``"occupation_description"``, ``"routines"``).
        default : object
            What to return instead of a missing field.

        Examples
        --------
        >>> ana = TinyPerson("Ana", {"occupation": {"title": "nurse"}}, register=False)
        >>> ana.get("occupation.title"), ana.get("age", "unknown")
        ('nurse', 'unknown')
        """
        return copy.deepcopy(edits.find(self._persona, key, default))

    def minibio(self) -> str:
        """One line from name, age, nationality, occupation and residence."""
        return minibio(self._persona)

    # Changing

    def define(self, key: str | None, value: Any, group: str | None = None) -> None:
        """Set a field, or add to a group.

        Parameters
        ----------
        key : str or None
            The field, as in `get`. Within a group that is a list, what the item is called
            (``"skill"``), or None; within one that is an object, the field to set.
        value : object
            The new value. None takes the field away.
        group : str, optional
            A list to add to (``"skills"``, ``"routines"``, ``"personality_traits"``) or an
            object to set a field of (``"personality"``, ``"occupation"``). A group that is
            not known becomes a list.

        Raises
        ------
        InvalidPersona
            For a value that cannot be; nothing is changed.
        NameTaken
            For a new name that someone else bears; nothing is changed.
        """
        self._change(edits.defined(self._persona, [(key, value)], group))

    def define_several(self, group: str, records: Iterable[Any]) -> None:
        """Add several values to a group, all or none: ``[{"skill": "sewing"}, "chess"]``.

        Raises
        ------
        InvalidPersona
            For a value that cannot be; nothing is changed.
        """
        if isinstance(records, str | dict):
            records = [records]
        self._change(edits.defined(self._persona, [(None, record) for record in records], group))

    def define_all(self, fields: Json) -> None:
        """Set many fields at once, all or none: lists are added to, the rest is replaced.

        Raises
        ------
        InvalidPersona
            For a value that cannot be; nothing is changed.
        NameTaken
            For a new name that someone else bears; nothing is changed.

        Examples
        --------
        >>> ana = TinyPerson("Ana", register=False)
        >>> ana.define_all({"age": 34, "skills": ["sewing"]})
        >>> ana.get("age"), ana.get("skills")
        (34, ['sewing'])
        """
        self._change(merge(self._persona, fields))

    def _change(self, persona: Json) -> None:
        """Become `persona`; undone with the transaction around."""
        before = self._persona
        self._rename(persona.get("name", ""))
        self._persona = persona
        on_rollback(lambda: setattr(self, "_persona", before))

    # As data

    def to_dict(self) -> Json:
        """The person as an agent file holds it; `from_dict` reads it back."""
        persona = self.persona
        state = persona.get("agent_state")
        agent: Json = {"type": "TinyPerson", "persona": persona}
        if isinstance(state, dict) and state and not edits.would_hide(state, persona, _FILE_KEYS):
            agent |= persona.pop("agent_state")
        agent["tinyfactory"] = {"version": 1, "provenance": copy.deepcopy(self.provenance)}
        return agent

    @classmethod
    def from_dict(
        cls, data: Json, *, simulation_id: str | None = None, register: bool = False
    ) -> TinyPerson:
        """The person in `data`, in any shape that `normalise` takes.

        Raises
        ------
        InvalidPersona
            For a person that cannot be.
        NameTaken
            With `register`, when someone bears the name.
        """
        about = data.get("tinyfactory") if isinstance(data, dict) else None
        provenance = about.get("provenance") if isinstance(about, dict) else None
        return cls(
            persona=data,
            simulation_id=simulation_id,
            provenance=provenance if isinstance(provenance, dict) else None,
            register=register,
        )

    def encode_complete_state(self) -> Json:
        """All that makes this person, as JSON that shares nothing with it."""
        # What was said and done stands beside the description, once there is any.
        beside = {
            "conversation": self._conversation,
            "revisions": self._revisions,
            "proposals": self._proposals,
        }
        return {
            "persona": self.persona,
            "provenance": copy.deepcopy(self.provenance),
            "registered": self.is_registered,
            "simulation_id": self.simulation_id,
        } | {key: copy.deepcopy(value) for key, value in beside.items() if value}

    def decode_complete_state(self, state: Json) -> TinyPerson:
        """Become what `encode_complete_state` returned; a registered person stays registered.

        Raises
        ------
        InvalidPersona
            For a state that holds no possible person; nothing is changed.
        """
        persona = normalise(state["persona"], partial="name" not in state["persona"])
        provenance = plain(state.get("provenance") or {})
        if hasattr(self, "_persona"):  # else made by the journal, without a state before
            self._rename(persona.get("name", ""))
        self._persona, self.provenance = persona, provenance
        self._conversation = copy.deepcopy(state.get("conversation", []))
        self._revisions = copy.deepcopy(state.get("revisions", []))
        self._proposals = state.get("proposals", 0)
        self.simulation_id = state.get("simulation_id", getattr(self, "simulation_id", None))
        self._joins = bool(state.get("registered"))
        return self

    def _apply_change(self, change: Change) -> None:
        """Make a change; one more answer costs that, however long the conversation is."""
        said = change.get("append", {}).get("conversation")
        if change == {"append": {"conversation": said}}:
            self._conversation.extend(copy.deepcopy(said))
        else:
            self.decode_complete_state(apply(self.encode_complete_state(), change))

    def _join_simulation(self, simulation_id: str) -> TinyPerson:
        """Come out of a journal into a simulation, registered if it was so when it went in."""
        self.simulation_id = simulation_id
        if not self._joins:
            return self
        holder = self._registry().get(self.name)
        if isinstance(holder, TinyPerson) and holder == self:
            return holder  # the same person, who is there already
        self.register()
        return self

    def __eq__(self, other: object) -> bool:
        return self._persona == other._persona if isinstance(other, TinyPerson) else NotImplemented

    # Shown

    def __repr__(self) -> str:
        parts = [("name", "name"), ("age", "age"), ("occupation", "occupation.title")]
        shown = [(label, self.get(path)) for label, path in parts]
        inside = ", ".join(f"{label}={value!r}" for label, value in shown if value is not None)
        return f"{type(self).__name__}({inside})"

    def _repr_html_(self) -> str:
        from tinyfactory.people.render.person import person_html

        return person_html(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from tinyfactory.people.render.person import person_text

        return {"text/plain": person_text(self), "text/html": self._repr_html_()}
