"""The short form of `make fuzz`, with fixed seeds. docs/fuzzing.md has the figures of the long one."""

from __future__ import annotations

import asyncio

from bench.fuzz import bodies, heads
from bench.fuzz.hostile import Bystander, mutations, run_attacks
from bench.fuzz.operations import Plan, fuzz_operations
from bench.fuzz.target import FuzzTarget
from tests.support.server_process import ServerProcess


async def test_generated_requests_find_no_fault_in_any_operation(target: FuzzTarget) -> None:
    plan = Plan(cases=230, seed=1, phases=("examples", "fuzzing"), max_examples=2, deterministic=True)
    findings = await asyncio.to_thread(fuzz_operations, target, plan)
    assert not findings.faults
    assert findings.cases.total() >= 230
    assert len(findings.cases) > 40, findings.cases
    assert {200, 401, 404, 422} <= {status for _, status in findings.statuses}


async def test_no_attack_gets_a_wrong_answer_or_leaves_something_behind(
    target: FuzzTarget, server: ServerProcess
) -> None:
    attacks = [*heads.attacks(target), *bodies.attacks(target, ["/v1/chat/completions", "/agent/invoke"])]
    bystander = Bystander(target)
    assert server.process is not None
    findings = await run_attacks(target, server.process.pid, attacks, bystander)
    assert not findings.faults
    assert findings.cases.total() == len(attacks)
    assert bystander.answers > 3


async def test_damaged_requests_get_a_documented_answer_or_none(target: FuzzTarget, server: ServerProcess) -> None:
    assert server.process is not None
    findings = await run_attacks(target, server.process.pid, mutations(target, 1, 150), Bystander(target))
    assert not findings.faults
    assert {200, 400} <= {status for _, status in findings.statuses}
