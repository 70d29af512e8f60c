"""One turn of a phone call, spoken as its events come."""

from __future__ import annotations

from contextlib import aclosing
from typing import Final

import structlog

from agent.callers.limits import admitted
from agent.calls.caller_words import CallerWords
from agent.calls.details import CallDetails, CallServices
from agent.calls.line import Line
from agent.calls.speech import Speech
from agent.events import (
    Filler,
    HandOff,
    ReviewRequested,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnFailed,
    TurnFinished,
)
from agent.sessions.events import SessionEnded, SessionEvent, SessionOpened
from agent.sessions.requests import Invocation
from config.errors import LeaseLost, ReviewPending, ServerStopping, SwitchboardError, TurnCancelled, TurnSuperseded

log = structlog.get_logger(__name__)

SILENT_ENDS: Final = (TurnCancelled, TurnSuperseded, LeaseLost, ServerStopping)
"""Ends of a turn of which the caller is not told: somebody else speaks, or the line comes back on another server."""


class CallTurn:
    """After `run`, `hand_off` is what the call has to carry out, and `awaits_review` whether a person decides.

    `asked_review_at` is the time of the response that asks for the decision; None if an earlier turn asked.
    """

    def __init__(self, details: CallDetails, services: CallServices, speech: Speech, line: Line) -> None:
        self._details = details
        self._services = services
        self._speech = speech
        self._line = line
        self.hand_off: HandOff | None = None
        self.awaits_review = False
        self.asked_review_at: float | None = None

    async def run(self, words: CallerWords) -> None:
        """Ask what waits in `words`. It is taken when the session has it, so a turn that never begins loses nothing."""
        self._services.turns.statistics.count_request(self._details.caller)
        try:
            async with admitted(self._services.limits, self._details.caller):
                events = self._services.sessions.invoke(await self._invocation(words))
                async with aclosing(events) as stream:
                    async for event in stream:
                        if isinstance(event, SessionOpened):
                            words.take()
                            continue
                        if isinstance(event, ToolStarted | HandOff | ReviewRequested):
                            words.keep()
                        await self._speak(event)
        except ReviewPending:
            self.awaits_review = True
        except SwitchboardError as error:
            words.drop()
            log.warning("call_turn_refused", session=self._details.session_id, reason=error.code)
            await self._say_error(error)
        if self.awaits_review:
            await self._speech.say(self._details.settings.review)

    async def _speak(self, event: SessionEvent) -> None:
        match event:
            case TextDelta(text):
                await self._speech.say_own(text)
            case ToolStarted(call_id, name, arguments):
                await self._speech.flush()
                await self._line.tool_started(call_id, name, arguments)
            case Filler(text):
                await self._speech.say(text)
            case ToolFinished(call_id, content=content):
                await self._line.tool_finished(call_id, content)
            case HandOff():
                self.hand_off = self.hand_off or event
            case ReviewRequested():
                self.awaits_review = True
            case SessionEnded(record) if record.last_response is not None:
                self.asked_review_at = record.last_response.timestamp
            case TurnFinished():
                await self._speech.flush()  # the last word does not wait until the turn is stored
            case TurnFailed(error):
                await self._say_error(error)
            case _:
                pass

    async def _say_error(self, error: SwitchboardError) -> None:
        if not isinstance(error, SILENT_ENDS):
            await self._speech.say(self._details.settings.error)

    async def _invocation(self, words: CallerWords) -> Invocation:
        details, profile = self._details, self._details.profile
        agent_id = None
        if profile.agent is not None:
            agent_id = str((await self._services.personas.store.find(profile.agent)).id)
        return Invocation(
            details.user_id,
            words.text,
            details.session_id,
            model=profile.model,
            on_busy="supersede",  # a turn of an older connection
            agent_id=agent_id,
            caller=details.caller,
            filler=self._speech.language,
            replaces=words.replaces,
        )
