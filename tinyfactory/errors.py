"""Every error that tinyfactory raises.

A message says what happened, what was kept, and what to do next::

    TinyFactoryError
    ├── InvalidInput (ValueError)       refused before anything was sent
    │   ├── InvalidPersona              a person that cannot be
    │   ├── DemographyError             a table of a population that cannot be
    │   ├── SecretFound                 something secret stands in what is to be given away
    │   └── NameTaken                   a name that someone in the simulation bears
    ├── ModelError                      no usable answer came from the model
    │   ├── NotConfigured               neither a key nor the offline model chosen
    │   ├── AuthenticationFailed        401, 403
    │   ├── UnknownModel                the endpoint does not know the model
    │   ├── QuotaExhausted              paid-for quota is used up
    │   ├── EndpointUnreachable         nothing listens there
    │   ├── EndpointUnavailable         it listens, but did not answer within the limits
    │   │   └── EndpointDown            not asked, because the calls before were not answered
    │   ├── RequestRejected             it refuses what was asked (other 4xx)
    │   └── BadResponse                 it answered, but not as a chat endpoint does
    ├── ReplyRejected                   a reply that cannot be used; asked again with the reason
    ├── JournalError                    the journal cannot do what was asked
    │   ├── NotSerialisable (TypeError) a value that JSON cannot hold
    │   ├── DamagedRecord               a stored value that is not what was stored
    │   ├── JournalUnavailable          the folder cannot be written or read
    │   ├── ForkedTransaction           a transaction carried into a forked process
    │   └── ReplayMiss                  a step that the recording does not hold
    ├── MissingPackage (ImportError)    a package for an extra that is not installed
    ├── BudgetExceeded                  the next call could cost more than was allowed
    │   └── UnknownPrice                a limit in US dollars, and a model without a price
    └── Cancelled                       stopped on request; what was finished is kept
        └── TimeLimitReached            stopped by a time limit
"""

from __future__ import annotations


class TinyFactoryError(Exception):
    """Base of all errors of this package."""


class InvalidInput(TinyFactoryError, ValueError):
    """An argument that cannot work, refused before anything is sent or changed."""


class InvalidPersona(InvalidInput):
    """A description of a person that cannot be; the message can be sent to a model."""


class DemographyError(InvalidInput):
    """A table that describes no possible population; the message names the cell."""


class SecretFound(InvalidInput):
    """Something that looks secret stands where it cannot be left out; the message names it."""


class NameTaken(InvalidInput):
    """Someone in this simulation already bears the name."""


class MissingPackage(TinyFactoryError, ImportError):
    """A package that an extra brings is not installed; the message has the line for pip."""


class ModelError(TinyFactoryError):
    """The model gave no usable answer."""


class NotConfigured(ModelError):
    """No model was chosen and no key is set."""


class AuthenticationFailed(ModelError):
    """The endpoint refused the key (401 or 403)."""


class UnknownModel(ModelError):
    """The endpoint does not know the model that was asked for."""


class QuotaExhausted(ModelError):
    """The account behind the key has nothing left to spend."""


class EndpointUnreachable(ModelError):
    """Nothing answers at the endpoint's address."""


class EndpointUnavailable(ModelError):
    """The endpoint is there but did not answer within the limits; running again asks again."""


class EndpointDown(EndpointUnavailable):
    """Not asked, because the calls before were not answered; nothing was sent."""


class RequestRejected(ModelError):
    """The endpoint refuses the request as it stands."""


class BadResponse(ModelError):
    """The endpoint answered with something that is not a chat completion."""


class ReplyRejected(TinyFactoryError):
    """A reply that cannot be used, with a reason that is told to the model."""


class JournalError(TinyFactoryError):
    """The journal cannot do what was asked of it."""


class NotSerialisable(JournalError, TypeError):
    """A value that JSON cannot hold exactly."""


class DamagedRecord(JournalError):
    """A stored value that does not match its digest or is of a kind never written here."""


class JournalUnavailable(JournalError):
    """The journal's folder cannot be read or written."""


class ForkedTransaction(JournalError):
    """A transaction was carried into a forked process, where it cannot be committed."""


class ReplayMiss(JournalError):
    """A step that the recording does not hold; raised before anything is sent."""


class BudgetExceeded(TinyFactoryError):
    """The next call could exceed the budget; it was not made, what was finished is kept."""


class UnknownPrice(BudgetExceeded):
    """A budget in US dollars cannot be held, because nobody said what the model costs."""


class Cancelled(TinyFactoryError):
    """The work was stopped on request; what was finished before is kept."""


class TimeLimitReached(Cancelled):
    """The work took longer than was allowed; what was finished before is kept."""
