"""Parse the reply of a model: a person, one field, or contexts; or reject it with a reason."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

from tinyfactory import settings
from tinyfactory.errors import InvalidPersona, LimitExceeded, ReplyFiltered, ReplyRejected
from tinyfactory.models.chat import TOO_LONG
from tinyfactory.people.schema.layout import TOP
from tinyfactory.people.schema.normalise import check_generated, normalise
from tinyfactory.people.schema.reply_quality import check_written, is_placeholder, split_lists
from tinyfactory.people.schema.values import MAX_DEPTH
from tinyfactory.utils import bounded_json
from tinyfactory.utils.characters import is_plain, lost_in, restored_everywhere
from tinyfactory.utils.json_text import Found, values_in
from tinyfactory.utils.text import clean, fold_words, legible

_WRAPPERS = 4
_Groups = list[tuple[str, list[Any]]]
# Words of servers for the reason why a reply ended.
_CUT = frozenset(
    "length max_tokens max_output_tokens max_new_tokens model_length max_length token_limit "
    "abort aborted cancelled".split()
)
_BROKEN_OFF = frozenset("error insufficient_system_resource malformed_function_call".split())
_FILTERED = frozenset(
    "content_filter safety sensitive recitation prohibited_content blocklist spii refusal "
    "content-filter moderation guardrail_intervened".split()
)
# JSON has no such escapes.
_WRONG_ESCAPE = re.compile(
    r"((?<!\\)(?:\\\\)*)\\(?:x(?P<hex>[0-9a-fA-F]{2})|u\{(?P<point>[0-9a-fA-F]{1,6})\}"
    r"|(?P<octal>[0-3][0-7]{2})|0(?P<byte>[89a-fA-F][0-9a-fA-F]))"
)
# Keys that hold the final answer.
_ANSWERS = (
    *("final", "final_answer", "answer", "revised", "corrected", "result", "output"),
    *("person", "character", "agent", "profile"),
)
# Words before the last JSON, and before the first.
_FINAL = re.compile(
    r"\b(?:final|definitive|revised?|revision|correct(?:ed|ion)?|improved?|updated?|refined?"
    r"|polished|reworked|rewritten|rewrite|fix(?:ed)?|better|instead|actually|wait|second thought"
    r"|new(?= version|:)|(?:attempt|version|draft|take|try) (?:[2-9]|two|three)"
    r"|answer|response|endg\w+|korrigiert\w*|\w*überarbeitet\w*|corrig\w+|définiti\w+"
    r"|finale|versi[oó]n final|versão final)\b",
    re.IGNORECASE,
)
_DRAFT = re.compile(
    r"\b(?:draft|rough|initial|sketch|first (?:try|attempt|version|idea|pass)|example|template"
    r"|schema|entwurf|brouillon|borrador|rascunho)\b",
    re.IGNORECASE,
)
_ANOTHER = re.compile(
    r"\b(?:another|also|(?:second|other|next|third) (?:person|one|persona|character)"
    r"|(?:person|persona|character) (?:[2-9]|two|three))\b",
    re.IGNORECASE,
)
_LIST_LINE = re.compile(r"\s*(?:\(?\d{1,3}[.):]|[-*•])\s+(.+)")


def read_persona(
    text: str | None, finish_reason: str = "stop", refusal: str | None = None
) -> dict[str, Any]:
    """Return the person that a reply describes, in the one layout.

    Parameters
    ----------
    text : str or None
        The reply: JSON, perhaps in a code fence, with prose or a draft before it, or slightly
        broken. JSON without its end is not accepted.
    finish_reason : str
        Why the model stopped, in the server's words.
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
    person = _the_one(_read(text, finish_reason, refusal, wanted), wanted)
    try:
        persona: dict[str, Any] = split_lists(normalise(person))
        check_written(persona)
    except InvalidPersona as reason:
        raise ReplyRejected(str(reason)) from reason
    return persona


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
    groups = _read(text, finish_reason, refusal, wanted)
    # The last one is the final answer.
    for value in reversed([value for _, values in groups for value in values]):
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
        if (finish_reason or "").lower() in _CUT:
            found = found[:-1]  # the last one has no end
        if found:
            text = json.dumps(found)
    groups = _read(text, finish_reason, refusal, wanted)
    if len(groups) > 1 and (_FINAL.search(groups[-1][0]) or _DRAFT.search(groups[0][0])):
        groups = groups[-1:]
    contexts: dict[str, str] = {}
    values = [value for _, values in groups for value in values]
    for item in _context_texts(values if len(values) > 1 else values[0]):
        context = clean(item).strip()
        if context and not is_placeholder(context):
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


def check_finish(finish_reason: str | None, refusal: str | None, wanted: str) -> None:
    """Reject a reply that the model refused, or that was stopped by a filter or an error.

    Servers have different words for it, and some have none. That a reply was cut off is told by
    its text, because these words are wrong too often.

    Raises
    ------
    ReplyRejected
        With a reason that can be sent to the model.
    """
    finish = (finish_reason or "").lower()
    if refusal:
        raise ReplyRejected(f"The model refused: {refusal[:200]} Answer with {wanted}.")
    if finish in _FILTERED:
        raise ReplyFiltered(
            "The reply was stopped by a content filter. Answer with something that is fit for "
            f"everyone: {wanted}."
        )
    if finish in _BROKEN_OFF:
        raise ReplyRejected(
            f"The reply ended with an error of the server ({finish}). Answer again with {wanted}."
        )


