"""Replay of a recording: its events in the place of a journal's, and new events beside them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

from tinyfactory.errors import ReplayMiss
from tinyfactory.journal.cells import Execution, say
from tinyfactory.journal.explain import differences, nearest
from tinyfactory.journal.key import derived_parameters
from tinyfactory.journal.recording.index import RecordedCall, RecordedCalls
from tinyfactory.journal.recording.recording import Portable, Recording
from tinyfactory.journal.recording.turns import Option, Turn, Turns
from tinyfactory.journal.records import NEW, Record, called
from tinyfactory.journal.storage.store import Items, Store, StoreBase, mapped
from tinyfactory.journal.values.serializer import decode
from tinyfactory.journal.values.stored_text import digest, outline
from tinyfactory.journal.verification import check_row
from tinyfactory.utils.concurrency import new_lock


class RecordedStore(StoreBase):
    """A recording in the place of a journal's store, with a journal behind it for new events.

    Parameters
    ----------
    recording : Recording
        Never changed.
    simulation : str
        Id under which it is replayed.
    own : Store, optional
        The journal for new events. Without it a call that was not recorded is an error.
    """

    def __init__(self, recording: Recording, simulation: str, own: Store | None) -> None:
        self.recording = recording
        self.own = own
        self.used = False  # whether a call was looked up
        self._simulation = simulation
        # New events without a journal, such as edits, and origins of lines that are not recorded.
        self._added: dict[str, Any] = {}
        self._notes: dict[str, Any] = {}
        self._lock = new_lock()
        self._index: RecordedCalls | None = None
        self.restart()

    def restart(self) -> None:
        """Begin a run: no event was replayed yet."""
        self.turns = Turns()
        self._added.clear()
        self._told_of_prompt = False

    # -- as a store -------------------------------------------------------------------

    def get(self, key: str) -> Any | None:
        """The value under a key: from the recording, else from the own journal, or None."""
        value = self.recording.get(key)
        if value is not None:
            # Without its secrets an event no longer matches its head.
            check_row(key, value, bool(self.recording.footer.get("stripped")))
            if value.get("simulation") == self.recording.simulation:
                value["simulation"] = self._simulation
            return value
        if self.own is not None:
            return self.own.get(key)
        return self._added.get(key) or self._notes.get(key)

    def submit(self, items: Items) -> Future[list[Any]]:
        """Add values that are not recorded to the own journal; without one, in memory."""
        if self.own is None:
            present: Future[list[Any]] = Future()
            present.set_result(
                [self.get(key) or self._added.setdefault(key, value) for key, value in items]
            )
            return present
        new = [item for item in items if item[0] not in self.recording]

        def merged(values: list[Any]) -> list[Any]:
            stored = dict(zip([key for key, _ in new], values, strict=True))
            return [stored[key] if key in stored else self.get(key) for key, _ in items]

        return mapped(self.own.submit(new), merged)

    def leave(self, items: Items, future: Future[Any]) -> None:
        """Have look-ups find values whose commit is waited for no more, until it has ended."""
        if self.own is not None:
            self.own.leave(items, future)

    def __iter__(self) -> Iterator[str]:
        """All keys: those of the recording, then those of the own journal or in memory."""
        yield from self.recording
        added = list(self._added) if self.own is None else self.own
        yield from (key for key in added if key not in self.recording)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def check_writable(self) -> None:
        """Raise before anything is sent when the own journal can only be read."""
        if self.own is not None:
            self.own.check_writable()

    @property
    def unsaved(self) -> int:
        """The number of new events and replies that wait in memory."""
        return 0 if self.own is None else self.own.unsaved

    def flush(self) -> int:
        """Try to save the values in memory; the number that still wait."""
        return 0 if self.own is None else self.own.flush()

    def close(self) -> None:
        """Close the own journal; the recording can be replayed again."""
        if self.own is not None:
            self.own.close()

    # -- as a recording ---------------------------------------------------------------

    @property
    def calls(self) -> RecordedCalls:
        """The recording's events by call; they are read at the first call that needs them."""
        with self._lock:
            if self._index is None:
                self._index = RecordedCalls(self.recording)
            return self._index

    def turn(
        self,
        asked: Record,
        *,
        key: str,
        base: str,
        root: str,
        execution: Execution | None,
        derived: tuple[str, ...] = (),
        edit: bool = False,
    ) -> Turn | None:
        """The recorded event of an outermost call, or None.

        It is searched by what is called and on which object, not by what ran before. The call's
        place tells equal calls on different branches apart.

        Parameters
        ----------
        asked : dict
            The call: its class, method, version, arguments, request and state.
        key, base : str
            The call's key with the configured model, and the base of that key.
        root : str
            The root of the object's line; empty for a call on a class.
        execution : Execution or None
            The execution of the cell that makes the call.
        derived : tuple of str
            Arguments that are not compared.
        edit : bool
            Whether the call needs no model, so that a further cell makes it anew.
        """
        exact = self.key_of(key, base, asked)
        self.used = True
        kind = f"{root} {self.calls.call_of(asked, derived)}"

        def options() -> list[Option]:
            return [
                Option(event.key, event.number, event.cell, event.base)
                for event in self._events(asked, root, derived)
            ]

        shared = self.own is None and not edit
        turn = self.turns.take(kind, execution, options, exact=exact, base=base, shared=shared)
        if turn is not None and turn.option.key != exact:
            self._compare_prompts(asked, turn.option.key)
        return turn

    def inner_key(self, asked: Record, key: str, base: str) -> str:
        """The key under which a call within a recorded call was recorded."""
        exact = self.key_of(key, base, asked)
        if "event:" + exact in self.recording:
            return exact
        for other in self.calls.inner.get(base, ()):
            record = self.recording.get("event:" + other)
            if record is not None and self.calls.call_of(record) == self.calls.call_of(asked):
                self._compare_prompts(asked, other)
                return other
        return key

    def root_of(self, origin: Record, execution: Execution | None, *, made: bool) -> str | None:
        """The root of the recorded line of an object, or None.

        Parameters
        ----------
        origin : dict
            The object's class and its state when it is called for the first time.
        execution : Execution or None
            The execution of the cell that made the object, or calls it for the first time.
        made : bool
            Whether a call made the object.
        """
        lines = self.calls.lines_like(origin["class"], origin["state"], made=made)
        options = [Option(line.root, number, line.cell) for number, line in enumerate(lines)]
        kind = "line " + digest([line.root for line in lines])
        shared = self.own is None
        turn = self.turns.take(kind, execution, lambda: options, tell=False, shared=shared)
        return None if turn is None else turn.option.key

    def planned(
        self, root: str, call: Record, name: str, drawn: list[Any], execution: Execution | None
    ) -> list[Any]:
        """One argument of the next calls of a job, as it was recorded.

        Parameters
        ----------
        root : str
            The root of the line of the job's object.
        call : dict
            The class and method that the job calls, and the other arguments.
        name : str
            The argument that differs from call to call.
        drawn : list
            Its values without a recording; as many are returned at most.
        execution : Execution or None
            The execution of the cell that begins the job.
        """
        places: dict[str, list[tuple[str, Any]]] = {}
        likeness: dict[str, int] = {}
        for event in sorted(self.calls.on_line[root], key=lambda event: event.order):
            record = self.recording.get("event:" + event.key) or {}
            value = record["arguments"].get(name)
            others = {key: part for key, part in record["arguments"].items() if key != name}
            if value is not None and call == {
                "class": record["class"], "method": record["method"], "arguments": others
            }:  # fmt: skip
                places.setdefault(event.base, []).append((event.key, decode(value)))
                like = 0 if execution is None else execution.likeness(event.cell)
                likeness[event.base] = max(like, likeness.get(event.base, 0))
        taken, own, now = self.turns.had_by(execution)
        again = [[o for o in found if o[0] in own - now] for found in places.values()]
        fresh = [
            places[base]
            for base in sorted(places, key=lambda base: -likeness[base])
            if taken.isdisjoint(key for key, _ in places[base])
        ]
        following = [*filter(None, again), *fresh]
        if not following and execution is not None and self.own is None:
            following = [*places.values()]  # other cells have had all
        return [
            next((value for _, value in options if value == wanted), options[0][1])
            for options, wanted in zip(following, drawn, strict=False)
        ]

    def arguments_of(self, class_name: str, method: str) -> list[Record]:
        """The arguments of all recorded calls of a class's method on the class itself."""
        found = []
        for (root, _), numbers in self.calls.calls.items():
            for event in [event for events in numbers.values() for event in events if not root]:
                record = self.recording.get("event:" + event.key) or {}
                if (record["class"], record["method"]) == (class_name, method):
                    found.append(decode(record["arguments"]))
        return found

    def _events(self, asked: Record, root: str, derived: tuple[str, ...]) -> list[RecordedCall]:
        """The recorded events of a call on an object."""
        calls = self.calls.calls
        found = calls.get((root, self.calls.call_of(asked, derived)))
        if found is None:
            # Secrets in arguments were removed when the recording was written.
            asked = asked | {"arguments": Portable(strip=True).public(asked["arguments"])}
            found = calls.get((root, self.calls.call_of(asked, derived)), {})
        return [event for number in sorted(found) for event in found[number]]

    def key_of(self, key: str, base: str, asked: Record) -> str:
        """The key of the very same call under a recorded model, whatever model is configured.

        An event's key includes the model's identity. The model that is configured here may be
        another one, or none, so the recorded models are tried, the most frequent first.
        """
        request = asked["request"]
        if not isinstance(request, dict) or "model" not in request:
            return key
        if "event:" + key in self.recording:
            return key  # recorded with this very model
        for identity in self.recording.identities:
            other = digest(base, asked | {"request": request | {"model": identity}})
            if "event:" + other in self.recording:
                return other
        return key

    def _compare_prompts(self, asked: Record, key: str) -> None:
        """Say once when an event was recorded with another template or schema."""
        record = self.recording.get("event:" + key)
        before = (record or {}).get("request") or {}
        now = outline(asked["request"]) or {}
        changed = any(before.get(part) != now.get(part) for part in ("template", "schema"))
        if changed and not self._told_of_prompt:
            self._told_of_prompt = True
            say(
                f"{self.recording.path.name} was recorded with an older prompt. "
                "Its results are replayed as they were recorded."
            )

    def missed(
        self,
        asked: Record,
        why: str,
        *,
        key: str = "",
        base: str = "",
        line: tuple[str, Record] | None = None,
    ) -> None:
        """Raise for a call that is not in the recording, unless a journal takes new events.

        Parameters
        ----------
        asked : dict
            The call: its class, method, version, arguments, request and state.
        why : str
            Why it is new; for `NEW` the message says how it differs from the nearest event.
        key, base : str
            The call's key and the base of that key.
        line : tuple of str and dict, optional
            Root and origin of the line of the call's object.

        Raises
        ------
        ReplayMiss
            Before anything is sent.
        """
        if self.own is not None:
            return
        call, lacks = called(asked["class"], asked["method"]), "does not hold this call"
        number = self._number_of(asked, line) if why == NEW else 0
        if number:
            times = "once" if number == 1 else f"{number} times"
            lacks, why = "holds no further call", f"it was recorded {times}, and all was replayed"
        elif why == NEW:
            why = self._difference(asked, key, base, line)
        raise ReplayMiss(
            f"The recording {self.recording.path.name} {lacks}, "
            f"{call}: {why}. Nothing was sent, and nothing was "
            "changed. Make the call, and the method, as they were recorded; or open the recording "
            'with mode="extend" and choose a model, to save new events in your journal.'
        )

    def _number_of(self, asked: Record, line: tuple[str, Record] | None) -> int:
        """How often a call was recorded."""
        root, origin = line or ("", {})
        root = "" if origin.get("kind") == "class" else root
        derived = derived_parameters.get(asked["method"], ())
        return len({event.number for event in self._events(asked, root, derived)})

    def _difference(
        self, asked: Record, key: str, base: str, line: tuple[str, Record] | None
    ) -> str:
        root, origin = line or (None, {})
        if root is not None:
            self._notes.setdefault("line:" + root, origin)
        wanted = {
            **{name: asked[name] for name in ("class", "method", "version", "arguments")},
            "request": outline(asked["request"]),
            "state": asked.get("state"),
            "base": base,
            "line": root,
        }
        near = nearest(self, self._simulation, key, wanted)
        if near is None:
            return "it holds no call of that method"
        _, recorded = near
        if wanted["request"] and recorded["request"]:
            # Another model is no reason: the call was looked up with the recorded ones, too.
            wanted["request"]["model"] = recorded["request"].get("model")
        words = "; ".join(differences(self, recorded, wanted)) or "it is a further call of it"
        return f"compared with the nearest call that it holds, {words}"
