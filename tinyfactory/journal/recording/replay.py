"""Doing again what was recorded: looked up in the recording, and what is new beside it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from tinyfactory.errors import ReplayMiss
from tinyfactory.journal.recording.recording import Recording
from tinyfactory.journal.serializer import digest
from tinyfactory.journal.storage.store import Adds, Items

if TYPE_CHECKING:
    from tinyfactory.journal.storage.store import Store
    from tinyfactory.journal.transaction import Transaction


class RecordedStore(Adds):
    """A recording in the place of a journal's store, with a journal behind it for what is new.

    Parameters
    ----------
    recording : Recording
        Never changed.
    simulation : str
        Id under which it is replayed.
    own : Store, optional
        Keeps what is new. Without it a step that was not recorded is an error.
    """

    def __init__(self, recording: Recording, simulation: str, own: Store | None) -> None:
        self.recording = recording
        self.own = own
        self._simulation = simulation
        # What a replay notes down on its way, such as where a line begins; gone at its end.
        self._notes: dict[str, Any] = {}

    # -- as a store -------------------------------------------------------------------

    def get(self, key: str) -> Any | None:
        """The value under a key: recorded, else one's own, or None."""
        value = self.recording.get(key)
        if value is not None:
            if value.get("simulation") == self.recording.simulation:
                value["simulation"] = self._simulation
            return value
        if self.own is not None:
            return self.own.get(key)
        return self._notes.get(key)

    def submit(self, items: Items) -> Future[list[Any]]:
        """Store what is not recorded in one's own journal; without one, in memory."""
        standing: Future[list[Any]] = Future()
        if self.own is None:
            standing.set_result(
                [self.get(key) or self._notes.setdefault(key, value) for key, value in items]
            )
            return standing
        new = [item for item in items if item[0] not in self.recording]

        def stored(result: Future[list[Any]]) -> None:
            error = result.exception()
            if error is not None:
                standing.set_exception(error)
                return
            stands = dict(zip([key for key, _ in new], result.result(), strict=True))
            standing.set_result(
                [stands[key] if key in stands else self.get(key) for key, _ in items]
            )

        self.own.submit(new).add_done_callback(stored)
        return standing

    def __iter__(self) -> Iterator[str]:
        """All keys: the recorded ones, then one's own."""
        yield from self.recording
        if self.own is not None:
            yield from (key for key in self.own if key not in self.recording)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def check_writable(self) -> None:
        """Refuse before anything is done when one's own journal can only be read."""
        if self.own is not None:
            self.own.check_writable()

    @property
    def unsaved(self) -> int:
        """How much of what is new waits in memory."""
        return 0 if self.own is None else self.own.unsaved

    def flush(self) -> int:
        """Try to save what waits; how much still does."""
        return 0 if self.own is None else self.own.flush()

    def close(self) -> None:
        """Close one's own journal; the recording can be replayed again."""
        if self.own is not None:
            self.own.close()

    # -- as a recording ---------------------------------------------------------------

    def key_of(self, tx: Transaction) -> str:
        """The key under which a call was recorded, whichever model is configured here.

        The event's key holds the model's identity. Here that may be another one, or none: so
        the call is looked up under those of the recording too, the most frequent first.
        """
        request = tx.content["request"]
        if not isinstance(request, dict) or "model" not in request:
            return tx.key
        for identity in self.recording.identities:
            asked = tx.content | {"request": request | {"model": identity}}
            key = digest(tx.base, asked)
            if "event:" + tx.key in self.recording:
                break  # it was this very model
            if "event:" + key in self.recording:
                return key
        return tx.key

    def missed(self, tx: Transaction, why: str) -> None:
        """A step is not in the recording: an error, unless there is a journal to keep it in.

        Raises
        ------
        ReplayMiss
            Saying what differs from the nearest step that was recorded.
        """
        if self.own is not None:
            return
        raise ReplayMiss(
            f"The recording {self.recording.path.name} does not hold this step, "
            f"{tx.call.class_name}.{tx.call.method.name}: {self._difference(tx, why)}. Nothing "
            "was sent, and nothing was changed. Do as it was recorded; or open the recording "
            'with mode="extend" and choose a model: what is new is then kept in your journal.'
        )

    def _difference(self, tx: Transaction, why: str) -> str:
        from tinyfactory.journal.explain import differences, nearest
        from tinyfactory.journal.transaction import NEW, outline

        if why != NEW:
            return why
        asked = tx.content
        root = tx.line.root if tx.line is not None else None
        if tx.line is not None:
            self._notes.setdefault("line:" + tx.line.root, tx.line.origin)
        wanted = {
            **{name: asked[name] for name in ("class", "method", "version", "arguments")},
            "request": outline(asked["request"]),
            "state": asked.get("state"),
            "base": tx.base,
            "line": root,
        }
        near = nearest(tx.scope, tx.key, wanted)
        if near is None:
            return "it holds no call of that method"
        key, recorded = near
        if wanted["request"] and recorded["request"]:
            # Another model here is no reason: it was looked up under the recorded one.
            wanted["request"]["model"] = recorded["request"].get("model")
        words = "; ".join(differences(tx.scope, recorded, wanted)) or "it is a further call of it"
        return f"compared with the nearest step that it holds ({key[:8]}), {words}"
