"""Parallel callers that go on asking while providers fail in every way, and what each turn came to."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

import httpx

from bench.exam.caller import Caller, Heard
from bench.exam.scenarios.tools import CHOICE, WEATHER
from bench.soak.mix import Kind, Mixed
from router.fake.sample_text import ANSWER

Outcome = Literal["whole", "clean error", "hung up", "broken"]
CLEAN = frozenset(
    {"all_deployments_failed", "deadline_exceeded", "answer_interrupted", "content_policy_violation",
     "request_rejected", "context_length_exceeded"}
)  # fmt: skip
"""The errors that a caller may get from a mix of faults; any other is a bug."""
PAUSE = 0.05
"""Seconds, at most, between two turns of one caller."""


@dataclass(slots=True)
class Tally:
    """Turns by model and outcome, errors by model and code, and some of the broken turns in words."""

    turns: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def add(self, model: str, outcome: Outcome, why: str = "") -> None:
        self.turns[model, outcome] += 1
        if outcome == "broken" and len(self.broken) < 20:
            self.broken.append(f"{model}: {why}")

    def count(self, outcome: Outcome) -> int:
        return sum(number for (_, each), number in self.turns.items() if each == outcome)


def judged(heard: Heard, kind: Kind) -> tuple[Outcome, str]:
    """What one answer came to: whole (and then exactly so), a clean error, or broken and why."""
    if heard.broken is not None:
        return "broken", f"the wire contract: {heard.broken}"
    if heard.error is not None:
        if heard.code not in CLEAN:
            return "broken", f"an error that nobody expects: {heard.error}"
        if not ANSWER.startswith(heard.text) or heard.finish is not None or heard.calls:
            return "broken", f"before the error {heard.code} came {heard.text!r}, {heard.finish}, {heard.calls}"
        return "clean error", ""
    said: tuple[Any, ...] = (heard.text, heard.finish, heard.calls)
    if said != _WHOLE[kind]:
        return "broken", f"not whole: {said}"
    return "whole", ""


_WHOLE: Mapping[Kind, tuple[Any, ...]] = {
    "text": (ANSWER, "stop", ()),
    "tool": ("", "tool_calls", (("get_weather", {"city": "Paris"}),)),
    "transfer": ("", "tool_calls", (("transferCall", {"destination": "+1234567890"}),)),
}


@dataclass(frozen=True, slots=True)
class Crowd:
    """`callers` at once, each one turn after the other. The seed decides who asks for what, and when one hangs up."""

    caller: Caller
    mix: Sequence[Mixed]
    callers: int
    seed: int

    async def run(self, seconds: float, tally: Tally) -> None:
        """Go on for so long, and then to the end of every turn that has begun."""
        until = asyncio.get_running_loop().time() + seconds
        async with asyncio.TaskGroup() as group:
            for number in range(self.callers):
                group.create_task(self._ask(Random(f"{self.seed}/{number}"), until, tally))

    async def each_once(self, tally: Tally) -> None:
        """One turn of each kind, after which nothing is met for the first time."""
        await asyncio.gather(*(self._turn(each, Random(0), tally) for each in self.mix))

    async def _ask(self, random: Random, until: float, tally: Tally) -> None:
        weights = [each.weight for each in self.mix]
        while asyncio.get_running_loop().time() < until:
            (each,) = random.choices(self.mix, weights)
            await self._turn(each, random, tally)
            await asyncio.sleep(random.uniform(0, PAUSE))

    async def _turn(self, each: Mixed, random: Random, tally: Tally) -> None:
        more: dict[str, Any] = {"tools": [WEATHER], "tool_choice": CHOICE} if each.kind == "tool" else {}
        asked = self.caller.ask(each.model, stream=random.random() < 0.8, **more)
        patience = random.uniform(0.01, 1.0) if each.hangs_up else None
        try:
            heard = await asyncio.wait_for(asked, patience)
        except TimeoutError:
            outcome: Outcome = "hung up" if patience is not None else "broken"
            tally.add(each.model, outcome, "the caller was left waiting")
        except httpx.TransportError as exc:
            tally.add(each.model, "broken", f"the connection broke: {type(exc).__name__} {exc}")
        else:
            tally.add(each.model, *judged(heard, each.kind))
            if heard.code:
                tally.errors[each.model, heard.code] += 1
