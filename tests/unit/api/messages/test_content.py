from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage

from api.messages.content import SEE_BELOW, to_langchain
from api.openai.messages import NOT_ANSWERED
from config.errors import RequestError

CACHED = {"cache_control": {"type": "ephemeral"}}
PIXEL = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}
CALL = {"type": "tool_use", "id": "call_1", "name": "add", "input": {"a": 1}}


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": [*blocks]}


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": [*blocks]}


def result(content: Any = "2", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "call_1", "content": content, **more}


def converted(*messages: dict[str, Any], system: Any = None) -> list[AnyMessage]:
    return to_langchain(system, messages)


def test_texts_of_user_and_assistant() -> None:
    said = converted(user(text("Hi"), text("there")), {"role": "assistant", "content": "Yes?"})
    assert said == [HumanMessage("Hi\n\nthere"), AIMessage("Yes?")]


@pytest.mark.parametrize("system", ["Be kind.\n\nBe brief.", [text("Be kind."), text("Be brief.")]])
def test_the_system_prompt_is_the_first_message(system: Any) -> None:
    assert converted(user(text("Hi")), system=system) == [SystemMessage("Be kind.\n\nBe brief."), HumanMessage("Hi")]


@pytest.mark.parametrize("system", [None, "", " ", [], [text("")]])
def test_a_blank_system_prompt_is_none(system: Any) -> None:
    assert converted(user(text("Hi")), system=system) == [HumanMessage("Hi")]


def test_a_system_message_may_come_later() -> None:
    assert converted(user(text("Hi")), {"role": "system", "content": "Be brief."})[1] == SystemMessage("Be brief.")


def test_cache_control_stays_with_its_block() -> None:
    (system, message) = converted(user(text("Hi"), {**PIXEL, **CACHED}), system=[{**text("Be kind."), **CACHED}])
    assert system.content == [{**text("Be kind."), **CACHED}]
    assert message.content == [
        text("Hi"),
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}, **CACHED},
    ]


def test_an_image_may_be_an_address() -> None:
    (message,) = converted(user({"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}}))
    assert message.content == [{"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}]


def test_documents_and_search_results() -> None:
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "QUJD"}
    (message,) = converted(
        user(
            {"type": "document", "source": pdf, "title": "Terms.pdf"},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Plain."}},
            {"type": "document", "source": {"type": "content", "content": [text("Inside.")]}, "title": "Notes"},
            {"type": "search_result", "source": "https://x.example", "title": "Found", "content": [text("Here.")]},
        )
    )
    assert message.content == [
        {"type": "file", "file": {"filename": "Terms.pdf", "file_data": "data:application/pdf;base64,QUJD"}},
        text("Plain."),
        text("Notes\n\nInside."),
        text("Found\n\nHere."),
    ]


def test_a_call_and_its_result_come_before_what_the_user_says() -> None:
    said = converted(
        user(text("1+1?")), assistant(text("Let me see."), CALL), user(text("Go on."), result([text("2")]))
    )
    assert said[1:] == [
        AIMessage("Let me see.", tool_calls=[{"name": "add", "args": {"a": 1}, "id": "call_1"}]),
        ToolMessage("2", tool_call_id="call_1"),
        HumanMessage("Go on."),
    ]


def test_a_failed_call_says_so() -> None:
    (message,) = converted(assistant(CALL), user(result("No disk.", is_error=True)))[1:]
    assert message == ToolMessage("Error: No disk.", tool_call_id="call_1", status="error")


def test_images_of_a_result_follow_it() -> None:
    (answer, shown) = converted(assistant(CALL), user(result([text("A page."), PIXEL])))[1:]
    assert answer.content == f"A page.\n\n{SEE_BELOW}"
    assert shown.content == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}]


def test_a_result_may_be_empty_or_cached() -> None:
    assert converted(assistant(CALL), user(result(None)))[1].content == ""
    assert converted(assistant(CALL), user(result("2", **CACHED)))[1].content == [{**text("2"), **CACHED}]


def test_a_call_without_a_result_gets_one() -> None:
    said = converted(assistant(CALL), user(text("Never mind.")))
    assert said[1] == ToolMessage(NOT_ANSWERED, tool_call_id="call_1")


def test_thoughts_are_not_sent_on() -> None:
    thoughts = [{"type": "thinking", "thinking": "Hm.", "signature": "x"}, {"type": "redacted_thinking", "data": "y"}]
    assert converted(user(text("Hi")), assistant(*thoughts, text("Yes?")))[1] == AIMessage("Yes?")


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "tool", "content": "x"}, "messages[0].role"),
        ({"role": "user", "content": 7}, "messages[0].content"),
        (user({}), "messages[0].content[0]"),
        (user({"type": "text"}), "messages[0].content[0].text"),
        (user({"type": "image", "source": {"type": "file", "file_id": "f"}}), "messages[0].content[0].source"),
        (user({"type": "document", "source": {"type": "url", "url": "u"}}), "messages[0].content[0].source"),
        (user({"type": "document"}), "messages[0].content[0].source"),
        (user(result()), "messages[0].content[0].tool_use_id"),
        (user({"type": "container_upload", "file_id": "f"}), "messages[0].content[0].type"),
        (assistant({"type": "server_tool_use", "id": "s"}), "messages[0].content[0].type"),
        (assistant({**CALL, "id": ""}), "messages[0].content[0].id"),
        (assistant({**CALL, "name": None}), "messages[0].content[0].name"),
        (assistant({**CALL, "input": "a"}), "messages[0].content[0].input"),
        (assistant({**CALL, "input": []}), "messages[0].content[0].input"),
        ({"role": "system", "content": [PIXEL]}, "messages[0].content[0].type"),
        (user(*[text("x")] * 1001), "messages[0].content"),
        (assistant(*[CALL] * 129), "messages[0].content"),
    ],
)
def test_an_error_names_the_field(message: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as raised:
        converted(message)
    assert raised.value.param == param
    assert param in str(raised.value) or "answers no tool call" in str(raised.value)


def test_a_result_answers_one_call_once() -> None:
    with pytest.raises(RequestError, match="answers no tool call"):
        converted(assistant(CALL), user(result()), user(result()))


def test_an_error_of_the_system_prompt_names_it() -> None:
    with pytest.raises(RequestError, match=r"^system\[0\]\.type"):
        converted(user(text("Hi")), system=[PIXEL])
