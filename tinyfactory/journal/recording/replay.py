"""Replay of a recording: its events in the place of a journal's, and new events beside them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

from tinyfactory.errors import ReplayMiss
from tinyfactory.journal.explain import differences, nearest
from tinyfactory.journal.recording.recording import Recording
from tinyfactory.journal.records import NEW, Record
from tinyfactory.journal.serializer import digest, outline
from tinyfactory.journal.storage.store import Items, Store, StoreBase, mapped
from tinyfactory.journal.verification import check_row


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
        self._simulation = simulation
        # Rows that a replay adds and no journal takes, such as the origin of a line.
        self._notes: dict[str, Any] = {}

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
        return self._notes.get(key)

    def submit(self, items: Items) -> Future[list[Any]]:
        """Add values that are not recorded to the own journal; without one, in memory."""
        if self.own is None:
            present: Future[list[Any]] = Future()
            present.set_result(
                [self.get(key) or self._notes.setdefault(key, value) for key, value in items]
            )
            return present
        new = [item for item in items if item[0] not in self.recording]

        def merged(values: list[Any]) -> list[Any]:
            stored = dict(zip([key for key, _ in new], values, strict=True))
            return [stored[key] if key in stored else self.get(key) for key, _ in items]

        return mapped(self.own.submit(new), merged)

    def __iter__(self) -> Iterator[str]:
        """All keys: those of the recording, then those of the own journal."""
        yield from self.recording
        if self.own is not None:
            yield from (key for key in self.own if key not in self.recording)

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

    def key_of(self, key: str, base: str, asked: Record) -> str:
        """The key under which a call was recorded, whatever model is configured here.

        An event's key includes the model's identity. The model that is configured here may be
        another one, or none, so the call is looked up with the recorded models, too, the most
        frequent first.

        Parameters
        ----------
        key, base : str
            The call's key with the configured model, and the base of that key.
        asked : dict
            The other parts of the key.
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
        if why == NEW:
            why = self._difference(asked, key, base, line)
        raise ReplayMiss(
            f"The recording {self.recording.path.name} does not hold this call, "
            f"{asked['class']}.{asked['method']}: {why}. Nothing was sent, and nothing was "
            "changed. Run the same calls as in the recording; or open it with "
            'mode="extend" and choose a model, to save new events in your journal.'
        )

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
        nearest_key, recorded = near
        if wanted["request"] and recorded["request"]:
            # Another model is no reason: the call was looked up with the recorded ones, too.
            wanted["request"]["model"] = recorded["request"].get("model")
        words = "; ".join(differences(self, recorded, wanted)) or "it is a further call of it"
        return f"compared with the nearest event that it holds ({nearest_key[:8]}), {words}"
