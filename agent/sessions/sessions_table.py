"""The table of sessions: its columns, query conditions, and the conversion of a row to a SessionRecord."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Boolean, Column, ColumnElement, Index, Integer, MetaData, Row, String, Table, and_, or_

from agent.sessions.record import SessionRecord
from agent.sessions.turn_response import read_response
from agent.storage.columns import AnyText, Json, UtcTime

CRASHED: Final = "The server stopped during this turn. The session can go on."

sessions: Final = Table(
    "sessions",
    MetaData(),
    Column("thread_id", String(32), primary_key=True),
    Column("user_id", String(256), nullable=False),
    Column("session_id", String(256), nullable=False),
    # Deleted, or expired and created again. The row stays until the checkpoints of its thread are deleted.
    Column("gone", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    Column("message", AnyText, nullable=False),
    Column("last_query", AnyText),
    # `TurnResponse.stored`; the text of the answer in rows of earlier versions.
    Column("last_response", AnyText),
    Column("model", AnyText),
    Column("system_message", AnyText),
    Column("interrupts", Json, nullable=False),
    Column("summary", Json),
    Column("created", UtcTime, nullable=False),
    Column("updated", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    # The running turn and the end of its lease. A lapsed lease means that the process of the turn has died.
    Column("turn_id", String(256)),
    Column("lease_until", UtcTime),
    Column("stop_asked", Boolean, nullable=False),
    # How often the session was claimed; see `agent.storage.fence`.
    Column("claims", Integer, nullable=False, server_default="0"),
    # The persona that the session is with.
    Column("agent_id", AnyText),
    # The id of the message that `last_query` is; it may not be stored in the thread yet.
    Column("query_id", String(256)),
)

Index(
    "sessions_present",
    sessions.c.user_id,
    sessions.c.session_id,
    unique=True,
    sqlite_where=~sessions.c.gone,
    postgresql_where=~sessions.c.gone,
)
Index("sessions_updated", sessions.c.user_id, sessions.c.updated)
Index("sessions_expires_at", sessions.c.expires_at)
Index("sessions_turn_id", sessions.c.turn_id, unique=True)


@dataclass(frozen=True, slots=True)
class LeaseTime:
    """`now` on the clock of the leases, as a value or as an expression of SQL.

    No lease ends after `latest`: one that does was taken on another clock, such as before a restart of the machine, and
    counts as lapsed.
    """

    now: Any
    latest: Any


def has_id(user_id: Any, session_id: Any) -> ColumnElement[bool]:
    """The one row of this session that is not gone. It may have expired."""
    return and_(sessions.c.user_id == user_id, sessions.c.session_id == session_id, ~sessions.c.gone)


def not_expired(now: datetime) -> ColumnElement[bool]:
    return or_(sessions.c.expires_at.is_(None), sessions.c.expires_at > now)


def has_lease(at: LeaseTime) -> ColumnElement[bool]:
    """Rows on which a turn runs."""
    return and_(sessions.c.turn_id.is_not(None), sessions.c.lease_until > at.now, sessions.c.lease_until <= at.latest)


def removable(now: datetime, at: LeaseTime) -> ColumnElement[bool]:
    """Expired or deleted rows on which no turn runs."""
    ended = or_(sessions.c.turn_id.is_(None), sessions.c.lease_until <= at.now, sessions.c.lease_until > at.latest)
    return and_(sessions.c.expires_at <= now, ended)


def has_expired(row: Row[Any], now: datetime) -> bool:
    return row.expires_at is not None and row.expires_at <= now


def is_leased(row: Row[Any], at: LeaseTime) -> bool:
    """Whether a turn runs on the session."""
    return row.turn_id is not None and at.now < row.lease_until <= at.latest


def stored_record(row: Row[Any]) -> SessionRecord:
    """The record with the stored status, which is still `running` after a crash."""
    return SessionRecord(
        user_id=row.user_id,
        session_id=row.session_id,
        thread_id=row.thread_id,
        status=row.status,
        message=row.message,
        last_query=row.last_query,
        last_response=None if row.last_response is None else read_response(row.last_response, row.updated),
        model=row.model,
        system_message=row.system_message,
        interrupts=tuple(row.interrupts),
        summary=row.summary,
        created=row.created,
        updated=row.updated,
        expires_at=row.expires_at,
        claims=row.claims,
        agent_id=row.agent_id,
        turn_id=row.turn_id,
        query_id=row.query_id,
    )


def current_record(row: Row[Any], at: LeaseTime) -> SessionRecord:
    """The record with its status at the time `at`: `running` with a lapsed lease reads as `error`."""
    record = stored_record(row)
    if record.status == "running" and not is_leased(row, at):
        return replace(record, status="error", message=CRASHED)
    return record
