"""Texts that attack a terminal, or whoever reads them with a pattern."""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import io
import logging
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tinyfactory
from tests.support.chat_server import answer
from tests.support.people import person
from tinyfactory import People, TinyPerson, TinyPersonFactory, control, errors
from tinyfactory.cli import main
from tinyfactory.errors import TinyFactoryError
from tinyfactory.people import compare, load_people, save_people
from tinyfactory.people.schema import word_diff
from tinyfactory.people.schema.normalise import normalise
from tinyfactory.people.schema.reply_parser import read_contexts, read_persona
from tinyfactory.redaction import Secrets, scrub
from tinyfactory.utils import text as texts
from tinyfactory.utils.logs import get_logger

# Clears the screen, sets a title, moves the cursor; the same with one character; bidi overrides.
ATTACK = "\x1b[2J\x1b]0;x\x07\x9b31m\r\x08\x7f\u202e\u2066\u2069"
BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
FORBIDDEN = set(BIDI) | set(map(chr, [*range(9), *range(11, 32), *range(127, 160)]))


def check(text: str) -> None:
    assert not FORBIDDEN & set(text), repr(text)


def attacker(name: str = "Ana") -> TinyPerson:
    fields = {
        "age": 34,
        "nationality": f"Aus{ATTACK}trian",
        "residence": f"Graz{ATTACK}",
        "occupation": {"title": f"nurse{ATTACK}", "organization": ATTACK + "x"},
        "skills": [f"sewing{ATTACK}"],
        f"own{ATTACK}": {f"key{ATTACK}": [f"value{ATTACK}"]},
    }
    return TinyPerson(f"{name}{ATTACK}", fields, register=False)


# -- what is shown ------------------------------------------------------------------------


def test_no_text_form_of_a_person_has_control_characters():
    ana, bo = attacker(), attacker("Bo")
    everyone = People([ana, bo])
    for shown in (
        *(str(ana), repr(ana), ana.minibio(), repr(everyone), str(everyone)),
        *(repr(compare(ana, bo)), ana._repr_html_(), everyone._repr_html_()),
        *(f"{ana}", str(ana.revisions), repr(ana.origins())),
        *bundled(ana),
        *bundled(everyone),
    ):
        check(shown)


def bundled(thing: Any) -> list[str]:
    """What a notebook shows of an object."""
    return [text for text in thing._repr_mimebundle_().values() if isinstance(text, str)]


def test_the_data_itself_is_not_changed(tmp_path):
    ana = attacker()
    for name in ("people.jsonl", "people.json", "people.csv", "people.parquet", "folder"):
        save_people([ana], tmp_path / name)
        (loaded,) = load_people(tmp_path / name)
        assert loaded.to_dict() == ana.to_dict()
    assert "\x1b[2J" in ana.get("residence")


def test_what_a_model_says_is_shown_without_control_characters(serve, tmp_path, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    bad = answer(f"no{ATTACK}")
    good = answer(person(1) | {"residence": f"Graz{ATTACK}"}, model=f"m{ATTACK}")
    serve([bad, good, answer(f"I say{ATTACK}"), *[bad] * 9])
    simulation = control.begin(tmp_path / "journal", f"own{ATTACK}")
    factory = TinyPersonFactory(f"Bakers{ATTACK} in Graz")
    someone = factory.generate_person()
    assert someone is not None
    someone.ask(f"Why{ATTACK}?")
    assert factory.generate_person() is None
    shown = [repr(factory), repr(factory.history()), repr(simulation), repr(simulation.lines())]
    shown += [
        simulation.explain(),
        str(factory.last_failure and texts.legible(factory.last_failure)),
    ]
    shown += [texts.legible(someone.ask(f"Why{ATTACK}?"))]
    control.end()
    for command in ("ls", "verify"):
        main(["journal", command, "--path", str(tmp_path / "journal")])
    main(["journal", "show", "--path", str(tmp_path / "journal"), ATTACK])
    shown += [*capsys.readouterr(), caplog.text]
    for text in shown:
        check(text)


@pytest.mark.parametrize(
    "kind",
    [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, TinyFactoryError)],
)
def test_no_error_shows_control_characters(kind):
    check(str(kind(f"wrong{ATTACK}")))
    assert str(kind("two\nlines\tand a tab")) == "two\nlines\tand a tab"


def test_no_log_message_shows_control_characters():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = get_logger("tinyfactory.models")
    logger.addHandler(handler)
    try:
        logger.warning("%s said %s", "model", ATTACK)
        logger.warning("50 % of it, not formatted")
        logger.warning("%s", TinyFactoryError(ATTACK))
    finally:
        logger.removeHandler(handler)
    check(stream.getvalue())
    assert "50 % of it" in stream.getvalue()


def test_every_logger_of_the_package_is_made_in_one_place():
    for path in Path(tinyfactory.__file__).parent.rglob("*.py"):
        if path.name != "logs.py":
            found = re.findall(r"logging\.getLogger\((?!\"httpx2)", path.read_text())
            assert found == [], path


