"""What all callers of a soak share: the way to the servers, the account, the check of hang-ups."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.soak.gateway import BadGateway, ConnectionCut, Gateway, Json, Received
from bench.soak.hang_ups import HangUps
from bench.soak.ledger import Kind, Ledger
from bench.soak.traffic import Pace, TurnPlan
from bench.soak.verdict import Outcome, judge_error, judge_text

MAX_PAUSE = 5.0
"""Seconds: the longest `Retry-After` that a caller waits for."""
TURNS_PER_THREAD = 5
"""Turns of a session, or of a conversation, before its caller begins a new one."""


@dataclass(frozen=True, slots=True)
class Rig:
    """`personas` has the id of a persona for each model."""

    gateway: Gateway
    hang_ups: HangUps
    pace: Pace
    ledger: Ledger
    personas: Mapping[str, str] = field(default_factory=dict)

    async def ask(self, kind: Kind, plan: TurnPlan, path: str, body: Json) -> Received | None:
        """Send the turn and read its answer; hang up if that is the plan.

        Returns None if there is no whole answer to judge: then the turn is recorded already.
        """
        received = Received()
        try:
            await asyncio.wait_for(self.gateway.read("POST", path, body, received=received), plan.hang_up_after)
            return received
        except ConnectionCut as exc:
            self.ledger.add(kind, plan, received, ("cut", str(exc)))
        except TimeoutError:
            if plan.hang_up_after is None:
                self.ledger.add(kind, plan, received, ("lost", "the answer did not end"))
            else:
                self.hang_ups.watch(plan.mark, time.time())
                self.ledger.add(kind, plan, received, ("hung up", ""))
        return None

    async def record(
        self, kind: Kind, plan: TurnPlan, received: Received, outcome: tuple[Outcome, str], code: str = ""
    ) -> Outcome:
        """Record the turn, and wait as long as its error asks for."""
        recorded = self.ledger.add(kind, plan, received, outcome, code=code)
        await pause(received)
        return recorded

    async def record_http_error(self, kind: Kind, plan: TurnPlan, received: Received) -> Outcome:
        """Record a turn that was refused, or whose server was gone behind the proxy."""
        try:
            code = received.error_code
        except BadGateway as exc:
            return await self.record(kind, plan, received, ("bad gateway", str(exc)))
        outcome = judge_error(code, status=received.status, headers=received.headers, fault=plan.fails)
        return await self.record(kind, plan, received, outcome, code)

    async def record_events(self, kind: Kind, plan: TurnPlan, received: Received) -> Outcome:
        """Record a turn on a stream of events: `/agent/*` or `/agents/chat-agent/stream`."""
        if received.status != 200:
            return await self.record_http_error(kind, plan, received)
        events = received.events()
        last = events[-1] if events else {}
        match last.get("type"):
            case "completed" | "complete":
                return await self.record(kind, plan, received, judge_text("".join(map(text_of, events))))
            case "error":
                outcome = judge_error(last["code"], fault=plan.fails)
                return await self.record(kind, plan, received, outcome, last["code"])
        return await self.record(kind, plan, received, ("lost", f"the stream ended with {last.get('type')}"))


def text_of(event: Json) -> str:
    """The text that an event adds to the answer."""
    match event["type"]:
        case "text_chunk":
            return str(event["content"])
        case "content":
            return str(event["chunk"])
    return ""


async def pause(received: Received) -> None:
    """Wait for the time of `Retry-After`, if the answer has one."""
    await asyncio.sleep(min(MAX_PAUSE, float(received.headers.get("retry-after", 0))))
