import math

import pytest

from bench.figures import SATURATED, Figure, RoundResults
from bench.load import LoadResult
from bench.quantiles import quantile
from bench.responses import TurnTiming


def result(*first_tokens, gaps=(), start=0.0):
    return LoadResult([TurnTiming(0.0, 2.0, each, tuple(gaps), 1) for each in first_tokens], [], start)


def figures(rounds):
    return {figure.name: figure.values for figure in rounds.figures()}


def test_quantiles_are_samples():
    samples = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [quantile(samples, share) for share in (0.0, 0.5, 0.95, 1.0)] == [1.0, 3.0, 5.0, 5.0]
    assert quantile([], 0.5) == math.inf


def test_what_a_server_adds_is_its_time_less_the_providers_in_the_same_run():
    rounds = RoundResults()
    for provider, server in ((0.100, 0.130), (0.110, 0.120)):
        rounds.add("alone", "provider", result(provider))
        rounds.add("alone", "switchboard", result(server))
    added = figures(rounds)["first token added, 1 caller, p99"]
    assert added["provider"].value == pytest.approx(110)
    assert added["switchboard"].value == pytest.approx(130 - 110)
    assert added["switchboard"].rounds == pytest.approx((30, 10))


def test_a_rate_counts_whole_turns_to_the_end_of_the_last():
    rounds = RoundResults()
    rounds.add("streamed", "switchboard", result(0.1, 0.1, 0.1, 0.1, start=1.0))
    assert figures(rounds)["streamed turns, unpaced, 8 callers"]["switchboard"].value == 4.0


def test_a_server_that_gave_no_whole_answer_has_no_times():
    rounds = RoundResults()
    rounds.add("alone", "provider", result(0.1))
    rounds.add("alone", "switchboard", LoadResult(broken=["HTTP 500"]))
    assert "switchboard" not in figures(rounds)["first token added, 1 caller, p50"]
    assert (rounds.broken("switchboard"), rounds.turns("switchboard")) == (["HTTP 500"], 0)


def test_the_cpu_time_of_a_turn_is_the_median_of_the_rounds():
    rounds = RoundResults()
    for cpu in (0.010, 0.040, 0.008):
        one = result(0.1, 0.1)
        one.server_cpu = cpu
        rounds.add("streamed", "switchboard", one)
    cost = figures(rounds)["CPU time of a streamed turn, unpaced"]["switchboard"]
    assert (cost.value, cost.rounds) == (pytest.approx(5), pytest.approx((5, 20, 4)))


def test_there_is_no_figure_without_a_cpu_time():
    rounds = RoundResults()
    rounds.add("streamed", "switchboard", result(0.1))
    assert figures(rounds)["CPU time of a streamed turn, unpaced"] == {}


@pytest.mark.parametrize(("utilization", "limited"), [(SATURATED - 0.01, False), (SATURATED + 0.01, True)])
def test_a_rate_that_the_load_could_not_exceed_is_marked(utilization, limited):
    rounds = RoundResults()
    for one in (result(0.1), result(0.1), result(0.1)):
        one.load_utilization = utilization
        rounds.add("streamed", "floor", one)
    assert figures(rounds)["streamed turns, unpaced, 8 callers"]["floor"].limited is limited


def test_first_tokens_are_kept_in_order_for_the_picture():
    rounds = RoundResults()
    rounds.add("alone", "switchboard", result(0.3, 0.1))
    rounds.add("alone", "switchboard", result(0.2))
    assert rounds.first_tokens()["alone"] == {"switchboard": [100.0, 200.0, 300.0]}


def test_a_figure_from_plain_values_marks_those_that_were_limited():
    values = Figure.of_values("held", "", True, {"floor": [64], "switchboard": [48], "gone": []}, ["floor"]).values
    assert {name: (each.value, each.limited) for name, each in values.items()} == {
        "floor": (64, True),
        "switchboard": (48, False),
    }
