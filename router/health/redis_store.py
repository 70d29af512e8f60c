"""The shared store in Redis: one round trip per synchronization, on one connection.

switchboard:breakers          hash   deployment id -> its newest BreakerSnapshot
switchboard:spent:<minute>    hash   server -> its usage in that minute, by deployment id; expires
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from router.health.breaker import BreakerSnapshot
from router.health.rate_limits import DeploymentUsage
from router.health.shared_state import SharedSnapshot, StateUpdate, StoreUnavailable

BREAKERS = "switchboard:breakers"
USAGE = "switchboard:spent:"

BREAKERS_TTL = 86_400
USAGE_TTL = 180
"""Seconds until a key expires, counted from its last update."""

TIMEOUT = 1.0
"""Seconds to wait for Redis, to connect and for each answer. Only the background task waits."""

_BREAKER = TypeAdapter(BreakerSnapshot)
_USAGE = TypeAdapter(dict[str, DeploymentUsage])

Value = TypeVar("Value")


class RedisStore:
    """A SharedStore at `url` (redis://, rediss:// or unix://). Connects with the first `sync`.

    Raises ValueError for an invalid `url`.
    """

    def __init__(self, url: str, *, timeout: float = TIMEOUT) -> None:
        self._redis = Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),  # SharedState retries, and logs it
        )

    async def sync(self, update: StateUpdate, minutes: tuple[int, ...]) -> SharedSnapshot:
        """Write `update`, then read everything, with the usage of these minutes. Raises StoreUnavailable."""
        pipeline = self._redis.pipeline(transaction=False)
        _write(pipeline, update)
        written = len(pipeline)
        pipeline.time()
        pipeline.hgetall(BREAKERS)
        for minute in minutes:
            pipeline.hgetall(f"{USAGE}{minute}")
        try:
            (seconds, micros), breakers, *usage_fields = (await pipeline.execute())[written:]
        except (RedisError, OSError) as exc:
            raise StoreUnavailable(f"Redis: {exc}") from exc
        by_server: dict[str, dict[int, Mapping[str, DeploymentUsage]]] = {}
        for minute, fields in zip(minutes, usage_fields, strict=True):
            for server, usage in _valid(_USAGE, fields):
                by_server.setdefault(server, {})[minute] = usage
        return SharedSnapshot(seconds + micros / 1e6, dict(_valid(_BREAKER, breakers)), by_server)

    async def aclose(self) -> None:
        await self._redis.aclose()


def _write(pipeline: Any, update: StateUpdate) -> None:
    if update.stale:
        pipeline.hdel(BREAKERS, *update.stale)
    if update.breakers:
        pipeline.hset(BREAKERS, mapping={each: orjson.dumps(breaker) for each, breaker in update.breakers.items()})
        pipeline.expire(BREAKERS, BREAKERS_TTL)
    for minute, usage in update.usage.items():
        pipeline.hset(f"{USAGE}{minute}", update.server, orjson.dumps(usage))
        pipeline.expire(f"{USAGE}{minute}", USAGE_TTL)


def _valid(kind: TypeAdapter[Value], fields: Mapping[bytes, bytes]) -> Iterator[tuple[str, Value]]:
    """The fields that parse as `kind`. The others come from another version of Switchboard."""
    for name, raw in fields.items():
        try:
            yield name.decode(), kind.validate_json(raw)
        except (ValidationError, UnicodeDecodeError):
            continue
