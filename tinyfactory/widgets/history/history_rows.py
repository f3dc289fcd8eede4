"""Lines and events as table rows, as text, and as HTML, and how they are sorted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tinyfactory.journal.records import Event
from tinyfactory.journal.timeline import Position, Timeline, Totals
from tinyfactory.people.render.html import MAX_ROWS
from tinyfactory.people.render.tables import table_html
from tinyfactory.utils.text import (
    cost_in_words,
    count,
    legible,
    price_in_words,
    replayed_in_words,
    time_in_words,
)
from tinyfactory.widgets.parts.paged_table import Column

EVENTS = (
    Column("number", "#", "right"),
    Column("branch", "Branch"),
    Column("was", "Was"),
    Column("what", "What was done"),
    Column("result", "Result"),
    Column("tokens", "Tokens", "right"),
    Column("usd", "USD", "right"),
    Column("seconds", "Seconds", "right"),
    Column("why", "Why"),
)
LINES = (
    Column("line", "Line"),
    Column("what", "Began as"),
    Column("events", "Events", "right"),
    Column("branches", "Branches", "right"),
    Column("hits", "Replayed", "right"),
    Column("misses", "New", "right"),
    Column("failed", "Failed", "right"),
    Column("tokens", "Tokens", "right"),
    Column("usd", "USD", "right"),
)


def was(event: Event) -> str:
    """Whether this run replayed an event or made it; a dash if it did neither."""
    return {True: "replayed", False: "new", None: "–"}[event.hit]


def why(event: Event) -> str:
    """Why an event was replayed or is new; for an event of an earlier run, why it was new then."""
    return event.why if event.hit is not None else f"not in this run; earlier: {event.why}"


def outcome(event: Event) -> str:
    """The result or the error of an event, in short."""
    return event.result if event.failure is None else f"✗ {event.failure}"


def method(event: Event) -> str:
    """The method of an event without its class, which is in the title of the line."""
    return event.method.rpartition(".")[2]


def dollars(usd: float | None) -> str:
    """A price for a column; a question mark for an unknown one."""
    return "?" if usd is None else f"{usd:.4f}" if usd else "free"


def branch(place: Position, number_before: int | None) -> str:
    """A branch by its number, where it starts, and how many branches start from here.

    Examples
    --------
    >>> branch(Position(7, 2, "key", 1), 3), branch(Position(3, 1, "key", 2), 2)
    ('2, after #3', '1, goes on 2 ways')
    """
    words = str(place.branch)
    if number_before is None and place.branch > 1:
        words += ", from the start"
    elif number_before is not None and number_before != place.number - 1:
        words += f", after #{number_before}"
    return words + (f", goes on {place.following} ways" if place.following > 1 else "")


def event_cells(chronicle: Timeline, key: str) -> list[str]:
    """The cells of an event's row."""
    event, place = chronicle.event(key), chronicle.position(key)
    before = None if place.before is None else chronicle.position(place.before).number
    return [
        str(place.number),
        branch(place, before),
        was(event),
        f"{method(event)}({event.arguments})",
        outcome(event),
        f"{event.prompt_tokens + event.completion_tokens:,}" if event.attempts else "–",
        dollars(event.usd) if event.attempts else "–",
        f"{event.seconds:.1f}" if event.at is not None else "–",
        why(event),
    ]


def line_cells(chronicle: Timeline, root: str) -> list[str]:
    """The cells of a line's row."""
    totals = chronicle.totals(root)
    return [
        root[:8],
        " · ".join(part for part in reversed(chronicle.began_as(root)) if part),
        f"{totals.events:,}",
        str(len(chronicle.branches(root))),
        f"{totals.replayed:,}",
        f"{totals.new:,}",
        f"{totals.failed:,}" if totals.failed else "–",
        f"{totals.tokens:,}",
        dollars(totals.usd) + (" +?" if totals.unpriced else ""),
    ]


def event_order(chronicle: Timeline, column: str) -> Callable[[str], Any]:
    """What events are sorted by, given their keys; equal ones stay in their order."""
    orders: dict[str, Callable[[Event], Any]] = {
        "number": lambda event: chronicle.position(event.key).number,
        "branch": lambda event: chronicle.position(event.key).branch,
        "what": lambda event: (event.method, event.arguments),
        "result": lambda event: outcome(event).casefold(),
        "was": was,
        "why": why,
        "tokens": lambda event: event.prompt_tokens + event.completion_tokens,
        "usd": lambda event: -1.0 if event.usd is None else event.usd,
        "seconds": lambda event: event.seconds,
    }
    order = orders[column]
    return lambda key: order(chronicle.event(key))


