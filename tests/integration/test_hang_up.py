"""A caller that hangs up stops everything that works for it, down to the provider's socket, within a second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_core.tools import tool

from agent.tools.tool_set import SERVER_TOOLS
from router.fake.server.fake_provider import FakeProvider
from tests.support.serving import Served, direct, fake, serving, through_litellm

SECOND = 1.0
"""What the wire contract allows; everything here takes a few milliseconds."""


@pytest.fixture
async def server(tmp_path: Path, provider: FakeProvider) -> AsyncIterator[Served]:
    behaviours = {"silent": "fake-silent", "paced": "fake-ok?gap=50ms&tokens=600", "stall": "fake-stall"}
    models = [
        lane(f"{name}-{kind}", provider.base_url, model, first_token_timeout=20, stall_timeout=20)
        for name, model in behaviours.items()
        for kind, lane in (("direct", direct), ("litellm", through_litellm))
    ]
    async with serving(tmp_path, fake(), *models, agent={"tools": ["book_hotel"]}, keep_alive_interval=0.05) as served:
        yield served


async def becomes_true(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECOND):
        while not condition():
            await asyncio.sleep(0.001)


def body(model: str, text: str = "Hi", *, stream: bool = True) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}


@asynccontextmanager
async def listening(server: Served, asked: dict[str, Any], prefix: str) -> AsyncIterator[None]:
    """A caller that listens until a line begins with `prefix`, and hangs up at the end of the block."""
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=10) as http:
        async with http.stream("POST", "/v1/chat/completions", json=asked) as response:
            # A generator that is dropped hangs up by itself, so it is held to the end.
            async with aclosing(response.aiter_lines()) as lines:
                async for line in lines:
                    if line.startswith(prefix):
                        break
                yield


@pytest.mark.parametrize("lane", ["direct", "litellm"])
@pytest.mark.parametrize(
    ("behaviour", "after"), [("silent", ": keep-alive"), ("paced", "data: "), ("stall", ": keep-alive")]
)
async def test_the_providers_connection_closes_while_a_stream_runs(
    server: Served, provider: FakeProvider, behaviour: str, lane: str, after: str
) -> None:
    async with listening(server, body(f"{behaviour}-{lane}"), after):
        await becomes_true(lambda: len(provider.log) == 1)
        assert provider.log[-1].ended is None
    await becomes_true(lambda: provider.log[-1].ended_by == "caller" and provider.open_connections == 0)


@pytest.mark.parametrize("lane", ["direct", "litellm"])
async def test_the_providers_connection_closes_while_an_unstreamed_answer_is_made(
    server: Served, provider: FakeProvider, lane: str
) -> None:
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=10) as http:
        asked = asyncio.create_task(http.post("/v1/chat/completions", json=body(f"paced-{lane}", stream=False)))
        await becomes_true(lambda: len(provider.log) == 1)
        asked.cancel()
    await becomes_true(lambda: provider.log[-1].ended_by == "caller" and provider.open_connections == 0)


async def test_a_running_tool_is_cancelled(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    @tool
    async def book_hotel(hotel_name: str) -> str:
        """Takes for ever."""
        seen.append("started")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        return hotel_name

    monkeypatch.setitem(SERVER_TOOLS, "book_hotel", book_hotel)
    asked = body("fake", '/call book_hotel {"hotel_name": "Ritz"}')
    async with listening(server, asked, ": keep-alive"):
        assert seen == ["started"]
    await becomes_true(lambda: seen == ["started", "cancelled"])


async def test_nothing_is_left_behind(server: Served, provider: FakeProvider) -> None:
    before = asyncio.all_tasks()
    for count in range(1, 4):
        async with listening(server, body("silent-direct"), ": keep-alive"):
            await becomes_true(lambda count=count: len(provider.log) == count)  # type: ignore[misc]
    await becomes_true(lambda: provider.open_connections == 0)
    async with httpx.AsyncClient(base_url=server.url) as http:
        health = (await http.get("/health")).json()
    assert sum(each["in_flight"] for each in health["deployments"]) == 0
    # What serves the keep-alive connections of this client and of the provider may end a moment later.
    await becomes_true(lambda: not [task for task in asyncio.all_tasks() - before if "EventStream" in repr(task)])
