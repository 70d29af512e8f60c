import asyncio
from dataclasses import dataclass

import pytest

from bench import suite
from bench.figures import RoundResults
from bench.load import LoadResult, Target
from bench.loads import MAX_GAP
from bench.plan import Plan
from bench.responses import TurnTiming
from bench.servers import RunningServer
from bench.suite import BenchmarkSuite


@dataclass
class ScriptedServer:
    """Sustains up to `limit` streams; from `saturated` streams on, the load is saturated."""

    limit: int
    saturated: int = 100_000


@pytest.fixture
def tries(monkeypatch):
    """The loads in order, as (server, callers); fails if two run at the same time."""
    made, running = [], []

    async def run_load(load, server, provider):
        assert not running
        running.append(server)
        await asyncio.sleep(0)
        running.clear()
        made.append((server.target.name, load.callers))
        gap = MAX_GAP * (0.5 if load.callers <= server.process.limit else 2)
        turns = [TurnTiming(0.0, 1.0, 0.1, (gap,), 2)]
        return LoadResult(turns, load_utilization=0.95 if load.callers >= server.process.saturated else 0.5)

    monkeypatch.setattr(suite, "run_load", run_load)
    return made


async def capacities(max_streams=256, **servers):
    running = [RunningServer(Target(name, "", 0, "", {}), server) for name, server in servers.items()]
    figure = await BenchmarkSuite(Plan(1, 1.0, max_streams=max_streams), running, lambda _: None).stream_capacity(
        RoundResults()
    )
    return {name: (each.value, each.limited) for name, each in figure.values.items()}


async def test_the_searches_alternate_one_load_at_a_time(tries):
    await capacities(provider=ScriptedServer(9999), switchboard=ScriptedServer(60), floor=ScriptedServer(100))
    servers = [name for name, _ in tries if name != "provider"]
    assert servers[:8] == ["switchboard", "floor"] * 4


async def test_each_server_gets_its_own_number(tries):
    found = await capacities(
        provider=ScriptedServer(9999), switchboard=ScriptedServer(64), floor=ScriptedServer(128), peer=ScriptedServer(0)
    )
    assert found == {"provider": (256, True), "switchboard": (64, False), "floor": (128, False), "peer": (0, False)}
    assert ("provider", 32) not in tries


async def test_a_capacity_that_the_load_limited_is_marked(tries):
    found = await capacities(
        provider=ScriptedServer(9999),
        switchboard=ScriptedServer(64, saturated=70),
        floor=ScriptedServer(64, saturated=130),
    )
    assert found["switchboard"] == (64, True)
    assert found["floor"] == (64, False)
