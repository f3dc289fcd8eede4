"""A canonical text of a syntax tree, the same on every Python for the same code.

Comments, layout, docstrings and positions do not enter it. `ast.dump` cannot be used: it prints
other fields on Python 3.12 and leaves out others on 3.13. Needs only the standard library.
"""

from __future__ import annotations

import ast
import datetime as dt
import decimal
import enum
import fractions
import hashlib
import re
from collections.abc import Callable
from typing import Any

# Fields that say nothing about what the code does: `kind` tells u"a" from "a", and a `ctx` follows
# from the place of the node.
_IGNORED = frozenset({"type_comment", "type_ignores", "kind", "ctx"})
# Fields that hold a constant, where None is a value and not an absent part.
_CONSTANTS = frozenset({"Constant", "MatchSingleton"})
_BLOCKS = frozenset({"body", "orelse", "finalbody"})
# Types besides those of literals that never change and have an exact text.
_EXACT: dict[type, Callable[[Any], str]] = {
    decimal.Decimal: str,
    fractions.Fraction: str,
    dt.date: dt.date.isoformat,
    dt.datetime: dt.datetime.isoformat,
    dt.time: dt.time.isoformat,
    dt.timedelta: lambda span: f"{span.days} {span.seconds} {span.microseconds}",
    range: repr,
}


class _Piece(str):
    """A finished piece of the canonical text."""

    __slots__ = ()


def canonical(tree: ast.AST) -> str:
    r"""The canonical text of a tree.

    Examples
    --------
    >>> def text(source):
    ...     return canonical(ast.parse(source))
    >>> text("x = 1  # one") == text("x = (1)") != text("x = 1.0")
    True
    >>> text("def f():\n    'Docs.'\n    return 1") == text("def f(): return 1")
    True
    """
    out: list[str] = []
    # With a stack of its own, because long sums and chains of elif nest deeply.
    stack: list[Any] = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, _Piece):
            out.append(item)
        elif isinstance(item, ast.AST):
            stack += reversed(_pieces(item))
        elif isinstance(item, list):
            out.append("[")
            stack.append(_Piece("]"))
            for part in reversed(item):
                stack += (_Piece(","), part)
        else:
            out.append(ascii(item))
    return "".join(out)


def digest(tree: ast.AST) -> str:
    """SHA-256 of the canonical text, as 40 hex digits."""
    text = canonical(tree)
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _pieces(node: ast.AST) -> list[Any]:
    """The pieces of a node's text, and the parts that are still to be written."""
    name = type(node).__name__
    if isinstance(node, ast.JoinedStr):
        values = _formatted(node)
        if all(isinstance(value, str) for value in values):
            return [_Piece(f"Constant({constant(''.join(values))})")]
        return [_Piece("JoinedStr("), [_text_or_node(value) for value in values], _Piece(")")]
    pieces: list[Any] = [_Piece(name + "(")]
    for field in sorted(node._fields):
        value = getattr(node, field, None)
        if field in _IGNORED:
            continue
        if name in _CONSTANTS:
            pieces.append(_Piece(constant(value)))
            continue
        if field in _BLOCKS and isinstance(value, list):
            value = [statement for statement in value if not _does_nothing(statement)]
        if field == "format_spec" and value is not None and not _formatted(value):
            continue
        if value is not None and value != []:
            pieces += [_Piece(field + "="), value, _Piece(";")]
    return [*pieces, _Piece(")")]


def _text_or_node(value: Any) -> Any:
    return _Piece(constant(value)) if isinstance(value, str) else value


def _formatted(node: ast.JoinedStr) -> list[Any]:
    """The values of an f-string with neighbouring texts joined: parsers cut them differently."""
    values: list[Any] = []
    for value in node.values:
        if not isinstance(value, ast.Constant):
            values.append(value)
        elif values and isinstance(values[-1], str):
            values[-1] += str(value.value)
        elif value.value:
            values.append(str(value.value))
    return values


def _does_nothing(statement: ast.AST) -> bool:
    """Whether a statement is a docstring, another text that stands alone, or `pass`."""
    if isinstance(statement, ast.Expr):
        value = statement.value
        return isinstance(value, ast.Constant) and isinstance(value.value, str)
    return isinstance(statement, ast.Pass)


def constant(value: Any) -> str | None:
    """The exact text of a value that never changes; None for any other value.

    Examples
    --------
    >>> constant(1), constant(True), constant((1.5, "a")), constant([1])
    ('int:0x1', 'True', "tuple:(float:0x1.8000000000000p+0,'a')", None)
    """
    kind: Any = type(value)
    if value is None or value is ... or kind is bool:
        return repr(value)
    if kind is str or kind is bytes:
        return ascii(value)
    if kind is int:
        return f"int:{value:#x}"  # decimal digits are limited in number
    if kind is float:
        return f"float:{value.hex()}"
    if kind is complex:
        return f"complex:{value.real.hex()},{value.imag.hex()}"
    if kind is tuple or kind is frozenset:
        texts = [constant(item) for item in value]
        known = [text for text in texts if text is not None]
        if len(known) < len(texts):
            return None
        return f"{kind.__name__}:({','.join(known if kind is tuple else sorted(known))})"
    if kind in _EXACT:
        return f"{kind.__name__}:{_EXACT[kind](value)}"
    if kind is re.Pattern:
        return f"pattern:{value.flags}:{constant(value.pattern)}"
    if issubclass(kind, enum.Enum):
        return f"{kind.__qualname__}.{value.name}:{constant(value.value)}"
    return None
