"""Stores sessions and their leases in the database.

A turn claims the lease of its session, renews it while it runs and releases it when it finishes. When a process dies,
its leases lapse and other turns can run on the sessions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from uuid import uuid4

from sqlalchemy import Row, Select, and_, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from agent.sessions.claim_query import ClaimQuery
from agent.sessions.lease_clock import lease_clock, sql_time
from agent.sessions.record import SessionRecord, Status
from agent.sessions.sessions_table import (
    LeaseTime,
    current_record,
    has_expired,
    has_id,
    has_lease,
    is_leased,
    not_expired,
    removable,
    sessions,
    stored_record,
)
from agent.sessions.states import LiveState, SessionStates
from agent.sessions.task_turn import message_id
from agent.sessions.turn_response import TurnResponse
from agent.storage.columns import storable
from agent.storage.database import Database
from config.errors import SessionBusy, SessionExists, SessionNotFound, SessionNotReady, SwitchboardError

LeaseState = Literal["held", "stop", "lost"]
"""`stop`: held, but the turn is asked to end; `lost`: another turn or nobody holds it."""

DEFAULT_LEASE: Final = 10.0
"""Seconds."""

OTHER_LEASES: Final = timedelta(minutes=1)
"""How much longer than this server's the leases of other servers may be."""

NEWEST_FIRST = (sessions.c.updated.desc(), sessions.c.thread_id)

RELEASE: Final = update(sessions).where(sessions.c.turn_id == bindparam("ended_turn"))
"""Sets the columns for which it is given parameters."""


