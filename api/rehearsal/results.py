"""What came of a rehearsal: steps, calls, and the latencies of all of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from api.rehearsal.script_file import Step
from config.errors import Problem

Ended = Literal["caller", "agent", "transfer", "error"]
"""Who ended a call: the caller, the agent, the agent with a transfer, or an error."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """`heard` is what the caller heard; `first_word` and `silence` are in seconds."""

    step: Step
    heard: str
    first_word: float | None = None
    silence: float | None = None
    problems: tuple[Problem, ...] = ()


@dataclass
class CallResult:
    """`caller` counts the callers from 1. `problems` are those that belong to no step."""

    name: str
    caller: int
    call_id: str
    steps: list[StepResult] = field(default_factory=list)
    ended: Ended = "caller"
    destination: str | None = None
    seconds: float = 0.0
    problems: list[Problem] = field(default_factory=list)

    @property
    def all_problems(self) -> list[Problem]:
        return [*(each for step in self.steps for each in step.problems), *self.problems]

    @property
    def ok(self) -> bool:
        return not self.all_problems


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds. All None if nothing was measured."""

    count: int
    p50: float | None
    p99: float | None
    longest: float | None


def latency(values: Iterable[float | None]) -> Latency:
    """The percentiles of what was measured, by nearest rank."""
    known = sorted(each for each in values if each is not None)
    if not known:
        return Latency(0, None, None, None)
    return Latency(len(known), _percentile(known, 50), _percentile(known, 99), known[-1])


def first_words(calls: Iterable[CallResult]) -> Latency:
    """From what the caller said or dialled to the first word."""
    return latency(step.first_word for call in calls for step in call.steps)


def silences(calls: Iterable[CallResult]) -> Latency:
    """From an interruption to the last text."""
    return latency(step.silence for call in calls for step in call.steps)


def _percentile(ascending: Sequence[float], percent: int) -> float:
    return ascending[max(0, math.ceil(len(ascending) * percent / 100) - 1)]
