"""The usage of callers in Redis, over all servers and workers; without Redis, of this process alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import structlog
from limits.aio.storage import RedisStorage
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from agent.callers.process_usage import ProcessUsage
from agent.callers.redis_turns import RedisTurns
from agent.callers.usage import UsageDecision
from agent.callers.windows import MinuteWindows
from config.callers.caller import Caller
from router.background_loop import background_loop

log = structlog.get_logger(__name__)

TIMEOUT: Final = 0.25
"""Seconds to wait for Redis: to connect, and for each answer. A caller waits for it."""

PAUSE: Final = 1.0
"""Seconds without another attempt after Redis did not answer."""

RENEWAL: Final = 10.0
"""Seconds after which a process says again which turns it runs."""

WRITE_PAUSE: Final = 0.02
"""Seconds in which news is collected, so that a burst of turns is one message."""

CONNECTIONS: Final = 16


class RedisUsage:
    """Usage in the Redis at `url`. While Redis does not answer, each process counts alone, from nothing."""

    def __init__(self, url: str, *, timeout: float = TIMEOUT) -> None:
        self._pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=timeout,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),  # this class pauses, and logs it
            decode_responses=True,
        )
        options: dict[str, Any] = {"connection_pool": self._pool}  # which has the address
        storage = RedisStorage("redis://", implementation="redispy", key_prefix="switchboard:callers", **options)
        self._windows, self._turns = MinuteWindows(storage), RedisTurns(Redis(connection_pool=self._pool))
        self._shared = ProcessUsage(self._windows, self._turns)
        self._alone = ProcessUsage()
        self._news = asyncio.Event()
        self._retry_at = 0.0
        self._renewed_at = time.monotonic()
        self._is_away = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[RedisUsage]:
        """Tell the other processes what is new while this is entered, and once more at the end."""
        try:
            async with background_loop("caller usage", self._write, pause=lambda: WRITE_PAUSE):
                yield self
        finally:
            with suppress(RedisError, OSError):
                await self._write_all(self._turns.callers)
            await self._pool.disconnect()

    async def begin(self, caller: Caller, turn: str) -> UsageDecision:
        """As `ProcessUsage.begin`, over all processes."""
        if time.monotonic() < self._retry_at:
            return await self._alone.begin(caller, turn)
        try:
            found = await self._shared.begin(caller, turn)
        except (RedisError, OSError) as exc:
            self._report_outage(exc)
            return await self._alone.begin(caller, turn)
        finally:
            if self._turns.changed:  # by a turn that another limit refused
                self._news.set()
        self._report_recovery()
        return found

    def end(self, caller: str, turn: str) -> None:
        self._shared.end(caller, turn)
        self._alone.end(caller, turn)
        self._news.set()

    def count_tokens(self, caller: str, tokens: int) -> None:
        self._shared.count_tokens(caller, tokens)
        if self._is_away:
            self._alone.count_tokens(caller, tokens)
        self._news.set()

    async def _write(self) -> None:
        """Tell other processes soon what is new here, and renew the turns that run."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._renewed_at + RENEWAL - time.monotonic()):
                await self._news.wait()
        self._news.clear()
        renews = time.monotonic() >= self._renewed_at + RENEWAL
        try:
            await self._write_all(self._turns.callers if renews else self._turns.changed)
            if renews:
                self._renewed_at = time.monotonic()
        except (RedisError, OSError) as exc:
            self._report_outage(exc)
            await asyncio.sleep(PAUSE)
            self._news.set()

    async def _write_all(self, callers: list[str]) -> None:
        for caller in callers:
            await self._turns.write(caller)
        for caller in self._windows.unsent:
            await self._windows.send_tokens(caller)

    def _report_outage(self, exc: Exception) -> None:
        self._retry_at = time.monotonic() + PAUSE
        if not self._is_away:
            log.warning("caller_limits_not_shared", reason=f"Redis: {exc}", effect="each process counts alone")
        self._is_away = True

    def _report_recovery(self) -> None:
        if self._is_away:
            log.info("caller_limits_recovered")
        self._is_away = False
