"""Signals between processes through Redis pub/sub.

All topics share one channel, switchboard:signals; a message is the topic's text, and on a second line the content, if
there is one. Redis stores nothing: a process that was disconnected misses signals and finds the change in the database
a moment later.
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
from router.background_loop import background_loop, raise_lost_cancellation

log = structlog.get_logger(__name__)

CHANNEL: Final = "switchboard:signals"

TIMEOUT: Final = 1.0
"""Seconds to wait for Redis: to connect, and for each answer. Only the background tasks wait."""

MIN_RETRY_PAUSE: Final = 0.05
MAX_RETRY_PAUSE: Final = 2.0
"""Seconds between two attempts to connect: they double from the minimum to the maximum."""

MAX_QUEUED: Final = 1000
"""Signals that wait to be published. Further ones are delivered in this process only."""


class RedisSignals(Signals):
    """Delivers a signal in this process at once, and in the others through Redis while `running()` is entered.

    An outage of Redis is logged once; other processes then find changes in the database. Raises ValueError when `url`
    is not a Redis URL.
    """

    def __init__(self, url: str, *, timeout: float = TIMEOUT) -> None:
        super().__init__()
        self._timeout = timeout
        self._unavailable = False
        self._retry_pause = 0.0
        self._queue: asyncio.Queue[str] = asyncio.Queue(MAX_QUEUED)
        self._redis = Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),  # this class retries, and logs it
        )

    async def publish(self, topic: str, content: str = "") -> None:
        """Deliver a signal here at once, and queue it for the other processes. Never blocks and never raises."""
        self.deliver(topic, content)
        with suppress(asyncio.QueueFull):
            self._queue.put_nowait(f"{topic}\n{content}" if content else topic)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Exchange signals with Redis in the background while this is entered."""
        try:
            async with (
                background_loop("signals from Redis", self._receive, pause=lambda: self._retry_pause),
                background_loop("signals to Redis", self._publish_next, pause=lambda: 0.0),
            ):
                yield
        finally:
            await self._redis.aclose()

    async def _publish_next(self) -> None:
        message = await self._queue.get()
        if self._unavailable:
            return  # it would time out, and delay the signals behind it
        try:
            await self._redis.publish(CHANNEL, message)
        except (RedisError, OSError) as exc:
            self._report_outage(exc)

    async def _receive(self) -> None:
        """Deliver the signals of other processes until the connection fails."""
        try:
            await self._deliver_messages()
        except (RedisError, OSError) as exc:
            pause = 2 * self._retry_pause if self._unavailable else 0.0
            self._retry_pause = min(MAX_RETRY_PAUSE, max(MIN_RETRY_PAUSE, pause))
            self._report_outage(exc)

    async def _deliver_messages(self) -> None:
        async with aclosing(self._redis.pubsub()) as subscription:
            await subscription.subscribe(CHANNEL)
            awaits_answer = True
            while True:
                message = await subscription.get_message(timeout=self._timeout)
                raise_lost_cancellation()
                if message is None:
                    if awaits_answer:
                        raise RedisError("no answer")
                    # A dead connection is as silent as an idle one.
                    await subscription.ping()
                    awaits_answer = True
                    continue
                awaits_answer = False
                self._report_recovery()
                if message["type"] == "message":
                    topic, _, content = message["data"].decode(errors="replace").partition("\n")
                    self.deliver(topic, content)

    def _report_outage(self, exc: Exception) -> None:
        if not self._unavailable:
            log.warning(
                "signals_unavailable", reason=f"Redis: {exc}", effect="requests of other servers take a second longer"
            )
        self._unavailable = True

    def _report_recovery(self) -> None:
        if self._unavailable:
            log.info("signals_recovered")
        self._unavailable = False
