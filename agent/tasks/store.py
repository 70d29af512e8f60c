"""Stores background tasks. The database is the truth; the queue only carries their ids.

A worker claims a task, renews its lease while it runs the task, and stores the outcome. When the worker dies, the lease
lapses and another worker may claim the task. Only the holder of the claim can change the task.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Executable, Insert, Row, and_, delete, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.sessions.lease_clock import lease_clock
from agent.sessions.sessions_table import LeaseTime
from agent.sessions.store import DEFAULT_LEASE, OTHER_LEASES
from agent.storage.columns import UtcTime
from agent.storage.database import Database
from agent.tasks.kind import SESSION, Ending, NewTask
from agent.tasks.record import Progress, TaskRecord
from agent.tasks.tasks_table import (
    first_of_session,
    of_session,
    task_events,
    task_record,
    tasks,
    unclaimed,
    unfinished,
)
from config.errors import TaskNotFound

ClaimState = Literal["held", "cancel", "lost"]
"""`cancel`: held, but the task is asked to end; `lost`: another worker has it, or it was deleted."""


@dataclass(frozen=True, slots=True)
class Released:
    """A claim was given up; False if it was lost before. `next_task` is the id of the session's next task."""

    held: bool
    next_task: str | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """Unfinished tasks: those that wait, and those that run. The oldest that waits came `longest_wait` seconds ago."""

    queued: int = 0
    running: int = 0
    longest_wait: float = 0.0


