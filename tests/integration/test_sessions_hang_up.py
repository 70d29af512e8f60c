"""A client that dies at any moment of a streamed turn: a new one finds everything by the user's id, and goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import tool
from pydantic import SecretStr

from agent.tools.tool_set import SERVER_TOOLS
from tests.support.serving import Served, fake, serving
from tests.support.session_client import SessionClient
from tests.support.session_rig import eventually

pytestmark = pytest.mark.both_databases

Json = dict[str, Any]

QUERY = """
/say I look into it and book it.
/call multiply {"a": 6, "b": 7}
/call book_hotel {"hotel_name": "Ritz"}
/then
/say It is booked, I connect you.
/call multiply {"a": 1, "b": 2}
/call transferCall {}
""".strip()


@pytest.fixture
async def server(tmp_path: Path, database_url: SecretStr, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    @tool
    async def multiply(a: int, b: int) -> int:
        """Takes its time."""
        await asyncio.sleep(0.005)
        return a * b

    monkeypatch.setitem(SERVER_TOOLS, "multiply", multiply)
    agent = {"tools": ["multiply", "book_hotel", "transferCall"], "review": ["book_hotel"]}
    async with serving(tmp_path, fake(), agent=agent, database_url=database_url) as served:
        yield served


async def hears(client: SessionClient, count: int, path: str, **fields: Any) -> list[Json]:
    """The first events of a turn; then the client is gone."""
    heard: list[Json] = []
    async with client.streaming(path, **fields) as events, aclosing(events):
        while len(heard) < count and (event := await anext(events, None)) is not None:
            heard.append(event)
    return heard


async def settled(client: SessionClient) -> Json:
    """What a new client finds, once the server has noticed that the old one is gone."""
    assert (await client.get(f"active/sessionid/{client.user_id}"))["active_session_id"] == "s"

    async def is_over() -> bool:
        return (await client.status())["status"] != "running"

    await eventually(is_over)
    return await client.status()


def assert_consistent_history(history: list[Json]) -> None:
    """Every tool call has one result, right behind the message that called."""
    left: list[str] = []
    for message in history:
        if message["role"] == "tool":
            left.remove(message["tool_call_id"])
        else:
            assert not left
            left = [each["id"] for each in message.get("tool_calls", ())]
    assert not left


async def goes_on(client: SessionClient) -> None:
    assert (await client.invoke("And now?"))["status"] == "completed"
    history = await client.history()
    assert_consistent_history(history)
    assert [each["content"] for each in history if each["role"] == "user"] == [QUERY, "And now?"]
    assert history[-1]["content"] == "You said: And now?"


async def test_hanging_up_at_any_event_of_a_turn_that_ends_with_a_review(client: SessionClient) -> None:
    whole = await client.of("first").stream("invoke", query=QUERY)
    assert whole[-1]["type"] == "interrupt"
    for count in range(len(whole) + 1):
        each = client.of(f"user {count}")
        heard = await hears(each, count, "invoke", query=QUERY)
        found = await settled(each)
        assert found["last_query"] == QUERY
        if heard[-1:] and heard[-1]["type"] == "interrupt":
            assert found["status"] == "interrupted"
        if found["status"] == "interrupted":
            answer = {"interrupt_id": found["interrupt_data"]["interrupt_id"], "response_type": "accept"}
            assert (await each.resume(**answer))["status"] == "completed"
        else:
            assert found["status"] == "idle"
        await goes_on(each)


async def test_hanging_up_at_any_event_of_a_turn_that_goes_on_after_a_review(client: SessionClient) -> None:
    first = client.of("first")
    await first.invoke(QUERY)
    whole = await first.stream("resume", response_type="accept")
    assert whole[-1]["type"] == "completed"
    for count in range(len(whole) + 1):
        each = client.of(f"user {count}")
        assert (await each.invoke(QUERY))["status"] == "interrupted"
        await hears(each, count, "resume", response_type="accept")
        assert (await settled(each))["status"] in ("idle", "completed", "interrupted")
        if (await each.status())["status"] == "interrupted":  # gone before the server had read the answer
            assert (await each.resume(response_type="reject"))["status"] == "completed"
        await goes_on(each)
