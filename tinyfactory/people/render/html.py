"""Parts of static HTML that all renderings share: escaping, colours, tables, messages.

Text of a model is unsafe until it went through `escape` (for HTML) or `legible` (for a
terminal). The HTML needs no style sheet and no script. Where styles or pictures are removed,
as on GitHub, names, numbers and headings remain.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from tinyfactory.utils.text import legible

MAX_ROWS = 50

TEXT = "var(--jp-ui-font-color1, inherit)"
FAINT = "var(--jp-ui-font-color2, inherit)"
LINE = "var(--jp-border-color1, rgba(128, 128, 128, 0.5))"
# Twice, because an untrusted notebook drops variables.
BAR = "#1976d2; background: var(--jp-brand-color1, #1976d2)"
TRACK = "rgba(128, 128, 128, 0.3); background: var(--jp-layout-color3, rgba(128, 128, 128, 0.3))"
ROW = "background: transparent;"  # notebooks stripe all tables, also nested ones
CELL = f"text-align: left; vertical-align: top; padding: 2px 8px; color: {TEXT};"
# Notebooks typeset text between dollar signs as mathematics, whose macros can link to
# scripts; these classes exclude MathJax.
NO_MATH = 'class="tex2jax_ignore mathjax_ignore"'


def escape(value: Any) -> str:
    """Escape a value for HTML, in an element or a quoted attribute.

    Examples
    --------
    >>> escape("<b onclick='x()'>{{name}}</b>")
    '&lt;b onclick=&#x27;x()&#x27;&gt;&#123;&#123;name&#125;&#125;&lt;/b&gt;'
    """
    # Braces and backticks too: some pages run templates over their content.
    escaped = html.escape(legible(value), quote=True)
    return escaped.replace("{", "&#123;").replace("}", "&#125;").replace("`", "&#96;")


def rows_html(
    columns: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str] = ()
) -> str:
    """Make a table of cells that are markup already; an empty text if there are no rows.

    Examples
    --------
    >>> "<td" in rows_html(["Name"], [[escape("<b>")]]), rows_html(["Name"], [])
    (True, '')
    """
    if not rows:
        return ""
    styles = styles or [CELL] * len(columns)
    head = "".join(
        f'<th style="{style}">{escape(name)}</th>'
        for name, style in zip(columns, styles, strict=True)
    )
    cells = (
        "".join(f'<td style="{style}">{cell}</td>' for cell, style in zip(row, styles, strict=True))
        for row in rows
    )
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    return (
        f'<table style="border-collapse: collapse; color: {TEXT};">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


_CALM = ("status", "tf-status", "")


def status_html(text: str, *, wrong: bool = False) -> str:
    """Make a line that screen readers announce; immediately if it reports an error.

    Examples
    --------
    >>> status_html("<made>").partition(">")[2]
    '&lt;made&gt;</div>'
    """
    role, kind, mark = ("alert", "tf-status tf-wrong", "<b>⚠</b> ") if wrong else _CALM
    return (
        f'<div role="{role}" class="{kind}" style="white-space: pre-wrap;">{mark}'
        f"{escape(text)}</div>"
    )


def hint_html(text: str) -> str:
    """Make a line that screen readers do not announce by themselves."""
    return f'<div class="tf-hint" style="color: {FAINT};">{escape(text)}</div>'


def code_html(lines: str) -> str:
    """Make a block of Python code, scrollable with the keyboard."""
    return (
        '<pre class="tf-code" tabindex="0" aria-label="Python that does the same">'
        f"{escape(lines)}</pre>"
    )


def progress_html(done: int, total: int, what: str, text: str) -> str:
    """Make a progress bar with the same in words.

    Examples
    --------
    >>> "<progress" in progress_html(2, 5, "People made", "2 of 5")
    True
    """
    return (
        f'<div class="tf-progress"><progress value="{done:d}" max="{max(total, 1):d}" '
        f'aria-label="{escape(what)}"></progress> <span>{escape(text)}</span></div>'
    )


def nobody_html(text: str) -> str:
    """Make the placeholder shown when there is nobody to show."""
    return f'<p style="color: {FAINT};">{escape(text)}</p>'
