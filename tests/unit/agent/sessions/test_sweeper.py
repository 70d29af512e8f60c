from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.sessions.record import SessionRecord
from agent.sessions.store import SessionStore
from agent.sessions.sweeper import BATCH, Sweeper
from agent.sessions.threads import Threads
from agent.storage.sweeping import INTERVAL
from config.errors import StorageUnavailable
from tests.support.virtual_clock import run_virtually


class Rig:
    """Keeps the order of what is deleted. `fails` is raised for the thread of that name."""

    def __init__(self, *over: str) -> None:
        self.over = list(over)
        self.done: list[str] = []
        self.fails: dict[str, Exception] = {}
        self.sweeper = Sweeper(cast(SessionStore, self), cast(Threads, self))

    async def expired(self, limit: int) -> list[SessionRecord]:
        found: list[Any] = [SimpleNamespace(thread_id=each) for each in self.over[:limit]]
        return found

    async def delete(self, thread_id: str) -> None:
        if error := self.fails.get(thread_id):
            raise error
        self.done.append(f"thread {thread_id}")

    async def remove(self, records: Sequence[SessionRecord]) -> None:
        for each in records:
            self.over.remove(each.thread_id)
            self.done.append(f"row {each.thread_id}")


async def test_checkpoints_go_before_the_row_that_knows_of_them() -> None:
    rig = Rig("a", "b")
    assert await rig.sweeper.sweep() == 2
    assert rig.done == ["thread a", "thread b", "row a", "row b"]


async def test_all_that_is_over_goes_however_much_it_is() -> None:
    rig = Rig(*map(str, range(2 * BATCH + 1)))
    assert await rig.sweeper.sweep() == 2 * BATCH + 1
    assert rig.over == []
    assert await rig.sweeper.sweep() == 0


async def test_a_row_stays_while_its_checkpoints_cannot_be_deleted() -> None:
    rig = Rig("a", "b")
    rig.fails["b"] = StorageUnavailable()
    with pytest.raises(StorageUnavailable):
        await rig.sweeper.sweep()
    assert rig.over == ["a", "b"]
    del rig.fails["b"]
    assert await rig.sweeper.sweep() == 2


@pytest.mark.parametrize("error", [StorageUnavailable(), RuntimeError("a bug")])
def test_it_sweeps_in_the_background_again_and_again_whatever_happens(error: Exception) -> None:
    async def main() -> None:
        rig = Rig("a")
        async with rig.sweeper.running():
            await asyncio.sleep(INTERVAL - 1)
            assert rig.over == ["a"]
            await asyncio.sleep(2)
            assert rig.over == []
            rig.over, rig.fails["b"] = ["b"], error
            await asyncio.sleep(INTERVAL)
            assert rig.over == ["b"]
            rig.fails.clear()
            await asyncio.sleep(INTERVAL)
            assert rig.over == []
        rig.over = ["c"]
        await asyncio.sleep(5 * INTERVAL)
        assert rig.over == ["c"]

    run_virtually(main())
