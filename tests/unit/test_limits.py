"""The limits for data from others, and how they are set."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

import tinyfactory
from tinyfactory import settings
from tinyfactory.errors import InvalidInput, LimitExceeded
from tinyfactory.limits import Limits
from tinyfactory.utils import bounded_json


def test_limits_have_defaults_and_are_set_by_name():
    assert settings.limits() == Limits()
    tinyfactory.configure(limits={"json_depth": 7})
    assert settings.limits() == Limits(json_depth=7)
    tinyfactory.configure(limits=Limits(json_values=5))
    assert settings.limits() == Limits(json_values=5)
    tinyfactory.configure(limits=None)
    assert settings.limits() == Limits()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"size": 3}, "There is no limit 'size'.*response_bytes"),
        ({"json_depth": 0}, "json_depth must be a whole number of 1 or more, not 0"),
        ({"line_bytes": 1.5}, "not 1.5"),
        ({"line_bytes": True}, "not True"),
        ({"json_depth": 1000}, "may be at most 200"),
        (3, "limits must map names to whole numbers"),
    ],
)
def test_what_is_no_limit_is_refused_and_changes_nothing(given, says):
    with pytest.raises(InvalidInput, match=f"(?s){says}"):
        tinyfactory.configure(limits=given)
    assert settings.limits() == Limits()


def test_a_limit_can_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("TINYFACTORY_LIMIT_LINE_BYTES", "1_000")
    assert settings.limits() == Limits(line_bytes=1000)
    monkeypatch.setenv("TINYFACTORY_LIMIT_LINE_BYTES", "many")
    with pytest.raises(InvalidInput, match="line_bytes"):
        settings.limits()


def test_each_limit_is_described():
    for field in fields(Limits):
        assert f"    {field.name} : int\n" in (Limits.__doc__ or "")


def test_the_docs_list_the_limits_with_their_defaults():
    page = (Path(__file__).parents[2] / "docs" / "limits.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| (\w+) \| ([\d,]+) \|", page, re.MULTILINE))
    expected = {field.name: f"{field.default:,}" for field in fields(Limits)}
    assert {name: value for name, value in listed.items() if name in expected} == expected


def test_json_is_limited_in_depth_and_values():
    tinyfactory.configure(limits={"json_depth": 3, "json_values": 10})
    assert bounded_json.parse("[[1, 2], 3]") == [[1, 2], 3]
    with pytest.raises(LimitExceeded, match=r"more than 3 levels.*json_depth"):
        bounded_json.parse("[[[[1]]]]")
    with pytest.raises(LimitExceeded, match="json_depth"):
        bounded_json.parse("[" * 9 + "]" * 9)
    with pytest.raises(LimitExceeded, match=r"more than 10 values.*json_values"):
        bounded_json.parse("[" + "1," * 20 + "1]")
