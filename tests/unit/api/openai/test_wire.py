from __future__ import annotations

from typing import Any

import pytest

from agent.turn_request import TurnRequest
from api.http.body import validate_body
from api.openai.wire import ChatCompletionRequest
from config.errors import RequestError
from router.failover import RoutingOverrides

HI = {"role": "user", "content": "Hi"}
ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}


def understood(headers: dict[str, str] | None = None, **body: Any) -> TurnRequest:
    request = validate_body(ChatCompletionRequest, {"model": "main", "messages": [HI], **body})
    return request.turn_request(headers or {}, "me")


def test_sampling_parameters_are_passed_on_and_what_is_ours_is_not() -> None:
    sent = {"temperature": 0.2, "max_tokens": 50, "stop": ["\n"], "seed": 1, "response_format": {"type": "json_object"}}
    asked = understood(**sent, stream=True, stream_options={"include_usage": True}, metadata={"a": 1}, n=1, top_p=None)
    assert asked.params == sent


def test_a_token_limit_of_minus_one_is_none() -> None:
    assert understood(max_tokens=-1, max_completion_tokens=-1).params == {}


def test_a_field_that_is_null_is_not_set() -> None:
    assert understood(stream=None, stream_options={"include_usage": None}, n=None, tools=None, user=None).params == {}


def test_unknown_fields_are_accepted() -> None:
    assert understood(call={"id": 7}, phoneNumber={}, customer=None, elevenlabs_extra_body="x").session_key is None


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": [1]}, "messages[0]"),
        ({"model": 7}, "model"),
        ({"n": 2}, "n"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"logprobs": True}, "logprobs"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"n": True}, "n"),
        ({"num_retries": False}, "num_retries"),
        ({"timeout": True}, "timeout"),
        ({"stream": 1}, "stream"),
        ({"stream": True, "stream_options": {"include_usage": "true"}}, "stream_options.include_usage"),
        ({"parallel_tool_calls": 0}, "parallel_tool_calls"),
        ({"seed": 2**63 - 1}, "seed"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stream_options": {"include_usage": "perhaps"}}, "stream_options.include_usage"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {"name": "no spaces"}}]}, "tools[0].function.name"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
            "tools[0].function.parameters",
        ),
        ({"tools": [ADD, ADD]}, "tools"),
        ({"tools": [{"type": "custom", "custom": {"name": "free"}}]}, "tools[0].type"),
        ({"functions": [{"name": "f", "description": {}}]}, "functions[0].description"),
        ({"tools": [ADD], "tool_choice": {"type": "custom", "custom": {"name": "add"}}}, "tool_choice.type"),
        ({"tools": [ADD], "tool_choice": {"type": "allowed_tools"}}, "tool_choice.allowed_tools"),
        (
            {"tools": [ADD], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"name": "sub"}]}},
            "tool_choice.allowed_tools",
        ),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"metadata": {"x-switchboard-hand-offs": "maybe"}}, "x-switchboard-hand-offs"),
        ({"metadata": {"x-switchboard-filler": "perhaps"}}, "x-switchboard-filler"),
        ({"metadata": {"x-switchboard-filler": {"language": "en"}}}, "x-switchboard-filler"),
        ({"fallbacks": [{"main": ["spare"]}]}, "fallbacks"),
        ({"timeout": 0}, "timeout"),
        ({"num_retries": -1}, "num_retries"),
        ({"tools": [ADD], "tool_choice": {"type": "function", "function": {"name": "sub"}}}, "tool_choice"),
    ],
)
def test_what_cannot_be_understood_or_honoured_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        understood(**body)
    assert caught.value.param is not None
    assert caught.value.param.startswith(param)


def named(number: int) -> dict[str, Any]:
    return {"type": "function", "function": {"name": f"f{number}"}}


@pytest.mark.parametrize(
    ("body", "param", "limit"),
    [
        ({"tools": [named(number) for number in range(129)]}, "tools", "128"),
        ({"functions": [named(number)["function"] for number in range(129)]}, "functions", "128"),
        ({"tools": [named(0)], "functions": [named(n)["function"] for n in range(1, 129)]}, "tools", "128"),
        ({"messages": [HI] * 2001}, "messages", "2000"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}] * 1001}]}, "messages[0]", "1000"),
        ({"model": "m" * 257}, "model", "256"),
        ({"fallbacks": ["a"] * 33}, "fallbacks", "32"),
        ({"fallbacks": ["a" * 257]}, "fallbacks[0]", "256"),
    ],
)
def test_what_is_too_large_is_refused_with_the_limit(body: dict[str, Any], param: str, limit: str) -> None:
    with pytest.raises(RequestError, match=rf"\b{limit}\b") as caught:
        understood(**body)
    assert (caught.value.param or "").startswith(param)


def test_what_is_just_small_enough_is_accepted() -> None:
    assert len(understood(tools=[named(number) for number in range(128)]).caller_tools) == 128
    assert len(understood(messages=[HI] * 2000).messages) == 2000
    assert understood(model="m" * 256).model == "m" * 256


def test_the_limit_of_tools_is_a_setting() -> None:
    request = validate_body(ChatCompletionRequest, {"messages": [HI], "tools": [named(0), named(1)]})
    with pytest.raises(RequestError, match=r"at most 1 tools, not 2"):
        request.turn_request({}, "me", max_tools=1)


