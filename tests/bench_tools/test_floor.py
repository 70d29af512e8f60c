import sys

import pytest

from bench import loads
from bench.load import Load
from bench.load_run import run_load
from bench.processes import Cores
from bench.servers import FLOOR, run_provider, served_names


@pytest.fixture
async def floor_and_provider(tmp_path):
    any_core = Cores(frozenset(), frozenset())
    async with run_provider(tmp_path, any_core, loads.MODELS) as provider:
        async with FLOOR.run(tmp_path, frozenset(), served_names(loads.MODELS)) as floor:
            yield floor, provider


async def test_the_floor_relays_every_answer_whole(floor_and_provider):
    floor, provider = floor_and_provider
    for load in (
        Load(loads.UNPACED, callers=3, turns=2),
        Load(loads.SPACED, callers=3, turns=2),
        Load(loads.UNPACED, callers=3, turns=2, stream=False),
    ):
        result = await run_load(load, floor, provider)
        assert (len(result.turns), result.broken) == (6, [])


async def test_the_floor_does_not_hold_text_back(floor_and_provider):
    floor, provider = floor_and_provider
    (turn,) = (await run_load(Load(loads.PACED, callers=1), floor, provider)).turns
    assert turn.chunks == 64
    assert turn.first_token < turn.end - turn.start - 1.0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports the CPU time of another process")
async def test_the_cpu_time_of_both_sides_is_measured(floor_and_provider):
    floor, provider = floor_and_provider
    result = await run_load(Load(loads.UNPACED, callers=4, turns=25), floor, provider)
    assert 0 < result.cpu_per_turn < 0.1
    assert 0 < result.load_utilization < 2
    assert result.server_cpu < floor.process.cpu() / 2, "the start-up must not count"
