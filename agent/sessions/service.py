"""The session service: invoke, resume and cancel turns; read, change and delete sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4
from weakref import WeakValueDictionary

from langchain_core.messages import AnyMessage, HumanMessage

from agent.message_fields import all_fields
from agent.personas.persona import Persona
from agent.personas.store import PersonaStore
from agent.sessions.claims import Claim, Claims
from agent.sessions.events import SessionEvent
from agent.sessions.record import SessionRecord, Status
from agent.sessions.requests import Invocation, Resumption
from agent.sessions.review_answers import match_answers
from agent.sessions.runner import SessionRunner
from agent.sessions.signals import Signals, stop_topic
from agent.sessions.store import SessionStore
from agent.sessions.task_turn import TaskTurn, message_id
from agent.sessions.tasks import run_shielded
from agent.sessions.threads import Threads
from agent.tools.review import ReviewResponse, resume_value
from agent.turns import TurnService
from config.errors import (
    NotPending,
    ReviewPending,
    SessionBusy,
    SessionExists,
    SessionNotFound,
    SessionNotReady,
    SessionOfAnotherPersona,
    TaskAbandoned,
)

INTERRUPTED: Final = "interrupted"
WENT_ON: Final = "The worker stopped during this task, and the session went on without it."
NO_REVIEW_PENDING: Final[tuple[Status, ...]] = ("idle", "completed", "error")


class SessionService:
    """Runs turns on sessions, one at a time on each. A new session expires after `ttl` seconds; None means never."""

    def __init__(
        self,
        turns: TurnService,
        store: SessionStore,
        threads: Threads,
        claims: Claims,
        runner: SessionRunner,
        signals: Signals,
        personas: PersonaStore,
        *,
        ttl: float | None = None,
    ) -> None:
        self._turns = turns
        self._store = store
        self._threads = threads
        self._claims = claims
        self._runner = runner
        self._signals = signals
        self._personas = personas
        self._ttl = ttl
        self._queues: WeakValueDictionary[tuple[str, str | None], asyncio.Lock] = WeakValueDictionary()

    async def invoke(self, request: Invocation, task: TaskTurn | None = None) -> AsyncGenerator[SessionEvent, None]:
        """Run a turn with the user's message; that of a `task` continues where an earlier attempt died.

        Raises, before the first event:
            ModelNotFound, ModelUnavailable, PersonaNotFound: nothing was changed.
            SessionOfAnotherPersona: the session is not with the persona `agent_id`.
            SessionBusy, ReviewPending: see `OnBusy` and `OnPending`.
            TaskAbandoned: the session went on after an earlier attempt of the task had died.
        """
        self._turns.router.check(request.model)
        if request.agent_id is not None:
            await self._personas.get(request.agent_id)
        async with self._queue(request):
            claimed = await self._claim_at_once(request, task)
            if claimed is None:
                record = await self._find_or_create(request)
                claimed = await self._persona(record), await self._claim_for_message(record, request, task)
        persona, claim = claimed
        query = HumanMessage(request.query, id=message_id(claim.turn_id))
        continues = _continues(claim.before, task)
        if task is not None and task.retried and not continues:
            await self._require_new(claim, query)
        if request.sets_ttl:
            await self._set_expiry_of(claim, request.ttl)
        events = self._runner.run(
            claim,
            query=query,
            model=request.model,
            system_message=request.system_message,
            persona=persona,
            caller=request.caller,
            continues=continues,
        )
        async with aclosing(events):
            async for event in events:
                yield event

    async def resume(self, request: Resumption, task: TaskTurn | None = None) -> AsyncGenerator[SessionEvent, None]:
        """Continue an interrupted turn with a reviewer's answers; that of a `task` where an earlier attempt died.

        Raises, before the first event:
            SessionNotFound: the user has no such session.
            SessionBusy: a turn runs, perhaps with another answer.
            NotPending: no review is pending, or not this one.
            RequestError: the answers do not match the pending reviews.
        """
        record = await self.get(request.user_id, request.session_id)
        persona = await self._persona(record)
        if record.status != "running" and _continues(record, task):
            events = await self._continue_resumed(record, request, task, persona)
        else:
            answers = self._match(record, request, persona)
            claim = await self._claim_for_answers(record, answers, task)
            events = self._runner.run(
                claim,
                answers=_values(answers),
                answered=_call_ids(record.interrupts),
                model=request.model,
                persona=persona,
                caller=request.caller,
            )
        async with aclosing(events):
            async for event in events:
                yield event

    def check_model(self, model: str | None) -> None:
        """Raise ModelNotFound or ModelUnavailable, as `invoke` would."""
        self._turns.router.check(model)

    async def check_message(self, request: Invocation) -> SessionRecord | None:
        """The session that the message would be for; None for a new one.

        Raises ModelNotFound, ModelUnavailable, ReviewPending or SessionOfAnotherPersona, as `invoke` would.
        """
        self.check_model(request.model)
        user_id, session_id = request.user_id, request.session_id
        record = await (self._store.find(user_id, session_id) if session_id else self._store.latest(user_id))
        if record is not None and record.status == "interrupted" and request.on_pending == "refuse":
            raise _review_pending(record)
        return record and _with_its_persona(record, request)

    async def check_answers(self, request: Resumption) -> None:
        """Raise the error with which `resume` would refuse the answers now."""
        record = await self.get(request.user_id, request.session_id)
        self._match(record, request, await self._persona(record))

    async def cancel(self, user_id: str, session_id: str, heard: str | None = None) -> SessionRecord:
        """End the running turn, if there is one. With `heard`, truncate the last answer to what the user heard of it.

        Raises:
            SessionNotFound: the user has no such session.
            SessionBusy: the turn did not end in time, or another one has begun.
        """
        record = await self.get(user_id, session_id)
        if turn_id := await self._claims.stop(record):
            await self._claims.wait_for_end(record, turn_id)
        if heard is not None:
            await self._truncate(record, heard)
        return await self.get(user_id, session_id)

    async def find(self, user_id: str, session_id: str) -> SessionRecord | None:
        """The session, None when there is none."""
        return await self._store.find(user_id, session_id)

    async def status(self, user_id: str, session_id: str) -> SessionRecord | None:
        """`find` for clients that poll: see `SessionStore.status`."""
        return await self._store.status(user_id, session_id)

    async def get(self, user_id: str, session_id: str) -> SessionRecord:
        """The session. Raises SessionNotFound."""
        record = await self.find(user_id, session_id)
        if record is None:
            raise SessionNotFound("The user has no such session, or it has expired.")
        return record

    async def history(self, user_id: str, session_id: str) -> list[AnyMessage]:
        """All messages of the session, oldest first. Raises SessionNotFound."""
        record = await self.get(user_id, session_id)
        return await self._threads.messages(record)

    async def ids(self, user_id: str, limit: int | None = None, offset: int = 0) -> Sequence[str]:
        """The ids of the user's sessions, most recently active first; all of them without a `limit`."""
        return await self._store.ids(user_id, limit, offset)

    async def latest(self, user_id: str) -> SessionRecord | None:
        """The user's most recently active session."""
        return await self._store.latest(user_id)

    async def set_expiry(self, user_id: str, session_id: str, ttl: float | None) -> SessionRecord:
        """Make the session expire `ttl` seconds from now; None means never. Raises SessionNotFound."""
        return await self._store.set_expiry(user_id, session_id, ttl)

    async def delete(self, user_id: str, session_id: str) -> None:
        """Delete the session and its thread, and end its turn. Raises SessionNotFound."""
        turn_id = await self._store.request_stop(user_id, session_id)
        deleted = await self._store.delete(user_id, session_id)
        if deleted is None:
            raise SessionNotFound("The user has no such session, or it has expired.")
        if turn_id is not None:
            await self._signals.publish(stop_topic(turn_id))  # the sweeper deletes what the turn still writes
            return
        await self._threads.delete(deleted.thread_id)
        await self._store.remove([deleted])

    def _queue(self, request: Invocation) -> AbstractAsyncContextManager[object]:
        """Keeps waiting messages in their order of arrival: held until the claim by each that may have to wait."""
        if request.on_busy != "enqueue":
            return nullcontext()
        return self._queues.setdefault((request.user_id, request.session_id), asyncio.Lock())

    async def _claim_at_once(self, request: Invocation, task: TaskTurn | None) -> tuple[Persona | None, Claim] | None:
        """The claim of a session that exists and is free, which most are; it saves a look-up."""
        if request.session_id is None or request.agent_id is not None:
            return None
        allowed = _allowed_statuses(request)
        try:
            claim = await self._claims.try_claim(
                request.user_id, request.session_id, request.query, allowed, task.turn_id if task else None
            )
        except (SessionNotFound, SessionBusy, SessionNotReady):
            return None
        try:
            return await self._persona(claim.before), claim
        except BaseException:
            await run_shielded(self._claims.release(claim))
            raise

    async def _find_or_create(self, request: Invocation) -> SessionRecord:
        user_id, session_id = request.user_id, request.session_id
        if session_id is None:
            record = await self._store.latest(user_id, request.agent_id)
        else:
            record = await self._store.find(user_id, session_id)
        if record is not None:
            return _with_its_persona(record, request)
        try:
            return await self._store.create(
                user_id,
                session_id or uuid4().hex,
                model=request.model,
                system_message=request.system_message,
                ttl=self._ttl,
                agent_id=request.agent_id,
            )
        except SessionExists:
            return _with_its_persona(await self.get(user_id, str(session_id)), request)

    async def _persona(self, record: SessionRecord) -> Persona | None:
        return None if record.agent_id is None else await self._personas.get(record.agent_id)

    def _match(self, record: SessionRecord, request: Resumption, persona: Persona | None) -> dict[str, ReviewResponse]:
        """The answers by interrupt id. Raises as `resume` does."""
        if record.status == "running":
            raise SessionBusy("Another turn runs on this session. Wait for it to end, or cancel it.", retry_after=1.0)
        if record.status != "interrupted":
            raise NotPending(f"No review is pending: the session is {record.status}.", status=record.status)
        tools, _ = self._turns.thread_graph(persona.tools if persona else None)
        return match_answers(record.interrupts, request.answers, tools.by_name)

    async def _continue_resumed(
        self, record: SessionRecord, request: Resumption, task: TaskTurn | None, persona: Persona | None
    ) -> AsyncGenerator[SessionEvent, None]:
        """Continue a turn that died after its review was answered. A call that was accepted may have been executed."""
        claim = await self._claims.claim(record, turn_id=task.turn_id if task else None)
        try:
            if not _continues(claim.before, task):
                raise TaskAbandoned(WENT_ON)
            pending = await self._threads.pending_reviews(claim.thread)
            if pending and not any(each.decision in ("accept", "edit") for each in _responses(request)):
                tools, _ = self._turns.thread_graph(persona.tools if persona else None)
                answers = match_answers(pending, request.answers, tools.by_name)
                return self._runner.run(
                    claim,
                    answers=_values(answers),
                    answered=_call_ids(pending),
                    model=request.model,
                    persona=persona,
                    caller=request.caller,
                )
        except BaseException:
            await run_shielded(self._claims.release(claim))
            raise
        # The claim cleared the interrupts, but the response that the turn answered still lists them.
        asked = claim.before.last_response.interrupts if claim.before.last_response else ()
        return self._runner.run(
            claim,
            answered=_call_ids([*pending, *asked]),
            model=request.model,
            persona=persona,
            caller=request.caller,
            continues=True,
        )

    async def _require_new(self, claim: Claim, query: HumanMessage) -> None:
        """Raise TaskAbandoned if the thread has the message already, and release the claim."""
        try:
            messages = await self._threads.messages(claim.before)
            if any(each.id == query.id for each in messages):
                raise TaskAbandoned(WENT_ON)
        except BaseException:
            await run_shielded(self._claims.release(claim))
            raise

    async def _set_expiry_of(self, claim: Claim, ttl: float | None) -> None:
        """Called after the claim, because a refused message changes nothing."""
        try:
            await self._store.set_expiry(claim.before.user_id, claim.before.session_id, ttl)
        except BaseException:
            await run_shielded(self._claims.release(claim))
            raise

    async def _claim_for_message(self, record: SessionRecord, request: Invocation, task: TaskTurn | None) -> Claim:
        allowed = _allowed_statuses(request)
        try:
            return await self._claims.claim(
                record,
                request.query,
                from_statuses=allowed,
                on_busy=request.on_busy,
                turn_id=task.turn_id if task else None,
            )
        except SessionNotReady as exc:
            raise _review_pending(await self.get(record.user_id, record.session_id)) from exc

    async def _claim_for_answers(
        self, record: SessionRecord, answers: Mapping[str, Any], task: TaskTurn | None
    ) -> Claim:
        try:
            claim = await self._claims.claim(
                record, from_statuses=[INTERRUPTED], turn_id=task.turn_id if task else None
            )
        except SessionNotReady as exc:
            raise NotPending("The review was answered already.", status=exc.status) from exc
        if answers.keys() - {each["interrupt_id"] for each in claim.before.interrupts}:
            await run_shielded(self._claims.release(claim))
            raise NotPending("The review was answered already.", status="interrupted")
        return claim

    async def _truncate(self, record: SessionRecord, heard: str) -> None:
        try:
            claim = await self._claims.claim(record, from_statuses=NO_REVIEW_PENDING)
        except SessionNotReady as exc:
            raise ReviewPending(
                "The session waits for a person's decision, so its messages cannot be changed.", status=exc.status
            ) from exc
        await run_shielded(self._truncate_claimed(claim, heard))

    async def _truncate_claimed(self, claim: Claim, heard: str) -> None:
        before = claim.before
        response = before.last_response
        try:
            if before.status == "running":
                await self._threads.close_crashed(claim.thread, before)
            kept = await self._threads.truncate(claim.thread, heard)
            if response is not None:
                response = replace(response, messages=all_fields(kept))
        finally:
            await self._claims.release(claim, last_response=response)


