"""A reviewer's answers, and the check of edited arguments."""

from __future__ import annotations

import json

import pytest

from api.terminal.reviews import Answer, allowed_choices, arguments_json, meant_arguments, problem_of, read_answer

ALL = ("yes", "no", "edit", "response")
SCHEMA = {
    "type": "object",
    "properties": {"hotel_name": {"type": "string"}, "guest": {"properties": {"age": {"type": "integer"}}}},
    "required": ["hotel_name"],
}


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("yes", Answer("yes")),
        ("Y", Answer("yes")),
        ("no", Answer("no")),
        ("no too expensive", Answer("no", "too expensive")),
        ("edit", Answer("edit")),
        ('edit {"a": 1}', Answer("edit", '{"a": 1}')),
        ("response 把酒店名称换为：汉庭", Answer("response", "把酒店名称换为：汉庭")),
    ],
)
def test_an_answer_begins_with_its_choice(line: str, answer: Answer) -> None:
    assert read_answer(line, ALL) == answer


@pytest.mark.parametrize("line", ["", "maybe", "yes please", "yesterday", '{"a": 1}'])
def test_other_lines_decide_nothing(line: str) -> None:
    assert read_answer(line, ALL) is None


def test_only_what_the_review_allows_can_be_chosen() -> None:
    allowed = allowed_choices({"config": {"allow_accept": True, "allow_ignore": True, "allow_edit": False}})
    assert allowed == ("yes", "no", "response")
    assert read_answer("edit", allowed) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"hotel_name": "Ritz"', "line 1"),
        ('["Ritz"]', "JSON object"),
        ('{"hotel_name": 5}', "hotel_name: 5 is not of type 'string'"),
        ("{}", "hotel_name: the argument is missing"),
        ('{"hotel_name": "Ritz", "stars": 5}', "stars: there is no such argument; known are hotel_name, guest"),
        ('{"hotel_name": "Ritz", "guest": {"age": "x"}}', "guest.age: 'x' is not of type 'integer'"),
    ],
)
def test_arguments_that_do_not_fit_are_explained_with_the_field(text: str, says: str) -> None:
    assert says in (problem_of(text, SCHEMA) or "")


def test_arguments_that_fit_are_accepted() -> None:
    assert problem_of('{"hotel_name": "全季酒店(软件园店)"}', SCHEMA) is None


def test_the_server_checks_what_a_schema_cannot_tell() -> None:
    assert problem_of('{"any": 1}', None) is None
    assert problem_of('{"any": 1}', {"type": "no type"}) is None


def test_long_arguments_are_opened_on_several_lines() -> None:
    arguments = {"hotel_name": "全季", "guests": ["Ann", "Bob"]}
    assert arguments_json(arguments, 80) == '{"hotel_name": "全季", "guests": ["Ann", "Bob"]}'
    opened = arguments_json(arguments, 20)
    assert "\n" in opened and json.loads(opened) == arguments


@pytest.mark.parametrize(
    ("shown", "edited", "meant"),
    [
        ('{"a": 1}', '{"a": 2}', '{"a": 2}'),
        ('{"a": 1}', '{"a": 1} {"b": 2}', '{"b": 2}'),
        ('{"a": 1}', '{"a": 1}x', '{"a": 1}x'),
        ('{"a": ', '{"a": {"b": 2}}', '{"a": {"b": 2}}'),  # the rest of what was shown as invalid
    ],
)
def test_arguments_that_are_pasted_behind_whole_ones_take_their_place(shown: str, edited: str, meant: str) -> None:
    assert meant_arguments(edited, shown) == meant
