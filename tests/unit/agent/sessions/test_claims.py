"""What is left of a claim that is given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.sessions.claims import Claims
from agent.sessions.record import SessionRecord
from agent.sessions.signals import Signals
from agent.sessions.store import SessionStore
from agent.sessions.task_turn import TaskTurn
from agent.storage.database import open_database
from tests.support.sqlite_threads import sqlite_connections_closed

LAPSED = -1.0
"""A lease in seconds: the process of the turn has died."""

FIRST, SECOND, THIRD = (TaskTurn("task", attempt) for attempt in "123")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SessionStore]:
    async with open_database(None, tmp_path, 2, 10.0) as database:
        yield SessionStore(database, lease=LAPSED)
    await sqlite_connections_closed()


@pytest.fixture
async def crashed(store: SessionStore) -> SessionRecord:
    """The session of a task whose first attempt died."""
    record = await store.create("u", "s")
    await store.claim("u", "s", FIRST.turn_id, "Hi")
    return record


async def test_a_task_that_gives_up_its_claim_can_go_on_in_the_next_attempt(
    store: SessionStore, crashed: SessionRecord
) -> None:
    claims = Claims(store, Signals())
    claim = await claims.claim(crashed, "Hi", turn_id=SECOND.turn_id)
    await claims.release(claim)
    after = await store.find("u", "s")
    assert after is not None and THIRD.continues(after.turn_id) and after.status == "error"


async def test_so_can_one_that_is_cancelled_while_it_claims(store: SessionStore, crashed: SessionRecord) -> None:
    claims = Claims(store, Signals())
    claiming = asyncio.create_task(claims.try_claim("u", "s", "Hi", None, SECOND.turn_id))
    await asyncio.sleep(0)
    claiming.cancel()
    await asyncio.wait([claiming])
    after = await store.find("u", "s")
    assert claiming.cancelled() and after is not None and THIRD.continues(after.turn_id)


async def test_a_message_that_gives_up_its_claim_continues_nothing(store: SessionStore, crashed: SessionRecord) -> None:
    claims = Claims(store, Signals())
    await claims.release(await claims.claim(crashed, "Hello?"))
    after = await store.find("u", "s")
    assert after is not None and after.turn_id is None
    assert (after.status, after.last_query) == ("error", "Hi")


@pytest.mark.parametrize("error", [ValueError(), asyncio.CancelledError()])
async def test_a_claim_is_released_when_its_turn_does_not_begin(store: SessionStore, error: BaseException) -> None:
    before = await store.create("u", "s")
    claims = Claims(store, Signals())
    claim = await claims.claim(before, "Hi")
    with pytest.raises(type(error)):
        async with claims.released_on_error(claim):
            raise error
    after = await store.get("u", "s")
    assert (after.status, after.turn_id, after.last_query) == ("idle", None, None)


async def test_a_claim_is_kept_for_a_turn_that_begins(store: SessionStore) -> None:
    claims = Claims(store, Signals())
    claim = await claims.claim(await store.create("u", "s"), "Hi")
    async with claims.released_on_error(claim):
        pass
    assert (await store.get("u", "s")).turn_id == claim.turn_id
