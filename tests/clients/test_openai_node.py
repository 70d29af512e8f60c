"""OpenAI's Node client against the real server. Voice platforms use it, and it is stricter than most clients."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.serving import TOKEN, Served

HERE = Path(__file__).parent
NODE = shutil.which("node")

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (HERE / "node_modules" / "openai").is_dir(), reason="run `make tests/clients/node_modules` first"
    ),
]


@pytest.fixture(scope="module")
def results(server: Served) -> dict[str, Any]:
    """The result of each case in openai_node.mjs."""
    environ = {**os.environ, "SWITCHBOARD_URL": server.url, "SWITCHBOARD_TOKEN": TOKEN}
    ran = subprocess.run(
        [str(NODE), "openai_node.mjs"], cwd=HERE, env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    results = json.loads(ran.stdout)
    assert isinstance(results, dict)
    return results


def test_the_stream_helper_reads_text_as_it_comes(results: dict[str, Any]) -> None:
    said = results["text"]
    assert said["choice"]["message"]["content"] == "You said: Tell me something."
    assert len(said["content"]) > 1
    assert (said["choice"]["finish_reason"], said["model"], said["errors"]) == ("stop", "fake", [])


def test_the_stream_helper_hands_over_the_callers_tool_whole(results: dict[str, Any]) -> None:
    said = results["tool"]
    assert said["choice"]["message"]["content"] == "One moment."
    assert said["argumentsDone"] == [{"index": 0, "name": "lookup", "arguments": '{"name":"Ada"}'}]
    [call] = said["choice"]["message"]["tool_calls"]
    assert call["function"]["name"] == "lookup"
    assert json.loads(call["function"]["arguments"]) == {"name": "Ada"}
    assert said["choice"]["finish_reason"] == "tool_calls"


def test_the_stream_helper_keeps_several_calls_apart(results: dict[str, Any]) -> None:
    calls = results["several"]["choice"]["message"]["tool_calls"]
    assert [json.loads(call["function"]["arguments"])["name"] for call in calls] == ["Ada", "Alan"]
    assert len({call["id"] for call in calls}) == 2


def test_the_stream_helper_is_not_disturbed_by_a_transfer(results: dict[str, Any]) -> None:
    said = results["transfer"]
    assert said["choice"]["message"]["content"] == "Connecting you now. "
    [call] = said["choice"]["message"]["tool_calls"]
    assert call["function"]["name"] == "transferCall"
    assert json.loads(call["function"]["arguments"]) == {"destination": "+1234567890"}
    assert (said["choice"]["finish_reason"], said["errors"]) == ("tool_calls", [])


def test_run_tools_comes_back_with_the_result_and_gets_the_answer(results: dict[str, Any]) -> None:
    assert results["roundTrip"] == {"answer": "Found her.", "asked": ["Ada"]}


def test_a_plain_stream_has_one_role_one_reason_and_the_usage(results: dict[str, Any]) -> None:
    said = results["plain"]
    assert said["roles"][0] == "assistant"
    assert len(said["text"].split()) == 12
    assert [reason for reason in said["reasons"] if reason] == ["stop"]
    assert said["reasons"][-1] == "stop"
    assert said["usage"]["completion_tokens"] == 12


def test_an_unknown_model_is_a_not_found_error(results: dict[str, Any]) -> None:
    assert results["unknownModel"] == {"kind": "NotFoundError", "status": 404, "code": "model_not_found"}


def test_a_cut_answer_throws_instead_of_ending(results: dict[str, Any]) -> None:
    assert results["cut"] == {"kind": "APIError", "status": None, "code": "answer_interrupted"}


def test_a_response_is_put_together_from_its_events_and_gone_on_with(results: dict[str, Any]) -> None:
    said = results["response"]
    assert (said["kinds"][0], said["kinds"][-1]) == ("response.created", "response.completed")
    assert (said["text"], json.loads(said["arguments"])) == ("One moment.", {"name": "Ada"})
    assert "Ada Lovelace" in said["answer"]
    assert said["items"] == ["message", "message", "function_call", "function_call_output"]


def test_a_response_in_the_background_is_followed_again_and_cancelled(results: dict[str, Any]) -> None:
    said = results["background"]
    assert said["numbers"] == list(range(len(said["numbers"])))
    assert (said["text"], said["kinds"]) == ("One moment.", ["message", "function_call"])
    assert said["statuses"] == ["queued", "cancelled", "cancelled"]


def test_an_unknown_previous_response_is_a_not_found_error(results: dict[str, Any]) -> None:
    expected = {"kind": "NotFoundError", "status": 404, "code": "previous_response_not_found"}
    assert results["unknownResponse"] == expected


def test_the_models_are_listed(results: dict[str, Any]) -> None:
    assert {"fake", "gpt-4o"} <= set(results["models"])
