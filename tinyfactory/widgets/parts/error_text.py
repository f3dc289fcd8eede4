"""Errors in a sentence that a student understands."""

from __future__ import annotations

from tinyfactory import errors

# Subclasses before their bases.
_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (errors.NotConfigured, "No model is set up yet."),
    (errors.AuthenticationFailed, "The model's provider did not accept the key."),
    (errors.UnknownModel, "The provider does not know a model of this name."),
    (errors.QuotaExhausted, "The account at the provider has no credit left."),
    (errors.EndpointDown, "The model's server does not answer at the moment."),
    (errors.EndpointUnreachable, "There is nothing at the model's address."),
    (errors.EndpointUnavailable, "The model's server is too busy or does not answer."),
    (errors.RequestRejected, "The model's server refuses what it was asked."),
    (errors.BadResponse, "The server at the model's address does not answer like a chat model."),
    (errors.UnknownPrice, "There is a limit in dollars, and the price of this model is not known."),
    (errors.BudgetExceeded, "The budget is used up, so nothing more was asked."),
    (errors.ReplayMiss, "This call is not in the recording."),
    (errors.TimeLimitReached, "The time limit was reached."),
    (errors.Cancelled, "Stopped."),
    (errors.NameTaken, "Someone here has this name already."),
    (errors.InvalidPersona, "A person cannot be like this."),
    (errors.DemographyError, "The table of the population cannot be used."),
    (errors.SecretFound, "It would give away something secret."),
    (errors.InvalidInput, "Something in the fields cannot work."),
    (errors.JournalError, "The record of this simulation cannot be read or written."),
    (errors.ModelError, "The model could not be asked."),
    (ImportError, "A package that this needs is not installed."),
)


def in_plain_words(error: BaseException) -> str:
    """A sentence that says what an error means, followed by its message.

    Examples
    --------
    >>> in_plain_words(errors.NameTaken("Ana is taken."))
    'Someone here has this name already. Ana is taken.'
    """
    if isinstance(error, KeyboardInterrupt):
        return "Stopped. What was finished is kept."
    said = str(error)
    for kind, words in _WORDS:
        if isinstance(error, kind):
            return f"{words} {said}".strip()
    return (
        f"An unexpected error ({type(error).__name__}: {said}). Finished people are saved. The "
        "attribute error of this widget has the details."
    )
