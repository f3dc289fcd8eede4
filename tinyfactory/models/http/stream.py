"""A streamed reply: server-sent events become the completion that an unstreamed reply would be.

Only a finished stream is a reply: one whose first choice has a `finish_reason`, or that ends with
``[DONE]``. Comments such as ``: PROCESSING`` keep a connection alive; they are no words, so they
lengthen no wait.
"""

from __future__ import annotations

import json
from typing import Any

from tinyfactory import settings
from tinyfactory.errors import BadResponse, LimitExceeded, ResponseTooLarge
from tinyfactory.limits import how_to_raise
from tinyfactory.models.chat import TOO_LONG, Json
from tinyfactory.utils import bounded_json

# An event has a few hundred bytes around each word, so a stream may have this many times the
# bytes of another response.
_ENVELOPE = 16
# The beginning of what is no event, as evidence.
_LONGEST_EVIDENCE = 5_000
# Events below this many bytes are parsed without a check of their depth, which takes longer.
_SHORT = 4_000
# The most characters of JSON without a quote mark. No text of a person is so long: a small model
# repeats a sentence without end, or writes only spaces.
_LONGEST_TEXT = 3_000
# Choices and calls of tools that are read.
_MOST = 16
# Texts of a message that arrive in pieces.
_TEXTS = ("reasoning_content", "reasoning", "thinking", "refusal")


