import pytest

from bench import counted
from bench.load import Load
from bench.loads import MODELS, UNPACED
from bench.processes import BenchFailed, Cores
from bench.servers import FLOOR, provider, served_names


@pytest.mark.skipif(not counted.can_count(), reason="valgrind is not installed")
async def test_more_work_is_more_instructions(tmp_path):
    anywhere = Cores(frozenset(), frozenset())
    async with provider(tmp_path, anywhere, MODELS):
        server = counted.watched(FLOOR, tmp_path)
        async with server.serving(tmp_path, frozenset(), served_names(MODELS)) as serving:
            counter = await counted.Counter.begin(serving, tmp_path / "floor.out")
            one = await counter.cost(Load(UNPACED, callers=1, turns=4))
            again = await counter.cost(Load(UNPACED, callers=1, turns=8))
            whole = await counter.cost(Load(UNPACED, callers=1, turns=4, stream=False))
    assert one > 100_000
    assert again == pytest.approx(one, rel=0.2)
    assert whole < 0.8 * one


def test_a_count_without_a_total_is_refused(tmp_path):
    file = tmp_path / "floor.out.1"
    file.write_text("events: Ir\nsummary: 12\ntotals: 34\n")
    assert counted.total(file) == 34
    file.write_text("events: Ir\n")
    with pytest.raises(BenchFailed, match=r"no total into floor\.out\.1"):
        counted.total(file)
