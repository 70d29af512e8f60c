"""A caller with a session: several messages, one after another."""

from __future__ import annotations

from dataclasses import dataclass

from bench.soak.callers.rig import TURNS_PER_THREAD, Rig
from bench.soak.ledger import Message, Thread
from bench.soak.traffic import TEXT, TurnPlan


@dataclass(slots=True)
class SessionCaller:
    """Begins a new session after `TURNS_PER_THREAD` turns. `user` is its user id."""

    rig: Rig
    user: str
    _session: str = ""
    _thread: Thread | None = None

    async def turn(self, plan: TurnPlan) -> None:
        """One streamed turn."""
        if self._thread is None or len(self._thread.messages) == TURNS_PER_THREAD:
            self._session = plan.mark
            self._thread = self.rig.ledger.new_thread("session", f"/agent/history/{self.user}/{self._session}")
        message = Message(plan.mark)
        self._thread.messages.append(message)
        body = {"user_id": self.user, "session_id": self._session, "query": plan.mark, "model": plan.model}
        received = await self.rig.ask("session", plan, "/agent/invoke/stream", body)
        if received is not None and await self.rig.record_events("session", plan, received) == "whole":
            message.answer = TEXT
