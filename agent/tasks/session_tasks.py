"""Tasks that run a turn on a session, as `/agent/invoke` and `/agent/resume` do."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from agent.events import HandOff, TextDelta, ToolStarted, TurnFailed
from agent.sessions.events import SessionEnded, SessionEvent, SessionOpened
from agent.sessions.requests import Invocation
from agent.sessions.service import SessionService
from agent.sessions.signals import Signals, stop_topic
from agent.sessions.task_turn import TaskTurn
from agent.tasks.encoder import TaskEncoder
from agent.tasks.event_log import EventLog
from agent.tasks.kind import Ending
from agent.tasks.record import TaskRecord
from agent.tasks.session_requests import from_json
from agent.tasks.task_run import CANCELLED
from config.errors import ServerStopping, SwitchboardError, TurnCancelled, TurnSuperseded


class SessionTasks:
    """The `TaskKind` of sessions. `encoder` writes what is stored."""

    def __init__(self, sessions: SessionService, signals: Signals, encoder: TaskEncoder) -> None:
        self._sessions = sessions
        self._signals = signals
        self._encoder = encoder

    def attempt(self, record: TaskRecord, claim_id: str, earlier: Sequence[str]) -> SessionAttempt:
        turn = TaskTurn(record.task_id, claim_id, retried=record.attempts > 1)
        return SessionAttempt(record, turn, self._sessions, self._signals, self._encoder)

    def cancelled(self, record: TaskRecord) -> Ending:
        return _failed(self._encoder, record, TurnCancelled(CANCELLED))


class SessionAttempt:
    """One attempt, whose turn on the session is `turn`."""

    def __init__(
        self, record: TaskRecord, turn: TaskTurn, sessions: SessionService, signals: Signals, encoder: TaskEncoder
    ) -> None:
        self._record = record
        self._turn = turn
        self._sessions = sessions
        self._signals = signals
        self._encoder = encoder
        self._goes_on = record.events > 0
        self._is_text = False
        self._failed: SwitchboardError | None = None
        self._ended: SessionEnded | None = None
        self.has_begun = False

    async def run(self, log: EventLog) -> Ending:
        if self._goes_on:
            log.add(self._encoder.restarted_line(self._record.session_id))
            self._goes_on = False  # said once, however often the session is busy
        async with aclosing(self._encoder.lines(self._events(log), self._record.session_id)) as lines:
            async for line in lines:
                if not isinstance(self._failed, ServerStopping):
                    log.add(line, is_text=self._is_text)
        if isinstance(self._failed, ServerStopping):
            raise self._failed
        if self._ended is None:
            raise self._failed or SwitchboardError("The turn did not end.")
        answer = self._encoder.answer(self._ended)
        return Ending("cancelled" if _is_cancelled(self._failed) else answer["status"], answer)

    def cancel(self) -> None:
        self._signals.deliver(stop_topic(self._turn.turn_id))

    def failed(self, error: SwitchboardError) -> Ending:
        return _failed(self._encoder, self._record, error)

    async def _events(self, log: EventLog) -> AsyncGenerator[SessionEvent, None]:
        request = from_json(self._record.request)
        if isinstance(request, Invocation):
            events = self._sessions.invoke(request, self._turn)
        else:
            events = self._sessions.resume(request, self._turn)
        async with aclosing(events):
            async for event in events:
                self._note(event, log)
                yield event

    def _note(self, event: SessionEvent, log: EventLog) -> None:
        self._is_text = isinstance(event, TextDelta)
        match event:
            case SessionOpened():
                self.has_begun = True
            case ToolStarted(_, name) | HandOff(_, name):
                log.add_step(name)
            case TurnFailed(error):
                self._failed = error
            case SessionEnded():
                self._ended = event
            case _:
                pass


def _failed(encoder: TaskEncoder, record: TaskRecord, error: SwitchboardError) -> Ending:
    answer, line = encoder.failure(error, record.session_id), encoder.error_line(error, record.session_id)
    return Ending("cancelled" if _is_cancelled(error) else "error", answer, [line])


def _is_cancelled(error: SwitchboardError | None) -> bool:
    return isinstance(error, TurnCancelled | TurnSuperseded)