# -- time ---------------------------------------------------------------------------------

UNITS = [
    *(" ", "\t", "\n", "a", "A", "0", "-", "_", ".", ",", "'", '"', "*", "[", "{", "(", "<", "/"),
    *("@", ":", "=", "é", "a ", "A a ", "0 ", "0,", "0.", "a-", "a.", "./", "sk-", "sk-a", "a*"),
    *(
        "Bearer ",
        "key=",
        "api key",
        "token",
        "secret=",
        "://",
        "://a:",
        "a@",
        "/home/",
        "c:\\Users\\a ",
    ),
    *(
        "model ",
        "is a ",
        "a, ",
        "a; ",
        "a\n",
        "1. ",
        "- ",
        "[a",
        '{"',
        "a: ",
        "I am ",
        "He works as ",
    ),
]


INLINE = {f"re.{name}" for name in ("sub", "search", "split", "findall", "finditer")}


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Each pattern of the package, with its place: those of modules, and constants in calls."""
    for found in pkgutil.walk_packages(tinyfactory.__path__, "tinyfactory."):
        if found.name.endswith("__main__") or ".widgets" in found.name:
            continue
        module = importlib.import_module(found.name)
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
                yield f"{found.name}.{name}", value
        tree = ast.parse(Path(str(module.__file__)).read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in INLINE and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    ignore = re.IGNORECASE if "IGNORECASE" in ast.unparse(node) else 0
                    yield f"{found.name}:{node.lineno}", re.compile(first.value, ignore)
    for what, shape, _ in Secrets()._rules:
        yield f"secrets: {what}", shape


# Used with `match` or `fullmatch` only, so that they begin at one place; and on texts that are
# short, because a limit or their reader cuts them.
ONE_PLACE = re.compile(
    r"offline|prompts|populations\.schema|populations\.readers|reply_parser\._(NEXT|LIST_LINE)|"
    r"big_five|foreign_layouts|responses\._NOT_A_MODEL|values\._AGE|gazetteer"
)


def seconds(function: Callable[[], object]) -> float:
    """The processor time of a call."""
    began = time.process_time()
    function()
    return time.process_time() - began


def test_the_time_of_every_pattern_on_foreign_text_grows_with_its_length_only():
    """For 4,000 characters a pattern takes about a millisecond, and 80 where it is quadratic."""
    slow = []
    found = {(shape.pattern, shape.flags): (name, shape) for name, shape in patterns()}
    assert len(found) > 100
    for name, shape in found.values():
        for unit in UNITS if not ONE_PLACE.search(name) else ():
            text = unit * (4_000 // len(unit))
            run = functools.partial(shape.sub, "", text)
            if seconds(run) > 0.03 and min(seconds(run), seconds(run)) > 0.03:
                slow.append((name, unit))
    assert slow == []


ANY_TEXT: dict[str, Callable[[str], object]] = {
    "Secrets.without": lambda text: Secrets().without(text),
    "Secrets.what_in": lambda text: Secrets().what_in(text),
    "scrub": lambda text: scrub(text, "sk-test-canary"),
    **{
        name: getattr(texts, name)
        for name in ("fold", "fold_words", "normalise_name", "fold_for_search", "composed", "clean")
    },
    "legible": texts.legible,
    "differences": lambda text: list(word_diff.beside([text], [text[1:] + "b"])),
    "read_persona": lambda text: read_persona(text),
    "read_contexts": lambda text: read_contexts(text, expected=3),
    "broken JSON": lambda text: read_persona('{"a": "' + text),
    "persona": lambda text: normalise(
        {
            "name": text,
            "residence": text,
            "age": text,
            "skills": text,
            "personality": {"big_five": text},
        }
    ),
}


@pytest.mark.parametrize("reader", ANY_TEXT)
def test_any_text_is_read_in_a_second(reader):
    marks = ["a" + "\u0301\u0323" * 20_000, "\u0f73" * 20_000, "\ufdfa" * 2_000, "```{" * 5_000]
    for text in [*(unit * (20_000 // len(unit)) for unit in UNITS), *marks]:
        began = time.process_time()
        with contextlib.suppress(TinyFactoryError):
            ANY_TEXT[reader](text)
        assert time.process_time() - began < 3, text[:20]


def test_many_items_are_compared_in_linear_time():
    left, right = [f"a{i}" for i in range(20_000)], [f"a{i}" for i in range(20_000, 0, -1)]
    began = time.process_time()
    list(word_diff.beside(left, right))
    list(word_diff.beside(["a b b " * 900], ["b a a " * 900]))
    assert time.process_time() - began < 5


def test_accents_without_end_are_composed_and_stay():
    text = "e" + "\u0301" * 100
    composed = texts.composed(text)
    assert composed.count("\u0301") == 99
    assert texts.composed(composed) == composed
    assert texts.composed("é" * 100) == "é" * 100
    assert texts.normalise_name(text) == "e"
