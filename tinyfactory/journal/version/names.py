"""The names that a function uses: free names, attributes of its object, attributes of others.

They are read from the syntax tree, so that they are the same on every Python; only code whose
source is unknown is read from its code object.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import CodeType

from tinyfactory.journal.version.source import Definition

Chain = tuple[str, ...]
# Where a name comes from that a function imports itself: the module, its level, and the name.
Import = tuple[str, int, str]
_Scope = Definition | ast.ClassDef | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(slots=True)
class Names:
    """The names that a function uses.

    Attributes
    ----------
    free : list of tuple
        Global names and names of functions around it, each with the attributes that follow.
    own : list of tuple
        Attributes of its first parameter, each with those that follow.
    above : list of str
        Attributes of ``super()``.
    others : list of str
        Attributes of anything else.
    types : list of tuple
        Names in annotations.
    imports : dict
        Names that the function imports itself.
    in_order : bool
        False where attributes do not follow their names, as in names out of a code object.
    """

    free: dict[Chain, None] = field(default_factory=dict)
    own: dict[Chain, None] = field(default_factory=dict)
    above: dict[str, None] = field(default_factory=dict)
    others: dict[str, None] = field(default_factory=dict)
    types: dict[Chain, None] = field(default_factory=dict)
    imports: dict[str, Import] = field(default_factory=dict)
    in_order: bool = True


def names_in_code(code: CodeType) -> Names:
    """The names in a code object: any of them may be a name or an attribute."""
    found = Names(in_order=False)
    waiting = [code]
    while waiting:
        code = waiting.pop()
        waiting += [const for const in code.co_consts if isinstance(const, CodeType)]
        for name in (*code.co_names, *code.co_freevars):
            found.free[(name,)] = None
            found.own[(name,)] = None
            found.above[name] = None
            found.others[name] = None
    return found


def names_in(root: Definition) -> Names:
    """The names in a definition, without its decorators and default values.

    Examples
    --------
    >>> tree = ast.parse("def f(self, x): return tax(self.price + x.fee, shops.RATE)")
    >>> found = names_in(tree.body[0])
    >>> list(found.free), list(found.own), list(found.others)
    ([('tax',), ('shops', 'RATE')], [('price',)], ['fee'])
    """
    found = Names()
    parameters = [*root.args.posonlyargs, *root.args.args]
    reader = _Reader(found, parameters[0].arg if parameters else None)
    reader.read(root, frozenset(), first=True)
    return found


class _Reader:
    def __init__(self, found: Names, own: str | None) -> None:
        self.found = found
        self.own = own

    def read(self, root: _Scope, outer: frozenset[str], *, first: bool) -> None:
        """Read a scope and those within, one after the other."""
        waiting: list[tuple[_Scope, frozenset[str], bool]] = [(root, outer, first)]
        while waiting:
            scope, around, owns = waiting.pop(0)
            parts, within = _parts(scope)
            if scope is root:
                self._annotations(root)
            bound = _bound(scope, parts)
            owns = owns and (scope is root or self.own not in bound)
            local = around | bound
            for node in parts:
                self._import(node)
            for node in parts:
                self._node(node, local, owns=owns)
            # A class's own names are not seen in its methods.
            inner = around if isinstance(scope, ast.ClassDef) else local
            waiting += [(other, inner, owns) for other in within]

    def _annotations(self, root: _Scope) -> None:
        if isinstance(root, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for node in _annotations_of(root):
                _add_types(node, self.found.types)

    def _import(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                self.found.imports[name] = (alias.name if alias.asname else name, 0, "")
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                place = (node.module or "", node.level, alias.name)
                self.found.imports[alias.asname or alias.name] = place

    def _node(self, node: ast.AST, local: frozenset[str], *, owns: bool) -> None:
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                return
            chain: Chain = (node.id,)
        elif isinstance(node, ast.Attribute):
            base, chain = _unrolled(node)
            if isinstance(base, ast.Name):
                chain = (base.id, *chain)
            elif _is_super(base):
                self.found.above[chain[0]] = None
                self._others(chain[1:])
                return
            elif owns and self._is_type_of_own(base):
                self._own(chain)
                return
            else:
                self._others(chain)
                return
        else:
            named = _named_attribute(node)
            if named is not None:
                self._node(named, local, owns=owns)
            return
        name, rest = chain[0], chain[1:]
        if name == self.own and owns:
            self._own(rest)
        elif name in local and name not in self.found.imports:
            self._others(rest)
        else:
            self.found.free[chain] = None

    def _is_type_of_own(self, node: ast.AST) -> bool:
        match node:
            case ast.Call(func=ast.Name(id="type"), args=[ast.Name(id=name)]):
                return name == self.own
        return False

    def _own(self, chain: Chain) -> None:
        if chain[:1] == ("__class__",):
            chain = chain[1:]
        if chain:
            self.found.own[chain] = None

    def _others(self, names: Iterable[str]) -> None:
        for name in names:
            self.found.others[name] = None


def _unrolled(node: ast.Attribute) -> tuple[ast.expr, Chain]:
    """The object of a chain of attributes, and their names."""
    names: list[str] = []
    base: ast.expr = node
    while isinstance(base, ast.Attribute):
        names.append(base.attr)
        base = base.value
    return base, tuple(reversed(names))


def _is_super(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="super")):
            return True
    return False


def _named_attribute(node: ast.AST) -> ast.Attribute | None:
    """The attribute that ``getattr(thing, "name")`` reads."""
    match node:
        case ast.Call(func=ast.Name(id="getattr"), args=[thing, ast.Constant(value=str(name)), *_]):
            return ast.Attribute(thing, name, ast.Load())
    return None


def _parts(scope: _Scope) -> tuple[list[ast.AST], list[_Scope]]:
    """The nodes that are evaluated in a scope, in order, and the scopes within it.

    Of a chain of attributes only its end and what it begins with are given.
    """
    nodes: list[ast.AST] = []
    within: list[_Scope] = []
    waiting = list(reversed(_content(scope)))
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        if isinstance(node, ast.Attribute):
            base, _ = _unrolled(node)
            if not isinstance(base, ast.Name):
                waiting.append(base)
            continue
        if isinstance(node, _Scope):
            within.append(node)
            waiting += reversed(_around(node))
            continue
        if isinstance(node, ast.AnnAssign):  # never evaluated in a function
            parts = [part for part in (node.target, node.value) if part is not None]
            waiting += reversed(parts)
            continue
        waiting += reversed(list(ast.iter_child_nodes(node)))
    return nodes, within


def _content(scope: _Scope) -> list[ast.AST]:
    """What is evaluated in the scope itself."""
    if isinstance(scope, ast.Lambda):
        return [scope.body]
    if isinstance(scope, ast.DictComp):
        return [scope.key, scope.value, *scope.generators]
    if isinstance(scope, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
        return [scope.elt, *scope.generators]
    return list(scope.body)


def _around(scope: _Scope) -> list[ast.AST]:
    """What belongs to a scope's definition, but is evaluated around it."""
    if isinstance(scope, _COMPREHENSIONS):
        return []
    if isinstance(scope, ast.ClassDef):
        return [*scope.decorator_list, *scope.bases, *scope.keywords]
    defaults: list[ast.AST] = [*scope.args.defaults]
    defaults += [default for default in scope.args.kw_defaults if default is not None]
    return defaults if isinstance(scope, ast.Lambda) else [*scope.decorator_list, *defaults]


