"""The source of the code that runs: captured early, and compared with the code before it is used.

A file may be edited after it was imported. So its text is captured when a method in it is
decorated, and a text counts as the source of a function only if it compiles to the function's
code. Nothing is parsed before a version is first needed.
"""

from __future__ import annotations

import ast
import linecache
import os
import site
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
# At most so many texts of one file are remembered: those of its latest versions.
_MOST_TEXTS = 4
# Flags of compiled code that come from `from __future__ import ...`, also in an earlier cell.
_FUTURE = 0x1FE0000
_STARRED = 0x0C  # *args and **kwargs
_PACKAGE = str(Path(__file__).parents[2])


class Text:
    """One text of a file or a cell.

    Attributes
    ----------
    lines : list of str
    """

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self._codes: dict[tuple[int, bool], list[CodeType]] = {}

    def definition_of(self, code: CodeType) -> Definition | None:
        """The definition in this text that compiles to the code; None without one."""
        equal: list[CodeType] = []
        for alone in (False, True):
            equal = equal or [
                other
                for other in self._compiled(code.co_flags & _FUTURE, alone=alone)
                if other.co_name == code.co_name and same_code(other, code)
            ]
        if not equal:
            return None
        # Of equal ones, such as those of two classes, the one at the same place.
        first = min(
            equal,
            key=lambda other: (
                other.co_firstlineno != code.co_firstlineno,
                other.co_qualname != code.co_qualname,
            ),
        )
        return self._node_of(first)

    @cached_property
    def tree(self) -> ast.Module | None:
        """The syntax tree; None where it is not valid."""
        try:
            with _quiet():
                return ast.parse("".join(self.lines))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None

    @cached_property
    def rebound(self) -> frozenset[str]:
        """Names that some function binds again (``global``, ``nonlocal``): no constants."""
        return frozenset(
            name
            for node in ast.walk(self.tree or ast.Module([], []))
            if isinstance(node, (ast.Global, ast.Nonlocal))
            for name in node.names
        )

    @cached_property
    def set_on_classes(self) -> frozenset[str]:
        """Attributes that are set on a class or a module: no constants."""
        nodes = list(ast.walk(self.tree or ast.Module([], [])))
        names = {"cls"} | {node.name for node in nodes if isinstance(node, ast.ClassDef)}
        for node in nodes:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        return frozenset(
            node.attr
            for node in nodes
            if isinstance(node, ast.Attribute)
            and not isinstance(node.ctx, ast.Load)
            and _is_class(node.value, names)
        )

    def _compiled(self, flags: int, *, alone: bool) -> list[CodeType]:
        """All code objects of the text.

        Notebooks compile each statement alone, and the result may differ: the compiler looks for
        imports in what it compiles.
        """
        codes = self._codes.get((flags, alone))
        if codes is None:
            whole = [self.tree] if self.tree is not None else []
            trees = [ast.Module([n], []) for t in whole for n in t.body] if alone else whole
            codes = [code for tree in trees for code in _compiled(tree, flags)]
            self._codes[flags, alone] = codes
        return codes

    def _node_of(self, code: CodeType) -> Definition | None:
        nodes = [node for node in self._definitions if _first_line(node) == code.co_firstlineno]
        if code.co_name != "<lambda>":
            named = [n for n in nodes if not isinstance(n, ast.Lambda) and n.name == code.co_name]
            return named[0] if named else None
        lambdas = [node for node in nodes if isinstance(node, ast.Lambda)]
        if len(lambdas) > 1:  # on one line: the smallest one around all its instructions
            spans = [_span(node) for node in lambdas]
            places = [p for p in code.co_positions() if None not in p]
            lambdas = [
                node
                for _, node in sorted(zip(spans, lambdas, strict=True), key=lambda pair: pair[0][2])
                if places and all(_inside(place, _span(node)) for place in places)
            ]
        return lambdas[0] if lambdas else None

    @cached_property
    def _definitions(self) -> list[Definition]:
        return [n for n in ast.walk(self.tree or ast.Module([], [])) if isinstance(n, Definition)]


def _is_class(node: ast.AST, names: set[str]) -> bool:
    match node:
        case ast.Name(id=name):
            return name in names
        case ast.Call(func=ast.Name(id="type")) | ast.Attribute(attr="__class__"):
            return True
    return False


def _quiet() -> warnings.catch_warnings[None]:
    """Without the warnings that the same text gave when it was imported."""
    return warnings.catch_warnings(action="ignore")


def _first_line(node: Definition) -> int:
    decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


Place = tuple[int, int]


