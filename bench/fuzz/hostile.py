"""Runs the attacks while another caller talks with the server, and compares what the server holds before and after."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter
from typing import Any, Final

import httpx

from bench.fuzz import bodies, heads
from bench.fuzz.connection import Attack, answer_to
from bench.fuzz.mutations import mutated_requests
from bench.fuzz.operations import Fault, Findings
from bench.fuzz.target import FuzzTarget
from bench.processes import BenchError
from bench.soak.resources import ProcessResources

AT_ONCE: Final = 16
"""Attacks that run at the same time."""

SETTLE_TIMEOUT: Final = 20.0
MAX_GROWTH: Final = 60.0
"""MB of memory that may stay: caches, and what the allocator keeps for the next large body."""

MAX_WAIT: Final = 10.0
"""Seconds that a caller may wait for an answer of the fake model during the attacks."""


@dataclass(slots=True)
class Bystander:
    """A caller with a short question, again and again. `longest` is in seconds."""

    target: FuzzTarget
    answers: int = 0
    longest: float = 0.0
    faults: list[Fault] = field(default_factory=list)

    async def talk(self) -> None:
        """Until cancelled."""
        body = {"model": "fake", "messages": [{"role": "user", "content": "Hi"}]}
        async with httpx.AsyncClient(base_url=self.target.url, headers=self.target.headers, timeout=30) as http:
            while True:
                began = perf_counter()
                try:
                    response = await http.post("/v1/chat/completions", json=body)
                    problem = "" if response.status_code == 200 else f"was answered {response.status_code}"
                except httpx.HTTPError as error:
                    problem = f"got no answer: {error!r}"
                took = perf_counter() - began
                self.answers, self.longest = self.answers + 1, max(self.longest, took)
                if problem or took > MAX_WAIT:
                    self.faults.append(
                        Fault("bystander", "", "Another caller suffers", problem or f"waited {took:.1f} s")
                    )
                await asyncio.sleep(0.05)


def attacks_on(target: FuzzTarget) -> list[Attack]:
    """Every attack with a name."""
    return [*heads.attacks(target), *bodies.attacks(target)]


async def run_attacks(
    target: FuzzTarget, pid: int, attacks: Iterable[Attack], bystander: Bystander, operation: str = "sockets"
) -> Findings:
    """Run `attacks`, with a talking `bystander`. The faults are wrong answers, neglected callers, and leaks."""
    findings = Findings()
    await _warm_up(target)
    before = ProcessResources.of(pid)
    tasks = await _tasks(target)
    talking = asyncio.create_task(bystander.talk())
    waiting = iter(attacks)

    async def attack_in_turn() -> None:
        for attack in waiting:
            findings.cases[operation] += 1
            await _attack(target, attack, findings, operation)

    try:
        await asyncio.gather(*(attack_in_turn() for _ in range(AT_ONCE)))
    finally:
        talking.cancel()
        with suppress(asyncio.CancelledError):
            await talking
    findings.faults.update(bystander.faults)
    findings.faults.update(Fault("leak", operation, each) for each in await _leaks(target, pid, before, tasks))
    return findings


def mutations(target: FuzzTarget, seed: int, count: int) -> Iterable[Attack]:
    return islice(mutated_requests(target, seed), count)


async def _attack(target: FuzzTarget, attack: Attack, findings: Findings, operation: str) -> None:
    answer = await answer_to(target, attack)
    for status in answer.statuses:
        findings.statuses[operation, status] += 1
    first = answer.statuses[0] if answer.statuses else None
    sent = b"".join(islice(attack.pieces(), 3))[:600]
    if not answer.closed and not attack.may_stay_open:
        findings.faults[
            Fault("closes", attack.name, f"Open after {attack.within:g} s", repr(answer.data[:300]), repr(sent))
        ] += 1
    elif first not in attack.answers or any(each >= 500 and each not in attack.answers for each in answer.statuses):
        title = f"{answer.statuses[:5] or 'No answer'} instead of {attack.answers}"
        findings.faults[Fault("answer", attack.name, title, repr(answer.data[:600]), repr(sent))] += 1


async def _warm_up(target: FuzzTarget) -> None:
    """Let the server open what it keeps: connections to its database, and threads."""
    async with httpx.AsyncClient(base_url=target.url, headers=target.headers, timeout=60) as http:
        asked = [{"user_id": f"warm-{number}", "query": "Hi"} for number in range(2 * AT_ONCE)]
        await asyncio.gather(*(http.post("/agent/invoke", json=each) for each in asked))


async def _leaks(target: FuzzTarget, pid: int, before: ProcessResources, tasks: int) -> list[str]:
    """What the server still holds `SETTLE_TIMEOUT` after the last attack, and did not before."""
    deadline = perf_counter() + SETTLE_TIMEOUT
    while True:
        await asyncio.sleep(0.2)
        after = ProcessResources.of(pid)
        leaks = [
            f"{kind}: {getattr(before, kind)} before, {getattr(after, kind)} after"
            for kind in ("files", "tcp")
            if getattr(after, kind) > getattr(before, kind)
        ]
        if (now := await _tasks(target)) > tasks:
            leaks.append(f"asyncio tasks: {tasks} before, {now} after")
        if (growth := after.memory - before.memory) > MAX_GROWTH:
            leaks.append(f"memory: {growth:.0f} MB more")
        if not leaks or perf_counter() > deadline:
            return leaks


async def _tasks(target: FuzzTarget) -> int:
    """The server's asyncio tasks. Asked three times: a busy server may close a new connection as a silent one."""
    async with httpx.AsyncClient(headers={"connection": "close"}, timeout=30) as http:
        for _ in range(3):
            try:
                health: dict[str, Any] = (await http.get(f"{target.url}/health")).json()
                return int(health["tasks"])
            except httpx.TransportError as error:
                last = error
        raise BenchError(f"the server does not answer GET /health: {last!r}")
