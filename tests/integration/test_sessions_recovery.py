"""A server that is killed in the middle of turns: what is said of each session is true, and it goes on.

The server is a process of its own, and it is SIGKILL that ends it. Each user is in another state by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from agent.sessions.sessions_table import CRASHED
from agent.tools.review import OUTCOME_UNKNOWN
from tests.support.marks import Marks
from tests.support.server_process import LEASE, client_of_process, running, server_in
from tests.support.serving import fake
from tests.support.session_client import SessionClient, assert_error
from tests.support.session_rig import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Restarted:
    """The server after it was killed. `before` are the statuses by user; `at_once` those right after its start."""

    client: SessionClient
    marks: Marks
    before: dict[str, Json]
    at_once: dict[str, Json]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('data')}/switchboard.db"
    else:
        yield request.getfixturevalue("postgres_for_all").migrated_database()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def restarted(database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Restarted]:
    folder = tmp_path_factory.mktemp("server")
    marks = Marks(folder)
    models = (fake(), fake("slow", "fake/echo?gap=50ms"))
    server = server_in(folder, *models, agent=marks.agent, database_url=database)
    async with running(server), client_of_process(server) as client:
        async with AsyncExitStack() as open_streams:
            before = await begun(client, marks, open_streams)
            await server.kill()
        await server.start()
        at_once = {user: await client.of(user).status() for user in before}
        yield Restarted(client, marks, before, at_once)


async def begun(client: SessionClient, marks: Marks, open_streams: AsyncExitStack) -> dict[str, Json]:
    """Every user is in the middle of something; their statuses."""

    async def stream(user: str, path: str, **fields: Any) -> None:
        events = await open_streams.enter_async_context(client.of(user).streaming(path, **fields))
        await anext(await open_streams.enter_async_context(aclosing(events)))

    for user in ("waits", "accepts", "edits"):
        asked = await client.of(user).invoke(f'/call mark_if_allowed {{"name": "{user}"}}')
        assert asked["status"] == "interrupted"
    accepting = client.of("accepts").post("resume", session_id="s", response_type="accept")
    resumed = asyncio.create_task(accepting)
    open_streams.push_async_callback(asyncio.wait, [resumed])
    await eventually(lambda: marks.count("accepts"))
    await client.of("idles").invoke("Hi")
    await stream("calls", "invoke", query='/call mark {"name": "calls"}')
    await eventually(lambda: marks.count("calls"))
    # The last one, because it ends by itself after 25 seconds.
    await stream("hears", "invoke", query="/tokens 500", model="slow")
    users = ("hears", "calls", "waits", "accepts", "edits", "idles")
    return {user: await client.of(user).status() for user in users}


async def reads_as_an_error(client: SessionClient) -> Json:
    """The session, found by its user alone, when the lease of its turn has lapsed."""
    assert (await client.get(f"active/sessionid/{client.user_id}"))["active_session_id"] == "s"

    async def lapsed() -> bool:
        return (await client.status())["status"] != "running"

    await eventually(lapsed, LEASE + 10)
    found = await client.status()
    assert (found["status"], found["message"]) == ("error", CRASHED)
    return found


async def goes_on(client: SessionClient) -> list[tuple[str, str]]:
    assert (await client.invoke("And now?"))["status"] == "completed"
    assert (await client.status())["status"] == "completed"
    said = await client.transcript()
    assert said[-2] == ("user", "And now?")
    return said


async def test_no_status_is_made_up(restarted: Restarted) -> None:
    assert {user: each["status"] for user, each in restarted.before.items()} == {
        "hears": "running",
        "calls": "running",
        "waits": "interrupted",
        "accepts": "running",
        "edits": "interrupted",
        "idles": "completed",
    }
    for user, status in restarted.at_once.items():
        if status["status"] == "error":
            assert status["message"] == CRASHED
            status = {**status, "status": "running", "message": ""}
        assert status == restarted.before[user]


async def test_killed_in_the_middle_of_a_stream(restarted: Restarted) -> None:
    client = restarted.client.of("hears")
    assert (await reads_as_an_error(client))["last_query"] == "/tokens 500"
    assert await goes_on(client) == [
        ("user", "/tokens 500"),
        ("user", "And now?"),
        ("assistant", "You said: And now?"),
    ]


async def test_killed_during_a_tool(restarted: Restarted) -> None:
    client = restarted.client.of("calls")
    restarted.marks.release("calls")
    await reads_as_an_error(client)
    said = await goes_on(client)
    assert [role for role, _ in said] == ["user", "assistant", "tool", "user", "assistant"]
    assert said[2][1] == OUTCOME_UNKNOWN
    assert restarted.marks.count("calls") == 1


async def test_killed_while_a_review_waits(restarted: Restarted) -> None:
    client = restarted.client.of("waits")
    assert (await client.get("active/sessionid/waits"))["active_session_id"] == "s"
    waiting = await client.status()
    assert waiting == restarted.before["waits"]
    restarted.marks.release("waits")
    answer = {"interrupt_id": waiting["interrupt_data"]["interrupt_id"], "response_type": "accept"}
    assert (await client.resume(**answer))["status"] == "completed"
    assert (await client.transcript())[-1] == ("assistant", "The tool answered: marked waits")
    assert_error(await client.post("resume", session_id="s", **answer), 409, "not_pending")
    assert restarted.marks.count("waits") == 1


async def test_a_review_that_was_asked_for_before_may_change_the_arguments(restarted: Restarted) -> None:
    client = restarted.client.of("edits")
    restarted.marks.release("edited")
    assert (await client.resume(response_type="edit", args={"name": "edited"}))["status"] == "completed"
    assert (restarted.marks.count("edits"), restarted.marks.count("edited")) == (0, 1)


async def test_killed_during_a_tool_that_was_accepted(restarted: Restarted) -> None:
    client = restarted.client.of("accepts")
    restarted.marks.release("accepts")
    await reads_as_an_error(client)
    assert_error(await client.post("resume", session_id="s", response_type="accept"), 409, "not_pending")
    said = await goes_on(client)
    assert [role for role, _ in said] == ["user", "assistant", "tool", "user", "assistant"]
    assert restarted.marks.count("accepts") == 1


async def test_a_session_on_which_nothing_ran_is_as_it_was(restarted: Restarted) -> None:
    client = restarted.client.of("idles")
    assert await client.status() == restarted.before["idles"]
    assert [role for role, _ in await goes_on(client)] == ["user", "assistant"] * 2
