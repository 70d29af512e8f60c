"""The table of sessions. A turn that runs holds a lease in its session's row."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Boolean, Column, Index, MetaData, String, Table

from agent.storage.columns import AnyText, Json, UtcTime

sessions: Final = Table(
    "sessions",
    MetaData(),
    Column("thread_id", String(32), primary_key=True),
    Column("user_id", String(256), nullable=False),
    Column("session_id", String(256), nullable=False),
    # Deleted, or made anew after it expired: the row stays until its thread's checkpoints have been deleted.
    Column("gone", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    Column("message", AnyText, nullable=False),
    Column("last_query", AnyText),
    Column("last_response", AnyText),
    Column("model", AnyText),
    Column("system_message", AnyText),
    Column("interrupts", Json, nullable=False),
    Column("summary", Json),
    Column("created", UtcTime, nullable=False),
    Column("updated", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    # The turn that runs; its owner renews the lease, so one that has lapsed means that the owner is no more.
    Column("turn_id", String(256)),
    Column("lease_until", UtcTime),
    Column("stop_asked", Boolean, nullable=False),
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
