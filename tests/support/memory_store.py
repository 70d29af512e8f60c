"""The shared store's twin in memory: servers of one test share it, and the test can take it away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from router.health.breaker import Verdict
from router.health.rate_limits import Usage
from router.health.shared_state import SharedSnapshot, StateUpdate, StoreAway


class MemoryStore:
    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.away = False
        self.exchanges = 0
        self.verdicts: dict[str, Verdict] = {}
        self.spent: dict[str, dict[int, dict[str, Usage]]] = {}

    async def exchange(self, news: StateUpdate, minutes: tuple[int, ...]) -> SharedSnapshot:
        await asyncio.sleep(0)
        self.exchanges += 1
        if self.away:
            raise StoreAway("taken away by the test")
        for deployment_id in news.stale:
            self.verdicts.pop(deployment_id, None)
        self.verdicts |= news.verdicts
        mine = self.spent.setdefault(news.server, {})
        mine |= {minute: dict(usage) for minute, usage in news.spent.items()}
        spent = {
            server: {minute: dict(spending[minute]) for minute in minutes if minute in spending}
            for server, spending in self.spent.items()
        }
        return SharedSnapshot(self.clock(), dict(self.verdicts), spent)

    async def aclose(self) -> None:
        pass

    def lose_everything(self) -> None:
        self.verdicts, self.spent = {}, {}
