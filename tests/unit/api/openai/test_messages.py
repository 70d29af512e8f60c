from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from api.openai.messages import NOT_ANSWERED, to_langchain
from api.openai.request_schemas import PART_TYPES
from config.errors import RequestError


def asked(call_id: str = "c1", name: str = "add", arguments: Any = '{"a":1}') -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }


def test_every_role_has_its_message() -> None:
    read = to_langchain(
        [
            {"role": "system", "content": "Be kind."},
            {"role": "developer", "content": "Be short."},
            {"role": "user", "content": "Hi", "name": "Ada"},
            asked(),
            {"role": "tool", "tool_call_id": "c1", "content": "2"},
            {"role": "assistant", "content": "Two."},
        ]
    )
    assert [type(message) for message in read] == [
        SystemMessage, SystemMessage, HumanMessage, AIMessage, ToolMessage, AIMessage,
    ]  # fmt: skip
    assert read[2].additional_kwargs == {"name": "Ada"}
    assert isinstance(read[3], AIMessage)
    assert read[3].tool_calls == [{"name": "add", "args": {"a": 1}, "id": "c1", "type": "tool_call"}]


def test_text_parts_are_joined_and_other_parts_stay() -> None:
    parts = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "data:x"}}]
    joined, kept = to_langchain([{"role": "user", "content": parts[:1] * 2}, {"role": "user", "content": parts}])
    assert joined.content == "LookLook"
    assert kept.content == parts


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ({"type": "input_text", "text": "Hi"}, "type"),
        ({"type": "image", "source": {}}, "type"),
        ({"type": "image_url"}, "image_url"),
        ({"type": "image_url", "image_url": None}, "image_url"),
        ({"type": "file", "text": "a"}, "file"),
        ({"type": "file", "file": "id"}, "file"),
    ],
)
def test_a_part_that_no_provider_takes_is_named(part: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestError) as caught:
        to_langchain([{"role": "user", "content": [{"type": "text", "text": "Hi"}, part]}])
    assert caught.value.param == f"messages[0].content[1].{field}"
    assert f"messages[0].content[1].{field}" in str(caught.value)


def test_a_text_is_not_read_character_by_character() -> None:
    """A caller may send megabytes, and the event loop waits."""

    class Text(str):
        def __iter__(self) -> Iterator[str]:
            raise AssertionError

    (read,) = to_langchain([{"role": "user", "content": Text("Hi")}])
    assert read.content == "Hi"


def test_the_parts_are_those_that_litellm_takes() -> None:
    from litellm.types.llms.openai import ValidUserMessageContentTypes

    assert set(PART_TYPES) == set(ValidUserMessageContentTypes)


def test_the_legacy_function_form_is_a_tool_call_and_its_answer() -> None:
    read = to_langchain(
        [
            {"role": "assistant", "content": None, "function_call": {"name": "add", "arguments": '{"a":1}'}},
            {"role": "function", "name": "add", "content": "2"},
        ]
    )
    assert isinstance(read[0], AIMessage)
    assert isinstance(read[1], ToolMessage)
    assert read[0].tool_calls[0]["id"] == read[1].tool_call_id


def test_a_call_that_nobody_answered_is_answered_so_that_providers_take_the_history() -> None:
    read = to_langchain([asked("c1"), {"role": "user", "content": "Hello?"}])
    assert [type(message) for message in read] == [AIMessage, ToolMessage, HumanMessage]
    assert (read[1].content, read[1].tool_call_id) == (NOT_ANSWERED, "c1")


def test_a_result_that_comes_after_what_a_person_said_follows_its_call() -> None:
    calls = asked("c1")["tool_calls"] + asked("c2")["tool_calls"]
    read = to_langchain(
        [
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": "c1", "content": "1"},
            {"role": "user", "content": "Are you there?"},
            {"role": "tool", "tool_call_id": "c2", "content": "2"},
        ]
    )
    assert [str(message.content) for message in read] == ["", "1", "2", "Are you there?"]


def test_a_call_whose_id_was_answered_before_is_answered_too() -> None:
    read = to_langchain(
        [
            asked("c1"),
            {"role": "tool", "tool_call_id": "c1", "content": "1"},
            asked("c1"),
            {"role": "user", "content": "Hm"},
        ]
    )
    assert [str(message.content) for message in read] == ["", "1", "", NOT_ANSWERED, "Hm"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('{"a":1', {"a": 1}),
        ('{"a": "cut o', {"a": "cut o"}),
        ('"{\\"a\\":1}"', {"a": 1}),
        ("", {}),
        ("null", {}),
        (None, {}),
        ("[1]", {"arguments": "[1]"}),
        ("a: 1", {"arguments": "a: 1"}),
        ('{"a":1}}', {"a": 1}),
        ('{"a": "two\nlines"}', {"a": "two\nlines"}),
        ('{"a": "x\\u12', {"a": "x"}),
        ('{"a": NaN}', {"arguments": '{"a": NaN}'}),
        ('{"a": 1e400}', {"arguments": '{"a": 1e400}'}),
        ('{"a": "\\ud800"}', {"arguments": '{"a": "\\ud800"}'}),
        ({"a": 1}, {"a": 1}),
    ],
)
def test_broken_json_of_an_old_call_is_repaired_or_passed_on(written: Any, read: dict[str, Any]) -> None:
    [message, _] = to_langchain([asked(arguments=written)])
    assert isinstance(message, AIMessage)
    assert message.tool_calls[0]["args"] == read


