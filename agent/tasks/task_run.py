"""One attempt at a task: its turn, and how it ends."""

from __future__ import annotations

import asyncio
from typing import Final, Literal

import structlog

from agent.tasks.event_log import EventLog
from agent.tasks.kind import Attempt, Ending
from agent.tasks.record import TaskRecord
from config.errors import ServerStopping, SessionBusy, SwitchboardError, TaskAbandoned, TurnCancelled

log = structlog.get_logger(__name__)

MAX_ATTEMPTS: Final = 6
"""How often a task is taken up. One that kills its workers must not go on for ever."""

BUSY_PAUSE: Final = 0.2
"""Seconds until the next try to claim a session that stays busy."""

CANCELLED: Final = "The task was cancelled."


class TaskRun:
    """Runs the task `record` once. Its events go to `events`."""

    def __init__(self, record: TaskRecord, attempt: Attempt, events: EventLog) -> None:
        self._record = record
        self._attempt = attempt
        self._log = events
        self._work: asyncio.Task[Ending] | None = None
        self._reason: Literal["cancel", "stop"] | None = None

    async def run(self) -> Ending | None:
        """How the task ends; None if another worker has to go on with it."""
        ending = self._refusal() or await self._run_turn()
        await self._log.close()
        for line in ending.lines if ending else ():
            self._log.add_last(line)
        return ending

    def cancel(self) -> None:
        """End the task: it was cancelled."""
        if self._attempt.has_begun:
            self._attempt.cancel()
        else:
            self._end("cancel")

    def stop(self) -> None:
        """Leave the task to another worker. A turn that has begun is ended by `TurnService.stop`."""
        if not self._attempt.has_begun:
            self._end("stop")

    def lose(self) -> None:
        """End the task: another worker has it."""
        self._end("stop")

    def _end(self, reason: Literal["cancel", "stop"]) -> None:
        if self._work is not None and self._reason is None:
            self._reason = reason
            self._work.cancel()

    def _refusal(self) -> Ending | None:
        if self._record.cancel_asked:
            return self._attempt.failed(TurnCancelled(CANCELLED))
        if self._record.attempts > MAX_ATTEMPTS:
            problem = f"The worker stopped {MAX_ATTEMPTS} times during this task. It is not tried again."
            return self._attempt.failed(TaskAbandoned(problem))
        return None

    async def _run_turn(self) -> Ending | None:
        self._work = asyncio.create_task(self._run_attempt())
        try:
            await asyncio.wait([self._work])
        except asyncio.CancelledError:
            self._work.cancel()
            await asyncio.wait([self._work])
            raise
        if self._work.cancelled():
            return self._attempt.failed(TurnCancelled(CANCELLED)) if self._reason == "cancel" else None
        try:
            return self._work.result()
        except ServerStopping:
            return None
        except SwitchboardError as error:
            return self._attempt.failed(error)
        except Exception:
            log.exception("task_failed", task=self._record.task_id)
            return self._attempt.failed(SwitchboardError("Internal error. The server's log has the details."))

    async def _run_attempt(self) -> Ending:
        while True:
            try:
                return await self._attempt.run(self._log)
            except SessionBusy:
                if self._attempt.has_begun:
                    raise
            await asyncio.sleep(BUSY_PAUSE)
