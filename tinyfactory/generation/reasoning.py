"""Cuts the reasoning that some models write before their answer."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from tinyfactory.models.chat import TOO_LONG, UNFINISHED, ChatReply
from tinyfactory.utils.json_text import value_around

_WORDS = (
    r"(?:[a-z]\w{0,20}[:_-]|ant)?(?:think(?:ing)?|thoughts?|reason(?:ing)?)(?:[_-]\w{1,20})?"
    r"|reflection|scratch_?pad|(?:inner_)?monologue|analysis|deliberation|plan(?:ning)?|draft"
    r"|cot|rationale|internal|inner_voice"
)
_PIPED = r"(?:think(?:ing)?|thought|reasoning)"
# The marks around reasoning, as models of different makers write them.
_OPENING = re.compile(
    rf"(?:<|&lt;)\s*(?:{_WORDS})(?:\s[^<>]*)?(?<!/)(?:>|&gt;)"
    rf"|<\|(?:(?:begin|start)_(?:of_)?)?{_PIPED}(?:_(?:start|begin))?\|>"
    r"|<\|?channel\|?>\s*(?:analysis|commentary|thought|thinking)\b"
    r"|◁\s*think\s*▷|(?-i:\[THINK\])|<unused94>"
    r"|\A\W{0,9}thinking\.\.\."
    r"|\A\W{0,9}here is my thought process\W"
    r"|\A\s*analysis(?=\W|(?-i:[A-Z]))(?=.*assistantfinal)",
    re.IGNORECASE | re.DOTALL,
)
_CLOSING = re.compile(
    rf"(?:<|&lt;)\s*/\s*(?:{_WORDS})\s*(?:>|&gt;)"
    rf"|(?:<|&lt;)\s*(?:{_WORDS})(?:\s[^<>]*)?/(?:>|&gt;)"
    rf"|<\|(?:(?:/\s*|end_(?:of_)?){_PIPED}|{_PIPED}_end)\|>"
    r"|<\|channel\|>\s*final\b\s*(?:(?:<\|constrain\|>\s*)?\w+\s*(?=<\|message))?(?:<\|message\|>)?"
    r"|\.\.\.\s?done thinking\.?\**|<channel\|>|◁\s*/\s*think\s*▷|(?-i:\[/THINK\])|<unused95>"
    r"|(?<=\n)\W{0,9}here(?:'s| is) my (?:final )?(?:response|answer)\s?[:*]+"
    r"|(?<=\w|\W)assistantfinal(?:json)?(?=\W|(?-i:[A-Z]))",
    re.IGNORECASE,
)
# Reasoning whose end has no mark of its own: in a fence, a comment, a folded part, or below a
# heading.
_BLOCK = re.compile(
    r"^[ \t]*```(?:think(?:ing)?|thoughts?|reasoning|analysis|cot)[ \t]*\n(?:(?!```).)*```"
    r"|<!--\s*(?:think|thought|reason)(?:(?!-->|<!--).)*-->"
    r"|<details[^<>]*>\s*<summary>[^<]{0,80}(?:think|thought|reason)[^<]{0,80}</summary>"
    r"(?:(?!</?details).)*</details>"
    r"|\A\W{0,9}(?:here(?:'s| is) )?(?:my )?"
    r"(?:thinking|thoughts?(?: process)?|reasoning|analysis|chain of thought)\b\W{0,4}?[:\n]"
    r".*?(?:\n\W{0,9}|\s(?=here\b))(?:here(?:'s| is) )?(?:my )?"
    r"(?:final )?(?:answer|response|reply)\b(?:[*_ ]{0,4}:[*_]{0,4}|[*_]{0,4}\n)",
    re.IGNORECASE | re.DOTALL | re.MULTILINE,
)
# What a server or model leaves around the answer.
_ENDS = re.compile(
    r"(?:<\|(?:return|end|end_of_solution|end_of_box|end_response|eot_id|im_end)\|>|</s>)\s*\Z",
    re.IGNORECASE,
)
_BEGINS = re.compile(r"\A\s*<\|(?:begin_of_solution|begin_of_box|start_response)\|>", re.IGNORECASE)
_WRAPPED = re.compile(
    r"\A\s*<(answer|final_answer|response|output)>(?P<text>.*?)(?:</\1>)?\s*\Z",
    re.IGNORECASE | re.DOTALL,
)
# Without one of these in lower case, and without these first words, a text has none of the marks.
_SIGNS = ("<", "&lt;", "◁", "think]", "```", "thinking", "assistantfinal", "my ")
_FIRST_WORDS = re.compile(
    r"\A\W{0,9}(?:here|my|think|thought|reason|analysis|chain)", re.IGNORECASE
)
_QUOTE_BEFORE = re.compile("[^\\w.!?]?[`\"'\u201c\u2018]")
_QUOTE_AFTER = re.compile("[`\"'\u201d\u2019](?:\\W|$)")


def without_reasoning(reply: ChatReply) -> ChatReply:
    """Return a reply with its answer only; the reply is saved as it came.

    If the reasoning has no end, the text is empty and `finish_reason` is `UNFINISHED`.
    """
    if reply.finish_reason == TOO_LONG or not isinstance(reply.text, str):
        return reply
    answer, is_whole = answer_in(reply.text)
    if not is_whole:
        return replace(reply, text="", finish_reason=UNFINISHED)
    return reply if answer == reply.text else replace(reply, text=answer)


def message_without_reasoning(message: dict[str, Any]) -> dict[str, Any]:
    """Do the same with a message of a user's own `_aux_model_call`."""
    text = message.get("content")
    if not isinstance(text, str):
        return message
    answer, is_whole = answer_in(text)
    return message | (
        {"content": answer} if is_whole else {"content": "", "finish_reason": UNFINISHED}
    )


