"""Finds the stored event of one call, in the journal or in the recording that is replayed."""

from __future__ import annotations

from typing import Any

from tinyfactory.errors import DamagedRecord, UnknownRecord
from tinyfactory.journal import key as keys
from tinyfactory.journal.cells import Execution
from tinyfactory.journal.key import Call
from tinyfactory.journal.parallel.group import Member
from tinyfactory.journal.records import NEW, Record
from tinyfactory.journal.scopes.lines import Line
from tinyfactory.journal.scopes.scope import Scope
from tinyfactory.journal.transactions.recorded import RecordedCall
from tinyfactory.utils.logs import get_logger

logger = get_logger("tinyfactory")


class Finder:
    """Finds the stored event of one call.

    The steps, in order:

    1. In a recording, the call takes the key of its recorded event, wherever that was made.
    2. The event under the key is read. A damaged one is made again and replaced.
    3. If there is none, the call takes the key that an earlier release gave to it, if that has an
       event.
    4. An event that failed is skipped, if failures are retried or this one was: the event of the
       retry has a key of its own. `skip` does the same for an event that cannot be used.

    Parameters
    ----------
    call : Call
    scope : Scope
    recorded : RecordedCall or None
        The part that concerns the recording, if one is replayed.
    content : dict
        The content of the call.
    base, key : str
        The place of the call and its key there.
    line : Line or None
        The line of the call's object; None for a call within another.
    member : Member or None
        The place among calls that overlap.
    execution : Execution or None
        The execution of the cell that makes the call.
    inner : bool
        Whether it is a call within another.

    Attributes
    ----------
    why : str
        Why the call is new, if it is.
    """

    def __init__(
        self,
        call: Call,
        scope: Scope,
        recorded: RecordedCall | None,
        *,
        content: dict[str, Any],
        base: str,
        key: str,
        line: Line | None,
        member: Member | None,
        execution: Execution | None,
        inner: bool,
    ) -> None:
        self.call = call
        self.scope = scope
        self.recorded = recorded
        self.content = content
        self.base = base
        self.key = key
        self.line = line
        self.member = member
        self.execution = execution
        self.inner = inner
        self.why = ""
        self._former_tried = False

    def find(self) -> Record | None:
        """The stored event, or None; call it again after `skip`.

        Raises
        ------
        ReplayMiss
            If a recording is opened for replay only and does not have the event.
        """
        recorded = self.scope.recorded
        if self.recorded is not None and not self.why:
            self._find_recorded(self.recorded)
        self.why = self.why or NEW
        while True:
            try:
                record: Record | None = self.scope.store.get("event:" + self.key)
            except UnknownRecord:
                raise  # nothing is known of it, so it is neither used nor replaced
            except DamagedRecord as error:
                if recorded is not None and "event:" + self.key in recorded.recording:
                    raise
                logger.warning("%s Event %s runs again and is replaced.", error, self.key[:12])
                self.why = "the stored event is damaged"
                return None
            if record is None and self._take_former_key():
                continue
            if record is None:
                if recorded is not None and not self.call.method.edit:
                    line = None if self.line is None else (self.line.root, self.line.origin)
                    recorded.missed(self.content, self.why, key=self.key, base=self.base, line=line)
                return None
            if record["failure"] is None:
                return record
            again = "event:" + keys.retry_key(self.key)
            if not self.scope.retry_failures and not self._is_in_store(again):
                return record
            self.skip(f"it failed before ({record['failure']}) and is asked again")

    def _find_recorded(self, recorded: RecordedCall) -> None:
        """Take the key, and for a call on a class the line, of the recorded event."""
        content, key, base = self.content, self.key, self.base
        if self.inner:
            self.key = recorded.inner_key(content, key, base)
            return
        self.key, line = recorded.find(content, key, base, self.line, self.execution)
        if line is not None and line is not self.line:
            if self.line is not None and self.member is not None:
                self.line.leave(self.member, failed=True)
            self.line = line
            self.member = line.enter(None, line.next_base(), self.key, 1)

    def _take_former_key(self) -> bool:
        """Continue with the key that an earlier release gave to this call, if it has an event.

        Its version covered the method only, so such an event is trusted as it was then.
        """
        recorded = self.scope.recorded
        if self._former_tried or self.why != NEW or (recorded is not None and recorded.own is None):
            return False
        self._former_tried = True
        for version in self.call.method.former_versions:
            content = self.content | {"version": version}
            key = keys.event_key(self.base, content)
            if self._is_in_store("event:" + key):
                self.key = key
                return True
        return False

    def _is_in_store(self, name: str) -> bool:
        try:
            return self.scope.store.get(name) is not None
        except DamagedRecord:
            return True  # and is found damaged when it is looked up

    def skip(self, why: str) -> None:
        """Continue behind an event that must not be used."""
        logger.info("%s is not replayed: %s", self.call.method.name, why)
        self.key, self.why = keys.retry_key(self.key), why
