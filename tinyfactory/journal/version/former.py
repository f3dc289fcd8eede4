"""The versions that earlier releases gave, so that what they recorded is still found.

They were digests of the output of `ast.dump`, which differs between Pythons, and covered only the
method itself. Where the source was not known they were digests of the code object.
"""

from __future__ import annotations

import ast
import hashlib
import textwrap
from types import FunctionType
from typing import Any

from tinyfactory.journal.version.source import find


def former_versions(function: FunctionType) -> tuple[str, ...]:
    """The versions of earlier releases, with this Python and with Python 3.11."""
    found = find(function)
    if found is not None:
        node, text = found
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        lines = text.lines[first - 1 : node.end_lineno]
        try:
            tree = ast.parse(textwrap.dedent("".join(lines)))
        except SyntaxError:  # a text in the method begins further left than the method
            pass
        else:
            return tuple(
                dict.fromkeys("source:" + _digest(dump) for dump in (ast.dump(tree), _dump(tree)))
            )
    code = function.__code__
    return ("code:" + _digest(f"{code.co_code.hex()} {code.co_consts!r} {code.co_names!r}"),)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def _dump(value: Any) -> str:
    """The output of `ast.dump` on Python 3.11."""
    if isinstance(value, ast.AST):
        parts = []
        for name in value._fields:
            part = getattr(value, name, None)
            empty = part is None and getattr(type(value), name, ...) is None
            if not empty and name != "type_params":
                parts.append(f"{name}={_dump(part)}")
        return f"{type(value).__name__}({', '.join(parts)})"
    if isinstance(value, list):
        return f"[{', '.join(map(_dump, value))}]"
    return repr(value)
