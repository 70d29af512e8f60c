from bench.load import LoadResult
from bench.loads import MAX_GAP, MODELS, is_sustained, paced_load, round_loads
from bench.responses import TurnTiming


def result(gaps, broken=()):
    return LoadResult([TurnTiming(0.0, 2.0, 0.1, tuple(gaps), 1)], list(broken))


def test_streams_are_sustained_while_gaps_are_small_and_no_answer_is_broken():
    assert is_sustained(result([MAX_GAP / 2] * 200))
    assert is_sustained(result([MAX_GAP / 2] * 199 + [MAX_GAP]))
    assert not is_sustained(result([MAX_GAP / 2] * 90 + [MAX_GAP] * 10))
    assert not is_sustained(result([0.01], broken=["lost"]))
    assert not is_sustained(LoadResult())


def test_every_load_asks_for_a_model_that_the_servers_know():
    assert {load.model for load in [*round_loads(1.0, 1).values(), paced_load(4)]} <= set(MODELS)
