"""Two server processes on one database: for a session they are one server."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio

from agent.tools.review import OUTCOME_UNKNOWN
from router.fake.server.fake_provider import FakeProvider
from tests.support.marks import Marks
from tests.support.redis_server import redis_server
from tests.support.server_process import ServerProcess, client_of_process, running, server_in
from tests.support.serving import direct, fake
from tests.support.session_client import SessionClient, assert_error, said_in
from tests.support.session_rig import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOON = 5.0
"""Seconds: the servers look twice a second whether somebody wants a turn to end, or hear it; the machine is busy."""


@dataclass(frozen=True, slots=True)
class Two:
    """The same user at two servers, and what works for both."""

    here: SessionClient
    there: SessionClient
    server_here: ServerProcess
    provider: FakeProvider
    marks: Marks

    def of(self, user: str) -> tuple[SessionClient, SessionClient]:
        self.provider.log.reset()
        return self.here.of(user), self.there.of(user)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgres and redis"])
async def two(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Two]:
    folder = tmp_path_factory.mktemp("servers")
    settings = {"database_url": f"sqlite:///{folder}/switchboard.db"}
    marks = Marks(folder)
    async with AsyncExitStack() as closing:
        provider = await closing.enter_async_context(FakeProvider())
        if "postgres" in request.param:
            settings["database_url"] = request.getfixturevalue("postgres_for_all").migrated_database()
        if "redis" in request.param:
            settings["redis_url"] = (await closing.enter_async_context(redis_server())).url
        models = (fake(), direct("silent", provider.base_url, "fake-silent", first_token_timeout=30))
        servers = [server_in(folder / name, *models, agent=marks.agent, **settings) for name in ("a", "b")]
        await closing.enter_async_context(running(*servers))
        here, there = [await closing.enter_async_context(client_of_process(each)) for each in servers]
        yield Two(here, there, servers[0], provider, marks)


async def test_of_fifty_one_runs(two: Two) -> None:
    here, there = two.of("fifty")
    asked = [
        asyncio.create_task(each.post("invoke", query="Hi", session_id="s", model="silent"))
        for each in (here, there) * 25
    ]
    for count, answer in enumerate(asyncio.as_completed(asked), 1):
        assert_error(await answer, 409, "session_busy")
        if count == 49:
            break
    async with asyncio.timeout(30):
        while not two.provider.log:  # the others may be refused before the first has reached the provider
            await asyncio.sleep(0.01)
    assert len(two.provider.log) == 1
    for each in (here, there):
        assert (await each.status())["status"] == "running"
    await here.http.post("/agent/cancel/fifty/s")


async def test_all_that_wait_in_line_run_one_after_another(two: Two) -> None:
    here, there = two.of("line")
    answers = await asyncio.gather(
        *(
            each.post("invoke", query=f"{n}", session_id="s", on_busy="enqueue")
            for n, each in enumerate([here, there] * 8)
        )
    )
    assert Counter(each.status_code for each in answers) == {200: 16}
    said = await there.transcript()
    assert sorted(text for role, text in said if role == "user") == sorted(f"{n}" for n in range(16))
    assert [answer for _, answer in said[1::2]] == [f"You said: {query}" for _, query in said[::2]]


async def test_a_cancel_reaches_the_turn_in_the_other_server_down_to_the_providers_socket(two: Two) -> None:
    here, there = two.of("cancelled")
    running = asyncio.create_task(here.post("invoke", query="Hi", session_id="s", model="silent"))
    await eventually(lambda: len(two.provider.log) == 1)
    async with asyncio.timeout(SOON):
        stopped = (await there.http.post("/agent/cancel/cancelled/s")).json()
        await eventually(lambda: two.provider.log[-1].ended_by == "caller")
        assert (await running).json()["error"]["code"] == "cancelled"
    assert stopped["status"] == "idle"


async def test_a_newer_message_takes_over_from_the_other_server(two: Two) -> None:
    here, there = two.of("superseded")
    older = asyncio.create_task(here.post("invoke", query="older", session_id="s", model="silent"))
    await eventually(lambda: len(two.provider.log) == 1)
    async with asyncio.timeout(SOON):
        newest = await there.invoke("newest", on_busy="supersede", model="fake")
        await eventually(lambda: two.provider.log[-1].ended_by == "caller")
    assert said_in(newest) == "You said: newest"
    assert (await older).json()["error"]["code"] == "cancelled"
    assert await here.transcript() == [("user", "older"), ("user", "newest"), ("assistant", "You said: newest")]


async def test_of_many_answers_to_a_review_one_counts(two: Two) -> None:
    here, there = two.of("reviewed")
    asked = await here.invoke('/call mark_if_allowed {"name": "reviewed"}')
    two.marks.release("reviewed")
    answer = {"interrupt_id": asked["interrupt_data"]["interrupt_id"], "response_type": "accept"}
    answers = await asyncio.gather(*(each.post("resume", session_id="s", **answer) for each in (here, there) * 10))
    assert Counter(each.status_code for each in answers) == {200: 1, 409: 19}
    assert two.marks.count("reviewed") == 1
    assert (await there.transcript())[-1] == ("assistant", "The tool answered: marked reviewed")


async def test_what_one_server_said_the_other_cuts_to_what_was_heard(two: Two) -> None:
    here, there = two.of("heard")
    async with here.streaming("invoke", query="/say One two three\n/wait 60s") as events, aclosing(events):
        await anext(events)
        found = (await there.http.post("/agent/cancel/heard/s", json={"heard": "One two"})).json()
    assert (found["status"], said_in(found["last_response"])) == ("idle", "One two")
    assert (await here.transcript())[-1] == ("assistant", "One two")


async def test_a_server_that_was_frozen_past_its_leases_stores_nothing_that_it_still_had_in_hand(two: Two) -> None:
    users = [f"frozen{n}" for n in range(5)]
    asked = [asyncio.create_task(in_a_tool(two.here.of(user))) for user in users]
    await eventually(lambda: all(two.marks.count(user) for user in users))
    signal_to(two.server_here, signal.SIGSTOP)
    try:
        for user in users:
            two.marks.release(user)  # the tool's result waits in the frozen server's pipe
        for user in users:
            await goes_on_after_a_crash(two.there.of(user))
        histories = [await two.there.of(user).history() for user in users]
    finally:
        signal_to(two.server_here, signal.SIGCONT)
    for answer in await asyncio.gather(*asked):
        assert answer.json()["error"]["code"] == "lease_lost"
    for user, history in zip(users, histories, strict=True):
        here, there = two.of(user)
        assert await here.history() == history
        assert (await there.status())["status"] == "completed"
        assert await there.transcript() == [
            ("user", f'/call mark {{"name": "{user}"}}'),
            ("assistant", ""),
            ("tool", OUTCOME_UNKNOWN),
            ("user", "And now?"),
            ("assistant", "You said: And now?"),
        ]
        assert said_in(await here.invoke("And here?", model="fake")) == "You said: And here?"


async def in_a_tool(client: SessionClient) -> httpx.Response:
    return await client.post("invoke", query=f'/call mark {{"name": "{client.user_id}"}}', session_id="s")


async def goes_on_after_a_crash(client: SessionClient) -> None:
    async def lapsed() -> bool:
        return (await client.status())["status"] == "error"

    await eventually(lapsed)
    assert said_in(await client.invoke("And now?")) == "You said: And now?"


def signal_to(server: ServerProcess, signum: signal.Signals) -> None:
    """Only to the server's own process; its MCP server runs on."""
    assert server.process is not None
    os.kill(server.process.pid, signum)
