from __future__ import annotations

import json
from typing import Any

import pytest

from config.errors import AnswerCut
from router.stream.json_splice import JsonSplice, is_json

VALUE = {
    "answer": 'Hello there, "friend". 你好',
    "n": 1000,
    "list": [1, 1, 2, 2, 30],
    "nested": {"a": "b", "c": ["x", "y", "x", "y"]},
    "empty": {},
    "price": -19.5,
}
COMPACT, SPACED, PRETTY = (
    json.dumps(VALUE, ensure_ascii=False, separators=separators, indent=indent)
    for separators, indent in (((",", ":"), None), (None, None), (None, 2))
)
JSON_OBJECT = {"response_format": {"type": "json_object"}}


def spliced(spoken: str, text: str, *, prefilled: bool = False, complete: bool = True) -> str:
    splice = JsonSplice(spoken, prefilled=prefilled)
    assert not any(splice.take(text[at : at + 3]) for at in range(0, len(text), 3))
    return spoken + splice.end(complete=complete)


@pytest.mark.parametrize("prefilled", [True, False])
@pytest.mark.parametrize("form", [COMPACT, SPACED, PRETTY])
def test_wherever_json_is_cut_a_direct_continuation_completes_it(form: str, prefilled: bool) -> None:
    for cut in range(1, len(form)):
        assert spliced(form[:cut], form[cut:], prefilled=prefilled) == form


@pytest.mark.parametrize("prefilled", [True, False])
@pytest.mark.parametrize("again", [COMPACT, SPACED, PRETTY])
@pytest.mark.parametrize("form", [COMPACT, SPACED, PRETTY])
def test_wherever_json_is_cut_one_that_begins_again_completes_it(form: str, again: str, prefilled: bool) -> None:
    for cut in range(1, len(form)):
        assert json.loads(spliced(form[:cut], again, prefilled=prefilled)) == VALUE


@pytest.mark.parametrize("cut", [20, 40, 60, 80, 100])
def test_the_last_words_may_be_repeated(cut: int) -> None:
    assert spliced(SPACED[:cut], SPACED[cut - 15 :]) == SPACED


def test_spaces_that_a_prefill_lacks_are_not_doubled() -> None:
    assert spliced('{"a": "Hello ', ' there"}', prefilled=True) == '{"a": "Hello there"}'


@pytest.mark.parametrize("text", ['{"answer": "Good morning"}', "", "I am sorry.", '{"answer": "Hello', "[" * 2000])
def test_another_answer_is_never_passed_off_as_the_rest(text: str) -> None:
    with pytest.raises(AnswerCut):
        spliced('{"answer": "Hel', text)


@pytest.mark.parametrize("text", ["lo th", '{"answer":"Hello th'])
def test_a_token_limit_may_end_it(text: str) -> None:
    assert spliced('{"answer": "Hel', text, complete=False) == '{"answer": "Hello th'


@pytest.mark.parametrize(
    ("spoken", "params", "expected"),
    [
        (' {"a', JSON_OBJECT, True),
        ("[", {"response_format": {"type": "json_schema", "json_schema": {}}}, True),
        ("Sure: {", JSON_OBJECT, False),
        ('{"a', {"response_format": {"type": "text"}}, False),
        ('{"a', {"response_format": None}, False),
        ('{"a', {}, False),
        ('{"a', {**JSON_OBJECT, "stop": ["}"]}, False),
    ],
)
def test_only_what_was_asked_for_as_json_is_json(spoken: str, params: dict[str, Any], expected: bool) -> None:
    assert is_json(spoken, params) is expected
