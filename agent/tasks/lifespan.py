"""Builds the task service and the runner, and runs their background work."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from agent.sessions.service import SessionService
from agent.sessions.signals import Signals
from agent.storage.database import Database
from agent.tasks.backlog import TaskBacklog
from agent.tasks.encoder import TaskEncoder
from agent.tasks.kind import SESSION, TaskKind
from agent.tasks.queue import TaskQueue
from agent.tasks.recovery import Recovery
from agent.tasks.runner import TaskRunner
from agent.tasks.service import TaskService
from agent.tasks.session_tasks import SessionTasks
from agent.tasks.store import TaskStore
from agent.tasks.tracing import NoTracer, TaskTracer


@dataclass(frozen=True, slots=True)
class Tasks:
    """`service` is for the callers; `runner` runs the tasks of the queue; `backlog` says how many wait."""

    service: TaskService
    runner: TaskRunner
    backlog: TaskBacklog


@asynccontextmanager
async def open_tasks(
    sessions: SessionService,
    database: Database,
    signals: Signals,
    queue: TaskQueue,
    encoder: TaskEncoder,
    *,
    ttl: float,
    lease: float,
    kinds: Mapping[str, TaskKind] | None = None,
    tracer: TaskTracer | None = None,
) -> AsyncIterator[Tasks]:
    """The tasks in `database`: those of `sessions`, written by `encoder`, and those of other `kinds`.

    They are deleted `ttl` seconds after their end.
    A worker that has not renewed its claim for `lease` seconds counts as dead.
    """
    store, tracer = TaskStore(database, lease=lease), tracer or NoTracer()
    every = {SESSION: SessionTasks(sessions, signals, encoder), **(kinds or {})}
    runner = TaskRunner(store, every, signals, queue, tracer)
    async with AsyncExitStack() as running:
        await running.enter_async_context(runner.running())
        await running.enter_async_context(Recovery(store, queue, ttl).running())
        backlog = TaskBacklog(store)
        await running.enter_async_context(backlog.running())
        yield Tasks(TaskService(store, sessions, signals, every, queue, runner, tracer), runner, backlog)
