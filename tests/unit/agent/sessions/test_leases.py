from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

from agent.sessions.leases import Leases
from agent.sessions.store import LeaseState, SessionStore
from config.errors import LeaseLost, StorageUnavailable, SwitchboardError, TurnCancelled
from tests.support.virtual_clock import run_virtually


class Store:
    """Answers renewals with `leases`, "held" for what is not in it; raises `error` when there is one."""

    def __init__(self, **leases: LeaseState) -> None:
        self.leases = leases
        self.error: Exception | None = None
        self.asked: list[set[str]] = []

    async def renew(self, turn_ids: Collection[str]) -> Mapping[str, LeaseState]:
        self.asked.append(set(turn_ids))
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        return {each: self.leases.get(each, "held") for each in turn_ids}


def leases_over(store: Store, **options: Any) -> Leases:
    return Leases(cast(SessionStore, store), **options)


class Ended(list[str]):
    """What the turns were told."""

    def by(self, turn_id: str) -> Callable[[SwitchboardError], None]:
        def end(error: SwitchboardError) -> None:
            assert isinstance(error, TurnCancelled | LeaseLost)
            self.append(f"{turn_id}: {error}")

        return end


async def test_all_that_run_are_renewed_at_once_and_go_on() -> None:
    store, ended = Store(), Ended()
    leases = leases_over(store)
    with leases.hold("a", ended.by("a")), leases.hold("b", ended.by("b")):
        await leases.renew()
    assert (store.asked, ended) == ([{"a", "b"}], [])


async def test_nobody_is_asked_where_nothing_runs() -> None:
    store = Store()
    leases = leases_over(store)
    with leases.hold("a", Ended().by("a")):
        pass
    await leases.renew()
    assert store.asked == []


async def test_a_turn_that_is_to_stop_or_has_lost_its_session_is_ended_with_the_reason() -> None:
    store, ended = Store(a="stop", b="lost"), Ended()
    leases = leases_over(store)
    with leases.hold("a", ended.by("a")), leases.hold("b", ended.by("b")), leases.hold("c", ended.by("c")):
        await leases.renew()
    assert ended == ["a: The turn was cancelled.", f"b: {LeaseLost()}"]


async def test_a_turn_that_ends_while_it_is_looked_up_is_left_alone() -> None:
    store, ended = Store(a="stop"), Ended()
    leases = leases_over(store)
    with leases.hold("a", ended.by("a")):
        looking = asyncio.create_task(leases.renew())
        await asyncio.sleep(0)
    await looking
    assert (store.asked, ended) == ([{"a"}], [])


async def test_a_turn_outlives_a_short_outage_of_the_database() -> None:
    store, ended = Store(a="stop"), Ended()
    store.error = StorageUnavailable()
    leases = leases_over(store)
    with leases.hold("a", ended.by("a")):
        await leases.renew()
        assert ended == []
        store.error = None
        await leases.renew()
    assert len(ended) == 1


def test_leases_are_renewed_in_the_background_whatever_happens_and_until_the_end() -> None:
    async def main() -> None:
        store = Store()
        leases = leases_over(store)
        with leases.hold("a", Ended().by("a")):
            async with leases.running():
                await asyncio.sleep(2.5)
                assert len(store.asked) == 2
                store.error = RuntimeError("a bug")
                await asyncio.sleep(2)
                assert len(store.asked) == 4
            await asyncio.sleep(5)
            assert len(store.asked) == 4

    run_virtually(main())
