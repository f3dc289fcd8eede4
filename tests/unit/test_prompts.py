"""Templates are rendered strictly, to the letter, and from nowhere but the package."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinyfactory import prompts
from tinyfactory.errors import InvalidInput


def test_nothing_is_escaped():
    text = prompts.render("{{a}} {{{a}}} {{&a}}", {"a": '<b> & "c"'})
    assert text == '<b> & "c" ' * 2 + '<b> & "c"'


@pytest.mark.parametrize(
    "template", ["{{missing}}", "{{#missing}}x{{/missing}}", "{{^missing}}x{{/missing}}", "{{a.b}}"]
)
def test_a_missing_value_is_an_error(template):
    with pytest.raises(InvalidInput, match="no such value"):
        prompts.render(template, {"a": "x"})


@pytest.mark.parametrize("template", ["{{a.b}}", "{{>a.b}}", "{{>a}}"])
def test_dotted_names_and_partials_are_no_plain_values(template):
    with pytest.raises(InvalidInput, match=r"no such value|includes"):
        prompts.render(template, {"a": "x", "a.b": "y"})


def test_a_value_missing_within_a_section_is_an_error():
    assert (
        prompts.render("{{#people}}{{name}};{{/people}}", {"people": [{"name": "Ana"}]}) == "Ana;"
    )
    with pytest.raises(InvalidInput, match="age"):
        prompts.render("{{#people}}{{age}};{{/people}}", {"people": [{"name": "Ana"}]})


def test_empty_values_close_their_sections():
    template = "{{#a}}yes{{/a}}{{^a}}no{{/a}}"
    assert prompts.render(template, {"a": ""}) == "no"
    assert prompts.render(template, {"a": "x"}) == "yes"


def test_what_a_value_holds_is_not_rendered_again():
    assert prompts.render("{{a}}", {"a": "{{b}} {{> c}}"}) == "{{b}} {{> c}}"


def test_no_partial_is_read_from_the_working_directory():
    Path("secret.mustache").write_text("from the working directory")
    with pytest.raises(InvalidInput, match="write the text out"):
        prompts.render("{{> secret}}", {})


@pytest.mark.parametrize("template", ["{{#a}}", "{{a", "{{/a}}"])
def test_broken_mustache_is_refused(template):
    with pytest.raises(InvalidInput):
        prompts.render(template, {"a": "x"})


@pytest.mark.parametrize(
    "name", ["person.instructions", "person.request", "contexts.instructions", "contexts.request"]
)
def test_packaged_templates_are_there(name):
    assert prompts.template(name).strip()


@pytest.mark.parametrize("name", ["person", "contexts", "rewrite", "talk"])
def test_instructions_hold_nothing_that_a_small_model_would_copy(name):
    text = prompts.template(f"{name}.instructions")
    assert not any(sign in text for sign in ('": "', "...", "…", "e.g.", "such as"))
    assert len(text) < 2_900  # small models read some 40 tokens a second


def test_the_instructions_ask_for_what_the_schema_bounds():
    from tinyfactory.people import reply_schema

    text = prompts.template("person.instructions")
    assert "first and last name" in text and "whole number" in text

    def lists(schema):
        for key, part in schema.get("properties", {}).items():
            if part["type"] == "array":
                yield key, part
            yield from lists(part)

    for key, part in lists(reply_schema()):
        assert f'"{key}"' in text
        # A small model that cannot think of so many may stop before.
        numbers = range(part["minItems"], part["maxItems"])
        assert any(f"{number} to {part['maxItems']}" in text for number in numbers)
