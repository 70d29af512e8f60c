import io
import math

import pytest
from rich.console import Console

from tests.bench.figures import GAP_LIMIT, Figure, Measured, Rounds, keeps_up, quantile
from tests.bench.load import Heard
from tests.bench.report import Report
from tests.bench.turns import Turn


def heard(*firsts, gaps=(), begun=0.0):
    return Heard([Turn(0.0, 2.0, first, tuple(gaps), 1) for first in firsts], [], begun)


def figures(rounds):
    return {figure.name: figure.values for figure in rounds.figures()}


def test_quantiles_are_samples():
    samples = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [quantile(samples, share) for share in (0.0, 0.5, 0.95, 1.0)] == [1.0, 3.0, 5.0, 5.0]
    assert quantile([], 0.5) == math.inf


def test_what_a_server_adds_is_its_time_less_the_vendors_in_the_same_run():
    rounds = Rounds()
    for vendor, server in ((0.100, 0.130), (0.110, 0.120)):
        rounds.add("alone", "vendor", heard(vendor))
        rounds.add("alone", "switchboard", heard(server))
    added = figures(rounds)["first token added, 1 caller, p99"]
    assert added["vendor"].value == pytest.approx(110)
    assert added["switchboard"].value == pytest.approx(130 - 110)
    assert (added["switchboard"].low, added["switchboard"].high) == pytest.approx((10, 30))


def test_a_rate_counts_whole_turns_to_the_end_of_the_last():
    rounds = Rounds()
    rounds.add("streamed", "switchboard", heard(0.1, 0.1, 0.1, 0.1, begun=1.0))
    assert figures(rounds)["streamed turns, unpaced, 8 callers"]["switchboard"].value == 4.0


def test_a_server_that_gave_no_whole_answer_has_no_times():
    rounds = Rounds()
    rounds.add("alone", "vendor", heard(0.1))
    rounds.add("alone", "switchboard", Heard(broken=["HTTP 500"]))
    assert "switchboard" not in figures(rounds)["first token added, 1 caller, p50"]
    assert (rounds.broken("switchboard"), rounds.turns("switchboard")) == (["HTTP 500"], 0)


def test_a_server_keeps_up_while_its_gaps_are_small_and_nothing_is_lost():
    assert keeps_up(heard(0.1, gaps=[GAP_LIMIT / 2] * 200))
    assert not keeps_up(heard(0.1, gaps=[GAP_LIMIT / 2] * 90 + [GAP_LIMIT] * 10))
    assert not keeps_up(Heard(heard(0.1, gaps=[0.01]).turns, ["lost"]))


def test_the_table_says_who_does_better_and_what_is_wrong():
    values = {"switchboard": Measured(80, 70, 90), "peer": Measured(10, 10, 10)}
    times = {"switchboard": Measured(5, 5, 5), "peer": Measured(20, 20, 20)}
    report = Report(
        [Figure("rate", "turns/s", True, values), Figure("time", "ms", False, times)],
        {"cpu": "any", "load before": 3.0},
        1,
        {"vendor": 1, "switchboard": 2, "peer": 3},
        {"switchboard": 1},
        {"switchboard": ["HTTP 500"]},
        1.0,
    )
    console = Console(width=200, file=io.StringIO())
    report.show(console)
    text = console.file.getvalue()
    assert "80.0 turns/s [70.0 - 90.0]" in text
    assert "8.0 x" in text
    assert "4.0 x" in text
    assert "BROKEN: switchboard gave 1 broken answers, for example: HTTP 500" in text
    assert "do not trust" in text
