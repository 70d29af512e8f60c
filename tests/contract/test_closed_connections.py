"""A provider closes a connection that was kept open, at the moment when the next request is sent on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest
from litellm.constants import AIOHTTP_KEEPALIVE_TIMEOUT
from pydantic import SecretStr

from config.errors import ConnectionFailed
from config.models.deployments import Deployment
from router.lanes.base import Lane, LaneRequest
from router.lanes.http_client import KEEP_ALIVE, HttpClient
from router.lanes.openai_lane import OpenAILane
from tests.contract.local_provider import DONE, LocalProvider, event, local_provider, stalling, streaming

HELLO = streaming(event({"content": "Hello"}), event(finish="stop"), DONE)
KEPT = 3


@pytest.fixture
async def openai_lane() -> AsyncIterator[Lane]:
    lane = OpenAILane(HttpClient())
    yield lane
    await lane.aclose()


async def said(lane: Lane, provider: LocalProvider) -> str:
    deployment = Deployment(
        id="d1", group="g", model="openai/gpt-4o-mini", api_key=SecretStr("sk-key"), api_base=provider.url
    )
    request = LaneRequest(deployment, [{"role": "user", "content": "hi"}], {}, timeout=10)
    async with aclosing(lane.stream(request)) as chunks:
        choices = [choice async for chunk in chunks for choice in chunk["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


@asynccontextmanager
async def kept_open(lane: Lane) -> AsyncIterator[LocalProvider]:
    """A provider with `KEPT` idle connections to the lane."""
    all_here = asyncio.Event()

    async def together(writer: asyncio.StreamWriter) -> None:
        if len(provider.requests) == KEPT:
            all_here.set()
        await all_here.wait()
        await HELLO(writer)

    async with local_provider(together) as provider:
        await asyncio.gather(*(said(lane, provider) for _ in range(KEPT)))
        assert len(provider.connections) == KEPT
        provider.requests.clear()
        provider.reply = HELLO
        yield provider


def close_idle(provider: LocalProvider) -> None:
    for connection in provider.connections:
        connection.close()  # the lane learns of it only when it has sent its next request


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def test_the_request_is_sent_again_on_a_new_connection(openai_lane: Lane) -> None:
    async with kept_open(openai_lane) as provider:
        close_idle(provider)
        assert await said(openai_lane, provider) == "Hello"
        assert len(provider.connections) == KEPT + 1


def test_litellm_keeps_an_idle_connection_no_longer() -> None:
    assert AIOHTTP_KEEPALIVE_TIMEOUT == KEEP_ALIVE


async def test_it_is_sent_again_only_once(openai_lane: Lane) -> None:
    async with kept_open(openai_lane) as provider:
        provider.reply = hang_up
        with pytest.raises(ConnectionFailed):
            await said(openai_lane, provider)
        assert len(provider.requests) == 2


async def test_a_request_on_a_new_connection_is_not_sent_again(openai_lane: Lane) -> None:
    async with local_provider(hang_up) as provider:
        with pytest.raises(ConnectionFailed):
            await said(openai_lane, provider)
        assert len(provider.requests) == 1


@pytest.mark.parametrize("head", [b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Ty"])
async def test_a_response_that_has_begun_is_not_asked_for_again(openai_lane: Lane, head: bytes) -> None:
    async def begin(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        writer.close()

    async with kept_open(openai_lane) as provider:
        provider.reply = begin
        with pytest.raises(ConnectionFailed):
            await said(openai_lane, provider)
        assert len(provider.requests) == 1


async def test_a_hang_up_also_closes_the_new_connection(openai_lane: Lane) -> None:
    async with kept_open(openai_lane) as provider:
        close_idle(provider)
        provider.reply = stalling()
        provider.asked.clear()
        provider.hung_up.clear()
        turn = asyncio.create_task(said(openai_lane, provider))
        async with asyncio.timeout(5):
            await provider.asked.wait()
        assert len(provider.connections) == KEPT + 1
        provider.hung_up.clear()  # the closed connections have set it
        turn.cancel()
        async with asyncio.timeout(1):
            await provider.hung_up.wait()
        with pytest.raises(asyncio.CancelledError):
            await turn
