"""Signals through Redis: what one process says, all that share it hear at once.

One channel, switchboard:signals; a message is a word as it is. Nothing is stored: who was cut off has missed what was
said meanwhile, and finds it in the database a moment later.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Final

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from agent.sessions.signals import Signals

log = structlog.get_logger(__name__)

CHANNEL: Final = "switchboard:signals"

PATIENCE: Final = 1.0
"""Seconds to wait for Redis, to connect and for each answer. Only the background tasks wait."""

SHORTEST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 2.0
"""Seconds between attempts to reach a Redis that is away."""

BACKLOG: Final = 1000
"""Words that wait to be sent; what comes on top of that is heard in this process alone."""


class RedisSignals(Signals):
    """Delivers within this process at once, and to the others through the Redis at `url` while `running()` is entered.

    A Redis that is away costs one warning; words then take the way through the database. Raises ValueError when `url`
    is none.
    """

    def __init__(self, url: str, *, patience: float = PATIENCE) -> None:
        super().__init__()
        self._patience = patience
        self._away = False
        self._unsent: asyncio.Queue[str] = asyncio.Queue(BACKLOG)
        self._redis = Redis.from_url(
            url,
            socket_timeout=patience,
            socket_connect_timeout=patience,
            retry=Retry(NoBackoff(), 0),  # this class tries again, and says so
        )

    async def send(self, word: str) -> None:
        """Have everybody hear `word`, here at once. Never raises, and waits for nobody."""
        self.deliver(word)
        with suppress(asyncio.QueueFull):
            self._unsent.put_nowait(word)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Talk with Redis in the background while this is entered."""
        tasks = [
            asyncio.create_task(self._listen_for_ever(), name="signals from Redis"),
            asyncio.create_task(self._publish_for_ever(), name="signals to Redis"),
        ]
        for task in tasks:
            task.add_done_callback(_report_crash)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self._redis.aclose()

    async def _publish_for_ever(self) -> None:
        while True:
            word = await self._unsent.get()
            if self._away:
                continue  # it would wait in vain, and those behind it as well
            try:
                await self._redis.publish(CHANNEL, word)
            except (RedisError, OSError) as exc:
                self._is_away(exc)
            _raise_lost_cancellation()

    async def _listen_for_ever(self) -> None:
        pause = SHORTEST_PAUSE
        while True:
            try:
                await self._listen()
            except (RedisError, OSError) as exc:
                pause = min(LONGEST_PAUSE, pause * 2) if self._away else SHORTEST_PAUSE
                self._is_away(exc)
            _raise_lost_cancellation()
            await asyncio.sleep(pause)

    async def _listen(self) -> None:
        """Hear words until Redis goes away. Raises RedisError or OSError."""
        async with aclosing(self._redis.pubsub()) as subscription:
            await subscription.subscribe(CHANNEL)
            asked = True
            while True:
                message = await subscription.get_message(timeout=self._patience)
                _raise_lost_cancellation()
                if message is None:
                    if asked:
                        raise RedisError("no answer")
                    # A connection that was cut without a word is silent like one on which nobody speaks.
                    await subscription.ping()
                    asked = True
                    continue
                asked = False
                self._is_back()
                if message["type"] == "message":
                    self.deliver(message["data"].decode(errors="replace"))

    def _is_away(self, exc: Exception) -> None:
        if not self._away:
            log.warning(
                "signals_away", reason=f"Redis: {exc}", effect="what other servers want is noticed a second later"
            )
        self._away = True

    def _is_back(self) -> None:
        if self._away:
            log.info("signals_back")
        self._away = False


def _raise_lost_cancellation() -> None:
    # wait_for, which redis-py uses, can lose a cancellation: https://github.com/python/cpython/issues/86296
    if (task := asyncio.current_task()) is not None and task.cancelling():
        raise asyncio.CancelledError


def _report_crash(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("signals_stopped", exc_info=error)
