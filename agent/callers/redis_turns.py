"""Which turns of callers run now, on all servers.

    switchboard:caller:<name>:turns   sorted set   running turns by the time at which their lease ends; expires

The library `limits` counts what happens within a time. It knows nothing that ends, so this takes a script of our own:
a look at the number and the new turn must be one step, or two servers would both take the last place.
"""

from __future__ import annotations

from typing import Final

from redis.asyncio import Redis

LEASE: Final = 30.0
"""Seconds after which a turn no longer counts whose server has not renewed it, because it died."""

SCRIPT: Final = """
local time = redis.call('TIME')
local now, lease = tonumber(time[1]) + tonumber(time[2]) / 1000000, tonumber(ARGV[3])
local turn, limit, ended = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4])
for place = 5, #ARGV do
  if place < 5 + ended then
    redis.call('ZREM', KEYS[1], ARGV[place])
  else
    redis.call('ZADD', KEYS[1], now + lease, ARGV[place])
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local counts = 1
if turn ~= '' then
  if redis.call('ZCARD', KEYS[1]) >= limit then counts = 0 else redis.call('ZADD', KEYS[1], now + lease, turn) end
end
redis.call('EXPIRE', KEYS[1], math.ceil(2 * lease))
return counts
"""
"""KEYS: the set. ARGV: a new turn or "", the limit, the lease in seconds, the number of turns that ended, those turns,
and those that go on. Returns whether the new turn counts."""


class RedisTurns:
    """The turns that all servers run, in `redis`. Methods raise RedisError and OSError."""

    def __init__(self, redis: Redis) -> None:
        self._script = redis.register_script(SCRIPT)
        self._running: dict[str, set[str]] = {}
        self._ended: dict[str, set[str]] = {}

    @property
    def changed(self) -> list[str]:
        """The callers with turns that have ended, which the others do not know yet."""
        return [caller for caller, turns in self._ended.items() if turns]

    @property
    def callers(self) -> list[str]:
        """The callers with turns that run here, or of which the others do not know that they ended."""
        return [*{*self._running, *self._ended}]

    async def begin(self, caller: str, turn: str, limit: int) -> bool:
        """Count the turn as running, unless `limit` others of the caller run anywhere; returns whether it counts."""
        try:
            counts = await self._call(caller, turn, limit)
        except BaseException:
            self._ended.setdefault(caller, set()).add(turn)  # Redis may have counted it
            raise
        if counts:
            self._running.setdefault(caller, set()).add(turn)
        return counts

    def end(self, caller: str, turn: str) -> None:
        """The turn no longer runs. `write` tells the others."""
        if turn in (turns := self._running.get(caller, set())):
            turns.remove(turn)
            self._ended.setdefault(caller, set()).add(turn)

    async def write(self, caller: str) -> None:
        """Tell the others which turns have ended, and that the rest goes on."""
        running = tuple(self._running.get(caller, ()))
        if running or self._ended.get(caller):
            await self._call(caller, "", 0, running)
        if not self._running.get(caller):
            self._running.pop(caller, None)
        if not self._ended.get(caller):
            self._ended.pop(caller, None)

    async def _call(self, caller: str, turn: str, limit: int, running: tuple[str, ...] = ()) -> bool:
        ended = self._ended.pop(caller, set())
        try:
            args: list[str | int | float] = [turn, limit, LEASE, len(ended), *ended, *running]
            return bool(await self._script(keys=[f"switchboard:caller:{caller}:turns"], args=args))
        except BaseException:
            self._ended.setdefault(caller, set()).update(ended)
            raise
