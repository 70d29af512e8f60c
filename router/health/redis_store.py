"""The shared store in Redis: one round trip for everything, on one connection.

switchboard:breakers          hash   deployment id -> its newest verdict
switchboard:spent:<minute>    hash   server -> what it spent in that minute, by deployment id; expires by itself
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

from router.health.breaker import Verdict
from router.health.rate_limits import Usage
from router.health.shared_state import SharedSnapshot, StateUpdate, StoreAway

BREAKERS = "switchboard:breakers"
SPENT = "switchboard:spent:"

BREAKERS_LIFE = 86_400
SPENT_LIFE = 180
"""Seconds that the keys outlive the last word from any server."""

PATIENCE = 1.0
"""Seconds to wait for Redis, once to connect and once for each answer. Nobody but the background task waits."""

_VERDICT = TypeAdapter(Verdict)
_USAGE = TypeAdapter(dict[str, Usage])

Value = TypeVar("Value")


class RedisStore:
    """A SharedStore at `url` (redis://, rediss:// or unix://). Connects with the first exchange.

    Raises ValueError when `url` is none.
    """

    def __init__(self, url: str, *, patience: float = PATIENCE) -> None:
        self._redis = Redis.from_url(
            url,
            socket_timeout=patience,
            socket_connect_timeout=patience,
            retry=Retry(NoBackoff(), 0),  # SharedState tries again, and says so
        )

    async def exchange(self, news: StateUpdate, minutes: tuple[int, ...]) -> SharedSnapshot:
        """Put `news` there, then read everything, of spending only these minutes. Raises StoreAway."""
        pipeline = self._redis.pipeline(transaction=False)
        _write(pipeline, news)
        written = len(pipeline)
        pipeline.time()
        pipeline.hgetall(BREAKERS)
        for minute in minutes:
            pipeline.hgetall(f"{SPENT}{minute}")
        try:
            (seconds, micros), verdicts, *spent = (await pipeline.execute())[written:]
        except (RedisError, OSError) as exc:
            raise StoreAway(f"Redis: {exc}") from exc
        by_server: dict[str, dict[int, Mapping[str, Usage]]] = {}
        for minute, fields in zip(minutes, spent, strict=True):
            for server, usage in _readable(_USAGE, fields):
                by_server.setdefault(server, {})[minute] = usage
        return SharedSnapshot(seconds + micros / 1e6, dict(_readable(_VERDICT, verdicts)), by_server)

    async def aclose(self) -> None:
        await self._redis.aclose()


def _write(pipeline: Any, news: StateUpdate) -> None:
    if news.stale:
        pipeline.hdel(BREAKERS, *news.stale)
    if news.verdicts:
        pipeline.hset(BREAKERS, mapping={each: orjson.dumps(verdict) for each, verdict in news.verdicts.items()})
        pipeline.expire(BREAKERS, BREAKERS_LIFE)
    for minute, usage in news.spent.items():
        pipeline.hset(f"{SPENT}{minute}", news.server, orjson.dumps(usage))
        pipeline.expire(f"{SPENT}{minute}", SPENT_LIFE)


def _readable(kind: TypeAdapter[Value], fields: Mapping[bytes, bytes]) -> Iterator[tuple[str, Value]]:
    """The fields that are of this `kind`: another version of Switchboard may have written what this one cannot read."""
    for name, raw in fields.items():
        try:
            yield name.decode(), kind.validate_json(raw)
        except (ValidationError, UnicodeDecodeError):
            continue