class TaskStore:
    """Tasks in `database`, which any number of processes may share.

    A worker that has not renewed its claim for `lease` seconds counts as dead, by the clock of `lease_clock`. `clock`
    gives seconds since 1970 for everything else; a given one is that of the leases too. Every method raises
    StorageUnavailable during an outage.
    """

    def __init__(
        self, database: Database, *, clock: Callable[[], float] | None = None, lease: float = DEFAULT_LEASE
    ) -> None:
        self._database = database
        self._clock = clock or time.time
        self._lease_clock = lease_clock(database) if clock is None else self._now
        self._lease = timedelta(seconds=lease)

    async def add(self, new: NewTask) -> TaskRecord:
        """Store a new task with the status `queued`."""
        now, number = self._now(), len(new.lines)
        row = insert(tasks).values(
            task_id=new.task_id,
            kind=new.kind,
            user_id=new.user_id,
            session_id=new.session_id,
            status="queued",
            request=new.request,
            steps=(),
            events=number,
            attempts=0,
            cancel_asked=False,
            sent=now,
            created=now,
        )
        async with self._database.begin() as connection:
            record = task_record((await connection.execute(row.returning(tasks))).one())
            if number:
                await connection.execute(_new_events(new.task_id, Progress(1, new.lines, ())))
            await _change_more(connection, new.changes)
        return record

    async def remove(self, task_id: str, undo: Sequence[Executable] = ()) -> bool:
        """Delete a task that no worker has claimed yet, and `undo` its changes; returns whether it was so."""
        fresh = and_(tasks.c.task_id == task_id, tasks.c.attempts == 0)
        async with self._database.begin() as connection:
            removed = await connection.execute(delete(tasks).where(fresh).returning(tasks.c.task_id))
            if removed.one_or_none() is None:
                return False
            await connection.execute(delete(task_events).where(task_events.c.task_id == task_id))
            await _change_more(connection, undo)
        return True

    async def delete(self, task_id: str) -> None:
        """Delete the task and its events. A worker that runs it loses its claim."""
        async with self._database.begin() as connection:
            for table in (task_events, tasks):
                await connection.execute(delete(table).where(table.c.task_id == task_id))

    async def get(self, task_id: str) -> TaskRecord:
        """The task. Raises TaskNotFound."""
        if not (task_id.isascii() and task_id.isalnum()):
            raise task_not_found()  # PostgreSQL refuses some characters
        async with self._database.read() as connection:
            row = (await connection.execute(select(tasks).where(tasks.c.task_id == task_id))).one_or_none()
        if row is None:
            raise task_not_found()
        return task_record(row)

    async def of_user(self, user_id: str, limit: int, offset: int) -> list[TaskRecord]:
        """The user's tasks on sessions, newest first."""
        theirs = select(tasks).where(tasks.c.user_id == user_id, tasks.c.kind == SESSION)
        theirs = theirs.order_by(tasks.c.number.desc())
        async with self._database.read() as connection:
            return [task_record(row) for row in await connection.execute(theirs.limit(limit).offset(offset))]

    async def unfinished(self, user_id: str, session_id: str | None = None) -> list[TaskRecord]:
        """The user's tasks on sessions that have not ended, newest first; only those of one session, if it is given."""
        whose = tasks.c.user_id == user_id if session_id is None else of_session(user_id, session_id)
        found = select(tasks).where(whose, unfinished, tasks.c.kind == SESSION).order_by(tasks.c.number.desc())
        async with self._database.read() as connection:
            return [task_record(row) for row in await connection.execute(found)]

    async def claim(self, task_id: str, claim_id: str) -> TaskRecord | None:
        """Claim a task that nobody runs and before which no other of its session has to run; None if it is not so."""
        async with self._database.begin() as connection:
            at = self._lease_time()
            values: dict[str, Any] = {"status": "running", "claim_id": claim_id, "lease_until": at.now + self._lease}
            values |= {
                "attempts": tasks.c.attempts + 1,
                "started": func.coalesce(tasks.c.started, literal(self._now(), UtcTime)),
            }
            free = and_(tasks.c.task_id == task_id, unfinished, unclaimed(at), first_of_session())
            row = (await connection.execute(update(tasks).where(free).values(values).returning(tasks))).one_or_none()
        return None if row is None else task_record(row)

    async def renew(self, claim_ids: Collection[str]) -> Mapping[str, ClaimState]:
        """Extend the leases of the claims, even lapsed ones of tasks that no other worker has claimed."""
        mine = and_(tasks.c.claim_id.in_(claim_ids), unfinished)
        async with self._database.begin() as connection:
            at = self._lease_time()
            extend = update(tasks).where(mine).values(lease_until=at.now + self._lease)
            rows = await connection.execute(extend.returning(tasks.c.claim_id, tasks.c.cancel_asked))
            held: dict[str, ClaimState] = {row.claim_id: "cancel" if row.cancel_asked else "held" for row in rows}
        return {each: held.get(each, "lost") for each in claim_ids}

    async def append(self, claim_id: str, progress: Progress) -> bool:
        """Store new events; returns False if the claim is lost."""
        async with self._database.begin() as connection:
            return await _change(connection, claim_id, progress, {}) is not None

    async def finish(self, claim_id: str, ending: Ending, progress: Progress) -> Released:
        """Store the end of the task with its last events, and give up the claim."""
        values = {"status": ending.status, "answer": ending.answer, "finished": self._now()}
        return await self._release(claim_id, progress, values, ending.changes)

    async def hand_back(self, claim_id: str, progress: Progress) -> Released:
        """Give up the claim, so that another worker can go on."""
        return await self._release(claim_id, progress, {"status": "queued", "sent": self._now()})

    async def ask_to_cancel(self, task_id: str, ending: Callable[[TaskRecord], Ending]) -> TaskRecord:
        """End a task that nobody runs with its `ending`; ask the worker of one that runs to end it.

        Raises TaskNotFound. A task that has ended stays as it is.
        """
        one = and_(tasks.c.task_id == task_id, unfinished)
        async with self._database.begin() as connection:
            await connection.execute(update(tasks).where(one).values(cancel_asked=True))
            idle = select(tasks).where(one, unclaimed(self._lease_time()))
            if (row := (await connection.execute(idle)).one_or_none()) is not None:
                await self._end(connection, task_record(row), ending)
            row = (await connection.execute(select(tasks).where(tasks.c.task_id == task_id))).one_or_none()
        if row is None:
            raise task_not_found()
        return task_record(row)

    async def next_of_session(self, user_id: str, session_id: str) -> str | None:
        """The id of the session's next task."""
        async with self._database.read() as connection:
            return await _next_of_session(connection, user_id, session_id)

    async def overdue(self, after: float, limit: int) -> list[str]:
        """Ids of tasks that could run but were sent to the queue more than `after` seconds ago, oldest first."""
        async with self._database.read() as connection:
            found = select(tasks.c.task_id).where(self._is_overdue(after, self._lease_time()))
            return list((await connection.execute(found.order_by(tasks.c.number).limit(limit))).scalars())

    async def mark_sent(self, task_ids: Sequence[str], after: float) -> list[str]:
        """Those of the tasks that are still overdue; now they count as sent. No other process gets the same ones."""
        async with self._database.begin() as connection:
            overdue = self._is_overdue(after, self._lease_time())
            mark = update(tasks).where(tasks.c.task_id.in_(task_ids), overdue).values(sent=self._now())
            rows = await connection.execute(mark.returning(tasks.c.task_id, tasks.c.number))
            return [row.task_id for row in sorted(rows, key=lambda row: row.number)]

    async def backlog(self) -> Backlog:
        """The unfinished tasks of all users."""
        status = select(tasks.c.status, func.count(), func.min(tasks.c.created)).where(unfinished)
        async with self._database.read() as connection:
            found = {row[0]: (row[1], row[2]) for row in await connection.execute(status.group_by(tasks.c.status))}
        queued, oldest = found.get("queued", (0, None))
        running, _ = found.get("running", (0, None))
        wait = max(0.0, (self._now() - oldest).total_seconds()) if oldest else 0.0
        return Backlog(queued, running, wait)

    async def events(self, task_id: str, after: int, limit: int) -> list[tuple[int, str]]:
        """Up to `limit` batches of events after number `after`: number and text of each event."""
        batches = select(task_events).where(task_events.c.task_id == task_id, task_events.c.last > after)
        found: list[tuple[int, str]] = []
        async with self._database.read() as connection:
            for row in await connection.execute(batches.order_by(task_events.c.last).limit(limit)):
                first = row.last - len(row.lines) + 1
                found += [(number, line) for number, line in enumerate(row.lines, first) if number > after]
        return found

    async def all_events(self, task_id: str) -> list[str]:
        """The texts of all events."""
        batches = select(task_events.c.lines).where(task_events.c.task_id == task_id)
        async with self._database.read() as connection:
            found = (await connection.execute(batches.order_by(task_events.c.last))).scalars()
            return [line for lines in found for line in lines]

    async def delete_ended(self, age: float, limit: int) -> int:
        """Delete up to `limit` tasks that ended more than `age` seconds ago, and their events; returns their number."""
        old = select(tasks.c.task_id).where(tasks.c.finished < self._now() - timedelta(seconds=age)).limit(limit)
        async with self._database.begin() as connection:
            task_ids = list((await connection.execute(old)).scalars())
            for table in (task_events, tasks):
                await connection.execute(delete(table).where(table.c.task_id.in_(task_ids)))
        return len(task_ids)

    def _is_overdue(self, after: float, at: LeaseTime) -> ColumnElement[bool]:
        sent_before = self._now() - timedelta(seconds=after)
        return and_(unfinished, tasks.c.sent < sent_before, unclaimed(at), first_of_session())

    async def _end(
        self, connection: AsyncConnection, record: TaskRecord, ending: Callable[[TaskRecord], Ending]
    ) -> None:
        """End a task that nobody runs. The transaction has changed its row before, so no worker can claim it."""
        ended = ending(record)
        progress = Progress(record.events + 1, ended.lines, record.steps)
        end = update(tasks).where(tasks.c.task_id == record.task_id)
        await connection.execute(
            end.values(
                status=ended.status,
                answer=ended.answer,
                finished=self._now(),
                claim_id=None,
                lease_until=None,
                events=progress.last,
            )
        )
        await connection.execute(_new_events(record.task_id, progress))
        await _change_more(connection, ended.changes)

    async def _release(
        self, claim_id: str, progress: Progress, values: dict[str, Any], changes: Sequence[Executable] = ()
    ) -> Released:
        values |= {"claim_id": None, "lease_until": None}
        async with self._database.begin() as connection:
            row = await _change(connection, claim_id, progress, values)
            if row is None:
                return Released(held=False)
            await _change_more(connection, changes)
            return Released(True, await _next_of_session(connection, row.user_id, row.session_id))

    def _lease_time(self) -> LeaseTime:
        now = self._lease_clock()
        return LeaseTime(now, now + self._lease + OTHER_LEASES)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


