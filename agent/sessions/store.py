"""Stores sessions and their leases in the database.

A turn claims the lease of its session, renews it while it runs and releases it when it finishes. When a process dies,
its leases lapse and other turns can run on the sessions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from uuid import uuid4

from sqlalchemy import Row, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.sessions.lease_clock import lease_clock
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
from agent.sessions.turn_response import TurnResponse
from agent.storage.database import Database
from config.errors import SessionBusy, SessionExists, SessionNotFound, SessionNotReady

LeaseState = Literal["held", "stop", "lost"]
"""`stop`: held, but the turn is asked to end; `lost`: another turn or nobody holds it."""

DEFAULT_LEASE: Final = 10.0
"""Seconds."""

OTHER_LEASES: Final = timedelta(minutes=1)
"""How much longer than this server's the leases of other servers may be."""

NEWEST_FIRST = (sessions.c.updated.desc(), sessions.c.thread_id)


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
        self._clock = clock or time.time
        self._lease_clock = lease_clock(database) if clock is None else self._same_clock
        self._lease = timedelta(seconds=lease)

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

    async def status(self, user_id: str, session_id: str) -> SessionRecord | None:
        """`find` for clients that poll, from `states` if possible: without model, system message and summary."""
        return await self._states.find((user_id, session_id), lambda: self._load(user_id, session_id))

    async def latest(self, user_id: str, agent_id: str | None = None) -> SessionRecord | None:
        """The user's most recently active session; with `agent_id`, of those with this persona."""
        now = self._now()
        newest = select(sessions).where(sessions.c.user_id == user_id, ~sessions.c.gone, not_expired(now))
        if agent_id is not None:
            newest = newest.where(sessions.c.agent_id == agent_id)
        async with self._database.read() as connection:
            row = (await connection.execute(newest.order_by(*NEWEST_FIRST).limit(1))).one_or_none()
            return None if row is None else current_record(row, await self._lease_time(connection))

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
        all passes them to `finish`.

        Raises:
            SessionNotFound: there is no such session, or it has expired.
            SessionBusy: another turn holds the lease.
            SessionNotReady: the status is not in `from_statuses`.
        """
        lock_row = select(sessions).where(has_id(user_id, session_id)).with_for_update()
        async with self._database.begin() as connection:
            row = (await connection.execute(lock_row)).one_or_none()
            now, at = self._now(), await self._lease_time(connection)  # read after the wait for the row's lock
            if row is None or has_expired(row, now):
                raise _not_found()
            if is_leased(row, at):
                message = "Another turn runs on this session. Wait for it to end, or cancel it."
                raise SessionBusy(message, retry_after=(row.lease_until - at.now).total_seconds())
            status = current_record(row, at).status
            if from_statuses is not None and status not in from_statuses:
                message = f"The session is {status}, but must be {' or '.join(sorted(from_statuses))}."
                raise SessionNotReady(message, status=status)
            values = {"status": "running", "message": "", "interrupts": (), "updated": now, "turn_id": turn_id}
            values |= {"lease_until": at.now + self._lease, "stop_asked": False, "claims": row.claims + 1}
            values |= {} if query is None else {"last_query": query}
            claim = update(sessions).where(sessions.c.thread_id == row.thread_id).values(values).returning(sessions)
            claimed = stored_record((await connection.execute(claim)).one())
            mark = await self._states.mark((user_id, session_id))
        await self._states.put((user_id, session_id), mark, LiveState(claimed, turn_id, self._lease.total_seconds()))
        return stored_record(row)

    async def renew(self, turn_id: str) -> LeaseState:
        """Extend the turn's lease, even a lapsed one that no other turn has claimed.

        A turn whose lease is `stop` or `lost` must end.
        """
        return (await self.renew_all([turn_id]))[turn_id]

    async def renew_all(self, turn_ids: Collection[str]) -> Mapping[str, LeaseState]:
        """`renew` for several turns at once."""
        mine = and_(sessions.c.turn_id.in_(turn_ids), ~sessions.c.gone, not_expired(self._now()))
        async with self._database.begin() as connection:
            at = await self._lease_time(connection)
            extend = update(sessions).where(mine).values(lease_until=at.now + self._lease)
            ids = (sessions.c.turn_id, sessions.c.stop_asked, sessions.c.user_id, sessions.c.session_id)
            rows = (await connection.execute(extend.returning(*ids))).all()
            held: dict[str, LeaseState] = {row.turn_id: "stop" if row.stop_asked else "held" for row in rows}
        await self._states.renew({row.turn_id: (row.user_id, row.session_id) for row in rows})
        return {each: held.get(each, "lost") for each in turn_ids}

    async def is_running(self, turn_id: str) -> bool:
        """Whether the turn holds its lease."""
        async with self._database.read() as connection:
            at = await self._lease_time(connection)
            held = select(sessions.c.turn_id).where(sessions.c.turn_id == turn_id, has_lease(at))
            return (await connection.execute(held)).one_or_none() is not None

    async def request_stop(self, user_id: str, session_id: str) -> str | None:
        """Ask the running turn to end; returns its id, None when none runs. Its process learns of it from `renew`."""
        async with self._database.begin() as connection:
            at = await self._lease_time(connection)
            running = and_(has_id(user_id, session_id), not_expired(self._now()), has_lease(at))
            ask = update(sessions).where(running).values(stop_asked=True).returning(sessions.c.turn_id)
            turn_id: str | None = (await connection.execute(ask)).scalar_one_or_none()
        return turn_id

    async def finish(
        self,
        turn_id: str,
        status: Status,
        *,
        message: str = "",
        last_query: str | None = None,
        last_response: TurnResponse | None = None,
        interrupts: Iterable[Mapping[str, Any]] = (),
    ) -> bool:
        """Release the turn's lease and store its outcome; `last_query` and `last_response` None keep the last ones.

        Returns False when the turn has lost its lease, or the session was deleted or has expired.
        """
        now = self._now()
        values = {"status": status, "message": message, "interrupts": tuple(interrupts), "updated": now}
        values |= {"turn_id": None, "lease_until": None, "stop_asked": False}
        values |= {} if last_query is None else {"last_query": last_query}
        values |= {} if last_response is None else {"last_response": last_response.stored()}
        release = update(sessions).where(sessions.c.turn_id == turn_id).values(values)
        async with self._database.begin() as connection:
            row = (await connection.execute(release.returning(sessions))).one_or_none()
        if row is None or row.gone or has_expired(row, now):
            return False
        # A released claim on a crashed turn leaves the stored status "running".
        state = None if row.status == "running" else LiveState(stored_record(row))
        await self._states.put((row.user_id, row.session_id), turn_id, state)
        return True

    async def abandon(self, turn_id: str) -> None:
        """Let the turn's lease lapse now. The session is as after a crash: another process can continue the turn."""
        async with self._database.begin() as connection:
            at = await self._lease_time(connection)
            lapse = update(sessions).where(sessions.c.turn_id == turn_id).values(lease_until=at.now)
            ids = (sessions.c.user_id, sessions.c.session_id)
            row = (await connection.execute(lapse.returning(*ids))).one_or_none()
        if row is not None:
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
        async with self._database.read() as connection:
            at = await self._lease_time(connection)
            found = select(sessions).where(removable(self._now(), at)).order_by(sessions.c.expires_at).limit(limit)
            rows = await connection.execute(found)
            return [current_record(row, at) for row in rows]

    async def remove(self, records: Sequence[SessionRecord]) -> None:
        """Delete the rows of expired or deleted sessions whose checkpoints are already deleted.

        A session on which a turn still runs is kept, because the turn may write another checkpoint.
        """
        threads = [record.thread_id for record in records]
        async with self._database.begin() as connection:
            at = await self._lease_time(connection)
            rows = delete(sessions).where(sessions.c.thread_id.in_(threads), removable(self._now(), at))
            await connection.execute(rows)

    async def _change(self, user_id: str, session_id: str, **values: Any) -> SessionRecord:
        now = self._now()
        present = and_(has_id(user_id, session_id), not_expired(now))
        change = update(sessions).where(present).values(values).returning(sessions)
        async with self._database.begin() as connection:
            row = (await connection.execute(change)).one_or_none()
            if row is None:
                raise _not_found()
            state = _live_state(row, await self._lease_time(connection))
            mark = await self._states.mark((user_id, session_id))
        await self._states.put((user_id, session_id), mark, None if row.gone else state)
        return state.record

    async def _load(self, user_id: str, session_id: str) -> LiveState | None:
        found = select(sessions).where(has_id(user_id, session_id), not_expired(self._now()))
        async with self._database.read() as connection:
            row = (await connection.execute(found)).one_or_none()
            return None if row is None else _live_state(row, await self._lease_time(connection))

    async def _lease_time(self, connection: AsyncConnection) -> LeaseTime:
        now = await self._lease_clock(connection)
        return LeaseTime(now, now + self._lease + OTHER_LEASES)

    async def _same_clock(self, _: AsyncConnection) -> datetime:
        return self._now()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _live_state(row: Row[Any], at: LeaseTime) -> LiveState:
    left = (row.lease_until - at.now).total_seconds() if is_leased(row, at) else 0.0
    return LiveState(current_record(row, at), row.turn_id, left)


def _expiry(now: datetime, ttl: float | None) -> datetime | None:
    return None if ttl is None else now + timedelta(seconds=ttl)


def _not_found() -> SessionNotFound:
    return SessionNotFound("The user has no such session, or it has expired.")
