"""Requests of each platform get an answer in the valid wire format."""

from __future__ import annotations

import httpx
import pytest

from tests.clients.check_stream import CheckedStream, check_stream
from tests.clients.platform_bodies import ELEVENLABS, PLATFORMS, VAPI, Platform

every_platform = pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.name)


def streamed(http: httpx.Client, platform: Platform, said: str) -> CheckedStream:
    response = http.post(platform.path, json=platform.request(said), headers=platform.headers)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    return check_stream(response.content, include_usage=platform.include_usage)


@every_platform
def test_words_stream_and_name_the_model_that_serves(http: httpx.Client, platform: Platform) -> None:
    answer = streamed(http, platform, "What is on the menu?")
    assert answer.text == "You said: What is on the menu?"
    assert (answer.finish_reason, answer.tool_calls, answer.error) == ("stop", (), None)
    assert answer.model == ("gpt-4o" if platform is VAPI else "fake")


@every_platform
def test_a_transfer_has_the_form_that_the_platform_knows(http: httpx.Client, platform: Platform) -> None:
    answer = streamed(http, platform, "Let me talk to a person.")
    [(name, arguments)] = answer.tool_calls
    assert answer.text == "Connecting you now. "
    assert (name, arguments[platform.argument]) == (platform.transfer, "+1234567890")
    assert answer.function_calls == ({"name": name, "arguments": arguments},)


@every_platform
def test_the_goodbye_ends_the_call(http: httpx.Client, platform: Platform) -> None:
    answer = streamed(http, platform, "Goodbye!")
    [(name, _)] = answer.tool_calls
    assert (answer.text, name) == ("Goodbye. ", platform.end)


@every_platform
def test_the_platforms_own_tool_is_handed_back_with_its_arguments(http: httpx.Client, platform: Platform) -> None:
    tools = platform.body.get("tools") or [{"function": {"name": "endCall"}}]
    name = tools[-1]["function"]["name"]
    answer = streamed(http, platform, f'/say One moment.\n/call {name} {{"day": "Monday", "of": ["a", 1]}}')
    if not platform.body.get(
        "tools"
    ):  # the agent's own hang-up carries only the arguments of its schema, which has none
        assert answer.tool_calls == ((name, {}),)
        return
    assert answer.tool_calls == ((name, {"day": "Monday", "of": ["a", 1]}),)


@every_platform
def test_an_unstreamed_answer_says_the_same(http: httpx.Client, platform: Platform) -> None:
    body = platform.request("Let me talk to a person.", stream=False, stream_options=None)
    answer = http.post(platform.path, json=body, headers=platform.headers).json()
    [choice] = answer["choices"]
    [call] = choice["message"]["tool_calls"]
    assert (answer["object"], choice["finish_reason"]) == ("chat.completion", "tool_calls")
    assert call["function"]["name"] == answer["function_call"]["name"] == platform.transfer
    assert answer["function_call"]["arguments"][platform.argument] == "+1234567890"


@pytest.mark.parametrize("platform", [VAPI, ELEVENLABS], ids=lambda platform: platform.name)
def test_a_number_of_the_callers_choice_is_refused_whatever_the_platform_advertises(
    http: httpx.Client, platform: Platform
) -> None:
    said = f'/call {platform.transfer} {{"{platform.argument}": "+449001234567"}}'
    answer = streamed(http, platform, said)
    assert (answer.tool_calls, answer.function_calls, answer.finish_reason) == ((), (), "stop")
    assert "not allowed" in answer.text


def test_elevenlabs_gets_the_messages_that_its_transfer_needs(http: httpx.Client) -> None:
    [(_, arguments)] = streamed(http, ELEVENLABS, "Let me talk to a person.").tool_calls
    assert {"client_message", "agent_message"} <= arguments.keys()


def test_a_call_goes_on_after_the_platform_answered_a_tool(http: httpx.Client) -> None:
    """Vapi repeats what was spoken and adds its tool's result."""
    called = {"name": "bookTable", "arguments": '{"day":"Monday","hour":"8"}'}
    history = [
        *VAPI.body["messages"],
        {"role": "user", "content": "A table on Monday, please."},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": called}],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "Booked."},
    ]
    response = http.post(VAPI.path, json={**VAPI.body, "messages": history})
    assert check_stream(response.content).text == "The tool answered: Booked."