def test_a_custom_call_of_the_history_is_a_call_with_one_argument() -> None:
    custom = {"id": "c1", "type": "custom", "custom": {"name": "run", "input": "ls"}}
    [read, _] = to_langchain([{"role": "assistant", "content": None, "tool_calls": [custom]}])
    assert isinstance(read, AIMessage)
    assert read.tool_calls == [{"name": "run", "args": {"input": "ls"}, "id": "c1", "type": "tool_call"}]


@pytest.mark.parametrize("role", ["system", "developer"])
@pytest.mark.parametrize("content", ["", " \n", None, [], [{"type": "text", "text": ""}]])
def test_an_empty_system_message_is_none(role: str, content: Any) -> None:
    read = to_langchain([{"role": role, "content": content}, {"role": "user", "content": "Hi"}])
    assert [type(message) for message in read] == [HumanMessage]


def test_a_part_with_keys_of_its_own_stays_a_part() -> None:
    parts = [{"type": "text", "text": "Long.", "prompt_cache_breakpoint": True}, {"type": "text", "text": "Short."}]
    [read] = to_langchain([{"role": "user", "content": parts}])
    assert read.content == parts


@pytest.mark.parametrize(
    "content", [{"content": None, "refusal": "No."}, {"content": [{"type": "refusal", "refusal": "No."}]}]
)
def test_an_assistants_refusal_is_what_it_said(content: dict[str, Any]) -> None:
    [read] = to_langchain([{"role": "assistant", **content}])
    assert read.content == "No."


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([], "messages"),
        (["Hi"], "messages[0]"),
        ([{"role": "user", "content": "Hi"}, {"role": "robot", "content": "x"}], "messages[1].role"),
        ([{"content": "x"}], "messages[0].role"),
        ([{"role": ["user"], "content": "x"}], "messages[0].role"),
        ([{"role": "user", "content": 7}], "messages[0].content"),
        ([{"role": "user", "content": [7]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0].text"),
        ([{"role": "tool", "tool_call_id": "c9", "content": "2"}], "messages[0].tool_call_id"),
        ([asked("c1"), {"role": "tool", "content": "2"}], "messages[1].tool_call_id"),
        ([asked("c1"), *[{"role": "tool", "tool_call_id": "c1", "content": "2"}] * 2], "messages[2].tool_call_id"),
        ([{"role": "function", "name": "add", "content": "2"}], "messages[0].name"),
        ([{"role": "assistant", "tool_calls": {}}, {"role": "assistant", "tool_calls": "x"}], "messages[1].tool_calls"),
        ([{"role": "assistant", "tool_calls": ["x"]}], "messages[0].tool_calls[0].function"),
        ([asked(call_id="")], "messages[0].tool_calls[0].id"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(messages: list[Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        to_langchain(messages)
    assert caught.value.param == param
    assert param.partition(".")[0] in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
roles = st.sampled_from(["system", "developer", "user", "assistant", "tool", "function"]) | json_values
keys = ["content", "name", "tool_calls", "tool_call_id", "function_call"]


@given(
    st.lists(
        st.fixed_dictionaries({"role": roles}, optional=dict.fromkeys(keys, json_values)) | json_values, max_size=4
    )
)
def test_whatever_is_sent_there_is_an_answer_or_a_request_error(messages: list[Any]) -> None:
    try:
        read = to_langchain(messages)
    except RequestError as error:
        assert error.param
    else:
        assert len(read) >= len([each for each in messages if each["role"] not in ("system", "developer")])


def test_too_many_calls_in_a_message_are_refused() -> None:
    calls = [asked(f"c{number}")["tool_calls"][0] for number in range(129)]
    with pytest.raises(RequestError, match="at most 128 calls, not 129") as caught:
        to_langchain([{"role": "assistant", "tool_calls": calls}])
    assert caught.value.param == "messages[0].tool_calls"


def test_arguments_that_are_nested_too_deeply_are_refused() -> None:
    with pytest.raises(RequestError, match="more than 64 levels") as caught:
        to_langchain([asked(arguments='{"a":' * 65 + "1" + "}" * 65)])
    assert caught.value.param == "messages[0].tool_calls[0].function.arguments"


def test_results_in_the_legacy_form_answer_the_calls_of_their_name_in_order() -> None:
    read = to_langchain(
        [
            asked("a1", "add"),
            asked("s1", "subtract"),
            asked("a2", "add"),
            *({"role": "function", "name": name, "content": "1"} for name in ("add", "subtract", "add")),
        ]
    )
    assert [each.tool_call_id for each in read if isinstance(each, ToolMessage)] == ["a1", "s1", "a2"]


@pytest.mark.parametrize(
    "written", ["[" * 500_000, '{"a":' * 100_000, '"' * 500_000, "{" * 500_000 + "x", '{"a": "' + "\\" * 500_000]
)
def test_arguments_of_any_length_and_depth_are_read_in_a_moment(written: str) -> None:
    began = time.process_time()
    to_langchain([asked(arguments=written)])
    assert time.process_time() - began < 2
