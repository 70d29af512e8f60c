"""Stored responses: the same suite over SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.responses.store import ResponseStore, StoredResponse
from agent.storage.database import Database
from config.errors import PreviousResponseNotFound, ResponseNotFound
from tests.contract.conftest import OpenDatabase

TTL = 100.0
SAID = [{"type": "message", "role": "user", "content": "你好 \ud800"}]


class Clock:
    """The time of a store, which the test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database: Database, clock: Clock) -> ResponseStore:
    return ResponseStore(database, TTL, clock)


async def add(
    store: ResponseStore, name: str, previous: str | None = None, caller: str = "me", output: Sequence[Any] = ()
) -> StoredResponse:
    before = await store.get(caller, previous) if previous else None
    await store.add(caller, before, SAID, {"id": name, "output": list(output)})
    return await store.get(caller, name)


def ids(chain: Sequence[StoredResponse]) -> list[str]:
    return [each.id for each in chain]


async def test_a_response_is_found_as_it_was_stored(store: ResponseStore) -> None:
    found = await add(store, "a", output=[{"text": "x"}])
    assert (found.id, found.previous_id, found.first_id) == ("a", None, "a")
    assert (found.input, found.response) == (SAID, {"id": "a", "output": [{"text": "x"}]})


async def test_chains_branch_and_are_read_oldest_first(store: ResponseStore) -> None:
    for name, previous in (("a", None), ("b", "a"), ("c", "b"), ("other", "a")):
        await add(store, name, previous)
    assert ids(await store.chain("me", "c")) == ["a", "b", "c"]
    assert ids(await store.chain("me", "other")) == ["a", "other"]
    assert (await store.find("me", ["a", "c", "nothing"])).keys() == {"a", "c"}


async def test_another_caller_has_none_of_it(store: ResponseStore) -> None:
    await add(store, "a")
    with pytest.raises(ResponseNotFound):
        await store.get("you", "a")
    with pytest.raises(PreviousResponseNotFound):
        await store.chain("you", "a")
    with pytest.raises(ResponseNotFound):
        await store.delete("you", "a")
    assert await store.find("you", ["a"]) == {}
    assert (await store.get("me", "a")).id == "a"


async def test_a_deleted_response_is_gone_and_cannot_be_gone_on_with(store: ResponseStore) -> None:
    await add(store, "a")
    await add(store, "b", "a")
    await store.delete("me", "a")
    with pytest.raises(ResponseNotFound):
        await store.get("me", "a")
    with pytest.raises(PreviousResponseNotFound, match="'a'"):
        await store.chain("me", "b")
    assert (await store.get("me", "b")).previous_id == "a"


async def test_a_chain_lasts_as_long_as_its_newest_response(store: ResponseStore, clock: Clock) -> None:
    await add(store, "a")
    await add(store, "alone")
    clock.later(TTL / 2)
    await add(store, "b", "a")
    clock.later(TTL / 2)
    assert await store.sweep() == 1
    assert ids(await store.chain("me", "b")) == ["a", "b"]
    with pytest.raises(ResponseNotFound):
        await store.get("me", "alone")
    clock.later(TTL / 2)
    with pytest.raises(ResponseNotFound):  # before it is swept
        await store.get("me", "b")
    assert await store.sweep() == 2


async def test_a_response_without_an_end_is_kept(database: Database, clock: Clock) -> None:
    store = ResponseStore(database, None, clock)
    await add(store, "a")
    clock.later(1e9)
    assert await store.sweep() == 0
    assert (await store.get("me", "a")).id == "a"


async def test_a_chain_survives_a_restart(open_it: OpenDatabase) -> None:
    async with open_it() as database:
        await add(ResponseStore(database, TTL), "a")
    async with open_it() as database:
        store = ResponseStore(database, TTL)
        await add(store, "b", "a")
        assert ids(await store.chain("me", "b")) == ["a", "b"]


async def test_an_id_with_any_characters_is_not_found(store: ResponseStore) -> None:
    for name in ("nul\0", "\ud800", "x" * 5000):
        with pytest.raises(ResponseNotFound):
            await store.get("me", name)
