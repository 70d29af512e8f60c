"""What callers used in the last minute: their requests and tokens, counted by the library `limits`."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import Final

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from config.callers.standing import Standing

MINUTE: Final = 60
"""Seconds."""

TOKENS: Final = RateLimitItemPerMinute(10**15, namespace="tokens")
"""Counts tokens without a limit: only after a turn it is known how many it took, and then they count."""


@dataclass(frozen=True, slots=True)
class Window:
    """The counters of a sliding window, as `limits` keeps them. Times are in seconds.

    `previous` counts in proportion to `previous_left`, of a minute. `current` counts in full until `current_left` is a
    minute, and is the previous one then.
    """

    previous: int
    previous_left: float
    current: int
    current_left: float

    @property
    def used(self) -> int:
        return floor(self.previous * self.previous_left / MINUTE) + self.current

    @property
    def reset(self) -> float:
        """Seconds until nothing counts any more."""
        return self.current_left if self.current else self.previous_left if self.previous else 0.0

    def wait(self, limit: int) -> float:
        """Seconds until less than `limit` is used; 0 if it is less now."""
        if self.used < limit:
            return 0.0
        if self.current < limit:
            return self.previous_left - MINUTE * (limit - self.current) / self.previous + 0.001
        return self.current_left - MINUTE * limit / self.current + 0.001


class MinuteWindows:
    """The sliding windows of callers in a `storage` of `limits`. Methods raise what the storage raises.

    A sliding window counter needs two numbers for each caller. A moving window would need an entry for each token, and
    in the memory of a process it starts a thread for each request.
    """

    def __init__(self, storage: MemoryStorage | RedisStorage) -> None:
        self._storage = storage
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._new_tokens: dict[str, int] = {}

    @property
    def unsent(self) -> list[str]:
        """The callers with tokens that the storage has not counted yet."""
        return list(self._new_tokens)

    async def take_request(self, caller: str, limit: int) -> tuple[Standing, float]:
        """Count a request unless the limit is reached. Returns the standing then, and the seconds to wait, or 0."""
        item = RateLimitItemPerMinute(limit, namespace="requests")
        window = await self._window(item, caller)
        wait = window.wait(limit)
        if not wait and not await self._limiter.hit(item, caller):
            wait = 1.0  # another server took the last one
        left = 0 if wait else limit - window.used - 1
        return Standing(limit, left, window.reset or MINUTE), wait

    async def tokens(self, caller: str, limit: int) -> tuple[Standing, float]:
        """The standing with tokens, and the seconds to wait until there are some, or 0."""
        await self.send_tokens(caller)
        window = await self._window(TOKENS, caller)
        return Standing(limit, max(0, limit - window.used), window.reset), window.wait(limit)

    def add_tokens(self, caller: str, tokens: int) -> None:
        """Count tokens that a turn has used. `send_tokens` tells the storage."""
        self._new_tokens[caller] = self._new_tokens.get(caller, 0) + tokens

    async def send_tokens(self, caller: str) -> None:
        """Tell the storage of new tokens; it gets those that it refused with the next ones."""
        if not (tokens := self._new_tokens.pop(caller, 0)):
            return
        try:
            await self._limiter.hit(TOKENS, caller, cost=tokens)
        except Exception:
            self.add_tokens(caller, tokens)
            raise

    async def _window(self, item: RateLimitItemPerMinute, caller: str) -> Window:
        return Window(*await self._storage.get_sliding_window(item.key_for(caller), MINUTE))