def _bound(scope: _Scope, nodes: list[ast.AST]) -> frozenset[str]:
    """The names that a scope binds."""
    bound: set[str] = set()
    elsewhere: set[str] = set()
    if isinstance(scope, Definition):
        args = scope.args
        every = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
        bound |= {arg.arg for arg in every if arg is not None}
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                bound.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                bound.add(name)
            case ast.ClassDef(name=name):
                bound.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                bound |= {(a.asname or a.name).partition(".")[0] for a in aliases}
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                bound.add(name)
            case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                bound.add(name)
            case ast.Global(names=names):
                elsewhere |= set(names)
    return frozenset(bound - elsewhere)


def _annotations_of(root: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.AST]:
    args = root.args
    for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg):
        if arg is not None and arg.annotation is not None:
            yield arg.annotation
    for node in ast.walk(root):
        if isinstance(node, ast.AnnAssign):
            yield node.annotation


def _add_types(annotation: ast.AST, types: dict[Chain, None]) -> None:
    """Add the names in an annotation, also in one that is written as text."""
    waiting = [annotation]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                waiting.append(ast.parse(node.value, mode="eval").body)
            except (SyntaxError, ValueError):
                continue
        elif isinstance(node, ast.Name):
            types[(node.id,)] = None
        elif isinstance(node, ast.Attribute):
            base, chain = _unrolled(node)
            if isinstance(base, ast.Name):
                types[(base.id, *chain)] = None
        else:
            waiting += ast.iter_child_nodes(node)
