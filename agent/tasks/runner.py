"""Runs background tasks: claims a task, runs its turn, and stores its events and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from functools import partial
from typing import Final
from uuid import uuid4

import structlog

from agent.sessions.signals import Signals
from agent.shielded_work import run_shielded
from agent.tasks.event_log import EventLog
from agent.tasks.kind import Ending, TaskKind
from agent.tasks.queue import TaskQueue
from agent.tasks.record import Progress, TaskRecord
from agent.tasks.store import TaskStore
from agent.tasks.task_run import TaskRun
from agent.tasks.topics import cancel_topic, progress_topic
from agent.tasks.tracing import TaskTracer, traced
from config.errors import QueueUnavailable, StorageUnavailable
from router.background_loop import background_loop

log = structlog.get_logger(__name__)

RENEW_INTERVAL: Final = 0.5
"""Seconds between two renewals of the claims. A task that another server cancels ends within this time."""

RETRY_INTERVAL: Final = 0.5
"""While the database is unavailable: seconds between two attempts to store the end of a task."""

HAND_BACK_TIMEOUT: Final = 5.0
"""Seconds in which the tasks that a stopping process hands back have to end."""


class TaskRunner:
    """Runs tasks of the store, each as its kind says. `queue` is told which ones can run next."""

    def __init__(
        self,
        store: TaskStore,
        kinds: Mapping[str, TaskKind],
        signals: Signals,
        queue: TaskQueue,
        tracer: TaskTracer,
    ) -> None:
        self._store = store
        self._kinds = kinds
        self._signals = signals
        self._queue = queue
        self._tracer = tracer
        self._runs: dict[str, TaskRun] = {}
        self._is_stopping = False
        self._working = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def running(self) -> AbstractAsyncContextManager[None]:
        """Renew the claims in the background while this is entered."""
        return background_loop("task claims", self._renew, pause=lambda: RENEW_INTERVAL)

    async def run(self, task_id: str) -> None:
        """Run the task to its end, if it can run now and no other worker runs it.

        Raises:
            StorageUnavailable: the task was not claimed.
        """
        if self._is_stopping:
            return
        claim_id = uuid4().hex
        with self._counted():
            record = await self._store.claim(task_id, claim_id)
            if record is not None:
                with traced(record, self._tracer):
                    await self._run_claimed(record, claim_id)

    def begin_no_more(self) -> None:
        """Leave the tasks that wait, and those that are handed back, to another process or the next start."""
        self._is_stopping = True

    async def drain(self, seconds: float, end_turns: Callable[[], None]) -> None:
        """Begin no more tasks, and wait for those that run. After `seconds`, `end_turns`, and hand the tasks back."""
        self.begin_no_more()
        await self._wait_until_idle(seconds)
        if self._working:
            log.warning("tasks_handed_back", count=self._working)
            end_turns()
            for run in self._runs.values():
                run.stop()
            await self._wait_until_idle(HAND_BACK_TIMEOUT)

    async def send_next(self, user_id: str, session_id: str) -> None:
        """Queue the session's next task. If that fails, `Recovery` does it."""
        with suppress(StorageUnavailable, QueueUnavailable):
            if task_id := await self._store.next_of_session(user_id, session_id):
                await self._queue.send([task_id])

    async def _run_claimed(self, record: TaskRecord, claim_id: str) -> None:
        task_id = record.task_id
        events = EventLog(partial(self._store_progress, task_id, claim_id), record.events, record.steps)
        earlier = await self._store.all_events(task_id) if record.attempts > 1 else ()
        run = TaskRun(record, self._kinds[record.kind].attempt(record, claim_id, earlier), events)
        self._runs[claim_id] = run
        try:
            with self._signals.subscribe(cancel_topic(task_id), run.cancel):
                ending = await run.run()
            await run_shielded(self._store_end(record, claim_id, ending, events.progress))
        finally:
            del self._runs[claim_id]

    async def _store_progress(self, task_id: str, claim_id: str, progress: Progress) -> bool:
        is_held = await self._store.append(claim_id, progress)
        await self._signals.publish(progress_topic(task_id))
        return is_held

    async def _store_end(self, record: TaskRecord, claim_id: str, ending: Ending | None, progress: Progress) -> None:
        while True:
            try:
                if ending is None:
                    released = await self._store.hand_back(claim_id, progress)
                else:
                    released = await self._store.finish(claim_id, ending, progress)
                break
            except StorageUnavailable:
                if self._is_stopping:
                    return
                await asyncio.sleep(RETRY_INTERVAL)
        await self._signals.publish(progress_topic(record.task_id))
        status = ("queued" if ending is None else ending.status) if released.held else "lost"
        log.info("task", task=record.task_id, status=status, attempt=record.attempts)
        if released.next_task is not None:
            with suppress(QueueUnavailable):  # `Recovery` sends it later
                await self._queue.send([released.next_task])

    async def _renew(self) -> None:
        if not self._runs:
            return
        try:
            states = await self._store.renew(list(self._runs))
        except StorageUnavailable:
            return  # already logged; a lease outlives a short outage
        for claim_id, state in states.items():
            run = self._runs.get(claim_id)
            if run is not None and state == "cancel":
                run.cancel()
            elif run is not None and state == "lost":
                run.lose()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """`drain` waits for what is inside: also for a claim, whose task would otherwise begin during the shutdown."""
        self._working += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._working -= 1
            if not self._working:
                self._idle.set()

    async def _wait_until_idle(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()
