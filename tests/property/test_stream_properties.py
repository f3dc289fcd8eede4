"""Any division of a stream into pieces gives the same completion."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tinyfactory.models.http.stream import EventReader

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
DELTA = st.one_of(
    st.fixed_dictionaries({}, optional={"content": TEXT, "reasoning_content": TEXT}),
    st.fixed_dictionaries(
        {"content": st.lists(st.builds(lambda t: {"type": "text", "text": t}, TEXT))}
    ),
    st.fixed_dictionaries({"refusal": TEXT}),
)
NOISE = st.sampled_from([b"", b": keep-alive", b"event: message", b"id: 7", b"data: ping"])
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@st.composite
def streams(draw) -> tuple[bytes, dict[str, Any]]:
    """The bytes of a stream, and the completion that it makes."""
    deltas = draw(st.lists(DELTA, min_size=1, max_size=8))
    end, space = draw(ENDS), draw(st.sampled_from([b"", b" "]))
    events = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    lines = []
    for event in events:
        noise = draw(NOISE)
        lines += [noise, b""] if noise else []
        written = json.dumps(event, ensure_ascii=draw(st.booleans())).encode()
        lines += [b"data:" + space + written, b""]
    if draw(st.booleans()):
        lines += [b"data: [DONE]", b""]
    message: dict[str, Any] = {"content": "", "reasoning_content": "", "refusal": ""}
    for delta in deltas:
        for name, piece in delta.items():
            texts = [part["text"] for part in piece] if isinstance(piece, list) else [piece]
            message[name] += "".join(texts)
    return end.join([*lines, b""]), {name: text for name, text in message.items() if text}


def read(pieces: list[bytes]) -> EventReader:
    reader = EventReader()
    for piece in pieces:
        reader.feed(piece)
    reader.close()
    return reader


@given(streams(), st.data())
def test_any_division_gives_the_same_completion(stream, data):
    whole, message = stream
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=20)))
    edges = [0, *cuts, len(whole)]
    pieces = [whole[a:b] for a, b in pairwise(edges)]
    for reader in (read([whole]), read(pieces), read([bytes([byte]) for byte in whole])):
        assert reader.finished
        completion = reader.completion()
        assert isinstance(completion, dict)
        choice = completion["choices"][0]
        assert choice["finish_reason"] == "stop"
        found = {name: text for name, text in choice["message"].items() if text and name != "role"}
        assert found == message


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_any_bytes_are_read_without_an_error_and_are_no_reply_by_chance(pieces):
    reader = read([b"data: ", *pieces])
    assert reader.finished == (b"[DONE]" in b"".join(pieces)) or not reader.has_choices
    reader.completion()


@given(streams(), st.integers(0, 400))
def test_a_stream_that_was_cut_is_not_finished_before_its_reason(stream, at):
    whole, _ = stream
    reason = whole.index(b'"finish_reason"')
    assert not read([whole[: min(at, reason)]]).finished
