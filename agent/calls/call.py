"""One phone call: one session, one turn at a time, on any line."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial
from types import TracebackType
from typing import Final, Self

import structlog

from agent.calls.call_turn import CallTurn
from agent.calls.caller_words import CallerWords
from agent.calls.details import CallDetails, CallServices
from agent.calls.hand_off import carry_out, hand_offs_of
from agent.calls.line import Line
from agent.calls.review import outcomes
from agent.calls.silence import Silence
from agent.calls.speech import Speech
from agent.calls.steps import Steps
from agent.events import HandOff
from agent.sessions.turn_response import TurnResponse
from config.errors import StorageUnavailable, SwitchboardError, TurnCancelled
from config.profile.phone import Reminder, Sentence

log = structlog.get_logger(__name__)

MAX_DIGITS: Final = 64
"""Keys that are collected before a #."""

EXTENSION: Final = 30.0
"""Seconds for a caller who interrupts the goodbye of a call that is too long."""


class Call:
    """Enter it for as long as its line is open: leaving ends what runs, down to the provider's connection.

    `line` speaks, `details` say whose call it is. `reminds` is False where the line itself asks for reminders.
    Methods return at once; what they begin runs in steps of the call. `has_ended`: the line was hung up or transferred.
    """

    def __init__(self, line: Line, details: CallDetails, services: CallServices, *, reminds: bool = True) -> None:
        self._line = line
        self._details = details
        self._services = services
        self._settings = details.settings
        self._speech = Speech(line, details.profile)
        self._steps = Steps()
        self._reminder = details.settings.reminder if reminds else None
        self._silence = Silence(self._reminder.after if self._reminder else None, self._on_silence)
        self._reminded = 0
        self._words = CallerWords()
        self._digits = ""
        self._review: asyncio.Task[None] | None = None
        self._limit: asyncio.TimerHandle | None = None
        self.has_ended = False

    async def __aenter__(self) -> Self:
        self._limit = asyncio.get_running_loop().call_later(self._settings.max_call_length, self._on_too_long)
        self._steps.store(self._take_up)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.has_ended = True
        self._silence.end()
        if self._limit is not None:
            self._limit.cancel()
        if self._review is not None:
            self._review.cancel()
        self._steps.stop()
        await self._steps.finished()

    def greeted(self, greeting: Sentence) -> None:
        """The line says `greeting` by itself."""
        self._speech.begin(greeting.in_language(self._speech.language))
        self._silence.begin(self._speech.played)

    def greet(self, greeting: Sentence) -> None:
        """Say `greeting`, unless the call comes back."""
        self._steps.speak(partial(self._greet, greeting))

    async def hear(self, text: str, language: str | None = None, *, repeats: bool = False) -> None:
        """The caller said `text`: end what runs, and answer.

        `repeats`: the caller has heard nothing since the `text` before, and has gone on speaking. `text` has all of it.
        """
        if self.has_ended or not text.strip():
            return
        if language:
            self._speech.answer_in(language)
        self._reminded = 0
        if repeats:
            self._words.repeat(text)
        else:
            self._words.add(text)
        self._stop()
        self._steps.speak(self._answer)

    async def interrupt(self, heard: str | None) -> None:
        """Say nothing more, and end the turn. Keep as the agent's words only what the caller `heard` of them.

        That holds also when the whole answer was said before. None keeps all.
        """
        if self.has_ended:
            return
        self._stop()
        kept = self._speech.interrupted(heard)
        if kept is not None:
            self._steps.store(partial(self._truncate, kept))
        self._silence.begin()

    async def press(self, digit: str) -> None:
        """The caller pressed a key."""
        self._silence.begin()
        if self._settings.dtmf == "text":
            await self.hear(digit)
        elif digit == "#":
            digits, self._digits = self._digits, ""
            await self.hear(digits)
        else:
            self._digits = (self._digits + digit)[-MAX_DIGITS:]

    async def remind(self, *, solicited: bool = False) -> None:
        """The caller is silent: ask whether they are still there. `solicited`: the line asked for it."""
        if self.has_ended or self.is_speaking:
            return
        self._speech.settle()
        self._speech.solicited = solicited
        sentence = (self._settings.reminder or Reminder()).say if self._review is None else self._settings.review
        self._steps.speak(partial(self._say, sentence))

    def goes_on(self) -> None:
        """The line was neither hung up nor transferred, because the caller interrupted what was said before."""
        loop = asyncio.get_running_loop()
        if self.has_ended and self._limit is not None and self._limit.when() <= loop.time():
            self._limit = loop.call_later(EXTENSION, self._on_too_long)
        self.has_ended = False

    def caller_speaks(self) -> None:
        """The caller speaks, and has not finished."""
        self._silence.begin()

    async def finished(self) -> None:
        """Wait until nothing runs. A pending review does not count: the decision may take long."""
        await self._steps.finished()

    @property
    def is_speaking(self) -> bool:
        """Whether something runs that may still say something."""
        return self._steps.are_speaking

    @property
    def _is_busy(self) -> bool:
        return self._steps.are_running or self._review is not None

    def _stop(self) -> None:
        self._silence.end()
        self._steps.stop()

    async def _answer(self) -> None:
        """Answer all that the caller has said."""
        self._speech.solicited = True
        if self._review is not None:  # what was said is asked when the decision is known
            await self._say(self._settings.review)
            return
        self._speech.begin()
        turn = CallTurn(self._details, self._services, self._speech, self._line)
        await turn.run(self._words)
        if not await self._is_handed_off([turn.hand_off] if turn.hand_off else []):
            await self._end_utterance()
        if turn.awaits_review:
            self._await_decision(turn.asked_review_at)

    async def _say(self, sentence: Sentence | str) -> None:
        await self._speech.say(sentence)
        await self._end_utterance()

    async def _greet(self, greeting: Sentence) -> None:
        try:
            known = await self._services.sessions.status(self._details.user_id, self._details.session_id)
        except StorageUnavailable:
            known = None
        if known is None:
            self._speech.solicited = False
            await self._say(greeting)

    async def _end_utterance(self) -> None:
        await self._speech.end()
        if self._review is None:
            self._silence.begin(self._speech.played)

    async def _is_handed_off(self, hand_offs: list[HandOff]) -> bool:
        """Carry out the first hand-off that can be; then nothing more is said."""
        destinations = self._services.turns.profile.transfer_destinations
        for each in hand_offs:
            await self._speech.flush()
            if await carry_out(each, self._line, destinations):
                self.has_ended = True
                return True
        return False

    async def _truncate(self, heard: str) -> None:
        """Store what the caller has heard of the last answer."""
        user_id, session_id = self._details.user_id, self._details.session_id
        try:
            await self._services.sessions.cancel(user_id, session_id, heard)
        except SwitchboardError as error:
            log.info("call_not_truncated", session=session_id, reason=error.code)

    async def _take_up(self) -> None:
        """Wait for the decision that is pending in a session whose call comes back."""
        try:
            record = await self._services.sessions.status(self._details.user_id, self._details.session_id)
        except StorageUnavailable:
            return  # the first turn says so
        if record is not None and record.status == "interrupted":
            self._await_decision(None)

    def _await_decision(self, since: float | None) -> None:
        if self._review is None:
            self._review = asyncio.create_task(self._tell_outcomes(since))

    async def _tell_outcomes(self, since: float | None) -> None:
        """Tell what comes of the decision, then answer what the caller said meanwhile."""
        details, services = self._details, self._services
        decided = outcomes(services.sessions, services.signals, details.user_id, details.session_id, since)
        try:
            async with aclosing(decided) as responses:
                async for response in responses:
                    self._steps.speak(partial(self._tell, response))
        except StorageUnavailable as error:
            log.warning("call_review_unknown", session=details.session_id, reason=error.code)
        self._review = None
        if self._words:
            self._steps.speak(self._answer)

    async def _tell(self, response: TurnResponse) -> None:
        """Say the words of a turn that went on after a decision, and carry out its hand-off."""
        self._speech.settle()
        self._speech.solicited = False
        for message in response.messages:
            if message["role"] == "assistant" and isinstance(text := message["content"], str) and text:
                await self._speech.say_own(text)
                self._speech.end_text()
        if response.error_code not in (None, TurnCancelled.code):
            await self._speech.say(self._settings.error)
        if not await self._is_handed_off(hand_offs_of(response)):
            await self._end_utterance()

    def _on_silence(self) -> None:
        reminder = self._reminder
        if reminder is None or self._is_busy:
            return
        if self._reminded < reminder.times:
            self._reminded += 1
            self._speech.settle()
            self._speech.solicited = False
            self._steps.speak(partial(self._say, reminder.say))
        elif reminder.hang_up:
            self._steps.speak(self._say_goodbye)

    def _on_too_long(self) -> None:
        if self.has_ended:
            return
        log.info("call_too_long", session=self._details.session_id, seconds=self._settings.max_call_length)
        self._stop()
        self._steps.speak(self._say_goodbye)

    async def _say_goodbye(self) -> None:
        self._speech.settle()
        self._speech.solicited = False
        await self._speech.say(self._settings.goodbye)
        self.has_ended = True
        await self._line.hang_up()
