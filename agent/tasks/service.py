"""The task service: submits, reads, follows and cancels background tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

import structlog

from agent.sessions.requests import Invocation, OnBusy, Resumption
from agent.sessions.service import SessionService
from agent.sessions.signals import Signals, wait_for_signal
from agent.shielded_work import run_shielded
from agent.tasks.event_log import LEFT_OUT
from agent.tasks.kind import NewTask, TaskKind
from agent.tasks.queue import TaskQueue
from agent.tasks.record import TaskRecord
from agent.tasks.runner import TaskRunner
from agent.tasks.session_requests import to_json
from agent.tasks.store import TaskStore
from agent.tasks.topics import cancel_topic, progress_topic
from agent.tasks.tracing import TaskTracer, origin
from config.errors import QueueUnavailable, SessionBusy, TaskNotFound

log = structlog.get_logger(__name__)

POLL_INTERVAL: Final = 0.25
"""Seconds between two looks at a task that runs in another process."""

CANCEL_TIMEOUT: Final = 5.0
"""Seconds to wait for a cancelled task to end."""

SUBMISSIONS: Final = 4
"""Submissions that use the database at the same time. In a burst the others wait in line, and none of them waits so
long for a connection that it fails."""

EVENT_BATCHES: Final = 50
"""Batches of events that are read at once."""


class TaskService:
    """Tasks. Each runs one turn without a waiting caller: on a session, like `SessionService`, or of another kind."""

    def __init__(
        self,
        store: TaskStore,
        sessions: SessionService,
        signals: Signals,
        kinds: Mapping[str, TaskKind],
        queue: TaskQueue,
        runner: TaskRunner,
        tracer: TaskTracer,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._signals = signals
        self._queue = queue
        self._runner = runner
        self._kinds = kinds
        self._tracer = tracer
        self._submissions = asyncio.Semaphore(SUBMISSIONS)

    async def invoke(self, request: Invocation) -> TaskRecord:
        """Submit a user's message. The task waits until its session is free, and for the session's older tasks.

        With `on_busy` "reject" a busy session refuses it; with "supersede" it cancels what runs or waits there.

        Raises:
            ModelNotFound, ModelUnavailable, PersonaNotFound, SessionOfAnotherPersona, SessionBusy, ReviewPending: the
                message was not submitted.
            QueueUnavailable: the same, and nothing was stored.
        """
        async with self._submissions:
            return await self._submit_message(request)

    async def resume(self, request: Resumption) -> TaskRecord:
        """Submit a reviewer's answers.

        Raises:
            SessionNotFound, NotPending, RequestError: see `SessionService.resume`. While another task of the session
                runs or waits, the answers are only checked when their turn comes.
            QueueUnavailable: the answers were not submitted, and nothing was stored.
        """
        user_id, session_id = request.user_id, request.session_id
        async with self._submissions:
            if not await self._store.unfinished(user_id, session_id):
                with suppress(SessionBusy):
                    await self._sessions.check_answers(request)
            return await self._submit(NewTask(user_id, session_id, to_json(request)))

    async def submit(self, new: NewTask) -> TaskRecord:
        """Submit a task of any kind. Raises QueueUnavailable: nothing was stored."""
        async with self._submissions:
            return await self._submit(new)

    async def get(self, task_id: str) -> TaskRecord:
        """The task. Raises TaskNotFound."""
        return await self._store.get(task_id)

    async def of_user(self, user_id: str, limit: int, offset: int) -> Sequence[TaskRecord]:
        """The user's tasks, newest first."""
        return await self._store.of_user(user_id, limit, offset)

    async def cancel(self, task_id: str) -> TaskRecord:
        """Cancel the task, and wait until it has ended. One that has ended already stays as it is.

        A task that does not end in time is returned as it is, and ends later. Raises TaskNotFound.
        """
        record = await self._store.get(task_id)
        if record.finished is not None:
            return record
        changed = asyncio.Event()
        with self._signals.subscribe(progress_topic(task_id), changed.set):
            record = await self._ask_to_cancel(record)
            deadline = asyncio.get_running_loop().time() + CANCEL_TIMEOUT
            while record.finished is None and asyncio.get_running_loop().time() < deadline:
                await wait_for_signal(changed, POLL_INTERVAL)
                changed.clear()
                record = await self._store.get(task_id)
        await self._runner.send_next(record.user_id, record.session_id)
        return record

    async def delete(self, task_id: str) -> None:
        """Cancel the task, then delete it with all that is stored of it. One that does not exist is no error."""
        with suppress(TaskNotFound):
            await self.cancel(task_id)
        await self._store.delete(task_id)

    async def cancel_session(self, user_id: str, session_id: str) -> int:
        """Cancel the session's tasks as `cancel` does; returns their number."""
        unfinished = await self._store.unfinished(user_id, session_id)
        for each in unfinished:  # newest first: no later one begins when the one that runs has ended
            await self.cancel(each.task_id)
        return len(unfinished)

    async def events(self, task_id: str, after: int = 0) -> AsyncGenerator[tuple[int, str], None]:
        """Number and text of each event after number `after`, until the task has ended. Raises TaskNotFound."""
        changed = asyncio.Event()
        with self._signals.subscribe(progress_topic(task_id), changed.set):
            while True:
                changed.clear()
                record = await self._store.get(task_id)  # before the events: the last ones come with the end
                batch = await self._store.events(task_id, after, EVENT_BATCHES)
                for after, line in batch:
                    if line != LEFT_OUT:
                        yield after, line
                if batch:
                    continue
                if record.finished is not None:
                    return
                await wait_for_signal(changed, POLL_INTERVAL)

    async def _submit_message(self, request: Invocation) -> TaskRecord:
        user_id = request.user_id
        waiting = await self._store.unfinished(user_id, request.session_id)
        if followed := next((each for each in waiting if _is_followed(each, request)), None):
            await self._sessions.check_request(request)
            session_id, runs = followed.session_id, False
        else:
            record = await self._sessions.check_message(request)
            if record is None:
                return await self._submit_first_message(request)
            session_id, runs = record.session_id, record.status == "running"
        ahead = [each for each in waiting if each.session_id == session_id]
        if request.on_busy == "reject" and (runs or ahead):
            raise SessionBusy("Another turn or task runs or waits on this session.", retry_after=1.0)
        on_busy: OnBusy = "supersede" if request.on_busy == "supersede" else "enqueue"
        request = replace(request, session_id=session_id, on_busy=on_busy)
        submitted = await self._submit(NewTask(user_id, session_id, to_json(request)))
        if on_busy == "supersede" and ahead:  # only now, because a message that cannot be queued cancels nothing
            for each in ahead:
                with suppress(TaskNotFound):  # it was deleted meanwhile
                    await self._ask_to_cancel(each)
            await self._runner.send_next(user_id, session_id)
        return submitted

    async def _submit_first_message(self, request: Invocation) -> TaskRecord:
        """Submit a message with its session, so that clients find the session before its first turn begins."""
        session = await self._sessions.create(request)
        request = replace(request, session_id=session.session_id, on_busy="enqueue")
        try:
            return await self._submit(NewTask(request.user_id, session.session_id, to_json(request)))
        except BaseException:
            await run_shielded(self._sessions.discard(session))
            raise

    async def _submit(self, new: NewTask) -> TaskRecord:
        record = await self._store.add(replace(new, request={**new.request, **origin(self._tracer)}))
        try:
            await self._queue.send([record.task_id])
        except QueueUnavailable as exc:
            if await self._store.remove(new.task_id, new.undo):
                log.warning("queue_unavailable", reason=str(exc.__cause__), effect="tasks are refused")
                raise
        except BaseException:
            await run_shielded(self._store.remove(new.task_id, new.undo))  # the caller gets no id
            raise
        return record

    async def _ask_to_cancel(self, record: TaskRecord) -> TaskRecord:
        record = await self._store.ask_to_cancel(record.task_id, self._kinds[record.kind].cancelled)
        for topic in (cancel_topic(record.task_id), progress_topic(record.task_id)):
            await self._signals.publish(topic)
        return record


def _is_followed(task: TaskRecord, message: Invocation) -> bool:
    """Whether the message goes to the session of the task: without a session's id, to one with its persona."""
    return message.session_id is not None or message.agent_id in (None, task.request.get("agent_id"))
