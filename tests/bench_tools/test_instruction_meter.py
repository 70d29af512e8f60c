import pytest

from bench import instruction_meter
from bench.load import Load
from bench.loads import MODELS, UNPACED
from bench.processes import BenchError, Cores
from bench.servers import FLOOR, run_provider, served_names


@pytest.mark.skipif(not instruction_meter.has_valgrind(), reason="valgrind is not installed")
async def test_more_work_is_more_instructions(tmp_path):
    any_core = Cores(frozenset(), frozenset())
    async with run_provider(tmp_path, any_core, MODELS):
        server = instruction_meter.under_valgrind(FLOOR, tmp_path)
        async with server.run(tmp_path, frozenset(), served_names(MODELS)) as running:
            counter = await instruction_meter.InstructionCounter.start(running, tmp_path / "floor.out")
            one = await counter.measure(Load(UNPACED, callers=1, turns=4))
            again = await counter.measure(Load(UNPACED, callers=1, turns=8))
            whole = await counter.measure(Load(UNPACED, callers=1, turns=4, stream=False))
    assert one > 100_000
    assert again == pytest.approx(one, rel=0.2)
    assert whole < 0.8 * one


def test_a_count_without_a_total_is_refused(tmp_path):
    file = tmp_path / "floor.out.1"
    file.write_text("events: Ir\nsummary: 12\ntotals: 34\n")
    assert instruction_meter.total_instructions(file) == 34
    file.write_text("events: Ir\n")
    with pytest.raises(BenchError, match=r"no total into floor\.out\.1"):
        instruction_meter.total_instructions(file)
