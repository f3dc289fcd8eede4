"""Parse the reply of a model: a person, one field, or contexts; or reject it with a reason."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from tinyfactory import settings
from tinyfactory.errors import InvalidPersona, LimitExceeded, ReplyFiltered, ReplyRejected
from tinyfactory.models.chat import BROKEN_OFF, ONLY_REASONING, TOO_LONG
from tinyfactory.people.schema.layout import TOP
from tinyfactory.people.schema.normalise import normalise
from tinyfactory.people.schema.values import MAX_DEPTH
from tinyfactory.utils import bounded_json
from tinyfactory.utils.text import clean

_WRAPPERS = 4
# Code fences after which JSON is looked for.
_MOST_FENCES = 20
_SPACE = re.compile(r"\s*")
_FENCE = re.compile(r"```[\w-]*[ \t]*\n?")
_LIKELY_START = re.compile(r"[\[{]\s*(?:[\"'{\[]|\w+\s*:)")
_NEXT = re.compile(rf"[\s,]*(?={_LIKELY_START.pattern})")
_LIST_LINE = re.compile(r"\s*(?:\(?\d{1,3}[.):]|[-*•])\s+(.+)")


def read_persona(
    text: str | None, finish_reason: str = "stop", refusal: str | None = None
) -> dict[str, Any]:
    """Return the person that a reply describes, in the one layout.

    Parameters
    ----------
    text : str or None
        The reply: JSON, perhaps in a code fence, with prose around it, or slightly broken.
    finish_reason : str
        Why the model stopped. After ``"length"`` only complete JSON is accepted.
    refusal : str, optional
        The model's refusal, if it refused.

    Raises
    ------
    ReplyRejected
        With a reason that can be sent to the model.

    Examples
    --------
    >>> read_persona('Here you are: ```json {"name": "Ana", "age": "34",}```')
    {'name': 'Ana', 'age': 34}
    >>> read_persona("")
    Traceback (most recent call last):
        ...
    tinyfactory.errors.ReplyRejected: The reply was empty. Answer with one JSON object ...
    """
    wanted = "one JSON object that describes one person"
    value = _read(text, finish_reason, refusal, wanted)
    person = _the_one(value, wanted)
    try:
        return normalise(person)
    except InvalidPersona as reason:
        raise ReplyRejected(str(reason)) from reason


def read_part(text: str | None, finish_reason: str, refusal: str | None, key: str) -> Any:
    """Return the value of one field in a reply.

    Raises
    ------
    ReplyRejected
        With a reason that can be sent to the model.

    Examples
    --------
    >>> read_part('{"beliefs": ["Rain is fair."]}', "stop", None, "beliefs")
    ['Rain is fair.']
    """
    wanted = f"one JSON object with the one key {key!r}"
    value = _read(text, finish_reason, refusal, wanted)
    # The key may be inside the objects that hold it.
    for _ in range(_WRAPPERS):
        if isinstance(value, dict) and key in value:
            return value[key]
        if not isinstance(value, dict) or len(value) != 1:
            break
        value = next(iter(value.values()))
    raise ReplyRejected(f"The reply had no {key!r}. Answer with {wanted}.")


def read_contexts(
    text: str | None,
    finish_reason: str = "stop",
    refusal: str | None = None,
    *,
    expected: int,
) -> list[str]:
    """Return the contexts in a reply, without blank and repeated ones.

    There may be fewer or more than `expected`, which is only used in the reasons; the caller
    asks again for missing ones.

    Raises
    ------
    ReplyRejected
        When there is none, with a reason that can be sent to the model.

    Examples
    --------
    >>> read_contexts('{"contexts": ["A harbour.", "a HARBOUR.", " ", "A school."]}', expected=2)
    ['A harbour.', 'A school.']
    """
    wanted = f'a JSON object {{"contexts": [...]}} with a list of {expected} texts'
    if text and not re.search(r"[\[{]", text):  # an endpoint without JSON: a list in plain text
        found = [match[1] for line in text.splitlines() if (match := _LIST_LINE.fullmatch(line))]
        if found:
            text = json.dumps(found)
    contexts: dict[str, str] = {}
    for item in _context_texts(_read(text, finish_reason, refusal, wanted)):
        context = clean(item).strip()
        if context:
            contexts.setdefault(" ".join(context.casefold().split()), context)
    if not contexts:
        raise ReplyRejected(f"The reply held no contexts. Answer with {wanted}.")
    return list(contexts.values())


def _context_texts(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield the texts of a list, of a list of records, or of a wrapper around one."""
    if depth > _WRAPPERS:
        return
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict):  # {"context": "..."} or {"title": ..., "text": ...}
                parts = [part for part in item.values() if isinstance(part, str)]
                yield ": ".join(parts)
            else:
                yield from _context_texts(item, depth + 1)
    elif isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list | dict)]
        found = value.get("contexts", lists[0] if len(lists) == 1 else list(value.values()))
        yield from _context_texts(found, depth + 1)


