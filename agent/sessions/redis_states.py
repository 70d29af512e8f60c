"""The live states of sessions in Redis, so that polling a status costs no database query.

switchboard:session:<user>:<session>   hash   `value`: the state as JSON; `owner`: see below; expires with the session

The database stays the truth. Redis only ever lacks a state or has the current one:

- A writer puts a mark there before it commits, which removes the state, and the new state afterwards. If the mark is
  gone by then, somebody else has written at the same time, and the writer removes the entry instead.
- A reader that finds nothing leaves a mark too, and fills in what the database says only if its mark is still there.
- The state of a running turn is owned by the turn, and expires before its lease does unless the turn renews both. So
  the end of a turn needs no mark, and a turn whose process died is looked up in the database.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import structlog
from redis import DriverInfo
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from agent.sessions.record import SessionRecord
from agent.sessions.redis_state_scripts import KEEP, MARKED, REMOVE, SCRIPTS
from agent.sessions.state_json import decode, encode
from agent.sessions.states import LiveState, LoadState, SessionKey, SessionStates
from router.background_loop import background_loop

log = structlog.get_logger(__name__)

KEY_PREFIX: Final = "switchboard:session:"

TIMEOUT: Final = 0.25
"""Seconds to wait for Redis: to connect, and for each answer. A caller waits for it."""

PAUSE: Final = 1.0
"""Seconds without another attempt after Redis did not answer."""

CONNECTIONS: Final = 16

MARK_MS: Final = 30_000
DAY_MS: Final = 86_400_000
"""When a mark, and the state of a session that never expires, are removed."""

MAX_UNSETTLED: Final = 10_000
"""Entries that are removed one by one after an outage; with more of them, all are."""

EVERYTHING: Final = f"{KEY_PREFIX}*"


class RedisStates(SessionStates):
    """States in the Redis at `url`; `lease` is that of the turns, in seconds.

    A record that it finds there has no model, system message and summary, which no status shows. While Redis does not
    answer, the database is read instead. Raises ValueError when `url` is not a Redis URL.
    """

    kept = True

    def __init__(self, url: str, lease: float, *, timeout: float = TIMEOUT) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=timeout,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),  # this class pauses, and logs it
            decode_responses=True,
            driver_info=DriverInfo(),  # otherwise each new connection reads the client's version from the disk
        )
        self._redis: Redis = Redis.from_pool(pool)
        self._scripts = {name: self._redis.register_script(text) for name, text in SCRIPTS.items()}
        # Half of it, because Redis begins to count a moment later than the database.
        self._running_ms = int(lease * 500)
        self._retry_at = 0.0
        self._unavailable = False
        self._unsettled: set[str] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the states current after an outage while this is entered."""
        try:
            async with background_loop("session states", self._settle_later, pause=lambda: PAUSE):
                yield
        finally:
            await self._redis.aclose()

    async def find(self, key: SessionKey, load: LoadState) -> SessionRecord | None:
        mark = uuid4().hex
        found = await self._run("read", [_name(key)], mark, MARK_MS)
        if isinstance(found, str):
            record = decode(found)
            if record.expires_at is None or record.expires_at > datetime.now(UTC):
                return record
        state = await load()
        if found == MARKED:
            await self._run("put", [_name(key)], mark, KEEP, *self._entry(state))
        return None if state is None else state.record

    async def mark(self, key: SessionKey) -> str:
        mark = uuid4().hex
        if await self._run("mark", [_name(key)], mark, MARK_MS) is None:
            self._forget_later(key)
        return mark

    async def put(self, key: SessionKey, owner: str, state: LiveState | None) -> None:
        if await self._run("put", [_name(key)], owner, REMOVE, *self._entry(state)) is None:
            self._forget_later(key)

    async def renew(self, turns: Mapping[str, SessionKey]) -> None:
        if turns:
            await self._run("renew", list(map(_name, turns.values())), self._running_ms, *turns)

    def _entry(self, state: LiveState | None) -> tuple[str, str, int]:
        """The owner, the value and its expiry in milliseconds; no value if only the database can tell."""
        if state is None or state.has_crashed:
            return "", "", 0
        if state.turn_id is not None:
            return state.turn_id, encode(state.record), max(1, min(self._running_ms, int(state.lease_left * 1000)))
        expires_at = state.record.expires_at
        left = DAY_MS if expires_at is None else int((expires_at - datetime.now(UTC)) / timedelta(milliseconds=1))
        return "", encode(state.record), max(1, left)

    async def _run(self, script: str, keys: list[str], *args: str | int) -> Any:
        """The script's result; None while Redis is unavailable."""
        if time.monotonic() < self._retry_at:
            return None
        try:
            await self._settle()
            result = await self._scripts[script](keys=keys, args=args)
        except (RedisError, OSError) as exc:
            self._retry_at = time.monotonic() + PAUSE
            self._report_outage(exc)
            return None
        self._report_recovery()
        return result

    def _forget_later(self, key: SessionKey) -> None:
        """Other servers may still reach the Redis that this one does not."""
        self._unsettled.add(_name(key) if len(self._unsettled) < MAX_UNSETTLED else EVERYTHING)

    async def _settle(self) -> None:
        """Remove the entries that could not be changed during an outage."""
        if not self._unsettled:
            return
        names = set(self._unsettled)
        if EVERYTHING in names:
            names |= {name async for name in self._redis.scan_iter(EVERYTHING, count=1000)}
        await self._redis.delete(*names)
        self._unsettled -= names

    async def _settle_later(self) -> None:
        if self._unsettled:
            await self._run("renew", [], self._running_ms)

    def _report_outage(self, exc: Exception) -> None:
        if not self._unavailable:
            log.warning("session_states_unavailable", reason=f"Redis: {exc}", effect="the database is read instead")
        self._unavailable = True

    def _report_recovery(self) -> None:
        if self._unavailable:
            log.info("session_states_recovered")
        self._unavailable = False


def _name(key: SessionKey) -> str:
    user_id, session_id = key
    return f"{KEY_PREFIX}{quote(user_id, safe='')}:{quote(session_id, safe='')}"
