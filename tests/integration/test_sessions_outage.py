"""PostgreSQL goes away and comes back under load: errors say so and pass, and nothing that was acknowledged is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from tests.support.postgres_server import PostgresServer
from tests.support.serving import Served, fake, serving
from tests.support.session_client import SessionClient, assert_error, said_in
from tests.support.session_rig import eventually

USERS = 8


@pytest.fixture
def postgres(postgres_for_all: PostgresServer) -> PostgresServer:
    postgres_for_all.start()
    return postgres_for_all


@pytest.fixture
async def server(tmp_path: Path, postgres: PostgresServer) -> AsyncIterator[Served]:
    url = SecretStr(postgres.new_database())
    agent = {"tools": ["multiply", "book_hotel"], "review": ["book_hotel"]}
    models = (fake(), fake("slow", "fake/echo?gap=50ms"))
    async with serving(tmp_path, *models, agent=agent, database_url=url, session_lease=2.0) as served:
        yield served


def fails(calling: list[asyncio.Task[None]]) -> bool:
    """Whether one of them has met what it must not."""
    return any(each.done() for each in calling)


@dataclass
class Caller:
    """Sends one message after another, and notes what became of each."""

    client: SessionClient
    sent: int = 0
    acknowledged: list[str] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    async def call(self) -> None:
        while True:
            query = f"message {self.sent}"
            self.sent += 1
            answer = await self.client.post("invoke", query=query, session_id="s")
            if answer.status_code == 200:
                assert answer.json()["status"] == "completed"
                self.acknowledged.append(query)
                continue
            self.errors[answer.json()["error"]["code"]] += 1
            if answer.status_code == 503:
                assert_error(answer, 503, "storage_unavailable", "Try again in a moment")
            else:  # how the turn before ended is not stored yet
                assert_error(answer, 409, "session_busy")
            assert 1 <= int(answer.headers["retry-after"]) <= 2


async def test_a_restart_under_load_costs_time_and_nothing_else(
    client: SessionClient, postgres: PostgresServer
) -> None:
    callers = [Caller(client.of(f"user {n}")) for n in range(USERS)]
    calling = [asyncio.create_task(each.call()) for each in callers]
    await eventually(lambda: all(len(each.acknowledged) > 2 for each in callers) or fails(calling))
    await asyncio.to_thread(postgres.stop)
    await eventually(lambda: all(each.errors for each in callers) or fails(calling), 30)
    await asyncio.to_thread(postgres.start)
    before = [len(each.acknowledged) for each in callers]
    await eventually(
        lambda: all(len(each.acknowledged) > n + 2 for each, n in zip(callers, before, strict=True)) or fails(calling),
        30,
    )
    for each in calling:
        each.cancel()
    assert [
        each for each in await asyncio.gather(*calling, return_exceptions=True) if isinstance(each, Exception)
    ] == []
    for each in callers:
        assert set(each.errors) <= {"storage_unavailable", "session_busy"}
        said = [text for role, text in await each.client.transcript() if role == "user"]
        assert [text for text in said if text in each.acknowledged] == each.acknowledged
        assert (await each.client.invoke("after", on_busy="enqueue"))["status"] == "completed"


async def test_a_turn_that_ends_in_the_outage_is_stored_when_it_is_over(
    client: SessionClient, postgres: PostgresServer
) -> None:
    async with client.streaming("invoke", query="/tokens 30", model="slow") as events, aclosing(events):
        heard = [await anext(events)]
        await asyncio.to_thread(postgres.stop)
        heard += [event async for event in events]
    assert (heard[-1]["type"], heard[-1]["code"]) == ("error", "storage_unavailable")
    text = "".join(each["content"] for each in heard if each["type"] == "text_chunk")
    assert len(text.split()) == 30
    await asyncio.to_thread(postgres.start)

    async def is_stored() -> bool:
        return said_in((await client.status())["last_response"]) == text

    await eventually(is_stored)
    assert (await client.status())["status"] == "error"
    assert await client.transcript() == [("user", "/tokens 30"), ("assistant", text)]
    assert (await client.invoke("And now?"))["status"] == "completed"


async def test_everything_says_that_it_is_temporary_while_the_database_is_away(
    client: SessionClient, postgres: PostgresServer
) -> None:
    asked = await client.invoke('/call book_hotel {"hotel_name": "Ritz"}')
    await asyncio.to_thread(postgres.stop)
    http = client.http
    answers = await asyncio.gather(
        client.post("invoke", query="Hi", session_id="s"),
        client.post("invoke/stream", query="Hi", session_id="s"),
        client.post("resume", session_id="s", response_type="accept"),
        http.post("/agent/cancel/ann/s"),
        http.get("/agent/status/ann/s"),
        http.get("/agent/history/ann/s"),
        http.get("/agent/sessionids/ann"),
        http.get("/agent/active/sessionid/ann"),
        http.patch("/agent/session/ann/s", json={"ttl": 60}),
        http.delete("/agent/session/ann/s"),
        http.get("/agent/longterm/ann"),
    )
    for answer in answers:
        assert_error(answer, 503, "storage_unavailable", "Try again in a moment")
        assert answer.headers["retry-after"] == "1"
    await speaks(http)
    await asyncio.to_thread(postgres.start)

    async def is_back() -> bool:
        return (await http.get("/agent/status/ann/s")).status_code == 200

    await eventually(is_back)
    assert (await client.status())["interrupt_data"] == asked["interrupt_data"]
    assert (await client.resume(response_type="accept"))["status"] == "completed"


async def speaks(http: httpx.AsyncClient) -> None:
    """What needs no database goes on."""
    asked = {"model": "fake", "messages": [{"role": "user", "content": "Hi"}]}
    answer = await http.post("/v1/chat/completions", json=asked)
    assert answer.json()["choices"][0]["message"]["content"] == "You said: Hi"
