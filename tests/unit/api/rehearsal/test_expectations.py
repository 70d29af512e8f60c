"""What happened in a step, compared with what the script expects."""

from __future__ import annotations

from typing import Any

import pytest

from api.rehearsal.expectations import Ending, Happened, failures
from api.rehearsal.script_file import Limits, Step

NONE = Limits()
ANSWER = "Of course.\n You have two rooms."
TO = "+1 (415) 555-0100"


def found(step: dict[str, Any], limits: Limits = NONE, **happened: Any) -> list[tuple[tuple[str | int, ...], str]]:
    return list(failures(Step.model_validate(step), Happened(**{"text": ANSWER, **happened}), limits))


@pytest.mark.parametrize(
    ("expect", "happened"),
    [
        ({"contains": "of course. you"}, {}),
        ({"contains": ["two", "ROOMS"]}, {}),
        ({"matches": "two rooms?\\.$"}, {}),
        ({"transfer": "+14155550100"}, {"ending": Ending(TO)}),
        ({"transfer": True}, {"ending": Ending(TO)}),
        ({"end": True}, {"ending": Ending()}),
        ({"first_word_within": 0.5}, {"first_word": 0.5}),
    ],
)
def test_what_is_as_expected_is_no_failure(expect: dict[str, Any], happened: dict[str, Any]) -> None:
    assert found({"say": "Hi", "expect": expect}, **happened) == []


@pytest.mark.parametrize(
    ("expect", "happened", "key", "said"),
    [
        ({"contains": ["two", "three"]}, {}, ("contains", 1), '"Of course. You have two rooms."'),
        ({"contains": "three"}, {}, ("contains",), '"three" is not in what the caller heard: "Of course.'),
        ({"matches": "Two"}, {}, ("matches",), "nothing matches in what the caller heard"),
        ({"transfer": "+14155550199"}, {"ending": Ending(TO)}, ("transfer",), f"transferred the call to {TO}"),
        ({"transfer": True}, {"ending": Ending()}, ("transfer",), "ended the call"),
        ({"end": True}, {"ending": Ending(TO)}, ("end",), "transferred"),
        ({"end": True}, {}, ("end",), "did not end the call"),
        ({"transfer": True}, {}, ("transfer",), "did not end the call"),
        ({"first_word_within": 0.5}, {"first_word": 0.501}, ("first_word_within",), "after 0.501 s; the limit is 0.5"),
    ],
)
def test_what_is_not_as_expected_has_its_key(
    expect: dict[str, Any], happened: dict[str, Any], key: tuple[str | int, ...], said: str
) -> None:
    ((where, message),) = found({"say": "Hi", "expect": expect}, **happened)
    assert where == ("expect", *key) and said in message


def test_an_end_that_nobody_expects_is_a_failure_of_the_step() -> None:
    assert found({"say": "Hi"}, ending=Ending()) == [((), "the agent ended the call")]


def test_a_caller_who_gave_up_says_why_once() -> None:
    assert found({"say": "Hi"}, text=" ", silent_for=30) == [((), "the agent said nothing within 30 s")]
    ((_, said),) = found({"say": "Hi", "expect": {"end": True}}, silent_for=30)
    assert said.startswith("the agent did not end the call within 30 s; the caller heard")
    ((_, said),) = found({"say": "Hi"}, silent_for=2.5)
    assert said.startswith("the answer did not go on for 2.5 s")


def test_an_answer_that_was_too_short_to_interrupt() -> None:
    ((key, said),) = found({"say": "Hi", "interrupt_after": 20})
    assert key == ("interrupt_after",) and "said 6 words" in said
    ((_, said),) = found({"say": "Hi", "interrupt_after": 6})
    assert "does not let the caller interrupt" in said


def test_a_limit_of_the_step_wins_over_that_of_the_script() -> None:
    limits = Limits(first_word_within=1, silence_within=0.1)
    step = {"say": "Hi", "interrupt_after": 2}
    assert found({**step, "expect": {"first_word_within": 3}}, limits, first_word=2, silence=0.05) == []
    ((key, said),) = found(step, limits, first_word=0.5, silence=0.2)
    assert key == ("expect", "silence_within") and "0.200 s after the interruption" in said
