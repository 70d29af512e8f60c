"""The tables of background tasks and their events, their conditions, and the conversion of a row to a TaskRecord."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Index,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    and_,
    exists,
    or_,
)

from agent.sessions.sessions_table import LeaseTime
from agent.storage.columns import Json, UtcTime
from agent.tasks.record import TaskRecord

metadata: Final = MetaData()

tasks: Final = Table(
    "tasks",
    metadata,
    # The order of submission.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("task_id", String(32), nullable=False, unique=True),
    # What it does, see `agent.tasks.kind`. `user_id` and `session_id` of a response are its caller and its own id.
    Column("kind", String(16), nullable=False, server_default="session"),
    Column("user_id", String(256), nullable=False),
    Column("session_id", String(256), nullable=False),
    Column("status", String(16), nullable=False),
    Column("request", Json, nullable=False),
    Column("answer", Json),
    Column("steps", Json, nullable=False),
    Column("produced", Json),
    Column("events", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("cancel_asked", Boolean, nullable=False),
    # When its id was last sent to the queue.
    Column("sent", UtcTime, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("started", UtcTime),
    Column("finished", UtcTime),
    # The worker's claim and the end of its lease, as in the table of sessions.
    Column("claim_id", String(32)),
    Column("lease_until", UtcTime),
)

task_events: Final = Table(
    "task_events",
    metadata,
    # One row for each batch. `last` is the number of its last event.
    Column("task_id", String(32), primary_key=True),
    Column("last", Integer, primary_key=True),
    Column("lines", Json, nullable=False),
)

unfinished: Final = tasks.c.finished.is_(None)

Index("tasks_of_user", tasks.c.user_id, tasks.c.number)
Index(
    "tasks_unfinished",
    tasks.c.user_id,
    tasks.c.session_id,
    tasks.c.number,
    sqlite_where=unfinished,
    postgresql_where=unfinished,
)
Index("tasks_sent", tasks.c.sent, sqlite_where=unfinished, postgresql_where=unfinished)
Index("tasks_finished", tasks.c.finished)
Index("tasks_claim_id", tasks.c.claim_id, unique=True)


def of_session(user_id: str, session_id: str) -> ColumnElement[bool]:
    return and_(tasks.c.user_id == user_id, tasks.c.session_id == session_id)


def unclaimed(at: LeaseTime) -> ColumnElement[bool]:
    """Tasks that nobody runs: queued, or their worker has died."""
    return or_(tasks.c.claim_id.is_(None), tasks.c.lease_until <= at.now, tasks.c.lease_until > at.latest)


def first_of_session() -> ColumnElement[bool]:
    """Tasks before which no other of their session has to run."""
    older = tasks.alias("older")
    return ~exists().where(
        older.c.user_id == tasks.c.user_id,
        older.c.session_id == tasks.c.session_id,
        older.c.number < tasks.c.number,
        older.c.finished.is_(None),
    )


def task_record(row: Row[Any]) -> TaskRecord:
    return TaskRecord(
        task_id=row.task_id,
        user_id=row.user_id,
        session_id=row.session_id,
        status=row.status,
        request=row.request,
        answer=row.answer,
        steps=tuple(row.steps),
        events=row.events,
        attempts=row.attempts,
        cancel_asked=row.cancel_asked,
        created=row.created,
        started=row.started,
        finished=row.finished,
        kind=row.kind,
        produced=row.produced,
    )
