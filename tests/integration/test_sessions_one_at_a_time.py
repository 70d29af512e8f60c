"""Of many turns that want one session one runs; the others are refused, wait in line, or take over."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from pathlib import Path

import pytest
from pydantic import SecretStr

from agent.sessions.events import SessionEnded
from agent.storage.database import Database, open_database
from config.profile.agent_file import AgentProfile
from router.fake.server.fake_provider import FakeProvider
from tests.support.serving import Served, direct, fake, serving, through_litellm
from tests.support.session_client import SessionClient, assert_error, said_in, text_of
from tests.support.session_rig import SessionRig, assert_consistent_history, eventually, queries, session_rig

PROFILE = AgentProfile("Be kind.", tools=())

SECOND = 1.0
"""What the wire contract allows; everything here takes a few milliseconds."""


@pytest.fixture
async def server(tmp_path: Path, database_url: SecretStr, provider: FakeProvider) -> AsyncIterator[Served]:
    models = [
        lane(f"silent-{name}", provider.base_url, "fake-silent", first_token_timeout=20)
        for name, lane in (("direct", direct), ("litellm", through_litellm))
    ]
    async with serving(tmp_path, fake(), *models, agent={"tools": []}, database_url=database_url) as served:
        yield served


@pytest.fixture
async def database(database_url: SecretStr, tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(database_url.get_secret_value(), tmp_path, 5, 10.0) as database:
        yield database


@pytest.fixture
async def rig(database: Database) -> AsyncIterator[SessionRig]:
    async with session_rig(database, PROFILE) as rig:
        yield rig


async def test_of_fifty_one_runs_and_the_others_are_told_when_to_come_back(
    client: SessionClient, provider: FakeProvider
) -> None:
    asked = [
        asyncio.create_task(client.post("invoke", query=f"{n}", session_id="s", model="silent-direct"))
        for n in range(50)
    ]
    for count, answer in enumerate(asyncio.as_completed(asked), 1):
        refused = await answer
        assert_error(refused, 409, "session_busy")
        assert 1 <= int(refused.headers["retry-after"]) <= 10
        if count == 49:
            break
    (running,) = [each for each in asked if not each.done()]
    assert (await client.status())["last_query"] == str(asked.index(running))
    assert len(provider.log) == 1
    stopped = (await client.http.post("/agent/cancel/ann/s")).json()
    assert stopped["status"] == "idle"
    assert (await running).json()["error"]["code"] == "cancelled"
    assert await client.transcript() == [("user", str(asked.index(running)))]


async def test_those_that_wait_in_line_run_in_the_order_in_which_they_came(rig: SessionRig) -> None:
    turns = [rig.invoke(f"{n}", on_busy="enqueue") for n in range(30)]
    for each in await asyncio.gather(*(turn.read_all() for turn in turns)):
        assert isinstance(each[-1], SessionEnded)
    assert [turn.text for turn in turns] == [f"You said: {n}" for n in range(30)]
    history = await rig.history()
    assert_consistent_history(history)
    assert queries(history) == [f"{n}" for n in range(30)]
    assert len(history) == 60


async def test_one_in_the_line_that_hangs_up_holds_nobody_up(rig: SessionRig) -> None:
    first = rig.invoke("/wait 60s", on_busy="enqueue")
    await first.read(1)
    gone = [asyncio.create_task(rig.invoke(f"gone {n}", on_busy="enqueue").read_all()) for n in range(3)]
    last = asyncio.create_task(rig.invoke("last", on_busy="enqueue").read_all())
    for _ in range(3):
        assert await rig.status() == "running"  # each takes as long as they need to get into the line
    for each in gone:
        each.cancel()
    await asyncio.wait(gone)
    await first.aclose()
    assert isinstance((await last)[-1], SessionEnded)
    assert queries(await rig.history()) == ["/wait 60s", "last"]


async def test_everything_that_is_acknowledged_is_in_the_history(client: SessionClient) -> None:
    answers = await asyncio.gather(
        *(client.post("invoke", query=f"{n}", session_id="s", on_busy="enqueue") for n in range(30))
    )
    assert Counter(each.status_code for each in answers) == {200: 30}
    said = await client.transcript()
    assert sorted(text for role, text in said if role == "user") == sorted(f"{n}" for n in range(30))
    for (_, query), (_, answer) in zip(said[::2], said[1::2], strict=True):
        assert answer == f"You said: {query}"


@pytest.mark.parametrize("lane", ["direct", "litellm"])
async def test_a_newer_message_takes_over_down_to_the_providers_socket(
    client: SessionClient, provider: FakeProvider, lane: str
) -> None:
    older = asyncio.create_task(client.post("invoke", query="older", session_id="s", model=f"silent-{lane}"))
    await eventually(lambda: len(provider.log) == 1)
    async with asyncio.timeout(SECOND):
        newest = await client.invoke("newest", on_busy="supersede", model="fake")
        await eventually(lambda: provider.log[-1].ended_by == "caller" and provider.open_connections == 0)
    assert said_in(newest) == "You said: newest"
    assert (await older).json()["error"]["code"] == "cancelled"
    assert await client.transcript() == [("user", "older"), ("user", "newest"), ("assistant", "You said: newest")]


async def test_of_many_that_take_over_the_last_one_is_answered(client: SessionClient, provider: FakeProvider) -> None:
    asked = []
    for n in range(8):
        taking_over = client.post("invoke", query=f"{n}", session_id="s", model="silent-direct", on_busy="supersede")
        asked.append(asyncio.create_task(taking_over))
        await eventually(lambda n=n: len(provider.log) == n + 1)
    newest = await client.invoke("newest", on_busy="supersede", model="fake")
    assert said_in(newest) == "You said: newest"
    answers = [(await each).json() for each in asked]
    assert [each["error"]["code"] for each in answers] == ["cancelled"] * 8
    assert [text for role, text in await client.transcript() if role == "user"] == [*map(str, range(8)), "newest"]
    await eventually(lambda: provider.open_connections == 0)


async def test_a_stream_that_is_taken_over_ends_with_an_error_event(client: SessionClient) -> None:
    async with client.streaming("invoke", query="/say One\n/wait 60s") as events, aclosing(events):
        heard = [await anext(events)]
        assert (await client.invoke("newest", on_busy="supersede"))["status"] == "completed"
        heard += [event async for event in events]
    assert (text_of(heard), heard[-1]["type"], heard[-1]["code"]) == ("One", "error", "cancelled")
    assert (await client.transcript())[1] == ("assistant", "One")


async def test_cancelling_waits_for_the_turn_and_not_for_those_in_line(database: Database, rig: SessionRig) -> None:
    line = [asyncio.create_task(rig.invoke(f"/say {n}\n/wait 60s", on_busy="enqueue").read_all()) for n in range(4)]

    async def has_begun(query: str) -> bool:
        found = await rig.service.find("ann", "s")
        return found is not None and (found.status, found.last_query) == ("running", query)

    # Another process looks now and then, and by that time the next turn runs.
    async with session_rig(database, PROFILE) as other:
        for n, turn in enumerate(line):
            await eventually(partial(has_begun, f"/say {n}\n/wait 60s"))
            async with asyncio.timeout(10):
                await other.service.cancel("ann", "s")
                assert isinstance((await turn)[-1], SessionEnded)


async def test_a_message_takes_the_place_of_one_that_was_not_finished(rig: SessionRig) -> None:
    await rig.invoke("Hel").read_all()
    await rig.invoke("Hello.", replaces=True).read_all()
    running = rig.invoke("My name is")
    await running.read(3)
    replacing = rig.invoke("My name is Ann.", on_busy="supersede", replaces=True)
    reading = asyncio.create_task(replacing.read_all())
    await running.aclose()
    await reading
    history = await rig.history()
    assert queries(history) == ["Hello.", "My name is Ann."]
    assert len(history) == 4
    await rig.invoke("My name is Ann. And yours?", replaces=True).read_all()
    assert queries(await rig.history()) == ["Hello.", "My name is Ann. And yours?"]
    assert_consistent_history(await rig.history())
