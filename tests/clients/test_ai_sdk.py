"""The AI SDK against the real server, with its default OpenAI provider: it speaks the Responses API."""

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
TWO_STEPS = [
    {"text": "One moment.", "finishReason": "tool-calls", "calls": 1},
    {"text": "Found her.", "finishReason": "stop", "calls": 0},
]

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (HERE / "node_modules" / "ai").is_dir(), reason="run `make tests/clients/node_modules` first"
    ),
]


@pytest.fixture(scope="module")
def results(server: Served) -> dict[str, Any]:
    """The result of each case in ai_sdk.mjs."""
    environ = {**os.environ, "SWITCHBOARD_URL": server.url, "SWITCHBOARD_TOKEN": TOKEN}
    ran = subprocess.run(
        [str(NODE), "ai_sdk.mjs"], cwd=HERE, env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    results = json.loads(ran.stdout)
    assert isinstance(results, dict)
    return results


def test_stream_text_reads_text_as_it_comes(results: dict[str, Any]) -> None:
    said = results["text"]
    assert "".join(said["pieces"]) == "You said: Tell me something." and len(said["pieces"]) > 1
    assert (said["reason"], said["modelId"], said["errors"]) == ("stop", "fake", [])
    assert said["id"].startswith("resp_")
    assert said["usage"]["outputTokens"] == said["usage"]["outputTokenDetails"]["textTokens"] > 0


def test_generate_text_runs_a_tool_and_refers_to_the_stored_items(results: dict[str, Any]) -> None:
    said = results["steps"]
    assert (said["text"], said["steps"], said["asked"]) == ("Found her.", TWO_STEPS, ["Ada"])
    assert said["items"] == [["user"], ["user", "item_reference", "function_call", "function_call_output"]]
    assert said["paths"] == ["/v1/responses"] * 2


def test_generate_text_sends_the_items_again_if_they_are_not_stored(results: dict[str, Any]) -> None:
    said = results["unstored"]
    assert (said["text"], said["steps"], said["asked"]) == ("Found her.", TWO_STEPS, ["Ada"])
    assert said["items"][1] == ["user", "assistant", "function_call", "function_call_output"]
    assert said["read"] == results["steps"]["read"]  # the model reads the same either way


def test_stream_text_runs_a_tool_and_keeps_the_steps_apart(results: dict[str, Any]) -> None:
    said = results["streamedSteps"]
    assert (said["text"], said["steps"], said["asked"]) == ("Found her.", TWO_STEPS, ["Ada"])
    assert [kind for kind in said["kinds"] if kind.startswith("tool-")] == [
        "tool-input-start",
        "tool-input-delta",
        "tool-input-end",
        "tool-call",
        "tool-result",
    ]
    for kind in ("start-step", "text-start", "text-end", "finish-step"):
        assert said["kinds"].count(kind) == 2
    assert "error" not in said["kinds"]


def test_structured_output_has_the_shape_of_its_schema(results: dict[str, Any]) -> None:
    said = results["object"]
    assert said["format"] == "json_schema"
    assert said["output"] == said["streamed"]
    assert (type(said["output"]["name"]), type(said["output"]["people"])) == (str, int)
    assert said["partial"] >= 1


def test_a_conversation_goes_on_by_response_and_by_items(results: dict[str, Any]) -> None:
    said = results["conversation"]
    assert said["texts"] == ["You said: Again."] * 2
    assert said["read"][0] == said["read"][1] > 5  # the model reads all of it either way
    assert said["previous"] is True
    assert said["items"] == ["user", "item_reference", "user"]


def test_an_unknown_model_is_an_error_of_the_call(results: dict[str, Any]) -> None:
    assert results["unknownModel"] == {"kind": "AI_APICallError", "status": 404, "code": "model_not_found"}


def test_a_cut_answer_is_an_error_after_its_text(results: dict[str, Any]) -> None:
    assert results["cut"] == {"text": "Half a", "errors": 1}
