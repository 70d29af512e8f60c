"""Where sessions are kept: rows of the database, which alone says who may run a turn on which session.

A turn claims its session's lease, renews it while it runs and releases it when it finishes. When a process dies its
leases lapse, and each session can go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from uuid import uuid4

from sqlalchemy import and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from agent.sessions.record import SessionRecord, Status
from agent.sessions.row import as_read, as_stored, has_expired, is_held, named, not_expired, over
from agent.sessions.table import sessions
from agent.storage.database import Database
from config.errors import SessionBusy, SessionExists, SessionNotFound, SessionNotReady

Lease = Literal["held", "stop", "lost"]

LEASE: Final = 10.0
"""Seconds."""

NEWEST_FIRST = (sessions.c.updated.desc(), sessions.c.thread_id)


class SessionStore:
    """Sessions in `database`. Several stores, in any number of processes, may share one.

    `clock` gives seconds since 1970, and all processes must agree on it to well within `lease`, which is the seconds
    after which a turn that has not renewed counts as dead. Every method raises StorageUnavailable when the database is
    away. Ids are up to 256 characters, without NUL; other text is stored whatever it holds.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time, lease: float = LEASE) -> None:
        self._database = database
        self._clock = clock
        self._lease = timedelta(seconds=lease)

    async def create(
        self,
        user_id: str,
        session_id: str,
        *,
        model: str | None = None,
        system_message: str | None = None,
        ttl: float | None = None,
    ) -> SessionRecord:
        """A new session, which expires in `ttl` seconds; None is never. Of two that do this at once one wins.

        Raises:
            SessionExists: the user has it already.
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
        )
        try:
            async with self._database.begin() as connection:
                present = and_(named(user_id, session_id), sessions.c.expires_at <= now)
                await connection.execute(update(sessions).where(present).values(gone=True))
                return as_read((await connection.execute(new.returning(sessions))).one(), now)
        except IntegrityError as exc:
            raise SessionExists("There is a session of that id already.") from exc

    async def find(self, user_id: str, session_id: str) -> SessionRecord | None:
        """The session, None when there is none or it has expired. A turn whose owner died reads as an error."""
        now = self._now()
        found = select(sessions).where(named(user_id, session_id), not_expired(now))
        async with self._database.read() as connection:
            row = (await connection.execute(found)).one_or_none()
        return None if row is None else as_read(row, now)

    async def latest(self, user_id: str) -> SessionRecord | None:
        """The user's session that was last active."""
        now = self._now()
        newest = select(sessions).where(sessions.c.user_id == user_id, ~sessions.c.gone, not_expired(now))
        async with self._database.read() as connection:
            row = (await connection.execute(newest.order_by(*NEWEST_FIRST).limit(1))).one_or_none()
        return None if row is None else as_read(row, now)

    async def ids(self, user_id: str, limit: int = 100, offset: int = 0) -> list[str]:
        """The ids of the user's sessions, the last active first."""
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
        """Begin the turn `turn_id`, if no other runs; returns the session as it was before.

        There `running` means that the turn before died with its process. Of the statuses that are allowed that one
        counts as `error`, as `find` has it. `query` None leaves the last one. The interrupts are cleared: who cannot go
        on after all gives them back to `finish`.

        Raises:
            SessionNotFound: there is none, or it has expired.
            SessionBusy: another turn holds the lease.
            SessionNotReady: its status is none of `from_statuses`.
        """
        row_of_it = select(sessions).where(named(user_id, session_id)).with_for_update()
        async with self._database.begin() as connection:
            row = (await connection.execute(row_of_it)).one_or_none()
            now = self._now()  # not earlier: the row may have been held by another for a while
            if row is None or has_expired(row, now):
                raise _not_found()
            if is_held(row, now):
                message = "Another turn runs on this session. Wait for it to end, or cancel it."
                raise SessionBusy(message, retry_after=(row.lease_until - now).total_seconds())
            status = as_read(row, now).status
            if from_statuses is not None and status not in from_statuses:
                message = f"The session is {status}; this needs one that is {' or '.join(sorted(from_statuses))}."
                raise SessionNotReady(message, status=status)
            values = {"status": "running", "message": "", "interrupts": (), "updated": now, "turn_id": turn_id}
            values |= {"lease_until": now + self._lease, "stop_asked": False}
            values |= {} if query is None else {"last_query": query}
            await connection.execute(update(sessions).where(sessions.c.thread_id == row.thread_id).values(values))
        return as_stored(row)

    async def renew(self, turn_id: str) -> Lease:
        """Extend the turn's lease. `stop` (it is extended too): somebody asks the turn to end; `lost`: end at once.

        A lease that lapsed is held again, as long as nobody has taken it over.
        """
        return (await self.renew_all([turn_id]))[turn_id]

    async def renew_all(self, turn_ids: Collection[str]) -> Mapping[str, Lease]:
        """`renew` for many at once."""
        now = self._now()
        mine = and_(sessions.c.turn_id.in_(turn_ids), ~sessions.c.gone, not_expired(now))
        extend = update(sessions).where(mine).values(lease_until=now + self._lease)
        async with self._database.begin() as connection:
            rows = await connection.execute(extend.returning(sessions.c.turn_id, sessions.c.stop_asked))
            held: dict[str, Lease] = {row.turn_id: "stop" if row.stop_asked else "held" for row in rows}
        return {each: held.get(each, "lost") for each in turn_ids}

    async def runs(self, turn_id: str) -> bool:
        """Whether the turn holds its lease."""
        held = select(sessions.c.turn_id).where(sessions.c.turn_id == turn_id, sessions.c.lease_until > self._now())
        async with self._database.read() as connection:
            return (await connection.execute(held)).one_or_none() is not None

    async def request_stop(self, user_id: str, session_id: str) -> str | None:
        """Ask the turn that runs to end; returns its id, None when none runs. Its owner learns of it by `renew`."""
        now = self._now()
        running = and_(named(user_id, session_id), not_expired(now), sessions.c.lease_until > now)
        ask = update(sessions).where(running).values(stop_asked=True).returning(sessions.c.turn_id)
        async with self._database.begin() as connection:
            turn_id: str | None = (await connection.execute(ask)).scalar_one_or_none()
        return turn_id

    async def finish(
        self,
        turn_id: str,
        status: Status,
        *,
        message: str = "",
        last_query: str | None = None,
        last_response: str | None = None,
        interrupts: Iterable[Mapping[str, Any]] = (),
    ) -> bool:
        """Release the turn's lease and store how it ended; `last_query` and `last_response` None leave the last ones.

        False when there is nothing to store it for: the session was taken over, deleted, or has expired.
        """
        now = self._now()
        values = {"status": status, "message": message, "interrupts": tuple(interrupts), "updated": now}
        values |= {"turn_id": None, "lease_until": None, "stop_asked": False}
        values |= {} if last_query is None else {"last_query": last_query}
        values |= {} if last_response is None else {"last_response": last_response}
        release = update(sessions).where(sessions.c.turn_id == turn_id).values(values)
        async with self._database.begin() as connection:
            row = (await connection.execute(release.returning(sessions.c.gone, sessions.c.expires_at))).one_or_none()
        return row is not None and not row.gone and not has_expired(row, now)

    async def set_response(self, user_id: str, session_id: str, text: str) -> SessionRecord:
        """Put `text`, what was heard of a cancelled answer, in the place of the last response.

        Raises:
            SessionNotFound: there is none, or it has expired.
        """
        return await self._change(user_id, session_id, last_response=text)

    async def set_summary(self, thread_id: str, summary: Mapping[str, Any]) -> None:
        """Keep what stands for the beginning of the thread's conversation."""
        keep = update(sessions).where(sessions.c.thread_id == thread_id).values(summary=summary)
        async with self._database.begin() as connection:
            await connection.execute(keep)

    async def set_expiry(self, user_id: str, session_id: str, ttl: float | None) -> SessionRecord:
        """Let it expire `ttl` seconds from now; None is never. Raises SessionNotFound."""
        return await self._change(user_id, session_id, expires_at=_expiry(self._now(), ttl))

    async def delete(self, user_id: str, session_id: str) -> SessionRecord | None:
        """Delete the session at once; returns it, None when there is none. A turn on it loses its lease.

        Its thread's checkpoints are left: delete them, then `remove` the record. What is not removed comes up in
        `expired`, so a crash in between leaves nothing behind.
        """
        try:
            return await self._change(user_id, session_id, gone=True, expires_at=self._now())
        except SessionNotFound:
            return None

    async def expired(self, limit: int) -> list[SessionRecord]:
        """Up to `limit` sessions that are over, the longest ago first, and on which no turn runs any more.

        Delete their threads' checkpoints, then `remove` them.
        """
        now = self._now()
        found = select(sessions).where(over(now)).order_by(sessions.c.expires_at).limit(limit)
        async with self._database.read() as connection:
            rows = await connection.execute(found)
            return [as_read(row, now) for row in rows]

    async def remove(self, records: Sequence[SessionRecord]) -> None:
        """Forget sessions that are over, after their threads' checkpoints have been deleted.

        One on which a turn still runs stays, since the turn may write another checkpoint: it comes up in `expired`.
        """
        threads = [record.thread_id for record in records]
        forget = delete(sessions).where(sessions.c.thread_id.in_(threads), over(self._now()))
        async with self._database.begin() as connection:
            await connection.execute(forget)

    async def _change(self, user_id: str, session_id: str, **values: Any) -> SessionRecord:
        now = self._now()
        present = and_(named(user_id, session_id), not_expired(now))
        change = update(sessions).where(present).values(values).returning(sessions)
        async with self._database.begin() as connection:
            row = (await connection.execute(change)).one_or_none()
        if row is None:
            raise _not_found()
        return as_read(row, now)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _expiry(now: datetime, ttl: float | None) -> datetime | None:
    return None if ttl is None else now + timedelta(seconds=ttl)


def _not_found() -> SessionNotFound:
    return SessionNotFound("The user has no such session, or it has expired.")