def answer_in(text: str) -> tuple[str, bool]:
    r"""Return the answer behind the reasoning, and whether the reasoning has an end.

    Everything up to the end of the last reasoning is cut. Marks in the texts of a JSON answer, and
    marks in quotes, are part of the answer. A text without reasoning is returned as it is.

    Examples
    --------
    >>> answer_in("<think>A nurse? No.</think>\n\nI am a cook.")
    ('I am a cook.', True)
    >>> answer_in("A nurse? No.</think>I am a cook.")
    ('I am a cook.', True)
    >>> answer_in("<think>A nurse, perhaps, or")
    ('', False)
    >>> answer_in('{"style": "Says <think> aloud."}')
    ('{"style": "Says <think> aloud."}', True)
    """
    lower = text.lower()
    if not any(sign in lower for sign in _SIGNS) and not _FIRST_WORDS.match(text):
        return text, True
    marks = [(m.start(), m.end(), True) for m in _OPENING.finditer(text)]
    marks += [(m.start(), m.end(), False) for m in _CLOSING.finditer(text)]
    for m in _BLOCK.finditer(text):
        marks += [(m.start(), m.start() + 1, True), (m.end() - 1, m.end(), False)]
    answer_from = json_until = 0
    opened: int | None = None
    outside: list[str] = []
    for start, end, opening in sorted(marks):
        if start < max(answer_from, json_until) or _is_quoted(text, start, end):
            continue
        if opened is None and (json_until := value_around(text, answer_from, start)):
            continue
        if not opening:
            answer_from, opened = end, None
        elif opened is None:
            outside.append(text[answer_from:start])
            opened = start
    if opened is not None:
        return "", False
    if answer_from == 0:
        return _ENDS.sub("", _BEGINS.sub("", text)), True
    # After an answer some models reason again.
    parts = [*outside, text[answer_from:]]
    return next((part for part in map(_bare, reversed(parts)) if part), ""), True


def _is_quoted(text: str, start: int, end: int) -> bool:
    """Tell whether a mark stands in quotes of its own."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    return _QUOTE_BEFORE.fullmatch(before) is not None and _QUOTE_AFTER.match(after) is not None


def _bare(text: str) -> str:
    """Return an answer without the marks that end it or wrap all of it."""
    text = _ENDS.sub("", _BEGINS.sub("", text))
    if wrapped := _WRAPPED.match(text):
        text = wrapped["text"]
    return text.strip()
