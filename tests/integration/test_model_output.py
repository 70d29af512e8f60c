"""Output of a model that JSON can hold but not every encoder: it never leads to a 500, on either lane or API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.contract.local_provider import DONE, event, local_provider, streaming
from tests.integration.test_answer_details import asked
from tests.support.serving import direct, fake, serving, through_litellm
from tests.support.session_client import client_of, said_in

LONG = '{"a": 18446744073709551616, "b": 1}'
DEEP = '{"a": ' + "[" * 600 + "]" * 600 + ', "b": 1}'
LOOKUP = {"type": "function", "function": {"name": "multiply", "parameters": {"type": "object", "properties": {}}}}

lanes = pytest.mark.parametrize("lane", [direct, through_litellm])


def calling(arguments: str) -> list[bytes]:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "multiply", "arguments": arguments}}
    return [event({"tool_calls": [call]}), event(finish="tool_calls"), DONE]


def saying(*escaped: str) -> list[bytes]:
    """A stream whose texts are JSON escapes, which may be halves of surrogate pairs."""
    texts = [event({"content": "X"}).replace(b'"X"', f'"{each}"'.encode()) for each in escaped]
    return [*texts, event(finish="stop"), DONE]


@lanes
@pytest.mark.parametrize("arguments", [LONG, DEEP], ids=["a long integer", "600 levels"])
async def test_a_call_that_cannot_be_sent_again_is_a_bad_answer(lane: Any, arguments: str, tmp_path: Path) -> None:
    async with local_provider(streaming(*calling(arguments))) as provider:
        entries = lane("main", provider.url, "m"), fake("second")
        async with serving(tmp_path, *entries, router={"fallbacks": [{"main": ["second"]}]}) as server:
            for tools in ([LOOKUP], []):  # the caller's tool, and the agent's own
                answer = await asked(server, tools=tools)
                assert isinstance(answer, dict)
                assert answer["model"] == "second"
            async with client_of(server) as client:
                assert (await client.invoke("Hi", model="main"))["status"] == "completed"


@lanes
@pytest.mark.parametrize(
    ("escaped", "heard"),
    [
        (("Hi \\ud800", " there"), "Hi \ufffd there"),
        (("Hi \\ud83d", "\\ude00"), "Hi 😀"),
        (("Hi \\ud83d",), "Hi \ufffd"),
    ],
    ids=["a half", "a pair in two chunks", "a half at the end"],
)
async def test_half_of_a_surrogate_pair_is_replaced(
    lane: Any, escaped: tuple[str, ...], heard: str, tmp_path: Path
) -> None:
    async with local_provider(streaming(*saying(*escaped))) as provider:
        async with serving(tmp_path, lane("main", provider.url, "m")) as server:
            answer = await asked(server)
            chunks = await asked(server, stream=True)
            async with client_of(server) as client:
                turn = await client.invoke("Hi")
                status = await client.status()
    assert isinstance(answer, dict)
    assert answer["choices"][0]["message"]["content"] == heard
    assert (
        "".join(each["choices"][0]["delta"].get("content") or "" for each in chunks if isinstance(each, dict)) == heard
    )
    assert (turn["status"], said_in(turn), said_in(status["last_response"])) == ("completed", heard, heard)