def _read(text: str | None, finish_reason: str, refusal: str | None, wanted: str) -> Any:
    """Return the JSON in a reply."""
    if refusal:
        raise ReplyRejected(f"The model refused: {refusal[:200]} Answer with {wanted}.")
    if finish_reason == "content_filter":
        raise ReplyFiltered(
            "The reply was stopped by a content filter. Answer with something that is fit for "
            f"everyone: {wanted}."
        )
    if finish_reason == BROKEN_OFF:
        raise ReplyRejected(
            f"The reply ended in an error of the endpoint, which could not accept it. Answer with "
            f"{wanted}, and nothing else."
        )
    if finish_reason == ONLY_REASONING:
        raise ReplyRejected(
            f"The reply had only reasoning and no answer. Reason briefly, then answer with "
            f"{wanted}. (If it does so again and again, switch its reasoning off, for example with "
            'tinyfactory.configure(extra_body={"enable_thinking": False}).)'
        )
    if text is None or not text.strip():
        raise ReplyRejected(f"The reply was empty. Answer with {wanted}.")
    most = settings.limits().reply_characters
    if len(text) > most:
        raise ReplyRejected(
            f"The reply was {len(text):,} characters long; at most {most:,} are read. "
            f"Answer with {wanted}, and nothing else."
        )
    if finish_reason == TOO_LONG:
        raise ReplyRejected(
            f"The reply was longer than {most:,} characters, which is the limit reply_characters. "
            f"Answer with {wanted}, and be much shorter."
        )
    found, value = _complete_json(text)
    if found:
        return value
    if finish_reason == "length":
        raise ReplyRejected(
            "The reply was cut off before its end. Answer again and be shorter: fewer items in "
            "each list, and shorter sentences."
        )
    return _repaired(text, wanted)


def _complete_json(text: str) -> tuple[bool, Any]:
    """Tell whether the text contains complete JSON, and return its value."""
    decoder = json.JSONDecoder()
    text = text.lstrip("\ufeff")
    # Only where an outermost value may begin: an inner value can be complete in a reply that
    # was cut off.
    starts = [len(text) - len(text.lstrip())]
    starts += [match.end() for match in islice(_FENCE.finditer(text, 0, 10_000), _MOST_FENCES)]
    if match := _LIKELY_START.search(text):
        starts.append(match.start())
    for start in dict.fromkeys(starts):
        begin = _SPACE.match(text, start).end()  # type: ignore[union-attr]  # it always matches
        if text[begin : begin + 1] not in ("{", "[", '"'):
            continue
        try:
            value, end = decoder.raw_decode(text, begin)
            if isinstance(value, str):  # JSON inside a JSON text
                if _SPACE.match(text, end).end() < len(text):  # type: ignore[union-attr]
                    continue
                value = json.loads(value)
            values = [value]
            # One object after another: several people, where one was asked for.
            while follows := _NEXT.match(text, end):
                value, end = decoder.raw_decode(text, follows.end())
                values.append(value)
        except (ValueError, RecursionError):
            continue
        value = values if len(values) > 1 else values[0]
        try:
            bounded_json.check_depth(value)
        except LimitExceeded as error:
            raise ReplyRejected(f"{error} Answer with a flat object.") from error
        return True, value
    return False, None


def _repaired(text: str, wanted: str) -> Any:
    """Return broken JSON as json_repair reads it."""
    start = _LIKELY_START.search(text)
    if start is None:
        raise ReplyRejected(f"The reply held no JSON. Answer with {wanted}, and nothing else.")
    broken = text[start.start() :]
    # The time of a repair grows with the length, and faster with open brackets and quotes.
    if len(broken) > settings.limits().repair_characters or _depth(broken) > MAX_DEPTH:
        raise ReplyRejected(
            f"The reply was not valid JSON, and too long or too nested to mend. Answer with "
            f"{wanted}, and nothing else."
        )
    import json_repair  # slow to import

    try:
        return json_repair.loads(broken, skip_json_loads=True)
    except (ValueError, RecursionError):
        raise ReplyRejected(
            f"The reply was not valid JSON. Answer with {wanted}, and nothing else."
        ) from None


def _depth(text: str) -> int:
    """Return the largest number of open brackets, including those in strings."""
    depth = deepest = 0
    for match in re.finditer(r"[(\[{]|[)\]}]", text):
        depth = depth + 1 if match[0] in "([{" else max(0, depth - 1)
        deepest = max(deepest, depth)
    return deepest


def _the_one(value: Any, wanted: str) -> dict[str, Any]:
    """Return the one description in a value, without lists and wrappers around it."""
    for _ in range(_WRAPPERS):
        if isinstance(value, list):
            people = [item for item in value if isinstance(item, dict) and item]
            if len(people) > 1:
                raise ReplyRejected(
                    f"The reply described {len(people)} people. Answer with {wanted}."
                )
            value = people[0] if people else None
        if not isinstance(value, dict) or not value:
            break
        key, inner = next(iter(value.items()))
        # A key of a person is not a wrapper.
        field = key in TOP or key in ("_configuration", "traits")
        if len(value) > 1 or field or not isinstance(inner, dict | list):
            return value
        value = inner
    raise ReplyRejected(f"The reply was not an object with fields. Answer with {wanted}.")
