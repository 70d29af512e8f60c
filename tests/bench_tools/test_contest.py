import asyncio
from dataclasses import dataclass

import pytest

from bench import contest
from bench.contest import Contest
from bench.figures import Rounds
from bench.load import Heard, Target
from bench.loads import GAP_LIMIT
from bench.plan import Plan
from bench.servers import Serving
from bench.turns import Turn


@dataclass
class Scripted:
    """Holds up to `limit` streams; from `busy` of them on, the provider and the load are at their limit."""

    limit: int
    busy: int = 100_000


@pytest.fixture
def tries(monkeypatch):
    """Every load in turn, with the servers' names: nothing may run beside another."""
    made, running = [], []

    async def put(load, on, provider):
        assert not running
        running.append(on)
        await asyncio.sleep(0)
        running.clear()
        made.append((on.target.name, load.callers))
        gap = GAP_LIMIT * (0.5 if load.callers <= on.process.limit else 2)
        turns = [Turn(0.0, 1.0, 0.1, (gap,), 2)]
        return Heard(turns, busy=0.95 if load.callers >= on.process.busy else 0.5)

    monkeypatch.setattr(contest, "put", put)
    return made


async def held(most=256, **servers):
    serving = [Serving(Target(name, "", 0, "", {}), server) for name, server in servers.items()]
    figure = await Contest(Plan(1, 1.0, held=most), serving, lambda _: None).held(Rounds())
    return {name: (each.value, each.limited) for name, each in figure.values.items()}


async def test_the_searches_go_on_side_by_side_one_load_at_a_time(tries):
    await held(provider=Scripted(9999), switchboard=Scripted(60), floor=Scripted(100))
    servers = [name for name, _ in tries if name != "provider"]
    assert servers[:8] == ["switchboard", "floor"] * 4


async def test_each_server_gets_its_own_number(tries):
    found = await held(provider=Scripted(9999), switchboard=Scripted(64), floor=Scripted(128), peer=Scripted(0))
    assert found == {"provider": (256, True), "switchboard": (64, False), "floor": (128, False), "peer": (0, False)}
    assert ("provider", 32) not in tries


async def test_a_search_that_the_load_ended_is_marked(tries):
    found = await held(provider=Scripted(9999), switchboard=Scripted(64, busy=70), floor=Scripted(64, busy=130))
    assert found["switchboard"] == (64, True)
    assert found["floor"] == (64, False)
