"""All errors of tinyfactory.

A message says what is wrong, then what to do; after a long call also what was saved::

    TinyFactoryError
    ├── InvalidInput (ValueError)       an argument that cannot work; nothing was sent or changed
    │   ├── InvalidPersona              a persona with impossible values
    │   ├── DemographyError             a demography that no population can have
    │   ├── SecretFound                 an export that would contain a secret
    │   └── NameTaken                   a name that another person of the simulation has
    ├── LimitExceeded                   data of another that is larger than a limit of the settings
    │   ├── FileTooLarge (InvalidInput) a file or a recording
    │   └── ResponseTooLarge (BadResponse)  the response of an endpoint
    ├── ModelError                      the model gave no usable reply
    │   ├── NotConfigured               no API key, or a proxy or certificates that cannot be used
    │   ├── AuthenticationFailed        the endpoint rejected the key (401, 403)
    │   ├── UnknownModel                the endpoint does not know the model
    │   ├── QuotaExhausted              the account has no credit left
    │   ├── EndpointUnreachable         no server answers at the address
    │   ├── EndpointUnavailable         the server did not answer within the limits
    │   │   ├── NeverAnswered           nor did it before: given up after `give_up_after` seconds
    │   │   └── EndpointDown            nothing was sent: the circuit breaker is open
    │   ├── RequestRejected             the endpoint rejected the request (other 4xx)
    │   │   ├── PromptRefused           a content filter refused this prompt, not the others
    │   │   └── RedirectRefused         the endpoint sends the request to another server
    │   ├── BadResponse                 the response is not a chat completion
    │   │   └── NoChatEndpoint          nor was any response before: the address is wrong
    │   └── NobodyMade                  no person of `generate_people` could be made
    ├── ReplyRejected                   a reply that cannot be parsed; the model is asked again
    │   └── ReplyFiltered               a content filter stopped the reply; asked again once
    ├── JournalError                    the journal cannot do what was asked
    │   ├── NotSerialisable (TypeError) a value that JSON cannot hold
    │   ├── DamagedRecord               a stored value that does not match its digest
    │   │   └── UnknownRecord           a whole record with contents that this release does not know
    │   ├── JournalUnavailable          the folder cannot be read or written
    │   │   ├── NotAJournal             the folder belongs to another program
    │   │   └── NewerJournal            the journal has a format of a newer release
    │   ├── ForkedTransaction           a transaction that was carried into a forked process
    │   ├── ObjectLocked                another call has locked an object for too long
    │   │   └── Deadlock                calls that would wait for each other for ever
    │   └── ReplayMiss                  a call that is not in the recording
    ├── MissingPackage (ImportError)    a package of an extra that is not installed
    ├── BudgetExceeded                  the next call could cost more than the budget
    │   └── UnknownPrice                a budget in US dollars, and a model without a price
    └── Cancelled                       cancelled; finished people are saved
        └── TimeLimitReached            stopped by the time limit
"""

from __future__ import annotations

import os
import re
import sys
from types import TracebackType
from typing import Any


def __dir__() -> list[str]:
    own = (name for name, it in globals().items() if getattr(it, "__module__", "") == __name__)
    return [name for name in own if not name.startswith("_")]


