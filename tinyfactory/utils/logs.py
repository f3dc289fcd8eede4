"""Loggers whose messages show no control characters."""

from __future__ import annotations

import logging

from tinyfactory.errors import visible


class _Visible(logging.Filter):
    """Replaces control characters in a message, which may repeat a text of a model or server."""

    def filter(self, record: logging.LogRecord) -> bool:
        shown = visible(message := record.getMessage())
        if shown != message:
            record.msg, record.args = shown, None
        return True


_visible = _Visible()


def get_logger(name: str) -> logging.Logger:
    """The logger of that name, for messages that are safe to show on a terminal.

    Examples
    --------
    >>> get_logger("tinyfactory").name
    'tinyfactory'
    """
    logger = logging.getLogger(name)
    logger.addFilter(_visible)  # a second time does nothing
    return logger
