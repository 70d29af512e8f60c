"""A caller whose agent calls a tool that a person must approve first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from bench.soak.callers.rig import Rig
from bench.soak.gateway import ConnectionCut, Json, Received
from bench.soak.ledger import Message
from bench.soak.traffic import PLAIN, SCRIPT, SCRIPT_FAULTS, TEXT, TOKENS, TurnPlan
from bench.soak.verdict import judge_error

REPEATED = 0.2
"""Share of the approvals that are sent once more, which must not have an effect."""


@dataclass(slots=True)
class ReviewCaller:
    """Each turn has a session of its own: a message, a question, the approval, the rest of the answer."""

    rig: Rig
    user: str
    random: Random

    async def turn(self, plan: TurnPlan) -> None:
        """One turn; a hang-up is during the rest of the answer."""
        model = SCRIPT if plan.model == PLAIN else self.random.choice(SCRIPT_FAULTS)
        plan = replace(plan, model=model)
        query = f'/call mark_if_allowed {{"name": "{plan.mark}"}}\n/then\n/tokens {TOKENS}'
        thread = self.rig.ledger.new_thread("review", f"/agent/history/{self.user}/{plan.mark}")
        message = Message(query)
        thread.messages.append(message)
        self.rig.ledger.expect_calls(plan.mark, at_least=0)
        body = {"user_id": self.user, "session_id": plan.mark, "query": query, "model": model}
        question = await self._question(replace(plan, hang_up_after=None), body)
        if question is None:
            return
        approval = {
            "user_id": self.user, "session_id": plan.mark, "response_type": "accept", "interrupt_id": question
        }  # fmt: skip
        received = await self.rig.ask("review", plan, "/agent/resume/stream", approval)
        if received is None or await self.rig.record_events("review", plan, received) != "whole":
            return
        message.answer = TEXT
        self.rig.ledger.expect_calls(plan.mark, at_least=1)
        if self.random.random() < REPEATED:
            await self._approve_again(plan, approval)

    async def _question(self, plan: TurnPlan, body: Json) -> str | None:
        """Send the message; return the id of the question. None if the turn failed, which is recorded."""
        received = await self.rig.ask("review", plan, "/agent/invoke", body)
        if received is None:
            return None
        if received.status != 200:
            await self.rig.record_http_error("review", plan, received)
            return None
        answer = received.json()
        if answer["status"] == "interrupted":
            return str(answer["interrupt_data"]["interrupt_id"])
        code = answer["error"]["code"] if answer["status"] == "error" else f"status_{answer['status']}"
        await self.rig.record("review", plan, received, judge_error(code), code)
        return None

    async def _approve_again(self, plan: TurnPlan, approval: Json) -> None:
        received = Received()
        try:
            await self.rig.gateway.read("POST", "/agent/resume", approval, received=received)
        except (ConnectionCut, TimeoutError):
            return  # the count of the tool's calls decides
        if received.status == 200:
            self.rig.ledger.add("review", plan, received, ("doubled", "a second approval had an effect"))
