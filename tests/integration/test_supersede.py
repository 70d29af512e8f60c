"""Clients that send a failed request again must not kill the newer answer of their own session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

from router.fake.sample_text import ANSWER
from router.fake.server.fake_provider import FakeProvider
from tests.support.serving import TOKEN, Served, direct, serving

KEY = {"x-session-id": "call-1"}


@pytest.fixture
async def server(tmp_path: Path, provider: FakeProvider) -> AsyncIterator[Served]:
    silent = direct("silent", provider.base_url, "fake-silent")
    paced = direct("paced", provider.base_url, "fake-ok?gap=20ms&tokens=64")
    broken = direct("broken", provider.base_url, "fake-503")
    router = {"num_retries": 0, "first_token_timeout": 20}
    async with serving(tmp_path, silent, paced, broken, router=router, keep_alive_interval=5) as served:
        yield served


@pytest.fixture
async def openai(server: Served) -> AsyncIterator[AsyncOpenAI]:
    """OpenAI's client with its own retries."""
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key=TOKEN) as client:
        yield client


@pytest.fixture
async def http(server: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, headers={**server.headers, **KEY}, timeout=10) as client:
        yield client


def ask(model: str, *said: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": each} for each in said], **more}


async def requests_at(provider: FakeProvider, count: int) -> None:
    while len(provider.log) < count:
        await asyncio.sleep(0.01)


async def test_two_streamed_questions_are_two_requests_and_the_second_answer_is_whole(
    openai: AsyncOpenAI, provider: FakeProvider
) -> None:
    async def text(model: str, *said: str) -> str:
        stream = await openai.chat.completions.create(**ask(model, *said), stream=True, extra_headers=KEY)
        chunks = [chunk async for chunk in stream]
        assert [each.choices[0].finish_reason for each in chunks][-1] == "stop"
        return "".join(each.choices[0].delta.content or "" for each in chunks)

    older = asyncio.create_task(text("silent", "Hi"))
    await requests_at(provider, 1)
    newer = await text("paced", "Hi", "Wait")
    assert await older == ""
    assert newer.startswith(ANSWER[:20])
    assert len(provider.log) == 2


async def test_two_questions_without_streaming_are_two_requests(openai: AsyncOpenAI, provider: FakeProvider) -> None:
    older = asyncio.create_task(openai.chat.completions.create(**ask("silent", "Hi"), extra_headers=KEY))
    await requests_at(provider, 1)
    newer = await openai.chat.completions.create(**ask("paced", "Hi", "Wait"), extra_headers=KEY)
    assert (await older).choices[0].message.content == ""
    assert newer.choices[0].message.content
    assert len(provider.log) == 2


@pytest.mark.parametrize("stream", [True, False])
async def test_the_superseded_answer_says_so_in_a_header(
    http: httpx.AsyncClient, provider: FakeProvider, stream: bool
) -> None:
    body = ask("silent", "Hi", stream=stream)
    older = asyncio.create_task(http.post("/v1/chat/completions", json=body))
    await requests_at(provider, 1)
    newer = await http.post("/v1/chat/completions", json=ask("paced", "Hi", "Wait"))
    assert ((await older).status_code, (await older).headers["x-switchboard-superseded"]) == (200, "true")
    assert "x-switchboard-superseded" not in newer.headers


async def test_a_superseded_request_that_is_sent_again_disturbs_nothing(
    http: httpx.AsyncClient, provider: FakeProvider
) -> None:
    """A client whose connection broke sends the same body again while the newer answer runs."""
    older = asyncio.create_task(http.post("/v1/chat/completions", json=ask("silent", "Hi", stream=True)))
    await requests_at(provider, 1)
    newer = asyncio.create_task(http.post("/v1/chat/completions", json=ask("paced", "Hi", "Wait", stream=True)))
    await requests_at(provider, 2)
    again = await http.post("/v1/chat/completions", json=ask("silent", "Hi", stream=True))
    assert again.headers["x-switchboard-superseded"] == "true"
    assert "x-switchboard-superseded" not in (await newer).headers
    assert "x-switchboard-superseded" in (await older).headers
    assert len(provider.log) == 2


async def test_a_turn_that_all_deployments_failed_is_not_multiplied_by_the_client(
    openai: AsyncOpenAI, provider: FakeProvider
) -> None:
    with pytest.raises(Exception, match="No provider could answer"):
        await openai.chat.completions.create(**ask("broken", "Hi"))
    assert len(provider.log) == 1
