"""What is known of a request while its reply is awaited."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Progress:
    """One request whose reply is awaited: the private loop writes it, any thread reads it.

    Attributes
    ----------
    words : int
        Words of the reply so far. 0 before the first, and where a server sends no stream.
    note : str
        What went wrong last and what comes next, such as ``"server error 500, try 2 of 5, next
        in 4 s"``; "" while nothing went wrong.
    """

    words: int = 0
    note: str = ""


def in_words(awaited: Iterable[Progress]) -> str:
    """The progress of several requests in one line; "" if there is nothing to say.

    Examples
    --------
    >>> in_words([Progress(words=412)])
    '412 words so far'
    >>> in_words([Progress(words=400), Progress(words=212), Progress(note="server error 500")])
    '612 words so far in 2 replies; server error 500'
    """
    awaited = list(awaited)
    writing = [each.words for each in awaited if each.words]
    told = []
    if writing:
        replies = f" in {len(writing)} replies" if len(writing) > 1 else ""
        told.append(f"{sum(writing):,} words so far{replies}")
    notes = list(dict.fromkeys(each.note for each in awaited if each.note))
    told += [notes[0] + (f" (and {len(notes) - 1} more)" if notes[1:] else "")] if notes else []
    return "; ".join(told)
