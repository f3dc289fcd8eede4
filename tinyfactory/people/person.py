"""`TinyPerson`: a simulated person with a name, fields, a conversation and edits."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from tinyfactory.errors import InvalidInput, InvalidPersona, NameTaken
from tinyfactory.journal.scopes.context import on_rollback
from tinyfactory.journal.scopes.registry import Registry
from tinyfactory.journal.scopes.reruns import is_made_again, note_birth, once_per_cell
from tinyfactory.journal.scopes.scope import scope
from tinyfactory.journal.transactional import transactional
from tinyfactory.journal.values.changes import Change, apply
from tinyfactory.journal.values.serializer import encode, journaled
from tinyfactory.journal.values.state import own_state, restore_own
from tinyfactory.journal.values.stored_text import digest
from tinyfactory.people import revisions as records
from tinyfactory.people.comparison import Twins
from tinyfactory.people.conversation import answer, answer_async, twin_of
from tinyfactory.people.proposal import Proposal, rewrite
from tinyfactory.people.render.person import person_html, person_text
from tinyfactory.people.revisions import Revision, Source
from tinyfactory.people.schema import edits
from tinyfactory.people.schema.field_names import check_names
from tinyfactory.people.schema.fields import minibio
from tinyfactory.people.schema.normalise import merge, normalise, with_name
from tinyfactory.people.schema.provenance import Origin, origins_of, with_origins
from tinyfactory.people.schema.values import copy_json, plain
from tinyfactory.utils.text import legible

if TYPE_CHECKING:
    from tinyfactory.people import People

Json = dict[str, Any]
# Keys of an agent file beside the persona and its memories.
_FILE_KEYS = frozenset(("type", "persona", "tinyfactory"))


@journaled
class TinyPerson:
    """A simulated person.

    Reading returns copies and writing validates, so a person is valid at any time. Only a
    person created with neither name nor persona, and not registered, has no name yet.

    Parameters
    ----------
    name : str, optional
        The name; it takes precedence over one in `persona`.
    persona : dict, optional
        The fields of the person, in any shape that `normalise` accepts.
    simulation_id : str, optional
        The simulation that the person belongs to; by default the current one.
    provenance : dict, optional
        Where the description came from, e.g. ``{"source": "offline"}`` or
        ``{"source": "model", "model": "..."}``.
    register : bool
        Whether to reserve the name in the simulation.

    Raises
    ------
    InvalidPersona
        For an invalid name or persona.
    NameTaken
        When another person registered in the simulation has the name.

    Examples
    --------
    >>> ana = TinyPerson("Ana Souza", {"age": 34, "occupation": "nurse"}, register=False)
    >>> ana
    TinyPerson(name='Ana Souza', age=34, occupation='nurse')
    >>> ana.define("skill", "sewing", group="skills")
    >>> ana.get("skills")
    ['sewing']
    """

    simulation_id: str | None
    provenance: Json
    _persona: Json  # every change replaces the dictionary; nothing changes it in place
    _conversation: list[Json]  # pairs of a question and its answer, oldest first
    _revisions: list[Json]  # edits and ``{"undoes": number}``; entries are only ever added
    _proposals: int  # rewrites proposed so far; it makes each further request a new one
    # The journal stores events by content; the simulation that holds them is no content.
    _not_in_journal: ClassVar[tuple[str, ...]] = ("simulation_id",)
    # Attributes that the encoder below saves itself; see `tinyfactory.journal.values.state`.
    _encoded: ClassVar[tuple[str, ...]] = (
        *("simulation_id", "provenance", "_persona", "_conversation", "_revisions", "_proposals"),
        *("persona", "registered", "conversation", "revisions", "proposals", "_joins"),
    )
    # Attributes of a subclass that are no part of its state.
    _transient: ClassVar[tuple[str, ...]] = ()
    _joins = False  # whether a person restored from a journal registers the name again
    __hash__ = None  # type: ignore[assignment]  # equal by content, and content may change

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        journaled(cls)

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
            raise InvalidPersona(f"persona must be a dictionary, not {type(persona).__name__}.")
        if name is None and persona is None and not register:
            self._persona = {}
        elif name is None:
            self._persona = normalise(persona or {})
        else:
            self._persona = with_name(persona or {}, name)
        self.simulation_id = simulation_id
        self.provenance = plain(provenance or {})
        self._conversation, self._revisions, self._proposals = [], [], 0
        if register:
            self.register()
        note_birth(self)

    # -- reading -----------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The name; empty if there is none yet."""
        return str(self._persona.get("name", ""))

    @property
    def persona(self) -> Json:
        """A copy of all fields, as plain JSON; change fields with `define`."""
        return copy_json(self._persona)

    def get(self, key: str, default: Any = None) -> Any:
        """Return a copy of a field, or `default` if it is missing.

        Parameters
        ----------
        key : str
            A field (``"skills"``), a dotted path (``"occupation.title"``), or an older name
            (``"country_of_residence"``, ``"occupation_description"``, ``"routines"``).
        default : object
            The value to return for a missing field.

        Examples
        --------
        >>> ana = TinyPerson("Ana", {"occupation": {"title": "nurse"}}, register=False)
        >>> ana.get("occupation.title"), ana.get("age", "unknown")
        ('nurse', 'unknown')
        """
        return copy_json(edits.find(self._persona, key, default))

    def minibio(self) -> str:
        """Return one line made of name, age, nationality, occupation and residence."""
        return legible(minibio(self._persona))

    def origins(self) -> dict[str, Origin]:
        """Where each field came from, by dotted path; see `tinyfactory.people.schema.provenance`.

        Examples
        --------
        >>> from tinyfactory import TinyPersonFactory
        >>> factory = TinyPersonFactory("Bakers in Vienna", model="offline")
        >>> found = factory.generate_person({"age": 34}).origins()
        >>> found["age"], found["beliefs"]
        ('asked', 'offline')
        """
        return origins_of(self._persona, self.provenance)

    # -- the name in the registry ------------------------------------------------------

    def _registry(self) -> Registry:
        return scope(self.simulation_id).people

    @property
    def is_registered(self) -> bool:
        """Whether this person holds the name in the simulation."""
        return bool(self.name) and self._registry().get(self.name) is self

    def register(self) -> None:
        """Reserve the name in the simulation; NameTaken if another person has it."""
        if not self.name:
            raise InvalidPersona("A person needs a name to be registered. Define one first.")
        holder = self._registry().get(self.name)
        if holder is not None and is_made_again(scope(self.simulation_id), holder):
            self._registry().remove(self.name)
        self._registry().add(self.name, self)

    def unregister(self) -> None:
        """Release the name; does nothing if this person does not hold it."""
        if self.is_registered:
            self._registry().remove(self.name)

    def let_go(self) -> None:
        """Keep the name reserved, but let the registry forget the person, to save memory."""
        self._registry().let_go(self.name, self)

    @staticmethod
    def all_people(simulation_id: str | None = None) -> People:
        """Return all people registered in a simulation, by default the current one."""
        # Its module imports this one, so it is taken from the package at the call.
        from tinyfactory.people import People

        return People(scope(simulation_id).people)

    @staticmethod
    def clear_people(simulation_id: str | None = None) -> None:
        """Release all names of a simulation, by default the current one."""
        scope(simulation_id).people.clear()

    def _rename(self, name: str) -> None:
        """Move the registration to a new name, if this person is registered."""
        if name == self.name or not self.is_registered:
            return
        before, registry = self.name, self._registry()
        # The old name goes first: the new one may be another spelling of it.
        registry.remove(before)
        try:
            registry.add(name, self)
        except NameTaken:
            registry.add(before, self)
            raise

    # -- changing ----------------------------------------------------------------------

    def define(self, key: str | None, value: Any, group: str | None = None) -> None:
        """Set a field, or add to a group.

        Parameters
        ----------
        key : str or None
            The field, as in `get`. For a group that is a list, the kind of item
            (``"skill"``), or None; for a group that is an object, the field to set.
        value : object
            The new value. None removes the field.
        group : str, optional
            A list to add to (``"skills"``, ``"routines"``, ``"personality_traits"``) or an
            object to set a field of (``"personality"``, ``"occupation"``). An unknown group
            becomes a list.

        Raises
        ------
        InvalidPersona
            For an invalid value; nothing is changed.
        NameTaken
            For a new name that another person has; nothing is changed.
        """
        if group is None:
            check_names({str(key): value}, self._persona)
        else:
            check_names({group: {str(key): value}}, self._persona)
        self._change(edits.defined(self._persona, [(key, value)], group))

    def define_several(self, group: str, records: Iterable[Any]) -> None:
        """Add several values to a group, all or none: ``[{"skill": "sewing"}, "chess"]``."""
        if isinstance(records, str | dict):
            records = [records]
        check_names({group: None}, self._persona)
        self._change(edits.defined(self._persona, [(None, record) for record in records], group))

    def define_all(self, fields: Json) -> None:
        """Set many fields at once, all or none: lists are added to, the rest is replaced.

        Examples
        --------
        >>> ana = TinyPerson("Ana", register=False)
        >>> ana.define_all({"age": 34, "skills": ["sewing"]})
        >>> ana.get("age"), ana.get("skills")
        (34, ['sewing'])
        """
        self._change(merge(self._persona, fields))

    def _change(self, persona: Json) -> None:
        """Replace the persona; undone if the transaction around is rolled back."""
        before = self._persona
        self._rename(persona.get("name", ""))
        self._persona = persona
        on_rollback(lambda: setattr(self, "_persona", before))

    # -- revisions ---------------------------------------------------------------------

    def revise(self, changes: Mapping[str, Any]) -> Revision | None:
        """Change fields as one edit that can be undone: all of them, or none.

        In a simulation the edit is saved as an event of the person. `define` changes fields
        without recording it.

        Parameters
        ----------
        changes : mapping
            New values by field, named as in `get`: ``{"age": 35, "occupation.title":
            "midwife"}``. None removes a field.

        Returns
        -------
        Revision or None
            None if the fields have these values already, so nothing was changed.

        Raises
        ------
        InvalidPersona
            For an invalid value; nothing is changed.
        NameTaken
            For a new name that another person has; nothing is changed.

        Examples
        --------
        >>> ana = TinyPerson("Ana", {"age": 34}, register=False)
        >>> ana.revise({"age": 35}).changes
        {'age': (34, 35)}
        >>> ana.origins()["age"], ana.undo().number, ana.get("age")
        ('edited', 1, 34)
        """
        return self._revised(changes, "edited", "edited")

    @property
    def revisions(self) -> list[Revision]:
        """The edits so far, oldest first, including undone ones."""
        return records.revisions_in(self._revisions)

    def undo(self) -> Revision:
        """Undo the latest edit that is not undone yet; this is an event of its own.

        Raises
        ------
        InvalidInput
            When there is no such edit.
        NameTaken
            When another person has taken the earlier name since; nothing is changed.
        """
        undone: Revision = once_per_cell(scope(self.simulation_id), self, "undo", self._undo)
        return undone

    def _undo(self) -> Revision:
        standing = [revision.number for revision in self.revisions if not revision.undone]
        if not standing:
            raise InvalidInput("There is no edit to undo. Nothing was changed.")
        self._take_back(standing[-1])
        return self.revisions[standing[-1] - 1]

    def rewrite(
        self, path: str, *, wish: str = "", factory: Any = None, attempts: int = 5
    ) -> Proposal:
        """Have a model rewrite one field or part; nothing changes until it is accepted.

        The prompt holds the rest of the person, the present value, and the wish. The reply is
        validated as part of this person. Calling it again asks for another proposal.

        Parameters
        ----------
        path : str
            The field or part: ``"beliefs"``, ``"occupation"``, ``"behaviors.routines.morning"``.
        wish : str
            How the new value should be, in words.
        factory : TinyPersonFactory, optional
            Its model, context and language are used; by default it is the factory that made
            the person, else the configured model and language are used.
        attempts : int
            The maximum number of replies to ask for.

        Returns
        -------
        Proposal
            To compare, and to `accept()` or `reject()`.

        Raises
        ------
        InvalidInput
            For an unknown field, before anything is sent.
        ReplyRejected, ModelError, BudgetExceeded
            When no usable reply came back.

        Examples
        --------
        >>> from tinyfactory import TinyPersonFactory
        >>> factory = TinyPersonFactory("Bakers in Vienna", model="offline")
        >>> baker = factory.generate_person()
        >>> proposal = baker.rewrite("beliefs")
        >>> proposal.before == baker.get("beliefs") != proposal.after
        True
        >>> proposal.accept().source, baker.get("beliefs") == proposal.after
        ('rewritten', True)
        """
        return rewrite(self, path, wish, factory, attempts)

    @property
    def proposals(self) -> int:
        """The number of rewrites proposed so far, accepted or not."""
        return self._proposals

    def _with_persona(self, persona: Json) -> TinyPerson:
        """Return a person with this persona, for a comparison; not registered."""
        return TinyPerson(persona=persona, register=False)

    def _revised(
        self, changes: Mapping[str, Any], source: Source, origin: Origin
    ) -> Revision | None:
        if not isinstance(changes, Mapping) or not changes:
            raise InvalidInput(
                'changes must map fields to new values, e.g. {"age": 35}. Nothing was changed.'
            )
        asked = plain(dict(changes))

        def revise() -> Revision | None:
            if not records.differences(
                self._persona, edits.defined(self._persona, list(asked.items()))
            ):
                return None
            self._revise(asked, source, origin)
            return self.revisions[-1]

        what = f"{source} {digest(encode(asked))}"
        revision: Revision | None = once_per_cell(scope(self.simulation_id), self, what, revise)
        return revision

    @transactional(version="1", touches=("self",), edit=True)
    def _revise(self, changes: Json, source: Source, origin: Origin) -> None:
        before = self._persona
        check_names(changes, before)
        self._change(edits.defined(before, list(changes.items())))
        record = records.edit_record(
            self._revisions, before, self._persona, source, self.provenance
        )
        self._revisions = [*self._revisions, record]
        ways = [change["way"] for change in record["changes"]]
        self.provenance = with_origins(self.provenance, ways, origin)

    @transactional(version="1", touches=("self",), edit=True)
    def _take_back(self, number: int) -> None:
        record = next(r for r in self._revisions if r.get("number") == number)
        self._change(normalise(records.without(self._persona, record["changes"]), partial=True))
        self._revisions = [*self._revisions, {"undoes": number}]
        self.provenance = records.before_edit(self.provenance, record)

    # -- with a model ------------------------------------------------------------------

    def ask(self, question: str, *, model: Any = None, temperature: float | None = 1.0) -> str:
        """Ask the person a question; the answer is in character.

        The prompt holds the persona and the latest part of the conversation: at most 20
        questions with their answers, and 30,000 characters of them. In a simulation each
        question is saved as an event of the person, and replayed when the notebook is run
        again. If there is no answer, the conversation stays as it was.

        Two questions at the same time do not know of each other.

        Parameters
        ----------
        question : str
        model : str or ChatModel, optional
            By default the model of the factory that made the person, else the configured one.
            The offline model cannot talk; it says so and quotes the description.
        temperature : float or None
            From 0 to 2; None leaves it to the endpoint.

        Returns
        -------
        str
            The answer.

        Raises
        ------
        InvalidInput
            For a blank question and other invalid arguments, before anything is sent.
        ReplyRejected, ModelError, BudgetExceeded
            When no usable reply came back.

        Examples
        --------
        >>> ana = TinyPerson("Ana Souza", {"skills": ["sewing"]}, register=False)
        >>> print(ana.ask("What are your skills?", model="offline"))
        The offline writer cannot hold a conversation; it can only say what stands in the ...
        >>> [line["role"] for line in ana.conversation]
        ['user', 'assistant']
        """
        return answer(self, question, model, temperature)

    async def aask(
        self, question: str, *, model: Any = None, temperature: float | None = 1.0
    ) -> str:
        """Await the answer of `ask`; cancelling the await cancels the question."""
        return await answer_async(self, question, model, temperature)

    @property
    def conversation(self) -> list[Json]:
        """A copy of the conversation: ``{"role": "user" or "assistant", "content": ...}``."""
        return [dict(line) for line in self._conversation]

    def twin(self, *, factory: Any = None, attempts: int = 5, **changes: Any) -> Twins[TinyPerson]:
        """Generate the person again with one thing changed, and compare the two.

        The rest of the request stays the same. The profile of a person is kept apart from the
        change; without a profile, age, sex, nationality, residence and occupation are. A name
        that depends on the change is chosen again, unless it is given.

        Parameters
        ----------
        factory : TinyPersonFactory, optional
            The factory that generates the twin; by default the one that made the person.
        attempts : int
            The maximum number of replies to ask for.
        **changes
            Fields and their new values: ``sex="male"``, ``age=70``, ``country="Kenya"``. For a
            field of a demography: one of its categories, or a number within a band.

        Returns
        -------
        Twins
            A `Comparison` that shows the other differences; `.twin` is not registered.

        Raises
        ------
        InvalidInput
            When nothing would change, no factory is known, or the demography of the factory
            has no such person; before anything is sent.
        ReplyRejected, ModelError
            When no usable reply came back.

        Examples
        --------
        >>> from tinyfactory import TinyPersonFactory
        >>> factory = TinyPersonFactory("Nurses in Porto, Portugal", model="offline")
        >>> twins = factory.generate_person({"sex": "female", "age": 40}).twin(age=60)
        >>> twins.original.get("age"), twins.twin.get("age")
        (40, 60)
        """
        return twin_of(self, changes, factory, attempts)

    # -- as data -----------------------------------------------------------------------

    def to_dict(self) -> Json:
        """Return the person as the JSON of an agent file; `from_dict` reads it."""
        persona = self.persona
        state = persona.get("agent_state")
        agent: Json = {"type": "TinyPerson", "persona": persona}
        if isinstance(state, dict) and state and not edits.would_hide(state, persona, _FILE_KEYS):
            agent |= persona.pop("agent_state")
        agent["tinyfactory"] = {"version": 1, "provenance": copy_json(self.provenance)}
        return agent

    @classmethod
    def from_dict(
        cls, data: Json, *, simulation_id: str | None = None, register: bool = False
    ) -> TinyPerson:
        """Create the person in `data`, in any shape that `normalise` accepts.

        Raises
        ------
        InvalidPersona
            For an invalid person.
        NameTaken
            With `register`, when another person has the name.
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
        """Return the complete state of the person, as JSON that shares nothing with it.

        A subclass has its own attributes in the state as well; see `TinyFactory`.
        """
        # These were added later: people without them have the state of the first release.
        added = {
            "conversation": self._conversation,
            "revisions": self._revisions,
            "proposals": self._proposals,
        }
        state = {
            **copy_json({"persona": self._persona, "provenance": self.provenance}),
            "registered": self.is_registered,
            "simulation_id": self.simulation_id,
            **copy_json({key: value for key, value in added.items() if value}),
        }
        return state | own_state(self)

    def decode_complete_state(self, state: Json) -> TinyPerson:
        """Restore a state of `encode_complete_state`; a registered person stays registered.

        Raises
        ------
        InvalidPersona
            For an invalid state; nothing is changed.
        """
        persona = normalise(state["persona"], partial="name" not in state["persona"])
        provenance = plain(state.get("provenance") or {})
        if hasattr(self, "_persona"):  # else the journal has just created the object
            self._rename(persona.get("name", ""))
        self._persona, self.provenance = persona, provenance
        self._conversation = copy_json(state.get("conversation", []))
        self._revisions = copy_json(state.get("revisions", []))
        self._proposals = state.get("proposals", 0)
        self.simulation_id = state.get("simulation_id", getattr(self, "simulation_id", None))
        self._joins = bool(state.get("registered"))
        restore_own(self, state)
        return self

    def _apply_change(self, change: Change) -> None:
        """Apply a change; the cost of one more answer does not grow with the conversation."""
        said = change.get("append", {}).get("conversation")
        if change == {"append": {"conversation": said}}:
            self._conversation.extend(copy_json(said))
        else:
            self.decode_complete_state(apply(self.encode_complete_state(), change))

    def _join_simulation(self, simulation_id: str) -> TinyPerson:
        """Join a simulation from its journal, registered if the stored person was."""
        self.simulation_id = simulation_id
        if not self._joins:
            return self
        holder = self._registry().get(self.name)
        if isinstance(holder, TinyPerson) and holder == self:
            return holder  # the same person, registered already
        self.register()
        return self

    def _leave_simulation(self, simulation_id: str) -> None:
        """Release the name that an equal person holds in a simulation."""
        self.simulation_id = simulation_id
        if self._registry().get(self.name) == self:
            self._registry().remove(self.name)

    def __copy__(self) -> TinyPerson:
        return copy.deepcopy(self)  # shares nothing; not registered, as the name is taken

    def __eq__(self, other: object) -> bool:
        return self._persona == other._persona if isinstance(other, TinyPerson) else NotImplemented

    def __repr__(self) -> str:
        parts = [("name", "name"), ("age", "age"), ("occupation", "occupation.title")]
        shown = [(label, self.get(path)) for label, path in parts]
        inside = ", ".join(f"{label}={value!r}" for label, value in shown if value is not None)
        return f"{type(self).__name__}({inside})"

    def _repr_html_(self) -> str:
        return person_html(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": person_text(self), "text/html": self._repr_html_()}
