"""People who could not be made: the list says who is missing, and nobody at all is an error."""

from __future__ import annotations

import asyncio
import copy
import logging

import pytest

from tests.support.chat_server import answer
from tinyfactory import TinyPersonFactory, control
from tinyfactory.errors import ModelError, NobodyMade
from tinyfactory.people import People

CONTEXT = "A group of friends are on a camping trip."
NO_PERSON = answer("I would rather not.")
WAYS = [{"concurrency": 1}, {"concurrency": 3}]
TOWN = {"sex": {"female": 1, "male": 1}, "age": {"30-39": 2}}


def only(*numbers: int):
    """A rule that refuses all people but those of these numbers."""

    def rule(request):
        if any(f"<ordinal>{number}</ordinal>" in request.last_message for number in numbers):
            return None
        return NO_PERSON

    return rule


@pytest.mark.parametrize("options", WAYS)
@pytest.mark.parametrize("number", [1, 3])
def test_nobody_at_all_is_an_error_with_the_reason(options, number, serve):
    server = serve(rules=[NO_PERSON])
    factory = TinyPersonFactory(CONTEXT)
    with pytest.raises(NobodyMade) as raised:
        factory.generate_people(number, attempts=2, **options)
    said = str(raised.value)
    assert isinstance(raised.value, ModelError) and "no usable reply in 2 attempts" in said
    assert f"{number} {'person was' if number == 1 else 'people were'} tried" in said
    assert len(factory.last_job.missing) == number and len(server.requests) == 2 * number
    assert factory.last_job.snapshot().state == "failed"


def test_nobody_of_a_demography_is_an_error(serve):
    serve(rules=[NO_PERSON])
    factory = TinyPersonFactory.from_demography(TOWN, CONTEXT)
    with pytest.raises(NobodyMade, match="2 people were tried"):
        factory.generate_people(2, attempts=1)


def test_a_job_in_the_background_raises_it_where_it_is_awaited(serve):
    serve(rules=[NO_PERSON])
    factory = TinyPersonFactory(CONTEXT)
    with pytest.raises(NobodyMade):
        factory.start_people(2, attempts=1).wait()
    with pytest.raises(NobodyMade):
        asyncio.run(factory.agenerate_people(2, attempts=1))
    with pytest.raises(NobodyMade):
        list(factory.start_people(2, attempts=1))


@pytest.mark.parametrize("options", WAYS)
def test_the_same_call_again_asks_again(options, serve):
    server = serve(rules=[NO_PERSON])
    factory = TinyPersonFactory(CONTEXT)
    with pytest.raises(NobodyMade):
        factory.generate_people(2, attempts=1, **options)
    server.rules = []
    people = factory.generate_people(2, attempts=1, **options)
    assert len(people) == 2 and people.missing == []


@pytest.mark.parametrize("options", WAYS)
def test_a_replay_says_the_same(options, serve, tmp_path):
    server = serve(rules=[NO_PERSON])
    said = []
    for _ in range(2):
        control.begin(tmp_path / "j")
        with pytest.raises(NobodyMade) as raised:
            TinyPersonFactory(CONTEXT).generate_people(3, attempts=1, **options)
        said.append(str(raised.value))
    assert said[0] == said[1] and len(server.requests) == 3
    server.rules = []
    control.begin(tmp_path / "j", retry_failures=True)
    assert len(TinyPersonFactory(CONTEXT).generate_people(3, attempts=1, **options)) == 3


@pytest.mark.parametrize("options", [{"concurrency": 3}, {"concurrency": 2, "keep": False}])
def test_people_say_who_is_missing_and_why_also_in_a_replay(options, serve, tmp_path, caplog):
    server = serve(rules=[only(1, 3)])
    for _ in range(2):
        caplog.clear()
        control.begin(tmp_path / "j")
        people = TinyPersonFactory(CONTEXT).generate_people(4, attempts=1, **options)
        assert len(people) == (2 if options.get("keep", True) else 0)
        assert [one.number for one in people.missing] == [1, 3]
        assert all("no usable reply" in one.reason for one in people.missing)
        (line,) = [r for r in caplog.records if "of 4 people were made" in r.getMessage()]
        assert line.levelno == logging.WARNING
        assert "2 of 4 people were made" in line.getMessage()
        assert "Number 2 is missing: no usable reply" in line.getMessage()
    assert len(server.requests) == 4


def test_other_lists_of_people_miss_nobody(serve):
    serve(rules=[only(1)])
    people = TinyPersonFactory(CONTEXT).generate_people(2, attempts=1, concurrency=2)
    assert len(people.missing) == 1 and len(copy.copy(people).missing) == 1
    assert people[:1].missing == People().missing == (people + people).missing == []
    people.missing.clear()  # a copy
    assert len(people.missing) == 1


def test_a_single_person_is_none_and_told_also_in_a_replay(serve, tmp_path, caplog):
    server = serve(rules=[NO_PERSON])
    for word in ("made no person", "replayed a failure"):
        caplog.clear()
        control.begin(tmp_path / "j")
        assert TinyPersonFactory(CONTEXT).generate_person(attempts=1) is None
        (line,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
        assert word in line.getMessage() and "no usable reply" in line.getMessage()
    assert len(server.requests) == 1
