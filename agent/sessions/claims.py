"""Claims: the right to run a turn on a session, which only one turn has at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from agent.sessions.record import SessionRecord, Status
from agent.sessions.requests import OnBusy
from agent.sessions.signals import Signals, stop_topic, turn_ended_topic, wait_for_signal
from agent.sessions.store import SessionStore
from agent.sessions.task_turn import are_of_one_task
from agent.sessions.turn_response import TurnResponse
from agent.shielded_work import run_shielded
from agent.storage.fence import ClaimedThread
from config.errors import SessionBusy, SwitchboardError

POLL_INTERVAL: Final = 0.1
"""Seconds between two looks at a session whose turn runs in another process."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The turn `turn_id` holds the session's lease. `before` is the session as it was before."""

    turn_id: str
    before: SessionRecord

    @property
    def thread(self) -> ClaimedThread:
        return ClaimedThread(self.before.thread_id, self.before.claims + 1)

    @property
    def continues(self) -> bool:
        """Whether the turn before died, and was an earlier attempt of this turn's task."""
        return are_of_one_task(self.before.turn_id, self.turn_id)


class Claims:
    """Claims sessions and stops turns. `timeout` (seconds) limits each wait for a turn to end."""

    def __init__(self, store: SessionStore, signals: Signals, *, timeout: float = 60.0) -> None:
        self._store = store
        self._signals = signals
        self._timeout = timeout

    async def claim(
        self,
        record: SessionRecord,
        query: str | None = None,
        *,
        from_statuses: Collection[Status] | None = None,
        on_busy: OnBusy = "reject",
        turn_id: str | None = None,
    ) -> Claim:
        """Claim the session; while another turn runs, do what `on_busy` says. Raises as `SessionStore.claim` does."""
        turn_id = turn_id or uuid4().hex
        deadline = asyncio.get_running_loop().time() + self._timeout
        turn_ended = asyncio.Event()
        with self._signals.subscribe(turn_ended_topic(record.thread_id), turn_ended.set):
            while True:
                turn_ended.clear()
                try:
                    return await self.try_claim(record.user_id, record.session_id, query, from_statuses, turn_id)
                except SessionBusy:
                    if on_busy == "reject" or asyncio.get_running_loop().time() > deadline:
                        raise
                if on_busy == "supersede":
                    await self.stop(record)
                await wait_for_signal(turn_ended, POLL_INTERVAL)

    async def try_claim(
        self,
        user_id: str,
        session_id: str,
        query: str | None,
        from_statuses: Collection[Status] | None,
        turn_id: str | None = None,
    ) -> Claim:
        """Claim the session without waiting for another turn. Raises as `SessionStore.claim` does."""
        turn_id = turn_id or uuid4().hex
        claim = self._store.claim(user_id, session_id, turn_id, query, from_statuses=from_statuses)
        claiming = asyncio.ensure_future(claim)
        try:
            return Claim(turn_id, await asyncio.shield(claiming))
        except asyncio.CancelledError:
            # The store may already have granted the lease, and nobody else would release it.
            await run_shielded(self._release_when_claimed(turn_id, claiming))
            raise

    async def release(self, claim: Claim, last_response: TurnResponse | None = None) -> None:
        """Give up the claim without a turn and restore the session.

        If the turn before crashed, the session still reads as an error, and the next turn closes the crashed one. One
        that was an earlier attempt of this turn's task can still be continued by the next attempt.
        """
        before = claim.before
        if claim.continues:
            await self._store.abandon(claim.turn_id)
        else:
            await self._store.release(claim.turn_id, before, last_response)
        await self._signals.publish(turn_ended_topic(before.thread_id))

    @asynccontextmanager
    async def released_on_error(self, claim: Claim) -> AsyncIterator[None]:
        """Release the claim when the block raises: its turn does not begin."""
        try:
            yield
        except BaseException:
            await run_shielded(self.release(claim))
            raise

    async def stop(self, record: SessionRecord) -> str | None:
        """Ask the running turn to end; returns its id, None when none runs."""
        turn_id = await self._store.request_stop(record.user_id, record.session_id)
        if turn_id is not None:
            await self._signals.publish(stop_topic(turn_id))
        return turn_id

    async def wait_for_end(self, record: SessionRecord, turn_id: str) -> None:
        """Wait until the turn has ended. Raises SessionBusy on timeout."""
        deadline = asyncio.get_running_loop().time() + self._timeout
        turn_ended = asyncio.Event()
        with self._signals.subscribe(turn_ended_topic(record.thread_id), turn_ended.set):
            while await self._store.is_running(turn_id):
                if asyncio.get_running_loop().time() > deadline:
                    raise SessionBusy("The turn did not end in time.", retry_after=1.0)
                await wait_for_signal(turn_ended, POLL_INTERVAL)
                turn_ended.clear()

    async def _release_when_claimed(self, turn_id: str, claiming: asyncio.Future[SessionRecord]) -> None:
        try:
            before = await claiming
        except SwitchboardError:
            return
        await self.release(Claim(turn_id, before))
