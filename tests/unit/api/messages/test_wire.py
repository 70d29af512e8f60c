from __future__ import annotations

from typing import Any

import pytest

from agent.turn_request import TurnRequest
from api.http.body import validate_body
from api.messages.wire import MessagesRequest, estimated_input
from config.errors import RequestError
from router.failover import RoutingOverrides
from router.providers.supported_params import IF_SUPPORTED

HI = {"role": "user", "content": "Hi"}
ADD = {"name": "add", "description": "Adds.", "input_schema": {"type": "object", "properties": {"a": {}}}}


def asked(**body: Any) -> MessagesRequest:
    return validate_body(MessagesRequest, {"model": "main", "max_tokens": 100, "messages": [HI], **body})


def understood(headers: dict[str, str] | None = None, **body: Any) -> TurnRequest:
    return asked(**body).turn_request(headers or {}, "me", max_tools=3)


def test_sampling_parameters_become_those_of_chat_completions() -> None:
    sent = understood(temperature=0.2, top_p=0.9, stop_sequences=["\n"], stream=True, service_tier="auto")
    assert sent.params == {"max_tokens": 100, "temperature": 0.2, "top_p": 0.9, "stop": ["\n"]}


def test_top_k_goes_to_models_that_have_it() -> None:
    assert understood(top_k=5).params[IF_SUPPORTED] == {"top_k": 5}


@pytest.mark.parametrize(
    ("body", "effort"),
    [
        ({}, None),
        ({"thinking": {"type": "disabled"}}, None),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}, None),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 31999}}, "high"),
        ({"thinking": {"type": "adaptive"}}, "high"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}}, "medium"),
        ({"output_config": {"effort": "max"}}, "high"),
    ],
)
def test_thinking_becomes_an_effort_for_models_that_have_it(body: dict[str, Any], effort: str | None) -> None:
    params = understood(**body).params
    assert params.get(IF_SUPPORTED) == ({"reasoning_effort": effort} if effort else None)


@pytest.mark.parametrize(
    ("thinking", "shows"),
    [
        (None, False),
        ({"type": "disabled"}, False),
        ({"type": "enabled", "budget_tokens": 1024, "display": "omitted"}, False),
        ({"type": "adaptive", "display": "summarized"}, True),
    ],
)
def test_only_a_caller_that_asks_for_thoughts_reads_them(thinking: dict[str, Any] | None, shows: bool) -> None:
    assert asked(thinking=thinking).shows_thinking is shows


def test_stop_sequences_that_would_not_be_sent_are_refused() -> None:
    assert understood(stop_sequences=list("abcd")).params["stop"] == ["a", "b", "c", "d"]
    with pytest.raises(RequestError, match="stop_sequences"):
        understood(stop_sequences=list("abcde"))


def test_a_tool_keeps_its_schema() -> None:
    (tool,) = understood(tools=[{**ADD, "type": "custom", "cache_control": {"type": "ephemeral"}}]).caller_tools
    assert (tool.name, tool.description, tool.parameters) == ("add", "Adds.", ADD["input_schema"])


@pytest.mark.parametrize(
    ("choice", "meant"),
    [
        ({"type": "auto"}, None),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "add"}, {"type": "function", "function": {"name": "add"}}),
    ],
)
def test_a_choice_of_tools_becomes_openais(choice: dict[str, Any], meant: Any) -> None:
    assert understood(tools=[ADD], tool_choice=choice).tool_choice == meant


def test_tools_may_be_limited_to_one_call() -> None:
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    assert understood(tools=[ADD], tool_choice=choice).params["parallel_tool_calls"] is False


def test_a_shape_of_the_answer_is_passed_on() -> None:
    schema = {"type": "object", "properties": {}}
    shape = understood(output_config={"format": {"type": "json_schema", "schema": schema}}).params["response_format"]
    assert shape == {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


def test_the_users_id_is_that_of_the_memories_and_goes_to_the_provider() -> None:
    request = understood(metadata={"user_id": "ada"})
    assert (request.user_id, request.params["user"]) == ("ada", "ada")


def test_a_user_that_providers_refuse_is_sent_as_a_digest() -> None:
    request = understood(metadata={"user_id": '{"device_id": "x"}'})
    assert request.user_id == '{"device_id": "x"}'
    assert len(request.params["user"]) == 64


def test_session_and_routing_are_those_of_the_other_wires() -> None:
    headers = {"x-session-id": "call-1", "x-switchboard-hand-offs": "off", "x-switchboard-no-fallback": "1"}
    request = understood(headers)
    assert (request.session_key, request.session_id, request.hand_offs) == ("me:call-1", "call-1", False)
    assert request.overrides == RoutingOverrides(fallbacks=())
    assert request.fingerprint == understood(headers).fingerprint
    assert request.fingerprint != understood(headers, system="Be brief.").fingerprint


def test_unknown_fields_are_accepted() -> None:
    body = {"context_management": {"edits": []}, "speed": "fast", "cache_control": {"type": "ephemeral"}}
    assert understood(**body).params == {"max_tokens": 100}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [1]}, "messages[0]"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": 2**31}, "max_tokens"),
        ({"top_k": False}, "top_k"),
        ({"thinking": {"type": "enabled", "budget_tokens": False}}, "thinking.budget_tokens"),
        ({"max_tokens": None}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"stream": 1}, "stream"),
        ({"tool_choice": {"type": "any", "disable_parallel_tool_use": 0}}, "tool_choice.disable_parallel_tool_use"),
        ({"system": 7}, "system"),
        ({"thinking": {}}, "thinking.type"),
        ({"tools": [{"name": "no spaces", "input_schema": {}}]}, "tools[0].name"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tools": [{"name": "f", "input_schema": {}, "type": {}}]}, "tools[0].type"),
        ({"tools": [{"name": "f", "input_schema": {}, "description": ["a"]}]}, "tools[0].description"),
        ({"tools": [ADD, ADD]}, "tools"),
        ({"tools": [{**ADD, "name": f"f{number}"} for number in range(4)]}, "tools"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"tools": [ADD], "tool_choice": {"type": "tool", "name": "sub"}}, "tool_choice.name"),
        ({"output_config": {"format": {"type": "text"}}}, "output_config.format"),
        ({"mcp_servers": [{"type": "url"}]}, "mcp_servers"),
        ({"container": "c1"}, "container"),
    ],
)
def test_an_error_names_the_field(body: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as raised:
        understood(**body)
    assert raised.value.param == param


def test_a_tool_that_runs_at_anthropic_is_named() -> None:
    with pytest.raises(RequestError, match=r"tools\[1\]\.type is 'web_search_20250305'"):
        understood(tools=[ADD, {"type": "web_search_20250305", "name": "web_search"}])


def test_the_estimate_counts_messages_system_and_tools() -> None:
    bare = estimated_input(understood())
    assert estimated_input(understood(messages=[{"role": "user", "content": "x" * 400}])) == bare + 100
    assert estimated_input(understood(system="x" * 400)) == bare + 104
    assert estimated_input(understood(tools=[ADD])) > bare + 10
