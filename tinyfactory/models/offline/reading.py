"""What a request asks of the offline writer: the tagged parts of its last user message."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from tinyfactory.models.chat import ChatRequest
from tinyfactory.models.offline.profile import Profile, fields_in, read_profile
from tinyfactory.prompts.particularities import Constraints, read_particularities
from tinyfactory.utils.text import fold

_TAGS = (
    "context",
    "particularities",
    "number",
    "language",
    "taken_names",
    "others",
    "already",
    "rejected",
    "ordinal",
)


@dataclass(frozen=True, slots=True)
class Brief:
    """What is asked for.

    `words` are the particularities without JSON and without the person's name, which might
    be a place's or a trade's as well. `taken` holds folded names; `ordinal` is None when the
    request does not say which person of the factory is wanted.
    """

    context: str
    particularities: str
    wishes: Constraints
    profile: Profile
    words: str
    number: int = 1
    language: str = "English"
    taken: frozenset[str] = frozenset()
    others: str = ""
    already: str = ""
    rejected: str = ""
    ordinal: int | None = None


def read_brief(request: ChatRequest) -> Brief:
    """Read the last user message of a request; without tags all of it is the context.

    Examples
    --------
    >>> text = "<context>A bakery</context><ordinal>3</ordinal>"
    >>> brief = read_brief(ChatRequest(({"role": "user", "content": text},)))
    >>> brief.context, brief.ordinal
    ('A bakery', 3)
    """
    text = next(
        (str(m.get("content", "")) for m in reversed(request.messages) if m.get("role") == "user"),
        "",
    )
    parts = {tag: _part(text, tag) for tag in _TAGS}
    if all(part is None for part in parts.values()):
        parts["context"] = text
    context = (parts["context"] or "").strip()
    particularities = (parts["particularities"] or "").strip()
    wishes = _wishes(particularities)
    profile = read_profile(particularities)
    taken = re.split(r"[;\n]", parts["taken_names"] or "")
    ordinal = _number(parts["ordinal"])
    return Brief(
        context=context,
        particularities=particularities,
        wishes=wishes,
        profile=profile,
        words=without_name(profile.words, wishes.name),
        number=max(1, min(_number(parts["number"]) or 1, 500)),
        language=(parts["language"] or "").strip() or "English",
        taken=frozenset(fold(name) for name in taken if name.strip()),
        others=(parts["others"] or "").strip(),
        already=(parts["already"] or "").strip(),
        rejected=(parts["rejected"] or "").strip(),
        ordinal=ordinal,
    )


def _wishes(text: str) -> Constraints:
    """What the user's words fix, also where a JSON object stands among them."""
    fields, words = fields_in(text)
    if not fields or not words:
        return read_particularities(text)
    also = " ".join(str(part) for part in (fields.get("also", ""), words) if part)
    return read_particularities(json.dumps(fields | {"also": also}))


def without_name(text: str, name: str | None) -> str:
    """The text without the words of a person's name.

    Examples
    --------
    >>> without_name("Chad Mendoza, 34, from Ohio", "Chad Mendoza")
    ', 34, from Ohio'
    """
    return re.sub(re.escape(name), "", text, flags=re.IGNORECASE).strip() if name else text


def _part(text: str, tag: str) -> str | None:
    # The last opening tag counts for all but the user's own words, which may hold tags too.
    if tag in {"context", "particularities"}:
        start, end = text.find(f"<{tag}>"), text.rfind(f"</{tag}>")
    else:
        start = text.rfind(f"<{tag}>")
        end = text.find(f"</{tag}>", max(start, 0))
    if start < 0:
        return None
    start += len(tag) + 2
    return text[start : end if end >= start else len(text)]


def _number(text: str | None) -> int | None:
    match = re.fullmatch(r"\s*(\d{1,9})\s*", text or "")
    return int(match[1]) if match else None
