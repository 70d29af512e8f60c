"""A caller of a persona: several messages in one conversation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.soak.callers.rig import TURNS_PER_THREAD, Rig
from bench.soak.gateway import ConnectionCut, Gateway
from bench.soak.ledger import Message, Thread
from bench.soak.traffic import TEXT, TurnPlan


@dataclass(slots=True)
class PersonaCaller:
    """Begins a new conversation after `TURNS_PER_THREAD` turns, and for each turn on another model."""

    rig: Rig
    _conversation: str = ""
    _model: str = ""
    _thread: Thread | None = None

    async def turn(self, plan: TurnPlan) -> None:
        """One streamed turn."""
        if not await self._has_conversation(plan):
            return
        assert self._thread is not None
        message = Message(plan.mark)
        self._thread.messages.append(message)
        body = {"conversation_id": self._conversation, "message": plan.mark}
        received = await self.rig.ask("persona", plan, "/agents/chat-agent/stream", body)
        if received is not None and await self.rig.record_events("persona", plan, received) == "whole":
            message.answer = TEXT

    async def _has_conversation(self, plan: TurnPlan) -> bool:
        """Go on with the conversation or begin one. Otherwise the failure is recorded."""
        if self._thread is not None and self._model == plan.model and len(self._thread.messages) < TURNS_PER_THREAD:
            return True
        self._thread = None
        opening = TurnPlan(plan.mark, plan.model)
        body = {"agent_id": self.rig.personas[plan.model]}
        received = await self.rig.ask("persona", opening, "/agents/create-conversation", body)
        if received is None:
            return False
        if received.status != 200:
            await self.rig.record_http_error("persona", opening, received)
            return False
        self._conversation, self._model = str(received.json()["id"]), plan.model
        path = f"/agents/get-messages?conversation_id={self._conversation}"
        self._thread = self.rig.ledger.new_thread("persona", path)
        return True


async def create_personas(gateway: Gateway, models: Sequence[str]) -> dict[str, str]:
    """Create a persona for each model; return their ids by model. Raises ConnectionCut if the server refuses."""
    personas = {}
    for model in models:
        body = {"context": "You answer the phone.", "first_message": "Hello.", "response_shape": "", "instructions": ""}
        received = await gateway.read("POST", "/agents/create-agent", body | {"name": f"soak {model}", "model": model})
        if received.status != 200:
            raise ConnectionCut(f"no persona: {bytes(received.raw)!r}")
        personas[model] = str(received.json()["id"])
    return personas