class SessionStore:
    """Sessions in `database`, which any number of processes may share.

    A turn that has not renewed its lease for `lease` seconds counts as crashed; `lease_clock` has the clock for that.
    `states` has the sessions' states for those that poll them; None reads them from the database.
    `clock` gives seconds since 1970 for everything else; a given one is that of the leases too. Ids have up to 256
    characters and no NUL; other text may contain anything. Every method raises StorageUnavailable during an outage.
    """

    def __init__(
        self,
        database: Database,
        *,
        states: SessionStates | None = None,
        clock: Callable[[], float] | None = None,
        lease: float = DEFAULT_LEASE,
    ) -> None:
        self._database = database
        self._states = states or SessionStates()
        # Reading all columns of a row takes longer than the update itself.
        kept = (sessions,) if self._states.kept else (sessions.c.gone, sessions.c.expires_at)
        self._release = RELEASE.returning(*kept)
        self._clock = clock or time.time
        self._lease = timedelta(seconds=lease)
        lease_time = lease_clock(database) if clock is None else self._now
        self._at = LeaseTime(sql_time(lease_time), sql_time(lease_time, self._lease + OTHER_LEASES))
        self._lease_end = sql_time(lease_time, self._lease)
        self._claim = ClaimQuery(database, self._at, self._lease_end)

    async def create(
        self,
        user_id: str,
        session_id: str,
        *,
        model: str | None = None,
        system_message: str | None = None,
        ttl: float | None = None,
        agent_id: str | None = None,
    ) -> SessionRecord:
        """Create a session that expires in `ttl` seconds; None means never.

        Raises:
            SessionExists: the user already has a session with this id.
        """
        now = self._now()
        new = insert(sessions).values(
            thread_id=uuid4().hex,
            user_id=user_id,
            session_id=session_id,
            gone=False,
            status="idle",
            message="",
            model=model,
            system_message=system_message,
            interrupts=(),
            created=now,
            updated=now,
            expires_at=_expiry(now, ttl),
            stop_asked=False,
            agent_id=agent_id,
        )
        try:
            async with self._database.begin() as connection:
                expired = and_(has_id(user_id, session_id), sessions.c.expires_at <= now)
                await connection.execute(update(sessions).where(expired).values(gone=True))
                return stored_record((await connection.execute(new.returning(sessions))).one())
        except IntegrityError as exc:
            raise SessionExists("A session with this id already exists.") from exc

    async def find(self, user_id: str, session_id: str) -> SessionRecord | None:
        """The session, None when there is none or it has expired. A crashed turn reads as status `error`."""
        state = await self._load(user_id, session_id)
        return None if state is None else state.record

    async def get(self, user_id: str, session_id: str) -> SessionRecord:
        """`find`. Raises SessionNotFound."""
        record = await self.find(user_id, session_id)
        if record is None:
            raise _not_found()
        return record

    async def status(self, user_id: str, session_id: str) -> SessionRecord | None:
        """`find` for clients that poll, from `states` if possible: without model, system message and summary."""
        return await self._states.find((user_id, session_id), lambda: self._load(user_id, session_id))

    async def latest(self, user_id: str, agent_id: str | None = None) -> SessionRecord | None:
        """The user's most recently active session; with `agent_id`, of those with this persona."""
        now = self._now()
        newest = self._select().where(sessions.c.user_id == user_id, ~sessions.c.gone, not_expired(now))
        if agent_id is not None:
            newest = newest.where(sessions.c.agent_id == agent_id)
        rows = await self._database.execute(newest.order_by(*NEWEST_FIRST).limit(1))
        return current_record(rows[0], self._time_of(rows[0])) if rows else None

    async def ids(self, user_id: str, limit: int | None = None, offset: int = 0) -> list[str]:
        """The ids of the user's sessions, most recently active first; all of them without a `limit`."""
        theirs = select(sessions.c.session_id).where(
            sessions.c.user_id == user_id, ~sessions.c.gone, not_expired(self._now())
        )
        async with self._database.read() as connection:
            page = await connection.execute(theirs.order_by(*NEWEST_FIRST).limit(limit).offset(offset))
            return list(page.scalars())

    async def claim(
        self,
        user_id: str,
        session_id: str,
        turn_id: str,
        query: str | None,
        *,
        from_statuses: Collection[Status] | None = None,
    ) -> SessionRecord:
        """Claim the session's lease for the turn `turn_id`; returns the session as it was before.

        A returned status of `running` means that the previous turn crashed; `from_statuses` sees it as `error`, as
        `find` does. `query` None keeps the last query. The claim clears the interrupts: a turn that cannot run after
        all passes them to `release`.

        Raises:
            SessionNotFound: there is no such session, or it has expired.
            SessionBusy: another turn holds the lease.
            SessionNotReady: the status is not in `from_statuses`.
        """
        key, now = (user_id, session_id), self._now()
        asked: dict[str, Any] = {}
        if query is not None:
            asked = {"last_query": storable(query), "query_id": message_id(turn_id)}
        mark = await self._states.mark(key)
        row = await self._claim.run(*key, turn_id, now, from_statuses=from_statuses, **asked)
        if row is None or not row.claimed:
            await self._states.put(key, mark, None)
            raise _refusal(row, now, from_statuses, self._time_of)
        before = stored_record(row)
        changed = {**asked, "turn_id": turn_id, "claims": before.claims + 1}
        claimed = replace(before, status="running", message="", interrupts=(), updated=now, **changed)
        await self._states.put(key, mark, LiveState(claimed, turn_id, self._lease.total_seconds()))
        return before

    async def renew(self, turn_ids: Collection[str]) -> Mapping[str, LeaseState]:
        """Extend the leases of turns, even lapsed ones that no other turn has claimed.

        A turn whose lease is `stop` or `lost` must end.
        """
        mine = and_(sessions.c.turn_id.in_(turn_ids), ~sessions.c.gone, not_expired(self._now()))
        extend = update(sessions).where(mine).values(lease_until=self._lease_end)
        ids = (sessions.c.turn_id, sessions.c.stop_asked, sessions.c.user_id, sessions.c.session_id)
        rows = await self._database.execute(extend.returning(*ids))
        held: dict[str, LeaseState] = {row.turn_id: "stop" if row.stop_asked else "held" for row in rows}
        await self._states.renew({row.turn_id: (row.user_id, row.session_id) for row in rows})
        return {each: held.get(each, "lost") for each in turn_ids}

    async def is_running(self, turn_id: str) -> bool:
        """Whether the turn holds its lease."""
        held = select(sessions.c.turn_id).where(sessions.c.turn_id == turn_id, has_lease(self._at))
        return bool(await self._database.execute(held))

    async def request_stop(self, user_id: str, session_id: str) -> str | None:
        """Ask the running turn to end; returns its id, None when none runs. Its process learns of it from `renew`."""
        running = and_(has_id(user_id, session_id), not_expired(self._now()), has_lease(self._at))
        ask = update(sessions).where(running).values(stop_asked=True).returning(sessions.c.turn_id)
        return next((row.turn_id for row in await self._database.execute(ask)), None)

    async def finish(
        self,
        turn_id: str,
        status: Status,
        *,
        message: str = "",
        last_response: TurnResponse | None = None,
        interrupts: Iterable[Mapping[str, Any]] = (),
    ) -> bool:
        """Release the turn's lease and store its outcome; `last_response` None keeps the last one.

        Returns False when the turn has lost its lease, or the session was deleted or has expired.
        """
        values = {"status": status, "message": message, "interrupts": tuple(interrupts)}
        values |= {} if last_response is None else {"last_response": last_response.stored()}
        return await self._end(turn_id, values)

    async def release(self, turn_id: str, before: SessionRecord, last_response: TurnResponse | None = None) -> bool:
        """Release the lease of a turn that did not run: the session is as it was `before`. Returns as `finish` does."""
        values: dict[str, Any] = {"status": before.status, "message": before.message, "interrupts": before.interrupts}
        values |= {"last_query": before.last_query, "query_id": before.query_id}
        values |= {} if last_response is None else {"last_response": last_response.stored()}
        return await self._end(turn_id, values)

    async def abandon(self, turn_id: str) -> None:
        """Let the turn's lease lapse now. The session is as after a crash: another process can continue the turn."""
        lapse = update(sessions).where(sessions.c.turn_id == turn_id).values(lease_until=self._at.now)
        for row in await self._database.execute(lapse.returning(sessions.c.user_id, sessions.c.session_id)):
            await self._states.put((row.user_id, row.session_id), turn_id, None)

    async def set_summary(self, thread_id: str, summary: Mapping[str, Any]) -> None:
        """Store the summary of the beginning of the thread's conversation."""
        store = update(sessions).where(sessions.c.thread_id == thread_id).values(summary=summary)
        async with self._database.begin() as connection:
            await connection.execute(store)

    async def set_expiry(self, user_id: str, session_id: str, ttl: float | None) -> SessionRecord:
        """Make the session expire `ttl` seconds from now; None means never. Raises SessionNotFound."""
        return await self._change(user_id, session_id, expires_at=_expiry(self._now(), ttl))

    async def delete(self, user_id: str, session_id: str) -> SessionRecord | None:
        """Mark the session as deleted; returns it, None when there is none. A turn on it loses its lease.

        Afterwards delete the checkpoints of its thread, then `remove` the record. After a crash in between, `expired`
        returns the record.
        """
        try:
            return await self._change(user_id, session_id, gone=True, expires_at=self._now())
        except SessionNotFound:
            return None

    async def expired(self, limit: int) -> list[SessionRecord]:
        """Up to `limit` sessions that are expired or deleted and on which no turn runs, oldest first.

        Delete the checkpoints of their threads, then `remove` them.
        """
        found = self._select().where(removable(self._now(), self._at))
        rows = await self._database.execute(found.order_by(sessions.c.expires_at).limit(limit))
        return [current_record(row, self._time_of(row)) for row in rows]

    async def remove(self, records: Sequence[SessionRecord]) -> None:
        """Delete the rows of expired or deleted sessions whose checkpoints are already deleted.

        A session on which a turn still runs is kept, because the turn may write another checkpoint.
        """
        threads = [record.thread_id for record in records]
        rows = delete(sessions).where(sessions.c.thread_id.in_(threads), removable(self._now(), self._at))
        async with self._database.begin() as connection:
            await connection.execute(rows)

    async def discard(self, record: SessionRecord) -> None:
        """Delete a session that no turn has claimed yet; any other stays."""
        unused = and_(sessions.c.thread_id == record.thread_id, sessions.c.claims == 0)
        key = record.user_id, record.session_id
        mark = await self._states.mark(key)
        async with self._database.begin() as connection:
            await connection.execute(delete(sessions).where(unused))
        await self._states.put(key, mark, None)

    async def _change(self, user_id: str, session_id: str, **values: Any) -> SessionRecord:
        key = user_id, session_id
        present = and_(has_id(user_id, session_id), not_expired(self._now()))
        change = update(sessions).where(present).values(values)
        mark = await self._states.mark(key)
        rows = await self._database.execute(change.returning(sessions, self._at.now.label("lease_now")))
        state = self._live_state(rows[0]) if rows else None
        await self._states.put(key, mark, None if state is None or rows[0].gone else state)
        if state is None:
            raise _not_found()
        return state.record

    async def _load(self, user_id: str, session_id: str) -> LiveState | None:
        found = self._select().where(has_id(user_id, session_id), not_expired(self._now()))
        rows = await self._database.execute(found)
        return self._live_state(rows[0]) if rows else None

    async def _end(self, turn_id: str, values: dict[str, Any]) -> bool:
        now = self._now()
        values |= {"updated": now, "turn_id": None, "lease_until": None, "stop_asked": False}
        rows = await self._database.execute(self._release, {"ended_turn": turn_id, **values})
        if not rows or rows[0].gone or has_expired(rows[0], now):
            return False
        if self._states.kept:
            row = rows[0]
            # A released claim on a crashed turn leaves the stored status "running".
            state = None if row.status == "running" else LiveState(stored_record(row))
            await self._states.put((row.user_id, row.session_id), turn_id, state)
        return True

    def _select(self) -> Select[Any]:
        """Rows of sessions, each with the time of the leases."""
        return select(sessions, self._at.now.label("lease_now"))

    def _live_state(self, row: Row[Any]) -> LiveState:
        at = self._time_of(row)
        left = (row.lease_until - at.now).total_seconds() if is_leased(row, at) else 0.0
        return LiveState(current_record(row, at), row.turn_id, left)

    def _time_of(self, row: Row[Any]) -> LeaseTime:
        return LeaseTime(row.lease_now, row.lease_now + self._lease + OTHER_LEASES)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _refusal(
    row: Row[Any] | None,
    now: datetime,
    from_statuses: Collection[Status] | None,
    time_of: Callable[[Row[Any]], LeaseTime],
) -> SwitchboardError:
    """Why the session could not be claimed."""
    if row is None or has_expired(row, now):
        return _not_found()
    at = time_of(row)
    status = current_record(row, at).status
    if is_leased(row, at) or from_statuses is None or status in from_statuses:
        message = "Another turn runs on this session. Wait for it to end, or cancel it."
        left = 0.0 if row.lease_until is None else (row.lease_until - at.now).total_seconds()
        return SessionBusy(message, retry_after=max(0.0, left))
    message = f"The session is {status}, but must be {' or '.join(sorted(from_statuses))}."
    return SessionNotReady(message, status=status)


def _expiry(now: datetime, ttl: float | None) -> datetime | None:
    return None if ttl is None else now + timedelta(seconds=ttl)


def _not_found() -> SessionNotFound:
    return SessionNotFound("The user has no such session, or it has expired.")
