"""Runs one claimed turn on a session and stores how it ended, whatever ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import structlog
from langchain_core.messages import HumanMessage

from agent.events import TurnFailed
from agent.memory.summary import RunningSummary, summarised
from agent.sessions.background import Background
from agent.sessions.events import SessionEnded, SessionEvent, SessionOpened
from agent.sessions.leases import Leases
from agent.sessions.record import SessionRecord
from agent.sessions.shielded import run_shielded
from agent.sessions.signals import Signals, stop_topic, turn_ended_topic
from agent.sessions.store import SessionStore
from agent.sessions.thread import Heard, Threads
from agent.sessions.thread_prompt import ThreadPrompt
from agent.sessions.turn_end import TurnEnd
from agent.turn import Turn
from agent.turns import ThreadRequest, TurnService
from config.errors import StorageUnavailable, SwitchboardError, TurnCancelled

log = structlog.get_logger(__name__)

RETRY: Final = 0.5
RETRIES: Final = 7200
"""Seconds between two attempts to store a turn's end while the database is away, and how many there are."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """The lease on a session, and the session as it was before."""

    turn_id: str
    before: SessionRecord


@dataclass(frozen=True, slots=True)
class Ran:
    """A turn with all that has to be known to store its end."""

    claimed: Claimed
    turn: Turn
    query: HumanMessage | None
    answered: frozenset[str]
    end: TurnEnd = field(default_factory=TurnEnd)


class SessionRunner:
    """Runs turns that have the lease of their session."""

    def __init__(
        self,
        turns: TurnService,
        store: SessionStore,
        threads: Threads,
        leases: Leases,
        signals: Signals,
        background: Background,
    ) -> None:
        self._turns = turns
        self._store = store
        self._threads = threads
        self._leases = leases
        self._signals = signals
        self._background = background

    async def run(
        self,
        claimed: Claimed,
        *,
        query: HumanMessage | None = None,
        answers: Mapping[str, Any] | None = None,
        answered: frozenset[str] = frozenset(),
        model: str | None = None,
        system_message: str | None = None,
    ) -> AsyncGenerator[SessionEvent, None]:
        """The turn's events. Who stops reading ends the turn; what was said until then is kept."""
        before = claimed.before
        try:
            prompt = self._prompt(before, system_message)
            turn = self._turns.begin_on_thread(
                ThreadRequest(
                    model=model or before.model,
                    thread_id=before.thread_id,
                    user_id=before.user_id,
                    prompt=prompt,
                    messages=[query] if query else (),
                    answers=answers,
                    answered=answered,
                )
            )
        except BaseException:
            await run_shielded(self.give_back(claimed))
            raise
        ran = Ran(claimed, turn, query, answered)
        try:
            async with aclosing(self._events(ran, resumes=answers is not None)) as events:
                async for event in events:
                    yield event
        finally:
            record = await run_shielded(self._finish(ran))
        self._background.do(self._tidy(record, prompt, turn.record.asked))
        yield SessionEnded(record, turn.produced, ran.end.usage)

    async def give_back(self, claimed: Claimed, last_response: str | None = None) -> None:
        """Release the lease of a turn that did not begin, and leave the session as it was.

        One whose turn before died still reads as an error, and the next turn mends it.
        """
        before = claimed.before
        await self._store.finish(
            claimed.turn_id,
            before.status,
            message=before.message,
            last_query=before.last_query,
            last_response=last_response,
            interrupts=before.interrupts,
        )
        await self._signals.send(turn_ended_topic(before.thread_id))

    async def mend(self, before: SessionRecord) -> None:
        """Close what a turn left open that died with its process; its user's message is kept."""
        query = HumanMessage(before.last_query) if before.last_query else None
        await self._threads.close_crashed(before.thread_id, query)

    async def _events(self, ran: Ran, *, resumes: bool) -> AsyncGenerator[SessionEvent, None]:
        turn, turn_id, before = ran.turn, ran.claimed.turn_id, ran.claimed.before
        cancelled = TurnCancelled("The turn was cancelled.")
        with (
            self._leases.held(turn_id, turn.end),
            self._signals.on(stop_topic(turn_id), lambda: turn.end(cancelled)),
        ):
            try:
                if before.status == "running":
                    await self.mend(before)
                elif before.status == "interrupted" and not resumes:
                    await self._threads.close(before.thread_id)
                yield SessionOpened(before.session_id)
                async with aclosing(turn.events()) as events:
                    async for event in events:
                        ran.end.take(event)
                        yield event
            except SwitchboardError as error:
                ran.end.take(TurnFailed(error))
                raise

    async def _finish(self, ran: Ran) -> SessionRecord:
        """Store how the turn ended; when the database is away, as soon as it is back."""
        claimed, end = ran.claimed, ran.end
        try:
            await self._store_end(ran)
        except StorageUnavailable:
            log.warning("session_not_stored", session=claimed.before.session_id, effect="it is stored later")
            self._background.do(self._finish_later(ran))
        else:
            await self._signals.send(turn_ended_topic(claimed.before.thread_id))
        return replace(
            claimed.before,
            status=end.status,
            message=end.message,
            last_response=end.text or None,
            last_query=str(ran.query.text) if ran.query else claimed.before.last_query,
            interrupts=tuple(end.interrupts),
        )

    async def _store_end(self, ran: Ran) -> None:
        claimed, end = ran.claimed, ran.end
        # The thread of a turn that has lost its lease may be another's by now.
        if end.broke_off and await self._store.renew(claimed.turn_id) != "lost":
            await self._threads.close(
                claimed.before.thread_id,
                query=ran.query,
                answered=ran.answered,
                heard=Heard(ran.turn.produced, ran.turn.unfinished),
            )
        await self._store.finish(
            claimed.turn_id, end.status, message=end.message, last_response=end.text or None, interrupts=end.interrupts
        )

    async def _finish_later(self, ran: Ran) -> None:
        """Until then nobody else may run a turn: what this one was told is not yet stored."""
        claimed = ran.claimed
        with self._leases.held(claimed.turn_id, lambda _: None):
            for _ in range(RETRIES):
                await asyncio.sleep(RETRY)
                try:
                    await self._store_end(ran)
                except StorageUnavailable:
                    continue
                log.info("session_stored_late", session=claimed.before.session_id)
                break
        await self._signals.send(turn_ended_topic(claimed.before.thread_id))

    def _prompt(self, before: SessionRecord, system_message: str | None) -> ThreadPrompt:
        profile = self._turns.profile
        given = system_message or before.system_message
        text = profile.system_prompt
        if given:
            text = given if profile.system_prompt_mode == "replace" else f"{text}\n\n{given}"
        recollection = self._turns.recollection(before.user_id)
        known = RunningSummary.from_dict(before.summary) if before.summary else None
        return ThreadPrompt(text, recollection, profile.trim, known)

    async def _tidy(self, record: SessionRecord, prompt: ThreadPrompt, model: str) -> None:
        """What nobody waits for: forget older checkpoints, and sum up what fell out of the conversation."""
        try:
            await self._threads.prune(record.thread_id)
            if prompt.summary_is_due:
                ask = partial(self._turns.ask, model)
                summary = await summarised(prompt.dropped, prompt.summary, ask)
                if summary is not None and summary != prompt.summary:
                    await self._store.set_summary(record.thread_id, summary.to_dict())
        except StorageUnavailable:
            log.warning("session_not_tidied", session=record.session_id)
