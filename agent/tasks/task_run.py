"""One attempt at a task: its turn, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, Literal

import structlog

from agent.events import HandOff, TextDelta, ToolStarted, TurnFailed
from agent.sessions.events import SessionEnded, SessionEvent, SessionOpened
from agent.sessions.requests import Invocation
from agent.sessions.service import SessionService
from agent.sessions.signals import Signals, stop_topic
from agent.sessions.task_turn import TaskTurn
from agent.tasks.encoder import TaskEncoder
from agent.tasks.event_log import EventLog
from agent.tasks.record import TaskRecord, TaskStatus
from agent.tasks.requests import from_json
from config.errors import (
    ServerStopping,
    SessionBusy,
    SwitchboardError,
    TaskAbandoned,
    TurnCancelled,
    TurnSuperseded,
)

log = structlog.get_logger(__name__)

MAX_ATTEMPTS: Final = 6
"""How often a task is taken up. One that kills its workers must not go on for ever."""

BUSY_PAUSE: Final = 0.2
"""Seconds until the next try to claim a session that stays busy."""

CANCELLED: Final = "The task was cancelled."


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the task ended, and what /agent/invoke would have answered."""

    status: TaskStatus
    answer: Mapping[str, Any]


class TaskRun:
    """Runs the task `record` once. Its events go to `events`."""

    def __init__(
        self, record: TaskRecord, claim_id: str, sessions: SessionService, encoder: TaskEncoder, events: EventLog
    ) -> None:
        self._record = record
        self._turn = TaskTurn(record.task_id, claim_id, retried=record.attempts > 1)
        self._sessions = sessions
        self._encoder = encoder
        self._log = events
        self._work: asyncio.Task[None] | None = None
        self._ending: Literal["cancel", "stop"] | None = None
        self._opened = False
        self._is_text = False
        self._failed: SwitchboardError | None = None
        self._ended: SessionEnded | None = None

    async def run(self) -> Outcome | None:
        """The outcome; None if another worker has to go on with the task."""
        if problem := self._refusal():
            self._fail(problem)
        else:
            await self._run_turn()
        await self._log.close()
        return self._outcome()

    def cancel(self, signals: Signals) -> None:
        """End the task: it was cancelled."""
        if self._opened:
            signals.deliver(stop_topic(self._turn.turn_id))
        else:
            self._end("cancel")

    def stop(self) -> None:
        """Leave the task to another worker. A turn that has begun is ended by `TurnService.stop`."""
        if not self._opened:
            self._end("stop")

    def lose(self) -> None:
        """End the task: another worker has it."""
        self._end("stop")

    def _end(self, reason: Literal["cancel", "stop"]) -> None:
        if self._work is not None and self._ending is None:
            self._ending = reason
            self._work.cancel()

    def _refusal(self) -> SwitchboardError | None:
        if self._record.cancel_asked:
            return TurnCancelled(CANCELLED)
        if self._record.attempts > MAX_ATTEMPTS:
            return TaskAbandoned(f"The worker stopped {MAX_ATTEMPTS} times during this task. It is not tried again.")
        return None

    async def _run_turn(self) -> None:
        if self._record.events:
            self._log.add(self._encoder.restarted_line(self._record.session_id))
        self._work = asyncio.create_task(self._read_turn())
        try:
            await asyncio.wait([self._work])
        except asyncio.CancelledError:
            self._work.cancel()
            await asyncio.wait([self._work])
            raise
        if self._work.cancelled():
            self._fail(TurnCancelled(CANCELLED) if self._ending == "cancel" else ServerStopping())
        else:
            self._work.result()

    async def _read_turn(self) -> None:
        while True:
            try:
                async with aclosing(self._encoder.lines(self._events(), self._record.session_id)) as lines:
                    async for line in lines:
                        if not isinstance(self._failed, ServerStopping):
                            self._log.add(line, is_text=self._is_text)
                return
            except SessionBusy as error:
                if self._opened:
                    self._fail(error)
                    return
                await asyncio.sleep(BUSY_PAUSE)
            except SwitchboardError as error:
                self._fail(error)
                return
            except Exception:
                log.exception("task_failed", task=self._record.task_id)
                self._fail(SwitchboardError("Internal error. The server's log has the details."))
                return

    async def _events(self) -> AsyncGenerator[SessionEvent, None]:
        request = from_json(self._record.request)
        if isinstance(request, Invocation):
            events = self._sessions.invoke(request, self._turn)
        else:
            events = self._sessions.resume(request, self._turn)
        async with aclosing(events):
            async for event in events:
                self._note(event)
                yield event

    def _note(self, event: SessionEvent) -> None:
        self._is_text = isinstance(event, TextDelta)
        match event:
            case SessionOpened():
                self._opened = True
            case ToolStarted(_, name) | HandOff(_, name):
                self._log.add_step(name)
            case TurnFailed(error):
                self._failed = error
            case SessionEnded():
                self._ended = event
            case _:
                pass

    def _fail(self, error: SwitchboardError) -> None:
        """The task ends with `error`, and its events do not say so yet."""
        self._failed, self._ended = error, None
        if not isinstance(error, ServerStopping):
            self._log.add(self._encoder.error_line(error, self._record.session_id))

    def _outcome(self) -> Outcome | None:
        failed, ended = self._failed, self._ended
        if isinstance(failed, ServerStopping):
            return None
        if ended is not None:
            answer = self._encoder.answer(ended)
        else:
            failed = failed or SwitchboardError("The turn did not end.")
            answer = self._encoder.failure(failed, self._record.session_id)
        cancelled = isinstance(failed, TurnCancelled | TurnSuperseded)
        return Outcome("cancelled" if cancelled else answer["status"], answer)
