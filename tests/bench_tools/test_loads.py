from bench.load import Heard
from bench.loads import GAP_LIMIT, MODELS, holds, loads, paced
from bench.turns import Turn


def heard(gaps, broken=()):
    return Heard([Turn(0.0, 2.0, 0.1, tuple(gaps), 1)], list(broken))


def test_streams_are_held_while_their_gaps_are_small_and_nothing_is_lost():
    assert holds(heard([GAP_LIMIT / 2] * 200))
    assert holds(heard([GAP_LIMIT / 2] * 199 + [GAP_LIMIT]))
    assert not holds(heard([GAP_LIMIT / 2] * 90 + [GAP_LIMIT] * 10))
    assert not holds(heard([0.01], broken=["lost"]))
    assert not holds(Heard())


def test_every_load_asks_for_a_model_that_the_servers_know():
    assert {load.model for load in [*loads(1.0, 1).values(), paced(4)]} <= set(MODELS)