def _span(node: ast.AST) -> tuple[Place, Place, tuple[int, int]]:
    """Where a lambda begins and ends, and its size in lines and columns."""
    start = (node.lineno, node.col_offset)  # type: ignore[attr-defined]
    end = (node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
    return start, end, (end[0] - start[0], end[1] - start[1])


def _inside(place: tuple[Any, ...], span: tuple[Place, Place, tuple[int, int]]) -> bool:
    line, end_line, column, end_column = place
    # The first instruction of a function stands at its beginning, with no width.
    return span[0] <= (line, column) and (end_line, end_column) <= span[1]


def _compiled(tree: ast.Module, flags: int) -> Iterator[CodeType]:
    """The code object of a tree, and all within it."""
    flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        with _quiet():
            waiting = [compile(tree, "?", "exec", flags, dont_inherit=True)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    while waiting:
        code = waiting.pop()
        yield code
        waiting += [const for const in code.co_consts if isinstance(const, CodeType)]


def same_code(one: CodeType, other: CodeType) -> bool:
    """Whether two code objects do the same, wherever they are written."""
    return _facts(one) == _facts(other)


def _facts(code: CodeType) -> tuple[Any, ...]:
    return (
        code.co_code,
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_cellvars,
        (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount),
        code.co_flags & (_STARRED | _FUTURE),
        code.co_exceptiontable,
        tuple(_constant_facts(const) for const in code.co_consts),
    )


def _constant_facts(value: Any) -> Any:
    """A constant of code as a value that differs whenever its type or a part of it differs."""
    if isinstance(value, CodeType):
        return _facts(value)
    if isinstance(value, tuple):
        return ("tuple", *map(_constant_facts, value))
    if isinstance(value, frozenset):
        return ("frozenset", frozenset(map(_constant_facts, value)))
    return (type(value).__name__, repr(value))  # 0.0 and -0.0 are equal


# -- texts -------------------------------------------------------------------------------------

_texts: dict[str, list[Text]] = {}
_stamps: dict[str, Any] = {}


def capture(function: FunctionType) -> None:
    """Remember the present text of a function's file or cell, and of the modules it imports."""
    names = function.__globals__
    _read(function.__code__.co_filename, names)
    seen = {id(names)}
    waiting = [names]
    while waiting:
        for value in list(waiting.pop().values()):
            module = _module_of(value)
            if module is None or id(module.__dict__) in seen:
                continue
            seen.add(id(module.__dict__))
            file = getattr(module, "__file__", None)
            if file is not None and is_own_file(file):
                _read(file, module.__dict__)
                waiting.append(module.__dict__)


def _module_of(value: Any) -> ModuleType | None:
    """The module that a global value is, or that its function or class is defined in."""
    if isinstance(value, ModuleType):
        return value
    if isinstance(value, (FunctionType, type)):
        return sys.modules.get(value.__module__)
    return None


def texts_of(filename: str, names: dict[str, Any]) -> Iterator[Text]:
    """The texts that a file or cell had, the latest first, then the one that it has now."""
    captured = list(_texts.get(filename, ()))
    yield from reversed(captured)
    text = _read(filename, names)
    if text is not None and text not in captured:
        yield text


def find(function: FunctionType) -> tuple[Definition, Text] | None:
    """The definition that compiles to a function's code, and the text that holds it."""
    code, names = function.__code__, function.__globals__
    # Tools that patch functions give the code another file.
    files = dict.fromkeys((code.co_filename, str(names.get("__file__") or code.co_filename)))
    for file in files:
        for text in texts_of(file, names):
            node = text.definition_of(code)
            if node is not None:
                return node, text
    return None


def has_text(function: FunctionType) -> bool:
    """Whether the file or cell of a function has a text, whatever it is."""
    return next(texts_of(function.__code__.co_filename, function.__globals__), None) is not None


def _read(filename: str, names: dict[str, Any]) -> Text | None:
    """The present text of a file or cell, which is remembered."""
    stamp = _stamp(filename)
    texts = _texts.setdefault(filename, [])
    if texts and stamp is not None and _stamps.get(filename) == stamp:
        return texts[-1]
    lines = _lines(filename, names)
    if not lines:
        return None
    _stamps[filename] = stamp
    for text in texts:
        if text.lines == lines:
            texts.remove(text)
            texts.append(text)
            return text
    texts.append(Text(lines))
    _texts[filename] = texts = texts[-_MOST_TEXTS:]
    return texts[-1]


def _stamp(filename: str) -> Any:
    try:
        found = Path(filename).stat()
    except (OSError, ValueError):
        return None  # a cell, a doctest, a file in an archive
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _lines(filename: str, names: dict[str, Any]) -> list[str]:
    linecache.checkcache(filename)
    lines = linecache.getlines(filename, names)
    if lines or filename != "<string>" or "-c" not in sys.orig_argv[:-1]:
        return lines
    # Python 3.13 remembers the text of `python -c` itself.
    return sys.orig_argv[sys.orig_argv.index("-c") + 1].splitlines(keepends=True)


# -- whose code --------------------------------------------------------------------------------


def is_own(function: FunctionType) -> bool:
    """Whether a function is the user's: not of Python, an installed package or this one."""
    code_file = function.__code__.co_filename
    if code_file.startswith("<doctest "):
        return True
    # Tools that patch functions give the code another file.
    return is_own_file(str(function.__globals__.get("__file__") or code_file))


def is_own_class(cls: type) -> bool:
    """Whether a class is the user's."""
    if not cls.__flags__ & 1 << 9:  # not made by a class statement
        return False
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    if file is not None:
        return is_own_file(file)
    # A cell, or code that was executed without a module's name.
    if module is None or cls.__module__ in ("__main__", "builtins"):
        return True
    return cls.__module__.partition(".")[0] not in sys.stdlib_module_names


@lru_cache(4096)
def is_own_file(filename: str) -> bool:
    """Whether a file or cell is the user's.

    Examples
    --------
    >>> is_own_file("/home/ana/shop.py"), is_own_file(os.__file__), is_own_file(__file__)
    (True, False, False)
    """
    if filename.startswith("<frozen "):
        return False
    path = Path(filename)
    if not {"site-packages", "dist-packages"}.isdisjoint(path.parts):
        return False
    return not any(path.is_relative_to(folder) for folder in _installed())


@lru_cache(1)
def _installed() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders += [_PACKAGE, site.getusersitepackages()]
    folders += [os.path.realpath(folder) for folder in folders]
    return tuple(dict.fromkeys(folders))