async def _change(
    connection: AsyncConnection, claim_id: str, progress: Progress, values: dict[str, Any]
) -> Row[Any] | None:
    """Store the progress and `values` of a claimed task; returns its ids, None if the claim is lost."""
    values["steps"] = tuple(progress.steps)
    if progress.lines:
        values["events"] = progress.last
    if progress.produced is not None:
        values["produced"] = progress.produced
    change = update(tasks).where(tasks.c.claim_id == claim_id, unfinished).values(values)
    ids = change.returning(tasks.c.task_id, tasks.c.user_id, tasks.c.session_id)
    row = (await connection.execute(ids)).one_or_none()
    if row is not None and progress.lines:
        await connection.execute(_new_events(row.task_id, progress))
    return row


async def _change_more(connection: AsyncConnection, changes: Sequence[Executable]) -> None:
    for change in changes:
        await connection.execute(change)


async def _next_of_session(connection: AsyncConnection, user_id: str, session_id: str) -> str | None:
    following = select(tasks.c.task_id).where(of_session(user_id, session_id), unfinished)
    found: str | None = await connection.scalar(following.order_by(tasks.c.number).limit(1))
    return found


def _new_events(task_id: str, progress: Progress) -> Insert:
    return insert(task_events).values(task_id=task_id, last=progress.last, lines=list(progress.lines))


def task_not_found() -> TaskNotFound:
    return TaskNotFound("There is no such task. Tasks are deleted some time after their end.")