class TinyFactoryError(Exception):
    """Base of all errors of this package.

    A message may repeat a text of a model, a server or a file. Where it is shown, control
    characters are replaced, because a terminal would obey them.

    Examples
    --------
    >>> str(TinyFactoryError("Ana" + chr(27) + "[2J")) == "Ana" + chr(0xFFFD) + "[2J"
    True
    """

    def __str__(self) -> str:
        return visible(super().__str__())

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows: the message first and last, and the frames of the user.

        After ``%xmode Verbose``, IPython shows all frames. The error and its traceback are not
        changed, so a debugger sees all frames in each mode.
        """
        shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
        lines: list[str]
        if shell is None:
            import traceback  # slow to import, and seldom needed

            return traceback.format_exception(self)
        formatter = shell.InteractiveTB
        if formatter.mode == "Verbose":
            lines = formatter.structured_traceback(type(self), self, self.__traceback__)
            return lines
        message: list[str] = formatter.get_exception_only(type(self), self)
        frames = _own_frames(self.__traceback__)
        if frames is None or formatter.mode == "Minimal":
            return message
        shown = _with_own_frames(self)
        lines = formatter.structured_traceback(type(shown), shown, frames, tb_offset=0)
        return [*message, *lines]


_PACKAGE, _LIBRARY = (os.path.dirname(path) + os.sep for path in (__file__, os.__file__))  # noqa: PTH120


def _is_ours(names: dict[str, Any]) -> bool:
    return str(names.get("__name__")).partition(".")[0] == __name__.partition(".")[0]


def _own_frames(traceback: TracebackType | None) -> TracebackType | None:
    """Return a copy of a traceback with the frames of the user's files and cells only."""
    kept = []
    while traceback is not None:
        path = traceback.tb_frame.f_code.co_filename
        hidden = (_PACKAGE, _LIBRARY, "<frozen ")
        if path == "<string>" and _is_ours(traceback.tb_frame.f_globals):
            pass  # a method that the dataclasses module wrote
        elif not path.startswith(hidden) and not re.search(r"[/\\](site|dist)-packages[/\\]", path):
            kept.append(traceback)
        traceback = traceback.tb_next
    copy = None
    for frame in reversed(kept):
        copy = type(frame)(copy, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return copy


def _with_own_frames(error: BaseException) -> BaseException:
    """Return a stand-in for an error, and for those of its causes that have frames of the user."""
    chain = [error]
    while True:
        last = chain[-1]
        cause = last.__cause__ or (None if last.__suppress_context__ else last.__context__)
        if cause is None or any(cause is other for other in chain):
            break
        chain.append(cause)
    copy: BaseException | None = None
    for each in reversed(chain):
        frames = _own_frames(each.__traceback__)
        if frames is None and each is not error:
            continue
        text = str(each)
        kind = type(type(each).__name__, (Exception,), {"__str__": lambda _, text=text: text})
        made: BaseException = kind().with_traceback(frames)
        if each.__cause__ is None:
            made.__context__ = copy
        else:
            made.__cause__ = copy
        copy = made
    return copy or error


# Control characters move a terminal's cursor; bidi overrides and isolates show text in another
# order than it has. Line feed and tab are harmless.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """A text in which one replacement character stands for each control character."""
    return text if text.isascii() and text.isprintable() else _UNSEEN.sub("\ufffd", text)


class InvalidInput(TinyFactoryError, ValueError):
    """An argument that cannot work. Nothing was sent or changed."""


class InvalidPersona(InvalidInput):
    """A persona with impossible values. The message can be sent to a model."""


class DemographyError(InvalidInput):
    """A demography that no population can have. The message names the cell."""


class SecretFound(InvalidInput):
    """An export that would contain a secret. The message says where."""


class NameTaken(InvalidInput):
    """Another person of the simulation has this name."""


class MissingPackage(TinyFactoryError, ImportError):
    """A package of an extra is not installed. The message has the line for pip."""


class ModelError(TinyFactoryError):
    """The model gave no usable reply."""


class NotConfigured(ModelError):
    """No API key is set, or a proxy or certificates of the environment cannot be used."""


class AuthenticationFailed(ModelError):
    """The endpoint rejected the key (401 or 403)."""


class UnknownModel(ModelError):
    """The endpoint does not know the model."""


class QuotaExhausted(ModelError):
    """The account of this key has no credit left."""


class EndpointUnreachable(ModelError):
    """No server answers at the endpoint's address."""


class EndpointUnavailable(ModelError):
    """The server did not answer within the limits. Run the same call again to try again."""


class NeverAnswered(EndpointUnavailable):
    """The server has failed for the seconds of `give_up_after`, and has never answered before."""


class EndpointDown(EndpointUnavailable):
    """Nothing was sent: earlier calls got no answer, so the circuit breaker is open."""


class RequestRejected(ModelError):
    """The endpoint rejected the request."""


class PromptRefused(RequestRejected):
    """A content filter refused this prompt. Other prompts may pass."""


class RedirectRefused(RequestRejected):
    """The endpoint redirects to another server, which would get the prompt. It was not followed."""


class BadResponse(ModelError):
    """The endpoint's response is not a chat completion."""


class NoChatEndpoint(BadResponse):
    """The endpoint has not sent one chat completion so far. Its address is probably wrong."""


class NobodyMade(ModelError):
    """No person of a job could be made. The message has the last reason."""


class LimitExceeded(TinyFactoryError):
    """Data of another is larger than a limit. The message names the limit and how to raise it."""


class FileTooLarge(LimitExceeded, InvalidInput):
    """A file or a recording is larger than a limit. Nothing was loaded."""


class ResponseTooLarge(LimitExceeded, BadResponse):
    """The response of an endpoint is larger than a limit. The rest of it was not read."""


class ReplyRejected(TinyFactoryError):
    """A reply that cannot be used. The model is asked again with this reason."""


class ReplyFiltered(ReplyRejected):
    """A content filter stopped the reply. The model is asked again once."""


class JournalError(TinyFactoryError):
    """The journal cannot do what was asked."""


class NotSerialisable(JournalError, TypeError):
    """A value that JSON cannot hold exactly."""


class DamagedRecord(JournalError):
    """A stored value that does not match its digest, or has an unknown type."""


class UnknownRecord(DamagedRecord):
    """A record that is whole, but its contents are not those of a record of this release."""


class JournalUnavailable(JournalError):
    """The journal's folder cannot be read or written."""


class NotAJournal(JournalUnavailable):
    """The folder has files of another program. Nothing in it was changed."""


class NewerJournal(JournalUnavailable):
    """The journal has a newer format. The message names the release that is needed."""


class ForkedTransaction(JournalError):
    """A transaction was carried into a forked process, where it cannot be committed."""


class ObjectLocked(JournalError):
    """Another call has locked the object and makes no progress. This call changed nothing."""


class Deadlock(ObjectLocked):
    """Calls that would wait for each other for ever. This one changed nothing; others go on."""


class ReplayMiss(JournalError):
    """A call that is not in the recording. Nothing was sent."""


class BudgetExceeded(TinyFactoryError):
    """The next call could exceed the budget. It was not sent; finished people are saved."""


class UnknownPrice(BudgetExceeded):
    """The budget is in US dollars, and the price of the model is unknown."""


class Cancelled(TinyFactoryError):
    """Cancelled on request. Finished people are saved."""


class TimeLimitReached(Cancelled):
    """The time limit was reached. Finished people are saved."""
