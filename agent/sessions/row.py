"""How a session's row is found, and how it reads at a time: a turn whose lease has lapsed died with its process."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, and_, or_

from agent.sessions.record import SessionRecord
from agent.sessions.table import sessions

CRASHED: Final = "The server stopped during this turn. The session can go on."


def named(user_id: str, session_id: str) -> ColumnElement[bool]:
    """The one row of that name that is not gone. It may have expired."""
    return and_(sessions.c.user_id == user_id, sessions.c.session_id == session_id, ~sessions.c.gone)


def not_expired(now: datetime) -> ColumnElement[bool]:
    return or_(sessions.c.expires_at.is_(None), sessions.c.expires_at > now)


def over(now: datetime) -> ColumnElement[bool]:
    """Rows that nobody sees or writes to any more."""
    return and_(sessions.c.expires_at <= now, or_(sessions.c.turn_id.is_(None), sessions.c.lease_until <= now))


def has_expired(row: Row[Any], now: datetime) -> bool:
    return row.expires_at is not None and row.expires_at <= now


def is_held(row: Row[Any], now: datetime) -> bool:
    """Whether a turn runs, or may still run, on the session."""
    return row.turn_id is not None and row.lease_until > now


def as_stored(row: Row[Any]) -> SessionRecord:
    """The record with the status that stands in the row, be it true or not."""
    return SessionRecord(
        user_id=row.user_id,
        session_id=row.session_id,
        thread_id=row.thread_id,
        status=row.status,
        message=row.message,
        last_query=row.last_query,
        last_response=row.last_response,
        model=row.model,
        system_message=row.system_message,
        interrupts=tuple(row.interrupts),
        summary=row.summary,
        created=row.created,
        updated=row.updated,
        expires_at=row.expires_at,
    )


def as_read(row: Row[Any], now: datetime) -> SessionRecord:
    """The record with the status that holds."""
    record = as_stored(row)
    if record.status == "running" and not is_held(row, now):
        return replace(record, status="error", message=CRASHED)
    return record
