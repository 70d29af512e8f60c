from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.personas.shape import parse_shape

CHEF = (
    "{'recipe': 'string, name of the recipe', 'ingredients': 'List of the ingredients used in the recipe', "
    "'summary': 'string, summary of the recipe'}"
)
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"name": {"type": "string"}, "minutes": {"type": "integer"}},
        "required": ["name", "minutes"],
        "additionalProperties": False,
    }
)
EXAMPLE = '{"name": "Paella", "minutes": 40, "steps": [{"text": "Fry."}], "hot": true, "note": null}'
FITTING = {"name": "Soup", "minutes": 2.5, "steps": [{"text": "Boil."}, {"text": "Eat."}], "hot": False, "note": [1]}


def problem(shape: str, answer: Any) -> str | None:
    parsed = parse_shape(shape)
    assert parsed is not None
    return parsed.problem(answer if isinstance(answer, str) else json.dumps(answer))


@pytest.mark.parametrize(
    "prose",
    [
        "",
        "   ",
        "a short poem",
        "JSON with the keys name and age",
        "{name: string, age: number}",
        "{}",
        "[]",
        '"text"',
        "42",
        "{1, 2}",
        "{1: 'one'}",
        "{'a': open('x')}",
        "{'a': b'x'}",
        "{" * 5000,
        "[" * 5000 + "]" * 5000,
        "[" + "-" * 10_000 + "1]",
        "{'a': '" + "x" * 30_000 + "'}",
        '{"type": "object", "properties": {"a": {"type": "no such type"}}}',
        '{"type": "object", "patternProperties": {"^(a+)+$": {}}}',
    ],
)
def test_what_cannot_be_checked_is_not(prose: str) -> None:
    assert parse_shape(prose) is None


def test_an_answer_is_checked_against_a_schema() -> None:
    assert problem(SCHEMA, {"name": "Soup", "minutes": 3}) is None
    assert "minutes" in str(problem(SCHEMA, {"name": "Soup", "minutes": "three"}))
    assert "minutes" in str(problem(SCHEMA, {"name": "Soup"}))


def test_an_answer_is_checked_against_an_example() -> None:
    assert problem(EXAMPLE, FITTING) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": 5}, "$.name must be a string, not a number"),
        ({"minutes": True}, "$.minutes must be a number, not true or false"),
        ({"steps": {}}, "$.steps must be a list, not an object"),
        ({"steps": [{"text": "Boil."}, {"text": 1}]}, "$.steps[1].text must be a string, not a number"),
        ({"steps": [{}]}, "$.steps[0].text is missing"),
        ({"hot": None}, "$.hot must be true or false, not null"),
        ({"price": 1}, "$.price is not part of the shape"),
    ],
)
def test_a_difference_from_an_example_is_named(change: dict[str, Any], words: str) -> None:
    assert problem(EXAMPLE, FITTING | change) == words


def test_a_python_dict_with_types_in_words_is_an_example() -> None:
    assert problem(CHEF, {"recipe": "Soup", "ingredients": ["water"], "summary": "Boil."}) is None
    assert problem(CHEF, {"recipe": "Soup", "ingredients": "water", "summary": "Boil."}) is None
    assert "ingredients" in str(problem(CHEF, {"recipe": "Soup", "ingredients": 1, "summary": ""}))
    assert str(problem(CHEF, "Soup it is.")).startswith("it is not valid JSON: unexpected character")


@pytest.mark.parametrize("fence", ["```json\n%s\n```", "```\n%s\n```", "\n```JSON\n%s```\n", "  %s\n"])
def test_a_fence_around_the_answer_does_not_matter(fence: str) -> None:
    assert problem(SCHEMA, fence % '{"name": "Soup", "minutes": 3}') is None


def test_words_around_a_fence_are_no_json() -> None:
    assert problem(SCHEMA, 'Here:\n```json\n{"name": "Soup", "minutes": 3}\n```') is not None


@pytest.mark.parametrize(
    "shape",
    [
        '{"type": "dish", "name": "Soup"}',
        '{"type": "string", "name": "Soup"}',
        '{"properties": "many", "type": "object"}',
        '{"title": "Soup", "description": "hot"}',
    ],
)
def test_an_example_with_the_keys_of_a_schema_is_an_example(shape: str) -> None:
    assert problem(shape, shape) is None
    assert "is missing" in str(problem(shape, {}))


def test_no_reference_leaves_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[object] = []
    monkeypatch.setattr("urllib.request.urlopen", lambda *given, **_: fetched.append(given))
    assert problem('{"$ref": "http://127.0.0.1:1/schema.json"}', {}) is None
    assert not fetched


def test_a_schema_that_never_ends_is_given_up() -> None:
    assert problem('{"$ref": "#"}', {}) is None
    doubling = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(60)}
    assert problem(json.dumps({"$defs": {**doubling, "d60": {}}, "$ref": "#/$defs/d0"}), {}) is None


def test_the_references_of_each_answer_count_for_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.personas.shape.MAX_REFERENCES", 3)
    shape = parse_shape('{"type": "array", "items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"type": "integer"}}}')
    assert shape is not None
    for _ in range(3):
        assert shape.problem("[1, 2, 3]") is None
        assert shape.problem('[1, 2, "3"]') is not None
        assert shape.problem('[1, 2, 3, "4"]') is None  # one reference too many


def test_a_regular_expression_that_takes_for_ever_does_not_run() -> None:
    assert problem('{"type": "string", "pattern": "^(a+)+$"}', '"' + "a" * 60 + 'b"') is None


def test_a_problem_is_short() -> None:
    assert len(str(problem(SCHEMA, {"name": ["x" * 10_000], "minutes": 3}))) == 300


SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS | st.text(), lambda inner: st.lists(inner, max_size=1) | st.dictionaries(st.text(), inner, max_size=3)
)


@given(st.text() | st.text("{}[]'\":,0123456789-+ abctypeproperties$ref\n"))
def test_no_text_breaks_the_parser(text: str) -> None:
    parsed = parse_shape(text)
    assert parsed is None or isinstance(parsed.problem(text), str | None)


@given(st.dictionaries(st.text("xyz"), VALUES, min_size=1, max_size=4))
def test_an_example_fits_itself_in_both_notations(example: dict[str, Any]) -> None:
    answer = json.dumps(example)
    assert problem(answer, answer) is None
    assert problem(repr(example), answer) is None


@pytest.mark.parametrize("filler", ["\n", " \n", "`", "```json\n", "```"])
def test_a_long_answer_is_read_in_a_moment(filler: str) -> None:
    began = time.process_time()
    assert problem(EXAMPLE, "```json\n" + filler * 50_000 + "x") is not None
    assert time.process_time() - began < 2
