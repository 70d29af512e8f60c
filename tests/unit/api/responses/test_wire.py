from __future__ import annotations

import re
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from agent.turn_request import TurnRequest
from api.http.body import validate_body
from api.openai.messages import NOT_ANSWERED
from api.openai.turn_options import HEADERS
from api.responses.wire import ResponseRequest
from config.errors import RequestError

HI = {"role": "user", "content": "Hi"}
ADD = {"type": "function", "name": "add", "parameters": {"type": "object", "properties": {}}, "strict": True}
SEARCH = {"type": "web_search"}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "add", "arguments": '{"a": 1}'}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "2"}
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"}


def understood(headers: dict[str, str] | None = None, **body: Any) -> TurnRequest:
    request = validate_body(ResponseRequest, {"model": "main", "input": "Hi", **body})
    return request.turn_request({} if headers is None else headers, "me", 128)


def shape_of(*items: Any) -> list[Any]:
    return [
        (each.type, each.content, *([[call["id"] for call in each.tool_calls]] if isinstance(each, AIMessage) else []))
        for each in understood(input=list(items)).messages
    ]


def test_instructions_come_before_the_input() -> None:
    assert understood(instructions="Be kind.").messages == [SystemMessage("Be kind."), HumanMessage("Hi")]
    assert understood(instructions=" ").messages == [HumanMessage("Hi")]


def test_parameters_are_sent_under_the_names_of_chat_completions() -> None:
    schema = {"type": "object"}
    sent = understood(
        temperature=0.2,
        max_output_tokens=50,
        reasoning={"effort": "low", "summary": "auto"},
        text={"format": {"type": "json_schema", "name": "a", "schema": schema, "strict": True}, "verbosity": "low"},
        parallel_tool_calls=False,
        prompt_cache_key="k",
    ).params
    assert sent == {
        "temperature": 0.2,
        "max_tokens": 50,
        "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema, "strict": True}},
        "verbosity": "low",
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
    }
    assert understood(text={"format": {"type": "text"}}).params == {}
    assert understood(text={"format": {"type": "json_object"}}).params == {"response_format": {"type": "json_object"}}


def test_calls_belong_to_the_message_before_them() -> None:
    said = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Wait.", "annotations": []}],
    }
    second = {**CALL, "call_id": "c2"}
    outputs = [OUTPUT, {**OUTPUT, "call_id": "c2"}]
    assert shape_of(HI, {"type": "reasoning", "id": "rs_1", "summary": []}, said, CALL, second, *outputs) == [
        ("human", "Hi"), ("ai", "Wait.", ["c1", "c2"]), ("tool", "2"), ("tool", "2"),
    ]  # fmt: skip
    assert shape_of(CALL, OUTPUT, second) == [
        ("ai", "", ["c1"]), ("tool", "2"), ("ai", "", ["c2"]), ("tool", NOT_ANSWERED),
    ]  # fmt: skip


def test_images_and_files_take_the_form_of_chat_completions() -> None:
    file = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}
    [message] = understood(
        input=[{"role": "user", "content": [{"type": "input_text", "text": "Look"}, IMAGE, file]}]
    ).messages
    assert message.content == [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
    ]
    output = {**OUTPUT, "output": [{"type": "input_text", "text": "seen"}, IMAGE]}
    [_, result] = understood(input=[CALL, output]).messages
    assert isinstance(result, ToolMessage)
    assert [part["type"] for part in result.content if isinstance(part, dict)] == ["text", "image_url"]


def test_tools_and_the_choice_among_them() -> None:
    request = understood(tools=[ADD], tool_choice={"type": "function", "name": "add"})
    [tool] = request.caller_tools
    assert (tool.name, tool.strict) == ("add", True)
    assert request.tool_choice == {"type": "function", "function": {"name": "add"}}
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "add"}]}
    request = understood(tools=[ADD], tool_choice=allowed)
    assert (request.tool_choice, request.allowed_tools) == ("required", {"add"})


def test_the_session_is_found_as_on_chat_completions() -> None:
    assert understood({"x-session-id": "7"}).session_key == "me:7"
    assert understood(metadata={"session_id": "8"}).session_key == "me:8"
    assert understood().session_key is None
    again, other = understood(session_id="7"), understood(session_id="7", input="Wait")
    assert again.fingerprint == understood(session_id="7").fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": []}, "input"),
        ({"input": None}, "input"),
        ({"input": [1]}, "input[0]"),
        ({"input": [{"content": "Hi"}]}, "input[0].type"),
        ({"input": [{"role": "robot", "content": "Hi"}]}, "input[0].role"),
        ({"input": [{"type": "web_search_call"}]}, "input[0].type"),
        ({"input": [HI, {"role": "user", "content": [{"type": "video"}]}]}, "input[1].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0].file_id",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "http://a"}]}]},
            "input[0].content[0].file_data",
        ),
        ({"input": [OUTPUT]}, "input[0].call_id"),
        ({"input": [CALL, OUTPUT, OUTPUT]}, "input[2].call_id"),
        ({"input": [CALL, {**OUTPUT, "output": {"a": 1}}]}, "input[1].output"),
        ({"input": [{**CALL, "name": None}]}, "input[0].name"),
        ({"tools": [SEARCH]}, "tools[0].type"),
        ({"tools": [ADD, {"type": "custom", "name": "free"}]}, "tools[1].type"),
        ({"tools": [{"type": "function", "name": "no spaces"}]}, "tools[0].name"),
        ({"tools": [ADD, ADD]}, "tools"),
        ({"tools": [ADD] * 129}, "tools"),
        ({"tool_choice": "perhaps"}, "tool_choice"),
        ({"tools": [ADD], "tool_choice": {"type": "file_search"}}, "tool_choice.type"),
        ({"tools": [ADD], "tool_choice": {"type": "function", "name": "sub"}}, "tool_choice"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"truncation": "auto"}, "truncation"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"include": ["message.output_text.logprobs"]}, "include"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": True}, "top_p"),
        ({"store": 1}, "store"),
        ({"background": "true"}, "background"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata"),
    ],
)
def test_an_error_names_the_field(body: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        understood(**body)
    assert caught.value.param == param


@pytest.mark.parametrize(
    "choice", [{"type": "file_search"}, {"type": "allowed_tools"}, {"type": "allowed_tools", "mode": "any"}]
)
def test_an_invalid_choice_of_a_tool_is_told_the_form_of_this_api(choice: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=re.escape('{"type": "function", "name": ...}')) as caught:
        understood(tools=[ADD], tool_choice=choice)
    assert caught.value.param in ("tool_choice", "tool_choice.type")


@pytest.mark.parametrize("choice", [{}, {"type": "function"}, {"type": "function", "name": 5}])
def test_a_choice_without_a_name_says_so(choice: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=r"^tool_choice has no name of a tool\.$"):
        understood(tools=[ADD], tool_choice=choice)


def test_what_a_tool_of_openai_is_called_is_in_the_error() -> None:
    with pytest.raises(RequestError, match="web_search"):
        understood(tools=[SEARCH])


def test_what_clients_ask_for_without_need_is_accepted() -> None:
    understood(include=["reasoning.encrypted_content"], truncation="disabled", tools=[], top_logprobs=0, store=False)


def test_the_headers_that_a_turn_reads_are_those_that_a_task_keeps() -> None:
    class Recording(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            read.add(name)
            return super().get(name, default)

    read: set[str] = set()
    understood(Recording())
    assert read == set(HEADERS)
