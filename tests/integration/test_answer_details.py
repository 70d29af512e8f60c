"""What a provider says of its answer besides the text reaches the caller, on both lanes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.contract.local_provider import DONE, event, local_provider, streaming
from tests.support.serving import TOKEN, Served, direct, serving, through_litellm

USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 5,
    "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
HEAD = {"system_fingerprint": "fp_1", "service_tier": "default"}
THOUGHTFUL = [
    event({"role": "assistant", "reasoning_content": "Hm, "}, **HEAD),
    event({"reasoning_content": "yes."}, **HEAD),
    event({"content": "Yes."}, **HEAD),
    event(finish="stop", **HEAD),
    event(**HEAD)
    .replace(b'[{"index":0,"delta":{},"finish_reason":null}]', b"[]")
    .replace(b"}\n\n", b',"usage":' + orjson.dumps(USAGE) + b"}\n\n"),
    DONE,
]
REFUSED = [event({"role": "assistant", "refusal": "I can"}), event({"refusal": "not."}), event(finish="stop"), DONE]

lanes = pytest.mark.parametrize("lane", [direct, through_litellm])


async def asked(server: Served, **body: Any) -> dict[str, Any] | list[dict[str, Any]]:
    """The completion, or the chunks of a stream."""
    messages = [{"role": "user", "content": "Hi"}]
    async with httpx.AsyncClient() as client:
        response = await client.post(
            f"{server.url}/v1/chat/completions",
            json={"model": "main", "messages": messages, **body},
            headers=server.headers,
        )
    if not body.get("stream"):
        whole: dict[str, Any] = response.json()
        return whole
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: {")]
    return [orjson.loads(line) for line in lines]


@lanes
async def test_a_whole_answer_has_the_details(lane: Any, tmp_path: Path) -> None:
    async with local_provider(streaming(*THOUGHTFUL)) as provider:
        async with serving(tmp_path, lane("main", provider.url, "m"), agent={"reasoning_content": True}) as server:
            answer = await asked(server)
    assert isinstance(answer, dict)
    assert answer["usage"] == USAGE
    assert answer["system_fingerprint"] == "fp_1"
    assert answer.get("service_tier") == "default"
    assert answer["choices"][0]["message"]["reasoning_content"] == "Hm, yes."
    assert answer["choices"][0]["message"]["content"] == "Yes."


@lanes
async def test_a_stream_has_the_details(lane: Any, tmp_path: Path) -> None:
    async with local_provider(streaming(*THOUGHTFUL)) as provider:
        async with serving(tmp_path, lane("main", provider.url, "m"), agent={"reasoning_content": True}) as server:
            chunks = await asked(server, stream=True, stream_options={"include_usage": True})
    assert isinstance(chunks, list)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    assert "".join(each.get("reasoning_content") or "" for each in deltas) == "Hm, yes."
    assert "".join(each.get("content") or "" for each in deltas) == "Yes."
    assert chunks[-1]["usage"] == USAGE
    assert {chunk["system_fingerprint"] for chunk in chunks[-2:]} == {"fp_1"}


@lanes
@pytest.mark.parametrize("stream", [False, True])
async def test_thoughts_are_not_shown_unless_agent_yaml_says_so(lane: Any, stream: bool, tmp_path: Path) -> None:
    async with local_provider(streaming(*THOUGHTFUL)) as provider:
        async with serving(tmp_path, lane("main", provider.url, "m")) as server:
            answer = await asked(server, stream=stream)
    assert "reasoning_content" not in str(answer)
    assert "Hm" not in str(answer)


class Room(BaseModel):
    number: int


async def test_a_refusal_is_openais_field_and_is_spoken(tmp_path: Path) -> None:
    async with local_provider(streaming(*REFUSED)) as provider:
        async with serving(tmp_path, direct("main", provider.url, "m")) as server:
            messages: Any = [{"role": "user", "content": "Hi"}]
            async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key=TOKEN) as client:
                parsed = await client.chat.completions.parse(model="main", messages=messages, response_format=Room)
            chunks = await asked(server, stream=True)
    message = parsed.choices[0].message
    assert (message.refusal, message.content, message.parsed) == ("I cannot.", "I cannot.", None)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if isinstance(chunk, dict)]
    for name in ("refusal", "content"):
        assert "".join(each.get(name) or "" for each in deltas) == "I cannot."


async def test_the_fingerprint_is_left_out_where_two_deployments_served(tmp_path: Path) -> None:
    cut = streaming(event({"content": "One moment, I am looking it up. "}, **HEAD), end=False)
    rest = streaming(event({"content": "It is ready."}, **HEAD), event(finish="stop", **HEAD), DONE)
    async with local_provider(cut) as first, local_provider(rest) as second:
        entries = [direct("main", each.url, "m", order=order) for order, each in enumerate((first, second))]
        async with serving(tmp_path, *entries, router={"num_retries": 0}) as server:
            answer = await asked(server)
    assert isinstance(answer, dict)
    assert answer["choices"][0]["message"]["content"].endswith("It is ready.")
    assert "system_fingerprint" not in answer
