"""Concurrent callers with random traffic, and the outcome of each turn."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, get_args

import httpx

from bench.exam.caller import Caller, ReceivedAnswer
from bench.exam.scenarios.tools import CHOICE, WEATHER
from bench.soak.traffic import Kind, RequestType
from router.fake.sample_text import ANSWER

Outcome = Literal["whole", "clean error", "hung up", "broken"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
EXPECTED_ERRORS = frozenset(
    {"all_deployments_failed", "deadline_exceeded", "answer_interrupted", "content_policy_violation",
     "rate_limit_exceeded", "request_rejected", "context_length_exceeded"}
)  # fmt: skip
"""Error codes that the faults may cause; any other is a bug."""
MAX_PAUSE = 0.05
"""Seconds between two turns of one caller."""
MAX_EXAMPLES = 20
"""Number of broken turns that are described."""


@dataclass(slots=True)
class OutcomeCounts:
    """Turns by model and outcome, errors by model and code, and descriptions of broken turns."""

    turns: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def add(self, model: str, outcome: Outcome, reason: str = "") -> None:
        self.turns[model, outcome] += 1
        if outcome == "broken" and len(self.broken) < MAX_EXAMPLES:
            self.broken.append(f"{model}: {reason}")

    def count(self, outcome: Outcome) -> int:
        return sum(number for (_, each), number in self.turns.items() if each == outcome)


def classify(answer: ReceivedAnswer, kind: Kind) -> tuple[Outcome, str]:
    """Return the outcome, with a reason if it is broken."""
    received = (answer.text, answer.finish_reason, answer.tool_calls)
    if answer.violation is not None:
        return "broken", f"the wire contract: {answer.violation}"
    if answer.error is not None:
        if answer.error_code not in EXPECTED_ERRORS:
            return "broken", f"unexpected error: {answer.error}"
        if not ANSWER.startswith(answer.text) or answer.finish_reason is not None or answer.tool_calls:
            return "broken", f"before the error {answer.error_code} came {received}"
        return "clean error", ""
    if received != _WHOLE[kind]:
        return "broken", f"not whole: {received}"
    return "whole", ""


_WHOLE: Mapping[Kind, tuple[Any, ...]] = {
    "text": (ANSWER, "stop", ()),
    "tool": ("", "tool_calls", (("get_weather", {"city": "Paris"}),)),
    "transfer": ("", "tool_calls", (("transferCall", {"destination": "+1234567890"}),)),
}


@dataclass(frozen=True, slots=True)
class LoadGenerator:
    """`callers` concurrent callers, each with one turn at a time. `seed` determines the requests and the hang-ups."""

    caller: Caller
    request_types: Sequence[RequestType]
    callers: int
    seed: int

    async def run(self, seconds: float, outcomes: OutcomeCounts) -> None:
        """Start turns for `seconds`, and finish those in progress."""
        deadline = asyncio.get_running_loop().time() + seconds
        async with asyncio.TaskGroup() as group:
            for number in range(self.callers):
                group.create_task(self._call(Random(f"{self.seed}/{number}"), deadline, outcomes))

    async def run_each_once(self, outcomes: OutcomeCounts) -> None:
        """Run one turn of each request type, so that all code paths are warm."""
        await asyncio.gather(*(self._turn(each, Random(0), outcomes) for each in self.request_types))

    async def _call(self, random: Random, deadline: float, outcomes: OutcomeCounts) -> None:
        weights = [each.weight for each in self.request_types]
        while asyncio.get_running_loop().time() < deadline:
            (request_type,) = random.choices(self.request_types, weights)
            await self._turn(request_type, random, outcomes)
            await asyncio.sleep(random.uniform(0, MAX_PAUSE))

    async def _turn(self, request_type: RequestType, random: Random, outcomes: OutcomeCounts) -> None:
        model, kind = request_type.model, request_type.kind
        fields: dict[str, Any] = {"tools": [WEATHER], "tool_choice": CHOICE} if kind == "tool" else {}
        turn = self.caller.ask(model, stream=random.random() < 0.8, **fields)
        hang_up_after = random.uniform(0.01, 1.0) if request_type.hangs_up else None
        try:
            answer = await asyncio.wait_for(turn, hang_up_after)
        except TimeoutError:
            outcomes.add(model, "hung up" if hang_up_after is not None else "broken", "the answer did not end")
        except httpx.TransportError as exc:
            outcomes.add(model, "broken", f"the connection broke: {type(exc).__name__} {exc}")
        else:
            outcomes.add(model, *classify(answer, kind))
            if answer.error_code:
                outcomes.errors[model, answer.error_code] += 1
