"""Fuzzes in rounds, each with a new server: every attack once, then generated requests and damaged ones in turn."""

from __future__ import annotations

import asyncio
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Final

from bench.fuzz.hostile import Bystander, attacks_on, mutations, run_attacks
from bench.fuzz.operations import PHASES, Fault, Findings, Phase, Plan, fuzz_operations
from bench.fuzz.target import fuzzed_server
from bench.program import Progress

ROUND: Final = 4_000
"""Cases of one round. The server of the next one begins with an empty database."""

DAMAGED: Final = 2
"""Of so many rounds, one sends damaged bytes."""

STREAM_EVENTS: Final = (10_000, 3)
"""Rounds take turns: one reads streams to their end, the next hangs up after three events."""


@dataclass(slots=True)
class FuzzResult:
    """`longest_wait` is the time, in seconds, that the slowest answer to another caller took during the attacks."""

    findings: Findings = field(default_factory=Findings)
    answers: int = 0
    longest_wait: float = 0.0


async def fuzz(cases: int, seed: int, seconds: float, progress: Progress) -> FuzzResult:
    """Send at least `cases` requests; no round begins after `seconds`. Raises BenchError."""
    result = FuzzResult()
    number, began = 0, perf_counter()
    while (left := cases - result.findings.cases.total()) > 0 and perf_counter() - began < seconds:
        with tempfile.TemporaryDirectory(prefix="switchboard-fuzz-") as name:
            await _round(Path(name), number, min(left, ROUND), seed + number, result)
        number += 1
        faults = (
            ", ".join(f"{each.check} {each.operation}: {each.title}" for each in result.findings.faults) or "no fault"
        )
        progress(f"round {number}: {result.findings.cases.total()} cases, {faults}")
    return result


async def _round(directory: Path, number: int, cases: int, seed: int, result: FuzzResult) -> None:
    async with fuzzed_server(directory) as (target, process):
        if number == 0 or number % DAMAGED:
            attacks = attacks_on(target) if number == 0 else mutations(target, seed, cases)
            bystander = Bystander(target)
            findings = await run_attacks(target, process.pid, attacks, bystander)
            result.answers += bystander.answers
            result.longest_wait = max(result.longest_wait, bystander.longest)
        else:
            # The phases that list cases send the same ones each time.
            phases: tuple[Phase, ...] = PHASES if number == DAMAGED else ("fuzzing", "stateful")
            plan = Plan(cases, seed, phases, stream_events=STREAM_EVENTS[number // DAMAGED % 2])
            findings = await asyncio.to_thread(fuzz_operations, target, plan)
        log = process.log_file.read_text(errors="replace")
        findings.faults.update(Fault("log", "", "Traceback", log[each.start() :][:2000]) for each in _tracebacks(log))
        result.findings.add(findings)


def _tracebacks(log: str) -> list[re.Match[str]]:
    return list(re.finditer("Traceback", log))