def line_order(chronicle: Timeline, column: str) -> Callable[[str], Any]:
    """The sort key of lines for a column."""
    orders: dict[str, Callable[[str], Any]] = {
        "line": str,
        "what": lambda root: chronicle.title(root).casefold(),
        "events": lambda root: chronicle.totals(root).events,
        "branches": lambda root: len(chronicle.branches(root)),
        "hits": lambda root: chronicle.totals(root).replayed,
        "misses": lambda root: chronicle.totals(root).new,
        "failed": lambda root: chronicle.totals(root).failed,
        "tokens": lambda root: chronicle.totals(root).tokens,
        "usd": lambda root: chronicle.totals(root).usd,
    }
    return orders[column]


def facts(chronicle: Timeline, event: Event, explained: str) -> list[tuple[str, str]]:
    """All details of an event, as names and texts."""
    hit = {
        True: "replayed: no model was asked, and nothing was paid",
        False: "new: made in this run, and saved",
        None: "not in this run",
    }[event.hit]
    place = chronicle.position(event.key)
    before = None if place.before is None else chronicle.position(place.before).number
    replies, cost = count(event.attempts, "reply", "replies"), price_in_words(event.usd)
    if event.usd != 0:
        cost = (
            f"{event.prompt_tokens:,} tokens in the prompt, {event.completion_tokens:,} in the "
            f"reply, {cost}"
        )
    branches = f"; {place.following} ways on from here" if place.following > 1 else ""
    return [
        ("Event", event.key),
        ("Call", f"{event.method}({chronicle.arguments(event.key)})"),
        ("Result", event.result),
        ("Failure", event.failure or ""),
        ("Replayed or new", hit),
        ("Why", explained or event.why),
        ("Model", f"{event.model}: {replies}, {cost}" if event.attempts else "none"),
        (
            "When",
            f"{event.at:%Y-%m-%d %H:%M:%S}, {time_in_words(event.seconds)}" if event.at else "",
        ),
        (
            "Position",
            f"branch {place.branch}, "
            + ("at the start" if before is None else f"after #{before}")
            + branches,
        ),
    ]


def totals_in_words(totals: Totals) -> str:
    """Totals in a sentence.

    Examples
    --------
    >>> totals_in_words(Totals(events=2, replayed=1, new=1, attempts=3, tokens=1200, usd=0.5))
    '2 events; in this run 1 replayed, 1 new; 3 replies of models, 1,200 tokens, 0.5000 USD'
    """
    parts = [count(totals.events, "event", "events")]
    if totals.failed:
        parts[0] += f", {totals.failed:,} of them failed"
    parts.append(f"in this run {replayed_in_words(totals.replayed, totals.new)}")
    replies = count(totals.attempts, "reply of a model", "replies of models")
    cost = cost_in_words(totals.tokens, totals.usd, more=totals.unpriced > 0)
    parts.append(f"{replies}, {cost}")
    if totals.seconds >= 0.05:
        parts[-1] += f", {time_in_words(totals.seconds)} added up"
    return "; ".join(parts)


T = TypeVar("T")


def as_text(
    here: Timeline, heading: str, lines: Sequence[str], line: str, keys: Sequence[str]
) -> str:
    """The lines, and the events of the chosen one, as text; at most 50 of each."""
    out = [heading]
    out += ["  ".join(line_cells(here, root)[:3]) for root in lines[:MAX_ROWS]]
    out += _more(len(lines))
    if line:
        out.append(f"Line {line[:8]}: {here.title(line)}")
        out += ["  ".join(event_cells(here, key)[:5]) for key in keys[:MAX_ROWS]]
        out += _more(len(keys))
    return legible("\n".join(out))


def as_html(
    here: Timeline, heading: str, lines: Sequence[str], line: str, keys: Sequence[str]
) -> str:
    """The same as tables of at most 50 rows."""
    cells = [line_cells(here, root) for root in lines[:MAX_ROWS]]
    html = table_html(heading, _heads(LINES), cells, len(lines))
    if line:
        title = f"Line {line[:8]}: {here.title(line)}"
        cells = [_lasting(event_cells(here, key)) for key in keys[:MAX_ROWS]]
        html += table_html(title, _lasting(_heads(EVENTS)), cells, len(keys))
    return html


def _lasting(row: list[T]) -> list[T]:
    """A row without its seconds, which differ each time the notebook is run."""
    return [part for column, part in zip(EVENTS, row, strict=True) if column.key != "seconds"]


def _heads(columns: Sequence[Column]) -> list[tuple[str, str]]:
    return [(column.label, column.align) for column in columns]


def _more(total: int) -> list[str]:
    return [f"and {total - MAX_ROWS:,} more"] if total > MAX_ROWS else []
