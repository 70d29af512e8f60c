"""What a process measures of itself."""

from __future__ import annotations

import asyncio
import time

from agent.turns import TurnService
from api.statistics.process_gauges import INTERVAL, LoopLag, resident_memory
from api.statistics.worker_metrics import WorkerMetrics
from config.errors import ProviderOverloaded
from config.profile.agent_file import AgentProfile
from tests.support.scripted_lane import ScriptedLane, deployment, router_over
from tests.support.session_rig import eventually


async def test_a_loop_that_is_blocked_is_late() -> None:
    lag = LoopLag()
    async with lag.running():
        await asyncio.sleep(0)
        time.sleep(INTERVAL + 0.2)
        await eventually(lambda: lag.longest >= 0.15, 5)


def test_the_memory_is_that_of_a_python_process() -> None:
    memory = resident_memory()
    assert memory is not None and 10_000_000 < memory < 10_000_000_000


async def test_a_deployment_with_an_open_breaker_is_not_ready() -> None:
    router = router_over(ScriptedLane({}), deployment("a"), deployment("b"), deployment("c", group="other"))
    metrics = WorkerMetrics(TurnService(router, AgentProfile("Be kind.")), None)
    assert metrics.own().ready == {"main": 2, "other": 1}
    while router.breakers.state("other/c") == "closed":
        router.breakers.begin("other/c").failed(ProviderOverloaded("it fails"))
    assert metrics.own().ready == {"main": 2, "other": 0}