def _read(text: str | None, finish_reason: str | None, refusal: str | None, wanted: str) -> _Groups:
    """Return the JSON in a reply: values that follow one another, and the words before them."""
    check_finish(finish_reason, refusal, wanted)
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
    text = text.lstrip("\ufeff")
    if "\\" in text:
        text = _WRONG_ESCAPE.sub(_json_escape, text)
    if text.lstrip().startswith('"'):  # JSON inside a JSON text
        with contextlib.suppress(ValueError, RecursionError):
            text = str(json.loads(text))
    found, is_cut = values_in(text, lambda broken: _repaired(broken, wanted))
    if is_cut or (not found and (finish_reason or "").lower() in _CUT):
        raise ReplyRejected(
            "The reply was cut off before its end. Answer again and be shorter: fewer items in "
            "each list, and shorter sentences."
        )
    if not found:
        raise ReplyRejected(f"The reply held no JSON. Answer with {wanted}, and nothing else.")
    if any(each.valid for each in found):
        found = [each for each in found if each.valid]  # the others are prose in brackets
    try:
        bounded_json.check_depth([each.value for each in found])
    except LimitExceeded as error:
        raise ReplyRejected(f"{error} Answer with a flat object.") from error
    groups = _grouped(text, found)
    if is_plain(text):
        return groups
    return [(words, [readable(value) for value in values]) for words, values in groups]


def readable(value: Any) -> Any:
    r"""Return a text, or JSON, of a reply with damaged letters restored.

    Raises
    ------
    ReplyRejected
        If a letter is lost, with the text for the model.

    Examples
    --------
    >>> readable({"name": "Jos\x00e9"})
    {'name': 'José'}
    """
    value = restored_everywhere(value)
    if lost := lost_in(value):
        raise ReplyRejected(
            f"A text has a control character or half a character in it: {legible(lost)[:60]!r}. "
            "Answer again and write all letters as they are, such as é, without escapes."
        )
    return value


def _json_escape(match: re.Match[str]) -> str:
    """Write an escape of another language, such as backslash and xe9, as JSON has it."""
    digits = match["hex"] or match["point"] or match["byte"]
    code = int(digits, 16) if digits else int(match["octal"], 8)
    if code > sys.maxunicode:
        return match[0]
    return match[1] + json.dumps(chr(code))[1:-1]


def _grouped(text: str, found: list[Found]) -> _Groups:
    """Return the words before each group of values, and its values with nothing between them."""
    groups: _Groups = []
    end = 0
    for each in found:
        before = text[end : each.start]
        if groups and not before.strip(", \t\r\n"):
            groups[-1][1].append(each.value)
        else:
            groups.append((before, [each.value]))
        end = each.end
    return groups


def _repaired(broken: str, wanted: str) -> Any:
    """Return broken JSON as json_repair reads it."""
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


def _the_one(groups: _Groups, wanted: str) -> dict[str, Any]:
    """Return the one person that a reply describes.

    A draft before the final answer is no second person. It has the same name, or lacks what every
    person needs, or one of the two is in a code fence, or words say so ("Draft:", "Final version:",
    "Let me correct that:"). Several people are rejected, and so is a list of people.
    """
    told = [(words, [p for value in values for p in _people(value)]) for words, values in groups]
    told = [(words, people) for words, people in told if people]
    everyone = [person for _, people in told for person in people]
    if not everyone:
        raise ReplyRejected(f"The reply was not an object with fields. Answer with {wanted}.")
    if len(everyone) > 1:
        for better in (_has_a_field, _is_whole):
            kept = [(words, [p for p in people if better(p)]) for words, people in told]
            told = [(words, people) for words, people in kept if people] or told
        everyone = [person for _, people in told for person in people]
    first, last = told[0][0], told[-1][0]
    final = everyone[-1]
    said = _DRAFT.search(first) or (_FINAL.search(last) and not _ANOTHER.search(last))
    fences = [words.count("```") for words, _ in groups]
    said = said or fences[0] % 2 != sum(fences) % 2
    one_at_a_time = all(len(people) == 1 for _, people in told)
    same = all(_same_name(person, final) for person in everyone)
    versions = same and (len(told) > 1 or everyone.count(final) == 1)
    if len(everyone) > 1 and not versions and not (one_at_a_time and said):
        raise ReplyRejected(f"The reply described {len(everyone)} people. Answer with {wanted}.")
    return final


def _is_whole(person: dict[str, Any]) -> bool:
    """Tell whether a description has what every person needs."""
    try:
        check_generated(normalise(person))
    except InvalidPersona:
        return False
    return True


def _people(value: Any) -> list[dict[str, Any]]:
    """Return the descriptions in a value, without lists and wrappers around them."""
    for _ in range(_WRAPPERS):
        if isinstance(value, list):
            people = [item for item in value if isinstance(item, dict) and item]
            if len(people) != 1:
                return people
            value = people[0]
        if not isinstance(value, dict) or not value:
            break
        if not _has_a_field(value):  # the answer beside its reasoning, or beside a draft
            named = [value[key] for key in _ANSWERS if isinstance(value.get(key), dict | list)]
            if named:
                value = named[0]
                continue
        key, inner = next(iter(value.items()))
        # A key of a person is not a wrapper.
        field = key in TOP or key in ("_configuration", "traits")
        if len(value) > 1 or field or not isinstance(inner, dict | list):
            return [value]
        value = inner
    return []


def _has_a_field(person: dict[str, Any]) -> bool:
    return any(key.strip().lower() in (*TOP, "persona", "_configuration") for key in person)


def _same_name(person: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether one name has all the words of the other."""
    names = [set(fold_words(str(each.get("name") or "")).split()) for each in (person, other)]
    return bool(names[0] and names[1]) and (names[0] <= names[1] or names[1] <= names[0])
