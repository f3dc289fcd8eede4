"""The canonical form of a function: the same for the same code, another for any other code."""

from __future__ import annotations

import ast
import copy
import textwrap
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tinyfactory.journal.version.syntax import canonical, constant

names = st.sampled_from(["a", "b", "total", "prices", "näme"])
constants = st.one_of(
    st.integers(-3, 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.binary(max_size=4),
)


def binary(inner):
    operators = st.sampled_from(["+", "-", "*", "//", "==", "<", "is", "in", "and", "or"])
    return st.builds("({} {} {})".format, inner, operators, inner)


expressions = st.recursive(
    names | constants.map(repr),
    lambda inner: st.one_of(
        binary(inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{{{}: {}}}".format, inner, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("[{} for {} in {} if {}]".format, inner, names, inner, inner),
        st.builds("(lambda {}={}: {})".format, names, inner, inner),
        st.builds("{}({}, key={})".format, names, inner, inner),
        st.builds("{}.{}[{}:]".format, names, names, inner),
        st.builds("f'x{{{}}}y{{{}!r:>{{{}}}}}'".format, names, names, names),
    ),
    max_leaves=6,
)


def indented(lines):
    return textwrap.indent("\n".join(lines), "    ")


simple = st.one_of(
    st.builds("{} = {}".format, names, expressions),
    st.builds("{} += {}".format, names, expressions),
    st.builds("assert {}".format, expressions),
    st.builds("return {}".format, expressions),
    expressions,
)
statements = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(
            lambda test, body, other: f"if {test}:\n{indented(body)}\nelse:\n{indented(other)}",
            expressions,
            st.lists(inner, min_size=1, max_size=2),
            st.lists(inner, min_size=1, max_size=2),
        ),
        st.builds(
            lambda name, test, body: f"for {name} in {test}:\n{indented(body)}",
            names,
            expressions,
            st.lists(inner, min_size=1, max_size=2),
        ),
        st.builds(
            lambda name, body: f"def {name}(x, *, y=1):\n{indented(body)}",
            names,
            st.lists(inner, min_size=1, max_size=2),
        ),
        st.builds(
            lambda body, after: f"try:\n{indented(body)}\nfinally:\n{indented(after)}",
            st.lists(inner, min_size=1, max_size=2),
            st.lists(inner, min_size=1, max_size=2),
        ),
    ),
    max_leaves=5,
)
functions = st.lists(statements, min_size=1, max_size=4).map(
    lambda body: f"def function(a, b=2, *c, d: int = 4, **e):\n{indented(body)}\n"
)


def form(source):
    return canonical(ast.parse(source))


@settings(max_examples=40)
@given(functions)
def test_layout_comments_and_docstrings_do_not_change_it(source):
    assert form(ast.unparse(ast.parse(source))) == form(source)
    # The first line of the body of the function, which is never within a text.
    first, _, body = source.partition("\n")
    commented = (
        f"# Before.\n\n{first}  # beside\n    '''Docs.'''\n    # Within.\n\n{body}# After.\n"
    )
    assert form(commented) == form(source)
    within: Any = ast.parse(f"if x:\n{textwrap.indent(ast.unparse(ast.parse(source)), '  ')}").body[
        0
    ]
    assert canonical(within.body[0]) == canonical(ast.parse(source).body[0])


def changes(tree):
    """Trees that differ in one place each, and are other code."""
    for number, node in enumerate(ast.walk(tree)):
        for field, value in ast.iter_fields(node):
            other = changed(node, field, value)
            if other is not None:
                again = copy.deepcopy(tree)
                setattr(list(ast.walk(again))[number], field, other)
                yield f"{type(node).__name__}.{field}", again


def changed(node, field, value):
    """Another value for a field of a node, or None if no change is known."""
    if field in ("kind", "ctx", "type_comment", "lineno"):
        return None
    if isinstance(node, ast.Constant):
        return 12345 if value != 12345 else 54321
    if field in ("id", "attr", "arg", "name") and isinstance(value, str):
        return value + "_"
    if isinstance(value, ast.operator):
        return ast.Pow()
    if isinstance(value, ast.boolop):
        return ast.And() if isinstance(value, ast.Or) else ast.Or()
    if field == "ops":
        return [ast.GtE()]
    if field == "conversion":
        return 97 if value != 97 else 115
    if isinstance(value, list) and len(value) > 1 and ast.dump(value[0]) != ast.dump(value[1]):
        return None if field in ("values", "names") else [value[1], value[0], *value[2:]]
    return None


def text_alone(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


@settings(max_examples=40)
@given(functions)
def test_any_change_of_the_code_changes_it(source):
    tree = ast.parse(source)
    before = canonical(tree)
    alone = {id(getattr(node, "value", None)) for node in ast.walk(tree) if text_alone(node)}
    texts = {
        place
        for place, node in enumerate(ast.walk(tree))
        if id(node) in alone or isinstance(node, ast.JoinedStr)
    }
    for place, other in changes(tree):
        if texts and place.startswith(("Constant", "JoinedStr")):
            continue  # a text that stands alone does nothing
        if place.endswith((".body", ".orelse", ".finalbody")) and texts:
            continue
        assert canonical(other) != before, place


@given(constants, constants)
def test_texts_of_constants_are_equal_only_for_equal_constants_of_one_type(one, other):
    same = type(one) is type(other) and repr(one) == repr(other)
    assert (constant(one) == constant(other)) == same
    assert (constant((one, other)) == constant((other, one))) == same
    if one != other:  # a set holds only one of 0 and 0.0
        assert constant(frozenset([one, other])) == constant(frozenset([other, one]))
