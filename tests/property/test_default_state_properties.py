"""Objects with random attributes, changed in random ways, agree with plain Python objects.

The same changes are made to a factory without an encoder, under `@transactional`, and to a plain
twin that copies itself before each call. Then the notebook is run again: nothing may run anew but
the calls that failed, and everything must be the same.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinyfactory import TinyFactory, control, transactional

NAMES = ["a", "b", "_c", "kept", "by_default"]
names = st.sampled_from(NAMES)
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.floats(-2, 2), st.text(max_size=3)
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.one_of(st.text(max_size=2), st.integers(0, 3)), inner, max_size=3),
    ),
    max_leaves=6,
)
simple = st.one_of(
    st.tuples(st.just("set"), names, values),
    st.tuples(st.just("delete"), names),
    st.tuples(st.just("grow"), names, values),
    st.tuples(st.just("friend"), names, values),
    st.tuples(st.just("given"), st.integers(0, 2), names, values),
    st.tuples(st.just("argument"), values),
    st.tuples(st.just("swap")),
)
nested = st.recursive(
    simple,
    lambda inner: st.tuples(
        st.just("call"), st.integers(0, 2), st.lists(inner, max_size=3), st.booleans()
    ),
    max_leaves=4,
)
calls = st.lists(
    st.tuples(st.integers(0, 2), st.lists(nested, max_size=4), values, st.booleans()), max_size=5
)
states = st.lists(st.dictionaries(names, values, max_size=4), min_size=3, max_size=3)
FAILED = "failed"


class Failure(Exception):
    pass


def body(self: Any, others: list[Any], changes: list[Any], argument: Any, fails: bool) -> Any:
    """What a call does, on either side."""
    for change in changes:
        match change:
            case ["set", name, value]:
                setattr(self, name, copy.deepcopy(value))
            case ["delete", name]:
                if name in vars(self):
                    delattr(self, name)
            case ["grow", name, value]:
                grow(getattr(self, name, None), value)
            case ["friend", name, value]:
                setattr(self.friend, name, copy.deepcopy(value))
            case ["given", number, name, value]:
                setattr(others[number], name, copy.deepcopy(value))
                grow(getattr(others[number], name, None), value)
            case ["argument", value]:
                grow(argument, value)
            case ["swap"]:
                self.friend, others[0].friend = others[0].friend, self.friend
            case ["call", number, inner, fails_too]:
                with contextlib.suppress(Failure):
                    others[number].do(others, inner, argument, fails_too)
    if fails:
        raise Failure
    return [argument, getattr(self, "a", FAILED), others[0]]


def grow(value: Any, more: Any) -> None:
    """Change a list or dictionary in place."""
    if type(value) is list:
        value.append(copy.deepcopy(more))
    elif type(value) is dict:
        value["grown"] = copy.deepcopy(more)


class Real(TinyFactory):
    by_default = 1
    friend: Any
    do = transactional(version="1")(body)


class Plain:
    by_default = 1
    friend: Any

    def do(self, others: list[Any], changes: list[Any], argument: Any, fails: bool) -> Any:
        before = [(each, contents(each)) for each in others]
        try:
            return copied(body(self, others, changes, copy.deepcopy(argument), fails))
        except Failure:
            for each, state in before:
                vars(each).clear()
                vars(each).update(state)
            raise


def contents(thing: Any) -> dict[str, Any]:
    """The attributes, copied but for the factories that they refer to."""
    hidden = ("name", "simulation_id", "friend")
    state = {k: copy.deepcopy(v) for k, v in vars(thing).items() if k not in hidden}
    return state | {"friend": thing.friend}


def copied(result: Any) -> Any:
    return [copy.deepcopy(result[0]), copy.deepcopy(result[1]), result[2]]


def shown(things: list[Any]) -> str:
    """All that can be seen of some objects; who refers to whom by number."""
    number = {id(thing): i for i, thing in enumerate(things)}
    told = [contents(thing) for thing in things]
    for state in told:
        state["friend"] = number[id(state["friend"])]
    return repr([sorted(state.items()) for state in told])


def notebook(kind: Any, states: list[Any], calls: list[Any]) -> list[str]:
    """Make three objects, make the calls, and tell what is seen after each."""
    things = [kind() for _ in range(3)]
    for thing, state in zip(things, states, strict=True):
        for name, value in state.items():
            setattr(thing, name, copy.deepcopy(value))
    for thing, friend in zip(things, [things[1], things[0], things[2]], strict=True):
        thing.friend = friend
    told = []
    for number, changes, argument, fails in calls:
        argument = copy.deepcopy(argument)
        try:
            result = things[number].do(things, changes, argument, fails)
            told.append(repr([*result[:2], things.index(result[2])]))
            grow(result[1], "by the caller")  # of a copy
        except Failure:
            told.append(FAILED)
        told += [repr(argument), shown(things)]
    return told


serial = itertools.count()
PROFILE = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@PROFILE
@given(states=states, calls=calls)
def test_attributes_agree_with_plain_objects(tmp_path, states, calls):
    expected = notebook(Plain, states, calls)
    assert notebook(Real, states, calls) == expected
    folder = tmp_path / f"journal {next(serial)}"
    try:
        for run in range(2):
            control.begin(folder)
            assert notebook(Real, states, calls) == expected
            failed = sum(fails for *_, fails in calls)
            assert control.cache_misses() == (failed if run else len(calls))
    finally:
        control.reset()
        TinyFactory.clear_factories()
