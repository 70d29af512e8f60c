"""A phone call whose carrier connects to another server: for the call they are one server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.integration.test_phone_calls import AGENT, BOOK, REVIEW, closed
from tests.support.phone import CALL, CALLER, phone
from tests.support.redis_server import redis_server
from tests.support.serving import Served, fake, serving
from tests.support.session_client import client_of


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[tuple[Served, Served]]:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    async with redis_server() as redis:
        shared = {
            "data_dir": tmp_path / "data",
            "redis_url": SecretStr(redis.url),
            "finds_blocking": False,
            "agent": AGENT,
        }
        async with serving(tmp_path / "here", fake(), **shared) as here:
            async with serving(tmp_path / "there", fake(), **shared) as there:
                yield here, there


async def test_the_newer_connection_wins_on_another_server(servers: tuple[Served, Served]) -> None:
    here, there = servers
    async with phone(here) as older:
        assert await older.ask("One") == "You said: One"
        await older.say("/say Two\n/wait 5s\n/say Three")
        await older.frame()
        async with phone(there) as newer:
            assert await closed(older) == 4000
            assert await newer.ask("Four") == "You said: Four"
            async with phone(here) as newest:
                assert await closed(newer) == 4000
                assert await newest.ask("Five") == "You said: Five"
    async with client_of(here, CALLER) as client:
        asked = [text for role, text in await client.transcript(CALL) if role == "user"]
    assert [asked[0], *asked[2:]] == ["One", "Four", "Five"]


async def test_a_decision_on_another_server_is_told(servers: tuple[Served, Served]) -> None:
    here, there = servers
    async with phone(here) as line, client_of(there, CALLER) as client:
        assert await line.ask(BOOK) == f"Let me book that. {REVIEW}"
        await client.resume(CALL, response_type="accept")
        assert await line.heard() == "It is booked."
