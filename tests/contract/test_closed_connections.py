"""A provider closes a connection that was kept open, at the moment when the next request is sent on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest
from litellm.constants import AIOHTTP_KEEPALIVE_TIMEOUT
from pydantic import SecretStr

from config.errors import ConnectionFailed, StaleConnection
from config.models.deployments import Deployment
from router.lanes.base import Lane, LaneRequest
from router.lanes.http_client import DISTRUST, KEEP_ALIVE, HttpClient
from router.lanes.openai_lane import OpenAILane
from tests.contract.local_provider import DONE, LocalProvider, event, local_provider, streaming

HELLO = streaming(event({"content": "Hello"}), event(finish="stop"), DONE)
KEPT = 3


@pytest.fixture
def clock() -> list[float]:
    return [100.0]


@pytest.fixture
async def openai_lane(clock: list[float]) -> AsyncIterator[Lane]:
    lane = OpenAILane(HttpClient(lambda: clock[0]))
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


async def test_it_says_nothing_of_the_provider_and_the_next_request_goes_on_a_new_connection(openai_lane: Lane) -> None:
    async with kept_open(openai_lane) as provider:
        close_idle(provider)
        with pytest.raises(StaleConnection) as raised:
            await said(openai_lane, provider)
        assert not raised.value.counts
        assert await said(openai_lane, provider) == "Hello"
        assert len(provider.connections) == KEPT + 1


async def test_a_moment_later_connections_are_kept_again(clock: list[float], openai_lane: Lane) -> None:
    async with kept_open(openai_lane) as provider:
        close_idle(provider)
        with pytest.raises(StaleConnection):
            await said(openai_lane, provider)
        clock[0] += DISTRUST
        for _ in range(3):
            assert await said(openai_lane, provider) == "Hello"
        assert len(provider.connections) == KEPT + 1


def test_litellm_keeps_an_idle_connection_no_longer() -> None:
    assert AIOHTTP_KEEPALIVE_TIMEOUT == KEEP_ALIVE


async def test_a_new_connection_that_breaks_is_the_providers_failure(openai_lane: Lane) -> None:
    async with local_provider(hang_up) as provider:
        with pytest.raises(ConnectionFailed) as raised:
            await said(openai_lane, provider)
        assert not isinstance(raised.value, StaleConnection)


@pytest.mark.parametrize("head", [b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Ty"])
async def test_a_response_that_has_begun_is_the_providers_failure(openai_lane: Lane, head: bytes) -> None:
    async def begin(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        writer.close()

    async with kept_open(openai_lane) as provider:
        provider.reply = begin
        with pytest.raises(ConnectionFailed) as raised:
            await said(openai_lane, provider)
        assert not isinstance(raised.value, StaleConnection)
