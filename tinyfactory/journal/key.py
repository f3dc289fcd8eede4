"""The keys of events and replies, and the heads of lines: all digests in a journal.

An event is found by its key. The key is a digest of the *base*, which is the place of the call in
its line, and of the *content* of the call (`call_content`): the class, the method and its version,
the arguments, the model request (with the model's identity, and the schema and the templates as
digests), and the state of every object that the method may change. Nothing else enters a key: no
API key, no time, no order of replies.

The base is, for

* a call on an object: the head of its line (`Line.start`), or a place beside it while another
  call on the same object runs (`beside_base`);
* a call in a slot of a job: the head of the slot's line (`slot_head`);
* a call within another: the outer key and a serial number (`nested_base`);
* a call on a class: the root of a new line (`line_root`).
"""

from __future__ import annotations

from typing import Any

from tinyfactory.journal.call import Call
from tinyfactory.journal.serializer import State, digest, encode

Json = dict[str, Any]


def call_content(call: Call, states: dict[str, State]) -> Json:
    """Everything that enters the key of a call besides its base.

    Parameters
    ----------
    call : Call
    states : dict
        The encoded state of each object that the method may change, by parameter.

    Raises
    ------
    NotSerialisable
        If an argument cannot be stored as JSON. The method has not run then.
    """
    method = call.method
    arguments = call.arguments
    if method.ignore:
        arguments = {k: v for k, v in arguments.items() if k not in method.ignore}
    content = {
        "class": call.class_name,
        "method": method.name,
        "version": method.version,
        "arguments": encode(arguments, "arguments"),
        "request": None if method.request is None else method.request(call.owner, **call.arguments),
    }
    if states:
        # An object that was edited between two calls makes the second call a new event.
        content["state"] = digest(states)
    return content


def event_key(base: str, content: Json) -> str:
    """The key of an event."""
    return digest(base, content)


def retry_key(key: str) -> str:
    """The key of the same call made again, because the event under `key` must not be used."""
    return digest("again", key)


def variant_key(key: str, steps: list[str]) -> str:
    """The key of an event whose inner events differ from the stored ones."""
    return digest("otherwise", key, steps)


def reply_key(key: str, request: Json) -> tuple[str, str]:
    """The key of the reply to a request, and the digest of the request.

    `key` is the key of the call that makes the request. The request of each attempt contains the
    reason why the last reply was rejected, so a rejected reply is never returned to a retry.
    """
    asked = digest(request)
    return "reply:" + digest(key, asked), asked


def nested_base(key: str, serial: int) -> str:
    """The base of a call within another one."""
    return digest("nested", key, serial)


def beside_base(head: str, serial: int) -> str:
    """The base of a call that begins while another on the same object runs."""
    return digest("beside", head, serial)


def line_root(equal: str, occurrence: int) -> str:
    """The root of the line of the nth object of equal origin."""
    return digest(equal, occurrence)


def slot_head(head: str, number: int) -> str:
    """The head at which the line of a slot begins."""
    return digest("slot", head, number)


def next_head(key: str, result: Any, changes: Any, steps: list[str]) -> str:
    """The head of a line after an event: from its key, its result and its inner events."""
    return digest(key, result, changes, *([steps] if steps else []))


def joined_head(head: str, other: str) -> str:
    """The head after a call that ended while another on the same object ran."""
    return digest("join", head, other)


def fork_head(head: str, heads: list[str]) -> str:
    """The head after all slots of a fork."""
    return digest("join", head, heads)
