"""Claims a session in the database: reads its row and changes it if it may be claimed, with no claim in between."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, Update, and_, bindparam, exists, func, or_, select, update

from agent.sessions.record import Status
from agent.sessions.sessions_table import LeaseTime, has_id, sessions
from agent.storage.columns import AnyText, UtcTime
from agent.storage.database import Database

STATUSES: Final[tuple[Status, ...]] = ("idle", "running", "interrupted", "completed", "error")


class ClaimQuery:
    """The statements of a claim. Each is built once, because that takes SQLAlchemy over a millisecond.

    `at` is the time of the leases and `lease_end` the end of a new one, as expressions of SQL.
    """

    def __init__(self, database: Database, at: LeaseTime, lease_end: Any) -> None:
        self._database = database
        self._at = at
        self._values = {
            "status": "running",
            "message": "",
            "interrupts": (),
            "updated": bindparam("claim_now", type_=UtcTime()),
            "turn_id": bindparam("claim_turn"),
            "lease_until": lease_end,
            "stop_asked": False,
            "claims": sessions.c.claims + 1,
            "last_query": func.coalesce(bindparam("claim_query", type_=AnyText()), sessions.c.last_query),
            "query_id": func.coalesce(bindparam("claim_query_id", type_=AnyText()), sessions.c.query_id),
        }
        self._change = update(sessions).where(sessions.c.thread_id == bindparam("claim_thread")).values(self._values)
        self._built: dict[frozenset[Status], Select[Any]] = {}

    async def run(
        self,
        user_id: str,
        session_id: str,
        turn_id: str,
        now: datetime,
        *,
        last_query: str | None = None,
        query_id: str | None = None,
        from_statuses: Collection[Status] | None,
    ) -> Row[Any] | None:
        """The session's row as it was before, with `lease_now`, and with `claimed`: whether it is claimed now.

        `now` is the time by which sessions expire. `from_statuses` None allows all, `last_query` None keeps the
        last one.
        """
        statuses = frozenset(STATUSES if from_statuses is None else from_statuses)
        if (statement := self._built.get(statuses)) is None:
            statement = self._built[statuses] = self._build(statuses)
        given = {"claim_user": user_id, "claim_session": session_id, "claim_turn": turn_id, "claim_now": now}
        given |= {"claim_query": last_query, "claim_query_id": query_id}
        if self._database.thread is not None:
            return await self._database.run(partial(_in_transaction, statement, self._change, given))
        rows = await self._database.execute(statement, given)
        return rows[0] if rows else None

    def _build(self, statuses: frozenset[Status]) -> Select[Any]:
        if self._database.thread is not None:
            return _select(statuses, self._at)
        return _select_and_claim(statuses, self._at, self._values)


def _in_transaction(
    find: Select[Any], change: Update, given: dict[str, Any], connection: Connection
) -> Row[Any] | None:
    """For SQLite, whose transaction has the write lock."""
    row = connection.execute(find, given).one_or_none()
    if row is not None and row.claimed:
        connection.execute(change, {**given, "claim_thread": row.thread_id})
    return row


def _select(statuses: frozenset[Status], at: LeaseTime) -> Select[Any]:
    """The row, and whether it may be claimed."""
    claimed = _may_be_claimed(sessions.c, statuses, at).label("claimed")
    return select(sessions, at.now.label("lease_now"), claimed).where(_has_given_id())


def _select_and_claim(statuses: frozenset[Status], at: LeaseTime, values: dict[str, Any]) -> Select[Any]:
    """For PostgreSQL: one round trip. The update sees the row as it is after the wait for its lock."""
    before = select(sessions).where(_has_given_id()).with_for_update().cte("before")
    same = and_(sessions.c.thread_id == before.c.thread_id, _may_be_claimed(before.c, statuses, at))
    claimed = update(sessions).where(same).values(values).returning(sessions.c.thread_id).cte("claimed")
    return select(before, at.now.label("lease_now"), exists(select(claimed.c.thread_id)).label("claimed"))


def _has_given_id() -> Any:
    return has_id(bindparam("claim_user"), bindparam("claim_session"))


def _may_be_claimed(row: Any, statuses: frozenset[Status], at: LeaseTime) -> Any:
    """The condition on the columns of `row`."""
    not_expired = or_(row.expires_at.is_(None), row.expires_at > bindparam("claim_now", type_=UtcTime()))
    not_leased = or_(row.turn_id.is_(None), row.lease_until <= at.now, row.lease_until > at.latest)
    # The status `running` without a lease reads as `error`.
    stored = statuses - {"running"} | ({"running"} if "error" in statuses else set())
    return and_(not_expired, not_leased, row.status.in_(sorted(stored)))
