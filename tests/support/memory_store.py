"""The in-memory twin of the shared store. Servers of one test share it, and the test can make it unavailable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from router.health.breaker import BreakerSnapshot
from router.health.rate_limits import DeploymentUsage
from router.health.shared_state import SharedSnapshot, StateUpdate, StoreUnavailable


class MemoryStore:
    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.available = True
        self.syncs = 0
        self.breakers: dict[str, BreakerSnapshot] = {}
        self.usage: dict[str, dict[int, dict[str, DeploymentUsage]]] = {}

    async def sync(self, update: StateUpdate, minutes: tuple[int, ...]) -> SharedSnapshot:
        await asyncio.sleep(0)
        self.syncs += 1
        if not self.available:
            raise StoreUnavailable("the test made it unavailable")
        for deployment_id in update.stale:
            self.breakers.pop(deployment_id, None)
        self.breakers |= update.breakers
        own = self.usage.setdefault(update.server, {})
        own |= {minute: dict(usage) for minute, usage in update.usage.items()}
        usage = {
            server: {minute: dict(by_minute[minute]) for minute in minutes if minute in by_minute}
            for server, by_minute in self.usage.items()
        }
        return SharedSnapshot(self.clock(), dict(self.breakers), usage)

    async def aclose(self) -> None:
        pass

    def lose_everything(self) -> None:
        self.breakers, self.usage = {}, {}
