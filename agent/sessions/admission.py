"""Admits requests to sessions: finds or creates the session and claims it for the turn, or raises the reason not to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4
from weakref import WeakValueDictionary

from langchain_core.messages import HumanMessage

from agent.personas.persona import Persona
from agent.personas.store import PersonaStore
from agent.sessions.claims import Claim, Claims
from agent.sessions.record import SessionRecord, Status
from agent.sessions.requests import Invocation, Resumption
from agent.sessions.review_answers import match_answers
from agent.sessions.store import SessionStore
from agent.sessions.task_turn import TaskTurn, message_id
from agent.sessions.threads import Threads
from agent.tools.review import ReviewResponse, resume_value
from agent.turns import TurnService
from config.errors import (
    NotPending,
    PersonaNotFound,
    ReviewPending,
    SessionBusy,
    SessionExists,
    SessionNotFound,
    SessionNotReady,
    SessionOfAnotherPersona,
    TaskAbandoned,
)

NO_REVIEW_PENDING: Final[tuple[Status, ...]] = ("idle", "completed", "error")
WENT_ON: Final = "The worker stopped during this task, and the session went on without it."


@dataclass(frozen=True, slots=True)
class Admitted:
    """A claimed session, and with what its turn begins.

    That is the user's `query`, or the `answers` to the reviews of the tool calls `answered`. A turn that `continues`
    began so in a process that died, and goes on from its last complete step. `replaces` is that of the Invocation.
    """

    claim: Claim
    persona: Persona | None
    query: HumanMessage | None = None
    answers: Mapping[str, Any] | None = None
    answered: frozenset[str] = frozenset()
    continues: bool = False
    replaces: bool = False


class Admission:
    """Claims sessions for requests. A new session expires after `ttl` seconds; None means never."""

    def __init__(
        self,
        turns: TurnService,
        store: SessionStore,
        threads: Threads,
        claims: Claims,
        personas: PersonaStore,
        *,
        ttl: float | None,
    ) -> None:
        self._turns = turns
        self._store = store
        self._threads = threads
        self._claims = claims
        self._personas = personas
        self._ttl = ttl
        self._queues: WeakValueDictionary[tuple[str, str | None], asyncio.Lock] = WeakValueDictionary()

    async def admit_message(self, request: Invocation, task: TaskTurn | None) -> Admitted:
        """Claim the session for the message. Raises as `SessionService.invoke` does."""
        await self.check_request(request)
        async with self._queue(request):
            claimed = await self._claim_at_once(request, task)
            if claimed is None:
                record = await self._find_or_create(request)
                claimed = await self._persona(record), await self._claim_for_message(record, request, task)
        persona, claim = claimed
        query = HumanMessage(request.query, id=message_id(claim.turn_id))
        async with self._claims.released_on_error(claim):
            if task is not None and task.retried and not claim.continues:
                await self._require_new(claim, query)
            if request.sets_ttl:  # only now, because a refused message changes nothing
                await self._store.set_expiry(claim.before.user_id, claim.before.session_id, request.ttl)
        return Admitted(claim, persona, query, continues=claim.continues, replaces=request.replaces)

    async def admit_answers(self, record: SessionRecord, request: Resumption, task: TaskTurn | None) -> Admitted:
        """Claim the session `record` for the answers. Raises as `SessionService.resume` does."""
        persona = await self._persona(record)
        if record.status != "running" and task is not None and task.continues(record.turn_id):
            return await self._continue_resumed(record, request, task, persona)
        answers = self._match(record, request, persona)
        claim = await self._claim_for_answers(record, answers, task)
        return Admitted(claim, persona, answers=_values(answers), answered=_call_ids(record.interrupts))

    async def check_message(self, request: Invocation) -> SessionRecord | None:
        """The session that the message would be for; None for a new one. Raises as `SessionService.check_message`."""
        await self.check_request(request)
        record = await self._find(request)
        if record is not None:
            await self._persona(record)
            if record.status == "interrupted" and request.on_pending == "refuse":
                raise _review_pending(record)
        await self._allow(record, request)
        return record

    async def check_answers(self, record: SessionRecord, request: Resumption) -> None:
        """Raise the error with which `admit_answers` would refuse the answers now."""
        await self._allow(record, request)
        self._match(record, request, await self._persona(record))

    async def check_request(self, request: Invocation) -> None:
        """Raise ModelNotFound, ModelUnavailable or PersonaNotFound, as `admit_message` would for any session."""
        if request.model:
            self._turns.allow(request.caller, request.model)
        self._turns.router.check(request.model)
        if request.agent_id is not None:
            await self._personas.get(request.agent_id)

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
        async with self._claims.released_on_error(claim):
            return await self._persona(claim.before), claim

    async def _find_or_create(self, request: Invocation) -> SessionRecord:
        if (record := await self._find(request)) is not None:
            return record
        await self._allow(None, request)
        return await self.create(request)

    async def create(self, request: Invocation) -> SessionRecord:
        """The new session of a message, or the one that another request has created meanwhile."""
        user_id, session_id = request.user_id, request.session_id
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
            return _with_its_persona(await self._store.get(user_id, str(session_id)), request)

    async def _find(self, request: Invocation) -> SessionRecord | None:
        """The session that the message is for; None for a new one. Raises SessionOfAnotherPersona."""
        if request.session_id is None:
            return await self._store.latest(request.user_id, request.agent_id)
        record = await self._store.find(request.user_id, request.session_id)
        return record and _with_its_persona(record, request)

    async def _claim_for_message(self, record: SessionRecord, request: Invocation, task: TaskTurn | None) -> Claim:
        try:
            return await self._claims.claim(
                record,
                request.query,
                from_statuses=_allowed_statuses(request),
                on_busy=request.on_busy,
                turn_id=task.turn_id if task else None,
            )
        except SessionNotReady as exc:
            raise _review_pending(await self._store.get(record.user_id, record.session_id)) from exc

    async def _require_new(self, claim: Claim, query: HumanMessage) -> None:
        """Raise TaskAbandoned if the thread has the message already."""
        messages = await self._threads.messages(claim.before)
        if any(each.id == query.id for each in messages):
            raise TaskAbandoned(WENT_ON)

    async def _continue_resumed(
        self, record: SessionRecord, request: Resumption, task: TaskTurn, persona: Persona | None
    ) -> Admitted:
        """Continue a turn that died after its review was answered. A call that was accepted may have been executed."""
        claim = await self._claims.claim(record, turn_id=task.turn_id)
        async with self._claims.released_on_error(claim):
            if not claim.continues:
                raise TaskAbandoned(WENT_ON)
            pending = await self._threads.pending_reviews(claim.thread)
            if pending and not any(each.decision in ("accept", "edit") for each in _responses(request)):
                tools, _ = self._turns.graphs.for_thread(persona.tools if persona else None)
                answers = match_answers(pending, request.answers, tools.by_name)
                return Admitted(claim, persona, answers=_values(answers), answered=_call_ids(pending))
        # The claim cleared the interrupts, but the response that the turn answered still lists them.
        asked = claim.before.last_response.interrupts if claim.before.last_response else ()
        return Admitted(claim, persona, answered=_call_ids([*pending, *asked]), continues=True)

    async def _claim_for_answers(
        self, record: SessionRecord, answers: Mapping[str, Any], task: TaskTurn | None
    ) -> Claim:
        try:
            claim = await self._claims.claim(
                record, from_statuses=["interrupted"], turn_id=task.turn_id if task else None
            )
        except SessionNotReady as exc:
            raise NotPending("The review was answered already.", status=exc.status) from exc
        async with self._claims.released_on_error(claim):
            if answers.keys() - {each["interrupt_id"] for each in claim.before.interrupts}:
                raise NotPending("The review was answered already.", status="interrupted")
        return claim

    def _match(self, record: SessionRecord, request: Resumption, persona: Persona | None) -> dict[str, ReviewResponse]:
        """The answers by interrupt id. Raises as `admit_answers` does."""
        if record.status == "running":
            raise SessionBusy("Another turn runs on this session. Wait for it to end, or cancel it.", retry_after=1.0)
        if record.status != "interrupted":
            raise NotPending(f"No review is pending: the session is {record.status}.", status=record.status)
        tools, _ = self._turns.graphs.for_thread(persona.tools if persona else None)
        return match_answers(record.interrupts, request.answers, tools.by_name)

    async def _allow(self, record: SessionRecord | None, request: Invocation | Resumption) -> None:
        """Raise ModelNotFound unless the caller may use what answers in the session; None is a new one."""
        if self._turns.callers.get(request.caller) is None:
            return
        model = request.model or (record.model if record else None)
        agent_id = record.agent_id if record else getattr(request, "agent_id", None)
        persona = await self._personas.get(agent_id) if agent_id and not model else None
        self._turns.allow(request.caller, model, persona.model_names if persona else ())

    async def _persona(self, record: SessionRecord) -> Persona | None:
        if record.agent_id is None:
            return None
        try:
            return await self._personas.get(record.agent_id)
        except PersonaNotFound as exc:
            raise PersonaNotFound("The agent of this session was deleted. Begin another session.") from exc


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
