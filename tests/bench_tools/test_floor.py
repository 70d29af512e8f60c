import sys

import pytest

from bench import loads
from bench.load import Load
from bench.processes import Cores
from bench.put import put
from bench.servers import FLOOR, provider, served_names


@pytest.fixture
async def floor_and_provider(tmp_path):
    anywhere = Cores(frozenset(), frozenset())
    async with provider(tmp_path, anywhere, loads.MODELS) as own:
        async with FLOOR.serving(tmp_path, frozenset(), served_names(loads.MODELS)) as floor:
            yield floor, own


async def test_the_floor_hands_every_answer_on_whole(floor_and_provider):
    floor, own = floor_and_provider
    for load in (
        Load(loads.UNPACED, callers=3, turns=2),
        Load(loads.SPACED, callers=3, turns=2),
        Load(loads.UNPACED, callers=3, turns=2, stream=False),
    ):
        heard = await put(load, floor, own)
        assert (len(heard.turns), heard.broken) == (6, [])


async def test_the_floor_does_not_hold_text_back(floor_and_provider):
    floor, own = floor_and_provider
    (turn,) = (await put(Load(loads.PACED, callers=1), floor, own)).turns
    assert turn.chunks == 64
    assert turn.first < turn.ended - turn.begun - 1.0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the CPU time of another process")
async def test_the_cpu_time_of_both_sides_is_told(floor_and_provider):
    floor, own = floor_and_provider
    heard = await put(Load(loads.UNPACED, callers=4, turns=25), floor, own)
    assert 0 < heard.cpu_per_turn < 0.1
    assert 0 < heard.busy < 2
    assert heard.cpu < floor.process.cpu() / 2, "what the start took is not the load's"