def _with_its_persona(record: SessionRecord, request: Invocation) -> SessionRecord:
    """Return the record. Raises SessionOfAnotherPersona."""
    if request.agent_id not in (None, record.agent_id):
        raise SessionOfAnotherPersona(
            f"The session is with {f'the agent {record.agent_id}' if record.agent_id else 'no agent'}, and stays with "
            "it. Begin another session for this agent."
        )
    return record


def _allowed_statuses(request: Invocation) -> tuple[Status, ...] | None:
    return NO_REVIEW_PENDING if request.on_pending == "refuse" else None


def _continues(record: SessionRecord, task: TaskTurn | None) -> bool:
    """Whether the session's turn died, and was an earlier attempt of the task."""
    return task is not None and task.continues(record.turn_id)


def _responses(request: Resumption) -> Sequence[ReviewResponse]:
    return list(request.answers.values()) if isinstance(request.answers, Mapping) else request.answers


def _values(answers: Mapping[str, ReviewResponse]) -> dict[str, Any]:
    return {interrupt_id: resume_value(answer) for interrupt_id, answer in answers.items()}


def _call_ids(interrupts: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(str(each["tool_call_id"]) for each in interrupts)


def _review_pending(record: SessionRecord) -> ReviewPending:
    return ReviewPending(
        f"The session waits for a person's decision: {_pending_actions(record)}. Answer it with "
        '/agent/resume, or send the message with "on_pending": "reject" to decline it.',
        status=record.status,
    )


def _pending_actions(record: SessionRecord) -> str:
    actions = [f"{each['action_request']['action']} ({each['interrupt_id']})" for each in record.interrupts]
    return ", ".join(actions) or "its question"