class EventReader:
    r"""Reads the bytes of a stream, in pieces of any size.

    Attributes
    ----------
    characters : int
        The length of all texts so far, reasoning included.
    finished : bool
        Whether a reply is complete.
    ended : bool
        Whether nothing more is to be read: the stream said so, broke, or is longer than the limit.
    error : dict or None
        The event that said why the stream broke off.

    Examples
    --------
    >>> reader = EventReader()
    >>> reader.feed(b'data: {"choices": [{"delta": {"content": "Hel')
    >>> reader.feed(b'lo"}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n')
    >>> reader.finished, reader.completion()["choices"][0]["message"]["content"]
    (True, 'Hello')
    """

    def __init__(self) -> None:
        limits = settings.limits()
        self._limits = limits
        self._most_bytes = limits.response_bytes
        self.characters = self.comments = self._spaces = self._bytes = self._held = 0
        self._event_bytes = self._first_bytes = 0
        self.finished = self.ended = False
        self.error: Json | None = None
        self.fault = ""
        self._too_long = False
        self._stopped = False  # by this reader
        self._pieces: list[bytes] = []  # of a line without its end
        self._event: list[bytes] = []  # lines of an event that is no JSON so far
        self._choices: dict[int, _Choice] = {}
        self._about: Json = {}
        self._other: Json | None = None  # an event without choices
        self._first: list[bytes] = []  # lines before the first choice

    @property
    def has_choices(self) -> bool:
        """Whether it is a stream of a completion at all."""
        return bool(self._choices)

    @property
    def words(self) -> int:
        """About how many words have arrived; also where words have no spaces between them."""
        return max(self._spaces + 1, self.characters // 10) if self.characters else 0

    @property
    def beginning(self) -> str:
        """The beginning of the reply so far, as evidence."""
        first = self._choices.get(min(self._choices, default=0))
        return first.text()[:200] if first is not None else ""

    @property
    def at_end(self) -> bool:
        """Whether the stream has said that it ends here."""
        return self.ended and self.finished and not self._stopped

    def feed(self, piece: bytes) -> None:
        """Read a piece.

        Raises
        ------
        ResponseTooLarge
            If one event, or the whole stream, has too many bytes.
        """
        if self.ended:
            return
        self._bytes += len(piece)
        self._held += len(piece)
        if self._held > self._most_bytes or self._bytes > _ENVELOPE * self._most_bytes:
            raise self._too_large()
        self._pieces.append(piece)
        if b"\n" not in piece and b"\r" not in piece:
            return
        lines = b"".join(self._pieces).splitlines(keepends=True)
        # A line that ends with "\r" may go on with "\n" in the next piece.
        rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
        self._pieces = [rest] if rest else []
        self._held = len(rest) + self._event_bytes
        for line in lines[self._read_together(lines) :]:
            self._read_line(line.rstrip(b"\r\n"))

    def close(self) -> None:
        """Read what came without the end of its line: the server has closed the stream."""
        if not self.ended:
            rest, self._pieces = b"".join(self._pieces), []
            for line in (*rest.splitlines(), b""):
                self._read_line(line)

    def completion(self) -> Json | bytes:
        """The completion, or the event or the bytes that came instead of one."""
        if self.error is not None:
            return self.error
        if not self._choices:
            return self._other or b"\n".join(self._first)
        choices = [self._choices[index].completed(index) for index in sorted(self._choices)]
        if self._too_long:
            choices[0]["finish_reason"] = TOO_LONG
        return {"object": "chat.completion", **self._about, "choices": choices}

    # -- lines and events --------------------------------------------------------------------

    def _read_together(self, lines: list[bytes]) -> int:
        """Parse events at the beginning of these lines as one list; returns how many lines.

        It takes half the time of parsing each alone.
        """
        if not self._choices or self._event or len(lines) < 3:
            return 0
        events, number = [], 0
        for line in lines:
            if line.startswith(b"data: {"):
                events.append(line[6:])
            elif line not in (b"\n", b"\r\n"):
                break
            number += 1
        bodies = self._parsed(b"[" + b",".join(events) + b"]")
        if not isinstance(bodies, list) or len(bodies) != len(events):
            return 0
        for body in bodies:
            if not self.ended and isinstance(body, dict):
                self._read_event(body)
        return number

    def _read_line(self, line: bytes) -> None:
        if self.ended:
            return
        if not self._choices:
            self._keep(line)
        if line.startswith(b"data:"):
            self._read_data(line[5:].strip())
        elif line.startswith(b"error:"):  # as llama.cpp's older versions send it
            self._read_data(line[6:].strip())
        elif line.startswith(b":"):
            self.comments += 1
        elif not line and self._event:
            whole, self._event, self._event_bytes = b"\n".join(self._event), [], 0
            if not self._is_read(whole):
                self._break_off("an event that is no JSON")

    def _keep(self, line: bytes) -> None:
        """Keep what comes before the first choice: some servers send an error without events."""
        is_json = bool(self._first) and self._first[0].startswith(b"{")
        if line and self._first_bytes < (self._most_bytes if is_json else _LONGEST_EVIDENCE):
            self._first.append(line)
            self._first_bytes += len(line)

    def _read_data(self, data: bytes) -> None:
        if not self._event:
            if data == b"[DONE]":
                self.finished = self.ended = True
                return
            # Nearly always an event is one line; and some servers forget the empty line after it.
            if not data.startswith((b"{", b"[")) or self._is_read(data):
                return  # also a sign of life, such as "ping"
        self._event.append(data)
        self._event_bytes += len(data)

    def _is_read(self, data: bytes) -> bool:
        """Read an event; False if it is no JSON."""
        body = self._parsed(data)
        if isinstance(body, list):  # Gemini's endpoint wraps an error in a list
            body = body[0] if body else None
        if isinstance(body, dict):
            self._read_event(body)
        return isinstance(body, dict)

    def _parsed(self, data: bytes) -> Any:
        if not data.endswith((b"}", b"]")):
            return None
        try:
            text = data.decode("utf-8", "replace")
            if len(data) < _SHORT:
                return json.loads(text)
            return bounded_json.parse(text, limits=self._limits)
        except (ValueError, RecursionError):
            return None
        except LimitExceeded as exceeded:
            self._break_off(str(exceeded))
            return None

    def _read_event(self, body: Json) -> None:
        choices = body.get("choices")
        if choices and not body.get("usage") and not body.get("error") and len(choices) == 1:
            # Nearly all events have one piece of the text and nothing else.
            choice = choices[0]
            index = choice.get("index", 0) if isinstance(choice, dict) else None
            known = self._choices.get(index) if isinstance(index, int) else None
            delta = choice.get("delta") if known is not None else None
            if isinstance(delta, dict) and len(delta) == 1 and not choice.get("finish_reason"):
                content = delta.get("content")
                if known is not None and isinstance(content, str) and "error" not in choice:
                    known.add_text(content)
                    self._count(content)
                    self._stop_endless(known)
                    return
        if body.get("error") or (body.get("object") == "error" and not choices):
            self.error = body if body.get("error") else {"error": body}
            self.ended = True
            return
        usage = body.get("usage")
        if isinstance(body.get("x_groq"), dict):
            usage = usage or body["x_groq"].get("usage")
        if isinstance(usage, dict):
            self._about["usage"] = usage
        for name in ("id", "model"):
            if name not in self._about and isinstance(body.get(name), str):
                self._about[name] = body[name]
        if not isinstance(choices, list):
            self._other = body
            return
        for choice in choices[:_MOST]:
            if isinstance(choice, dict):
                self._read_choice(choice)

    def _read_choice(self, found: Json) -> None:
        index = found.get("index")
        index = index if type(index) is int else 0
        choice = self._choices.get(index)
        if choice is None:
            if len(self._choices) >= _MOST:
                return
            choice = self._choices[index] = _Choice()
        if isinstance(found.get("usage"), dict):  # Moonshot's place
            self._about["usage"] = found["usage"]
        for piece in choice.add(found):
            self._count(piece)
        self._stop_endless(choice)
        self.finished = self.finished or (choice.reason is not None and index == min(self._choices))

    def _stop_endless(self, choice: _Choice) -> None:
        """Read no more of a text that will not end by itself: the reply is then a cut one."""
        if choice.unquoted > _LONGEST_TEXT:
            choice.reason = "length"
            self._stopped = self.finished = self.ended = True

    def _count(self, piece: str) -> None:
        self.characters += len(piece)
        self._spaces += piece.count(" ")
        if self.characters > self._limits.reply_characters:
            self._too_long = self._stopped = self.finished = self.ended = True

    def _break_off(self, fault: str) -> None:
        self.fault, self.ended = fault, True

    def _too_large(self) -> BadResponse:
        one = self._held > self._most_bytes
        return ResponseTooLarge(
            f"The stream has {'an event of ' if one else ''}more than "
            f"{self._most_bytes * (1 if one else _ENVELOPE):,} bytes; the limit response_bytes is "
            f"{self._most_bytes:,}. The rest of it was not read. "
            f"{how_to_raise('response_bytes', 4 * self._most_bytes)}"
        )


class _Choice:
    """One choice of a completion, while its pieces arrive."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.content: list[str] = []
        self.unquoted = 0  # characters of JSON since its last quote mark
        self._is_json: bool | None = None
        self._object: Json | None = None
        self._texts: dict[str, list[str]] = {}
        self._calls: dict[int, tuple[list[str], list[str]]] = {}
        self._error: Any = None

    def text(self) -> str:
        """The text so far."""
        return "".join(self.content)

    def add_text(self, piece: str) -> None:
        """Add a piece of the content."""
        self.content.append(piece)
        if self._is_json is None and piece.strip():
            self._is_json = piece.lstrip().startswith(("{", "["))
        if self._is_json:
            end = piece.rfind('"')
            self.unquoted = self.unquoted + len(piece) if end < 0 else len(piece) - end - 1

    def add(self, found: Json) -> list[str]:
        """Add the pieces of an event, and return their texts."""
        reason = found.get("finish_reason")
        if isinstance(reason, str) and reason:
            self.reason = reason
        if isinstance(found.get("error"), dict):
            self._error = found["error"]
        delta = found.get("delta")
        if not isinstance(delta, dict):
            delta = found.get("message")
            if isinstance(delta, dict):  # the whole message at once
                self.content, self._texts, self._calls = [], {}, {}
            else:
                delta = {"content": found.get("text")}  # as of older completions
        content = delta.get("content")
        if isinstance(content, str):
            pieces = [content] if content else []
            self.add_text(content)
        else:
            pieces = self._add_parts(content)
        for name in _TEXTS:
            piece = delta.get(name)
            if isinstance(piece, str) and piece:
                self._texts.setdefault(name, []).append(piece)
                pieces.append(piece)
        calls = delta.get("tool_calls")
        if isinstance(delta.get("function_call"), dict):
            calls = [{"function": delta["function_call"]}]
        if isinstance(calls, list):
            pieces += self._add_calls(calls)
        return pieces

    def _add_parts(self, content: Any) -> list[str]:
        if isinstance(content, dict):
            self._object = content
            return [json.dumps(content)]
        pieces = []
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                self.content.append(part["text"])
                pieces.append(part["text"])
            elif isinstance(part, dict) and isinstance(part.get("thinking"), list):
                thought = part["thinking"]
                texts = [each.get("text") for each in thought if isinstance(each, dict)]
                thoughts = [text for text in texts if isinstance(text, str)]
                self._texts.setdefault("reasoning", []).extend(thoughts)
                pieces += thoughts
        return pieces

    def _add_calls(self, calls: list[Any]) -> list[str]:
        pieces = []
        for call in calls[:_MOST]:
            function = call.get("function") if isinstance(call, dict) else None
            if not isinstance(function, dict):
                continue
            index = call.get("index") if type(call.get("index")) is int else 0
            if index not in self._calls and len(self._calls) >= _MOST:
                continue
            name, arguments = self._calls.setdefault(index, ([], []))
            for key, texts in (("name", name), ("arguments", arguments)):
                piece = function.get(key)
                if isinstance(piece, dict):
                    piece = json.dumps(piece, ensure_ascii=False)
                if isinstance(piece, str) and piece:
                    texts.append(piece)
                    pieces.append(piece)
        return pieces

    def completed(self, index: int) -> Json:
        """The choice as an unstreamed reply has it."""
        text = self.text()
        message: Json = {"role": "assistant", "content": text or self._object}
        message |= {name: "".join(pieces) for name, pieces in self._texts.items()}
        if self._calls:
            message["tool_calls"] = [
                {
                    "type": "function",
                    "function": {"name": "".join(name), "arguments": "".join(said)},
                }
                for _, (name, said) in sorted(self._calls.items())
            ]
        error = {} if self._error is None else {"error": self._error}
        return {"index": index, "message": message, "finish_reason": self.reason, **error}