@pytest.mark.parametrize(
    ("headers", "body", "overrides"),
    [
        ({}, {}, RoutingOverrides()),
        ({}, {"timeout": 2.5, "num_retries": 0}, RoutingOverrides(turn_deadline=2.5, num_retries=0)),
        ({}, {"fallbacks": ["a", {"model": "b", "temperature": 0}]}, RoutingOverrides(fallbacks=("a", "b"))),
        ({}, {"fallbacks": []}, RoutingOverrides(fallbacks=())),
        ({"x-switchboard-no-fallback": "true"}, {"fallbacks": ["a"]}, RoutingOverrides(fallbacks=())),
        ({"x-switchboard-no-fallback": "false"}, {"fallbacks": ["a"]}, RoutingOverrides(fallbacks=("a",))),
    ],
)
def test_a_request_may_steer_its_own_routing(
    headers: dict[str, str], body: dict[str, Any], overrides: RoutingOverrides
) -> None:
    assert understood(headers, **body).overrides == overrides


def test_a_tool_may_be_chosen_by_its_name_also_in_the_legacy_form() -> None:
    chosen = {"type": "function", "function": {"name": "add"}}
    assert understood(tools=[ADD], tool_choice=chosen).tool_choice == chosen
    assert understood(functions=[ADD["function"]], function_call={"name": "add"}).tool_choice == chosen
    assert understood(tools=[ADD], tool_choice="auto").tool_choice is None
    assert understood(tools=[ADD], tool_choice="required").tool_choice == "required"


@pytest.mark.parametrize(
    ("headers", "body", "key"),
    [
        ({"x-session-id": "h"}, {"session_id": "b", "call": {"id": "c"}}, "me:h"),
        ({}, {"call": {"id": "c"}, "session_id": "b"}, "me:c"),
        ({}, {"call": {"callId": "c"}, "session_id": "b"}, "me:c"),
        ({}, {"session_id": "b", "metadata": {"session_id": "m"}}, "me:b"),
        ({}, {"elevenlabs_extra_body": {"session_id": "e"}, "metadata": {"session_id": "m"}}, "me:e"),
        ({"x-openwebui-chat-id": "o"}, {"metadata": {"session_id": "m"}}, "me:m"),
        ({"x-openwebui-chat-id": "o"}, {"user": "u", "stream": True}, "me:o:main"),
        ({"x-openwebui-chat-id": "o"}, {"user": "u"}, None),
        ({"x-session-id": "h", "x-openwebui-chat-id": "o"}, {}, "me:h"),
        ({}, {"user": "u"}, None),
    ],
)
def test_the_session_key_comes_from_the_first_place_that_has_one(
    headers: dict[str, str], body: dict[str, Any], key: str | None
) -> None:
    assert understood(headers, **body).session_key == key


def test_a_request_that_is_sent_again_has_the_same_fingerprint_and_a_newer_one_another() -> None:
    key = {"x-session-id": "call-1"}
    first = understood(key).fingerprint
    assert first is not None
    assert understood(key, temperature=0).fingerprint == first
    assert understood(key, messages=[HI, HI]).fingerprint != first
    assert understood(key, stream=True).fingerprint != first


@pytest.mark.parametrize("mode", ["auto", "required"])
@pytest.mark.parametrize("nested", [True, False])
def test_allowed_tools_are_read_in_both_of_openais_forms(mode: str, nested: bool) -> None:
    allowed = {"mode": mode, "tools": [{"type": "function", "function": {"name": "add"}}]}
    choice = {"type": "allowed_tools", **({"allowed_tools": allowed} if nested else allowed)}
    asked = understood(tools=[ADD], tool_choice=choice)
    assert (asked.tool_choice, asked.allowed_tools) == (None if mode == "auto" else mode, {"add"})


def test_an_unsupported_tool_says_which_form_works() -> None:
    with pytest.raises(RequestError, match=r'\{"type": "function", "function"'):
        understood(tools=[{"type": "custom", "custom": {"name": "free"}}])


@pytest.mark.parametrize(
    ("headers", "metadata", "offered"),
    [
        ({}, None, None),
        ({}, {"a": 1}, None),
        ({"x-switchboard-hand-offs": "off"}, None, False),
        ({"x-switchboard-hand-offs": "On"}, None, True),
        ({}, {"x-switchboard-hand-offs": "off"}, False),
        ({}, {"x-switchboard-hand-offs": False}, False),
        ({"x-switchboard-hand-offs": "on"}, {"x-switchboard-hand-offs": "off"}, True),
    ],
)
def test_a_request_turns_the_agents_hand_offs_off(
    headers: dict[str, str], metadata: dict[str, Any] | None, offered: bool | None
) -> None:
    assert understood(headers, metadata=metadata).hand_offs is offered


@pytest.mark.parametrize(
    ("headers", "metadata", "language"),
    [
        ({}, None, None),
        ({"x-switchboard-filler": "en"}, None, "en"),
        ({"x-switchboard-filler": " zh-CN "}, None, "zh-cn"),
        ({"x-switchboard-filler": "On"}, None, "und"),
        ({}, {"x-switchboard-filler": True}, "und"),
        ({}, {"x-switchboard-filler": "no"}, "no"),  # Norwegian
        ({}, {"x-switchboard-filler": False}, None),
        ({"x-switchboard-filler": "off"}, {"x-switchboard-filler": "en"}, None),
    ],
)
def test_a_request_asks_for_fillers(
    headers: dict[str, str], metadata: dict[str, Any] | None, language: str | None
) -> None:
    assert understood(headers, metadata=metadata, stream=True).filler == language


@pytest.mark.parametrize(
    ("body", "language"),
    [
        ({"stream": False}, None),
        ({"stream": True, "response_format": {"type": "json_object"}}, None),
        ({"stream": True, "response_format": {"type": "text"}}, "en"),
    ],
)
def test_only_a_stream_of_words_has_fillers(body: dict[str, Any], language: str | None) -> None:
    assert understood({"x-switchboard-filler": "en"}, **body).filler == language
