"""The session service: invoke, resume and cancel turns; read, change and delete sessions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from langchain_core.messages import AnyMessage

from agent.message_fields import all_fields
from agent.sessions.admission import NO_REVIEW_PENDING, Admission
from agent.sessions.claims import Claim, Claims
from agent.sessions.events import SessionEvent
from agent.sessions.record import SessionRecord
from agent.sessions.requests import Invocation, Resumption
from agent.sessions.runner import SessionRunner
from agent.sessions.signals import Signals, stop_topic
from agent.sessions.store import SessionStore
from agent.sessions.task_turn import TaskTurn
from agent.sessions.threads import Threads
from agent.shielded_work import run_shielded
from agent.turns import TurnService
from config.errors import ReviewPending, SessionNotFound, SessionNotReady


class SessionService:
    """Runs turns on sessions, one at a time on each."""

    def __init__(
        self,
        turns: TurnService,
        store: SessionStore,
        threads: Threads,
        claims: Claims,
        admission: Admission,
        runner: SessionRunner,
        signals: Signals,
    ) -> None:
        self._turns = turns
        self._store = store
        self._threads = threads
        self._claims = claims
        self._admission = admission
        self._runner = runner
        self._signals = signals

    async def invoke(self, request: Invocation, task: TaskTurn | None = None) -> AsyncGenerator[SessionEvent, None]:
        """Run a turn with the user's message; that of a `task` continues where an earlier attempt died.

        Raises, before the first event:
            ModelNotFound, ModelUnavailable, PersonaNotFound: nothing was changed.
            SessionOfAnotherPersona: the session is not with the persona `agent_id`.
            SessionBusy, ReviewPending: see `OnBusy` and `OnPending`.
            TaskAbandoned: the session went on after an earlier attempt of the task had died.
        """
        admitted = await self._admission.admit_message(request, task)
        events = self._runner.run(
            admitted,
            model=request.model,
            system_message=request.system_message,
            caller=request.caller,
            filler=request.filler,
        )
        async with aclosing(events):
            async for event in events:
                yield event

    async def resume(self, request: Resumption, task: TaskTurn | None = None) -> AsyncGenerator[SessionEvent, None]:
        """Continue an interrupted turn with a reviewer's answers; that of a `task` where an earlier attempt died.

        The turn keeps its system message, and its model unless the request names another.

        Raises, before the first event:
            SessionNotFound: the user has no such session.
            SessionBusy: a turn runs, perhaps with another answer.
            NotPending: no review is pending, or not this one.
            RequestError: the answers do not match the pending reviews.
        """
        record = await self.get(request.user_id, request.session_id)
        admitted = await self._admission.admit_answers(record, request, task)
        begun = record.last_response
        events = self._runner.run(
            admitted,
            model=request.model or (begun.model if begun else None),
            system_message=begun.system_message if begun else None,
            caller=request.caller,
            filler=request.filler,
        )
        async with aclosing(events):
            async for event in events:
                yield event

    async def check_request(self, request: Invocation) -> None:
        """Raise ModelNotFound, ModelUnavailable or PersonaNotFound, as `invoke` would for any session."""
        await self._admission.check_request(request)

    async def check_message(self, request: Invocation) -> SessionRecord | None:
        """The session that the message would be for; None for a new one.

        Raises ModelNotFound, ModelUnavailable, PersonaNotFound, ReviewPending or SessionOfAnotherPersona, as `invoke`
        would.
        """
        return await self._admission.check_message(request)

    async def create(self, request: Invocation) -> SessionRecord:
        """The new session of a message that `check_message` has found none for. Raises SessionOfAnotherPersona."""
        return await self._admission.create(request)

    async def discard(self, record: SessionRecord) -> None:
        """Delete a session on which no turn has begun yet; any other stays."""
        await self._store.discard(record)

    async def check_answers(self, request: Resumption) -> None:
        """Raise the error with which `resume` would refuse the answers now."""
        record = await self.get(request.user_id, request.session_id)
        await self._admission.check_answers(record, request)

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
        return await self._store.get(user_id, session_id)

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
