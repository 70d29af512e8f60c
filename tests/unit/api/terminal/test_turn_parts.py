"""What a turn consists of, in OpenAI's and in LangChain's form of its messages."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, ToolMessage, convert_to_openai_messages

from api.terminal.turn_parts import CallPart, Outcome, TextPart, outcome_of_answer, outcome_of_status, settled

CALL = {"id": "c1", "name": "multiply", "args": {"a": 6, "b": 7}}
MESSAGES = [
    AIMessage("Let me see.", tool_calls=[CALL]),
    ToolMessage("42", tool_call_id="c1", name="multiply"),
    AIMessage("It is 42.", response_metadata={"model_name": "fast"}),
]


def openai_form(*messages: Any) -> list[dict[str, Any]]:
    return list(convert_to_openai_messages(list(messages)))


def langchain_form(*messages: Any) -> list[dict[str, Any]]:
    return [each.model_dump(mode="json") for each in messages]


def answer(messages: list[dict[str, Any]], status: str = "completed", **more: Any) -> dict[str, Any]:
    return {"status": status, "message": "", "result": {"messages": messages, "usage": {"total_tokens": 3}}, **more}


@pytest.mark.parametrize("form", [openai_form, langchain_form])
def test_an_answer_is_read_in_both_forms(form: Any) -> None:
    outcome = outcome_of_answer(answer(form(*MESSAGES)))
    call = CallPart("c1", "multiply", {"a": 6, "b": 7}, result="42")
    assert outcome.parts == [TextPart("Let me see."), call, TextPart("It is 42.")]
    assert outcome.usage == {"total_tokens": 3}


def test_langchains_form_names_the_model_that_served() -> None:
    assert outcome_of_answer(answer(langchain_form(*MESSAGES))).model == "fast"


@pytest.mark.parametrize("form", [openai_form, langchain_form])
def test_a_call_at_the_end_of_a_completed_turn_is_a_hand_off(form: Any) -> None:
    *_, call = outcome_of_answer(answer(form(*MESSAGES[:2]))).parts
    assert isinstance(call, CallPart) and call.handed_off


def test_the_result_of_a_reviewed_call_of_an_earlier_turn_is_no_hand_off() -> None:
    outcome = outcome_of_answer(answer(openai_form(*MESSAGES[1:])))
    assert outcome.parts == [CallPart("c1", "multiply", None, result="42"), TextPart("It is 42.")]


def test_a_failed_call_is_marked() -> None:
    failed = ToolMessage("no room left", tool_call_id="c1", name="multiply", status="error")
    (call,) = outcome_of_answer(answer(langchain_form(failed))).parts
    assert call == CallPart("c1", "multiply", None, result="no room left", ok=False)


def test_calls_without_a_result_are_left_to_their_review() -> None:
    outcome = outcome_of_answer(answer(langchain_form(MESSAGES[0]), status="interrupted", interrupt_data={"x": 1}))
    assert outcome.interrupts == [{"x": 1}]
    assert settled(outcome.parts) == [TextPart("Let me see.")]


def test_a_status_has_the_outcome_of_its_last_response() -> None:
    last = answer(langchain_form(*MESSAGES))
    status = {"status": "completed", "message": "", "last_response": last, "interrupts": []}
    assert outcome_of_status(status) == outcome_of_answer(last)


@pytest.mark.parametrize("status", ["idle", "error"])
def test_the_response_of_an_earlier_turn_is_not_that_of_the_last(status: str) -> None:
    last = answer(langchain_form(*MESSAGES))
    outcome = outcome_of_status({"status": status, "message": "stopped", "last_response": last, "interrupts": []})
    assert outcome == Outcome(status, "stopped", interrupts=[])
