"""Sessions as applications see them: invoke, resume, cancel. Every turn of a session goes through here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from typing import Any, Final
from uuid import uuid4
from weakref import WeakValueDictionary

from langchain_core.messages import AnyMessage, HumanMessage

from agent.sessions.decisions import decided
from agent.sessions.events import SessionEvent
from agent.sessions.record import SessionRecord
from agent.sessions.requests import Invocation, OnBusy, Resumption
from agent.sessions.runner import Claimed, SessionRunner
from agent.sessions.shielded import run_shielded
from agent.sessions.signals import Signals, stop_topic, turn_ended_topic
from agent.sessions.store import SessionStore
from agent.sessions.thread import Threads
from agent.tools.review import resume_value
from agent.turns import TurnService
from config.errors import (
    NotPending,
    ReviewPending,
    SessionBusy,
    SessionExists,
    SessionNotFound,
    SessionNotReady,
    SwitchboardError,
)

LOOK: Final = 0.1
"""Seconds between two looks at a session whose turn runs in another process."""

TAKES_MESSAGES: Final = ("idle", "completed", "error")


class SessionService:
    """Runs turns on sessions, one at a time on each. `ttl` (seconds) is the expiry of a new session, None is never.

    `patience` (seconds) is how long a request waits for the turn before it to end.
    """

    def __init__(
        self,
        turns: TurnService,
        store: SessionStore,
        threads: Threads,
        runner: SessionRunner,
        signals: Signals,
        *,
        ttl: float | None = None,
        patience: float = 60.0,
    ) -> None:
        self._turns = turns
        self._store = store
        self._threads = threads
        self._runner = runner
        self._signals = signals
        self._ttl = ttl
        self._patience = patience
        self._lines: WeakValueDictionary[tuple[str, str | None], asyncio.Lock] = WeakValueDictionary()

    async def invoke(self, request: Invocation) -> AsyncGenerator[SessionEvent, None]:
        """Run a turn with the user's message.

        Raises, before the first event:
            ModelNotFound, ModelUnavailable: nothing was changed.
            SessionBusy, ReviewPending: see `OnBusy` and `OnPending`.
        """
        self._turns.router.check(request.model)
        async with self._line(request):
            record = await self._opened(request)
            claimed = await self._claim_for_message(record, request)
        if request.sets_ttl:
            await self._set_expiry_of(claimed, request.ttl)
        query = HumanMessage(request.query, id=claimed.turn_id)
        events = self._runner.run(claimed, query=query, model=request.model, system_message=request.system_message)
        async with aclosing(events):
            async for event in events:
                yield event

    async def resume(self, request: Resumption) -> AsyncGenerator[SessionEvent, None]:
        """Go on with a reviewer's answers.

        Raises, before the first event:
            SessionNotFound: the user has no such session.
            SessionBusy: a turn runs, perhaps on another answer; what waits shows when it has ended.
            NotPending: it waits for no answer, or not for this one.
            RequestError: the answers do not fit what waits.
        """
        record = await self.find(request.user_id, request.session_id)
        if record.status == "running":
            raise SessionBusy("Another turn runs on this session. Wait for it to end, or cancel it.", retry_after=1.0)
        if record.status != "interrupted":
            raise NotPending(f"Nothing waits for an answer: the session is {record.status}.", status=record.status)
        tools, _ = self._turns.thread_graph()
        answers = decided(record.interrupts, request.answers, tools.by_name)
        claimed = await self._claim_for_answers(record, answers)
        call_ids = frozenset(str(each["tool_call_id"]) for each in record.interrupts)
        values = {interrupt_id: resume_value(answer) for interrupt_id, answer in answers.items()}
        events = self._runner.run(claimed, answers=values, answered=call_ids, model=request.model)
        async with aclosing(events):
            async for event in events:
                yield event

    async def cancel(self, user_id: str, session_id: str, heard: str | None = None) -> SessionRecord:
        """End the running turn, if there is one. With `heard`, no more than that stays of what the agent said last.

        Raises:
            SessionNotFound: the user has no such session.
            SessionBusy: the turn did not end in time, or another began at once.
        """
        record = await self.find(user_id, session_id)
        if turn_id := await self._stop(record):
            await self._until_over(record, turn_id)
        if heard is not None:
            await self._keep_heard(record, heard)
        return await self.find(user_id, session_id)

    async def look_up(self, user_id: str, session_id: str) -> SessionRecord | None:
        """The session, if there is one."""
        return await self._store.find(user_id, session_id)

    async def find(self, user_id: str, session_id: str) -> SessionRecord:
        """The session. Raises SessionNotFound."""
        record = await self._store.find(user_id, session_id)
        if record is None:
            raise SessionNotFound("The user has no such session, or it has expired.")
        return record

    async def history(self, user_id: str, session_id: str) -> list[AnyMessage]:
        """All messages of the session, oldest first. Raises SessionNotFound."""
        record = await self.find(user_id, session_id)
        return await self._threads.messages(record.thread_id)

    async def ids(self, user_id: str, limit: int, offset: int) -> Sequence[str]:
        """The ids of the user's sessions, the last active first."""
        return await self._store.ids(user_id, limit, offset)

    async def latest(self, user_id: str) -> SessionRecord | None:
        """The session that the user was last active in."""
        return await self._store.latest(user_id)

    async def set_expiry(self, user_id: str, session_id: str, ttl: float | None) -> SessionRecord:
        """Let the session expire `ttl` seconds from now; None is never. Raises SessionNotFound."""
        return await self._store.set_expiry(user_id, session_id, ttl)

    async def delete(self, user_id: str, session_id: str) -> None:
        """Delete the session with its thread, and end its turn. Raises SessionNotFound."""
        turn_id = await self._store.request_stop(user_id, session_id)
        deleted = await self._store.delete(user_id, session_id)
        if deleted is None:
            raise SessionNotFound("The user has no such session, or it has expired.")
        if turn_id is not None:
            await self._signals.send(stop_topic(turn_id))  # what its turn still writes, the sweeper removes
            return
        await self._threads.delete(deleted.thread_id)
        await self._store.remove([deleted])

    def _line(self, request: Invocation) -> AbstractAsyncContextManager[object]:
        """Held until the turn begins by each that may wait for the one before it: first come, first served."""
        if request.on_busy != "enqueue":
            return nullcontext()
        return self._lines.setdefault((request.user_id, request.session_id), asyncio.Lock())

    async def _opened(self, request: Invocation) -> SessionRecord:
        """The session that the message is for, made when there is none."""
        user_id, session_id = request.user_id, request.session_id
        if session_id is None:
            found = await self._store.latest(user_id)
        else:
            found = await self._store.find(user_id, session_id)
        if found is None:
            kept = {"model": request.model, "system_message": request.system_message}
            try:
                return await self._store.create(user_id, session_id or uuid4().hex, ttl=self._ttl, **kept)
            except SessionExists:
                return await self.find(user_id, str(session_id))
        return found

    async def _set_expiry_of(self, claimed: Claimed, ttl: float | None) -> None:
        """Not before the claim: a message that is refused changes nothing."""
        try:
            await self._store.set_expiry(claimed.before.user_id, claimed.before.session_id, ttl)
        except BaseException:
            await run_shielded(self._runner.give_back(claimed))
            raise

    async def _claim_for_message(self, record: SessionRecord, request: Invocation) -> Claimed:
        allowed = TAKES_MESSAGES if request.on_pending == "refuse" else None
        try:
            return await self._claimed(record, request.query, allowed, request.on_busy)
        except SessionNotReady as exc:
            pending = await self.find(record.user_id, record.session_id)
            raise ReviewPending(
                f"The session waits for a person's decision: {_waiting(pending)}. Answer it with /agent/resume, or "
                'send the message with "on_pending": "reject" to decline it.',
                status=exc.status,
            ) from exc

    async def _claim_for_answers(self, record: SessionRecord, answers: Mapping[str, Any]) -> Claimed:
        try:
            claimed = await self._claimed(record, None, ("interrupted",), "reject")
        except SessionNotReady as exc:
            raise NotPending("It was answered already.", status=exc.status) from exc
        if answers.keys() - {each["interrupt_id"] for each in claimed.before.interrupts}:
            await run_shielded(self._runner.give_back(claimed))
            raise NotPending("It was answered already.", status="interrupted")
        return claimed

    async def _claimed(
        self, record: SessionRecord, query: str | None, allowed: Sequence[Any] | None, on_busy: OnBusy
    ) -> Claimed:
        """The lease on the session, once it is free; `on_busy` says what to do until then."""
        turn_id = uuid4().hex
        deadline = asyncio.get_running_loop().time() + self._patience
        over = asyncio.Event()
        with self._signals.on(turn_ended_topic(record.thread_id), over.set):
            while True:
                over.clear()
                try:
                    return await self._claim(record, turn_id, query, allowed)
                except SessionBusy:
                    if on_busy == "reject" or asyncio.get_running_loop().time() > deadline:
                        raise
                if on_busy == "supersede":
                    await self._stop(record)
                await _set_within(over, LOOK)

    async def _claim(
        self, record: SessionRecord, turn_id: str, query: str | None, allowed: Sequence[Any] | None
    ) -> Claimed:
        claim = self._store.claim(record.user_id, record.session_id, turn_id, query, from_statuses=allowed)
        claiming = asyncio.ensure_future(claim)
        try:
            return Claimed(turn_id, await asyncio.shield(claiming))
        except asyncio.CancelledError:
            # Who hangs up just now may have the lease, which nobody else would release.
            await run_shielded(self._give_back(turn_id, claiming))
            raise

    async def _give_back(self, turn_id: str, claiming: asyncio.Future[SessionRecord]) -> None:
        try:
            before = await claiming
        except SwitchboardError:
            return
        await self._runner.give_back(Claimed(turn_id, before))

    async def _stop(self, record: SessionRecord) -> str | None:
        """Ask the turn that runs to end; returns its id, None when none does."""
        turn_id = await self._store.request_stop(record.user_id, record.session_id)
        if turn_id is not None:
            await self._signals.send(stop_topic(turn_id))
        return turn_id

    async def _until_over(self, record: SessionRecord, turn_id: str) -> None:
        deadline = asyncio.get_running_loop().time() + self._patience
        over = asyncio.Event()
        with self._signals.on(turn_ended_topic(record.thread_id), over.set):
            while await self._store.runs(turn_id):
                if asyncio.get_running_loop().time() > deadline:
                    raise SessionBusy("The turn did not end in time.", retry_after=1.0)
                await _set_within(over, LOOK)
                over.clear()

    async def _keep_heard(self, record: SessionRecord, heard: str) -> None:
        try:
            claimed = await self._claimed(record, None, TAKES_MESSAGES, "reject")
        except SessionNotReady as exc:
            raise ReviewPending(
                "The session waits for a person's decision, so what was said stays as it is.", status=exc.status
            ) from exc
        await run_shielded(self._cut(claimed, heard))

    async def _cut(self, claimed: Claimed, heard: str) -> None:
        before = claimed.before
        kept: str | None = None
        try:
            if before.status == "running":
                await self._runner.mend(before)
            kept = await self._threads.keep_heard(before.thread_id, heard)
        finally:
            await self._runner.give_back(claimed, last_response=kept)


def _waiting(record: SessionRecord) -> str:
    actions = [f"{each['action_request']['action']} ({each['interrupt_id']})" for each in record.interrupts]
    return ", ".join(actions) or "its question"


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
