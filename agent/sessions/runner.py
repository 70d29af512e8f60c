"""Runs one turn on a claimed session and stores its outcome, however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import structlog
from langchain_core.messages import AIMessage, HumanMessage

from agent.events import TurnFailed
from agent.memory.summary import RunningSummary, update_summary
from agent.personas.persona import Persona
from agent.sessions.admission import Admitted
from agent.sessions.claims import Claim, Claims
from agent.sessions.events import SessionEnded, SessionEvent, SessionOpened
from agent.sessions.leases import Leases
from agent.sessions.record import SessionRecord
from agent.sessions.signals import Signals, stop_topic, turn_ended_topic
from agent.sessions.store import SessionStore
from agent.sessions.task_turn import is_of_task
from agent.sessions.thread_prompt import ThreadPrompt
from agent.sessions.thread_repair import DeliveredOutput
from agent.sessions.threads import Threads
from agent.sessions.turn_outcome import TurnOutcome
from agent.sessions.turn_response import TurnResponse
from agent.shielded_work import BackgroundWork, run_shielded
from agent.turn import Turn
from agent.turn_ids import TurnIds
from agent.turn_request import ThreadRequest
from agent.turns import TurnService
from config.errors import LeaseLost, StorageUnavailable, SwitchboardError, TurnCancelled

log = structlog.get_logger(__name__)

RETRY_INTERVAL: Final = 0.5
MAX_RETRIES: Final = 7200
"""While the database is unavailable: seconds between two attempts to store an outcome, and their number."""


@dataclass(slots=True)
class _RunningTurn:
    """A turn with everything that is needed to store its outcome. `lost`: its session went on without it.

    `model` and `system_message` are those of its request, None for the session's.
    """

    claim: Claim
    turn: Turn
    query: HumanMessage | None
    answered: frozenset[str]
    outcome: TurnOutcome
    model: str | None
    system_message: str | None
    lost: bool = False


class SessionRunner:
    """Runs turns on claimed sessions."""

    def __init__(
        self,
        turns: TurnService,
        store: SessionStore,
        threads: Threads,
        claims: Claims,
        leases: Leases,
        signals: Signals,
        background: BackgroundWork,
    ) -> None:
        self._turns = turns
        self._store = store
        self._threads = threads
        self._claims = claims
        self._leases = leases
        self._signals = signals
        self._background = background

    async def run(
        self,
        admitted: Admitted,
        *,
        model: str | None = None,
        system_message: str | None = None,
        caller: str | None = None,
        filler: str | None = None,
    ) -> AsyncGenerator[SessionEvent, None]:
        """The turn's events. Closing the iterator cancels the turn; the text delivered until then is stored."""
        claim, query, persona, continues = admitted.claim, admitted.query, admitted.persona, admitted.continues
        before = claim.before
        TurnIds(claim.turn_id, before.session_id).bind_to_log()
        async with self._claims.released_on_error(claim):
            earlier = await self._threads.reopen(claim.thread, query, admitted.answered) if continues else None
            prompt = self._prompt(before, system_message, persona)
            turn = self._turns.begin_on_thread(
                ThreadRequest(
                    model=model or before.model or (persona.model if persona else None),
                    thread=claim.thread,
                    user_id=before.user_id,
                    prompt=prompt,
                    messages=[query] if query and not continues else (),
                    answers=admitted.answers,
                    answered=admitted.answered,
                    session_id=before.session_id,
                    params=persona.params if persona else {},
                    agent_tools=persona.tools if persona else None,
                    agent=persona.shown_name if persona else None,
                    caller=caller,
                    allowed_as=persona.model_names if persona and not (model or before.model) else (),
                    filler=filler,
                    turn_id=claim.turn_id,
                )
            )
        outcome = TurnOutcome(earlier)
        running = _RunningTurn(claim, turn, query, admitted.answered, outcome, model, system_message)
        try:
            resumes = continues or admitted.answers is not None
            async with aclosing(self._events(running, resumes=resumes, replaces=admitted.replaces)) as events:
                async for event in events:
                    yield event
        finally:
            record = await run_shielded(self._finish(running))
        if prompt.summary_is_due and not running.lost:
            self._background.start(self._summarize(record, prompt, turn.record.asked))
        yield SessionEnded(record)

    async def _events(
        self, running: _RunningTurn, *, resumes: bool, replaces: bool
    ) -> AsyncGenerator[SessionEvent, None]:
        turn, turn_id, before = running.turn, running.claim.turn_id, running.claim.before
        cancelled = TurnCancelled("The turn was cancelled.")
        with (
            self._leases.hold(turn_id, turn.end),
            self._signals.subscribe(stop_topic(turn_id), lambda: turn.end(cancelled)),
        ):
            try:
                if before.status == "running" and not resumes:
                    await self._threads.close_crashed(running.claim.thread, before)
                elif before.status == "interrupted" and not resumes:
                    await self._threads.close(running.claim.thread)
                if replaces and running.query is not None:
                    await run_shielded(self._threads.replace_query(running.claim.thread, running.query))
                yield SessionOpened(before.session_id)
                async with aclosing(turn.events()) as events:
                    async for event in events:
                        running.outcome.add(event)
                        yield event
            except SwitchboardError as error:
                running.outcome.add(TurnFailed(error))
                raise

    async def _finish(self, running: _RunningTurn) -> SessionRecord:
        """Store the outcome, in the background if the database is unavailable; returns the record after the turn."""
        before, turn, outcome = running.claim.before, running.turn, running.outcome
        response = outcome.response([*turn.produced, *([AIMessage(turn.unfinished)] if turn.unfinished else [])])
        if response.status == "interrupted":
            response = replace(response, model=running.model, system_message=running.system_message)
        try:
            await self._store_outcome(running, response)
        except StorageUnavailable:
            log.warning("session_not_stored", session=before.session_id, effect="it is stored later")
            self._background.start(self._finish_later(running, response))
        else:
            await self._signals.publish(turn_ended_topic(before.thread_id))
        return replace(
            before,
            status=outcome.status,
            message=outcome.message,
            last_response=response,
            last_query=str(running.query.text) if running.query else before.last_query,
            interrupts=tuple(outcome.interrupts),
        )

    async def _store_outcome(self, running: _RunningTurn, response: TurnResponse) -> None:
        claim, turn, outcome = running.claim, running.turn, running.outcome
        if outcome.is_stopped and is_of_task(claim.turn_id):
            await self._store.abandon(claim.turn_id)  # another process continues the turn
            running.lost = True
            return
        if outcome.is_incomplete:
            try:
                await self._threads.close(
                    claim.thread,
                    query=running.query,
                    answered=running.answered,
                    delivered=DeliveredOutput([*(outcome.earlier or ()), *turn.produced], turn.unfinished),
                )
            except LeaseLost:
                log.warning("session_lost", session=claim.before.session_id, effect="this turn is not stored")
        running.lost = not await self._store.finish(
            claim.turn_id,
            outcome.status,
            message=outcome.message,
            last_response=response,
            interrupts=outcome.interrupts,
        )

    async def _finish_later(self, running: _RunningTurn, response: TurnResponse) -> None:
        """Retry until the outcome is stored. The lease is held until then: no other turn may run without it."""
        claim = running.claim
        with self._leases.hold(claim.turn_id, lambda _: None):
            for _ in range(MAX_RETRIES):
                await asyncio.sleep(RETRY_INTERVAL)
                try:
                    await self._store_outcome(running, response)
                except StorageUnavailable:
                    continue
                log.info("session_stored_late", session=claim.before.session_id)
                break
        await self._signals.publish(turn_ended_topic(claim.before.thread_id))

    def _prompt(self, before: SessionRecord, system_message: str | None, persona: Persona | None) -> ThreadPrompt:
        profile = self._turns.profile
        given = system_message or before.system_message
        text = persona.context if persona else profile.system_prompt
        if given:
            replaces = profile.system_prompt_mode == "replace" and persona is None
            text = given if replaces else f"{text}\n\n{given}"
        summary = RunningSummary.from_dict(before.summary) if before.summary else None
        return ThreadPrompt(text, self._turns.turn_memories(before.user_id), profile.trim, summary, persona)

    async def _summarize(self, record: SessionRecord, prompt: ThreadPrompt, model: str) -> None:
        """Summarize the messages that the turn dropped, for the next one."""
        try:
            ask = partial(self._turns.ask, model)
            summary = await update_summary(prompt.summary, prompt.dropped, ask)
            if summary is not None and summary != prompt.summary:
                await self._store.set_summary(record.thread_id, summary.to_dict())
        except StorageUnavailable:
            log.warning("session_not_summarized", session=record.session_id)
