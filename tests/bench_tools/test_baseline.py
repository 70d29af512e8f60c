import io
import platform

import pytest
from rich.console import Console

from bench.baseline import TOLERANCES, Baseline, BaselineError, CostComparison
from bench.check import compare, report_regressions, show
from bench.cost_scenarios import COST_SCENARIOS
from bench.loads import MODELS
from bench.machine import cpu_model

FLOOR = [0.010] * 9
"""Seconds of CPU time of a turn of the floor."""
METERS = sorted(TOLERANCES)


def comparison_of(ratio, meter="time", accepted=2.0):
    return CostComparison("streamed", meter, ([each * ratio for each in FLOOR], FLOOR), accepted)


def printed(write, *given):
    console = Console(width=200, file=io.StringIO())
    return write(*given, console), console.file.getvalue()


@pytest.mark.parametrize("meter", METERS)
def test_a_turn_that_costs_more_than_is_allowed_is_regression(meter):
    found = comparison_of(2.0 * (1 + TOLERANCES[meter] + 0.01), meter)
    assert found.is_regression
    assert "WORSE" in found.verdict()


@pytest.mark.parametrize("meter", METERS)
@pytest.mark.parametrize("part", [-0.9, 0.0, 0.9])
def test_noise_is_neither_worse_nor_better(meter, part):
    found = comparison_of(2.0 * (1 + part * TOLERANCES[meter]), meter)
    assert (found.is_regression, found.is_improvement) == (False, False)


def test_a_turn_that_costs_less_is_worth_keeping():
    found = comparison_of(1.0)
    assert (found.is_regression, found.is_improvement) == (False, True)
    assert found.verdict() == "-50.0%: better, keep it with UPDATE=1"


def test_a_machine_that_gets_slower_changes_nothing():
    assert CostComparison("streamed", "time", ([0.020, 0.200], [0.010, 0.100]), 2.0).ratio == pytest.approx(2.0)


def test_one_disturbed_round_changes_nothing():
    assert CostComparison("streamed", "time", ([0.02, 0.09, 0.02], [0.01, 0.01, 0.01]), 2.0).ratio == pytest.approx(2.0)


def test_the_baseline_is_read_as_it_was_written(tmp_path):
    file = tmp_path / "baseline.json"
    written = Baseline({"time": {"streamed": 2.123}}, "any", "3.11.7")
    written.save(file)
    assert Baseline.load(file) == written
    assert written.ratio("time", "streamed") == 2.123


@pytest.mark.parametrize("content", [None, "{", "[]", '{"unknown": 1}'])
def test_a_baseline_that_cannot_be_read_says_what_to_do(tmp_path, content):
    file = tmp_path / "baseline.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(BaselineError, match="make bench-check UPDATE=1"):
        Baseline.load(file)


@pytest.mark.parametrize(("meter", "name"), [("time", "whole"), ("instructions", "streamed")])
def test_what_the_baseline_lacks_is_named(meter, name):
    baseline = Baseline({"time": {"streamed": 2.0}}, "any", "3.11.7")
    with pytest.raises(BaselineError, match=f"no {meter} of '{name}'"):
        compare(meter, {name: ([1.0], [1.0])}, baseline)


def test_a_new_baseline_is_compared_with_nothing():
    (found,) = compare("time", {"streamed": ([9.0], [1.0])}, None)
    assert (found.ratio, found.is_regression, found.is_improvement, found.verdict()) == (9.0, False, False, "new")


def test_the_table_shows_both_sides_and_the_change():
    costs = ([3_000_000.0, 3_300_000.0, 3_150_000.0], [1_000_000.0] * 3)
    _, text = printed(show, "instructions", [CostComparison("streamed", "instructions", costs, 3.0)])
    for shown in ("M instructions", "3.15", "1.00", "3.00 - 3.30", "+5.0%: WORSE, 3% is allowed"):
        assert shown in text


def test_the_check_fails_for_what_got_worse_and_says_what_to_do():
    here = Baseline({}, cpu_model(), platform.python_version())
    status, text = printed(report_regressions, "time", [comparison_of(2.0), comparison_of(3.0)], here)
    assert status == 1
    assert "WORSE by more than 20%: streamed." in text
    assert "make bench-profile" in text
    assert "make bench-check UPDATE=1" in text
    assert "was measured on" not in text


def test_the_check_says_when_the_baseline_is_from_elsewhere():
    _, text = printed(report_regressions, "time", [comparison_of(3.0)], Baseline({}, "another", "3.11.7"))
    assert "was measured on another" in text


def test_the_check_passes_when_nothing_got_worse():
    status, text = printed(
        report_regressions, "time", [comparison_of(2.0), comparison_of(1.0)], Baseline({}, "another", "3.11.7")
    )
    assert (status, text) == (0, "A turn costs no more than the baseline allows.\n")


def test_the_stored_baseline_is_about_the_scenarios_that_there_are():
    baseline = Baseline.load()
    for meter in METERS:
        assert baseline.ratios[meter].keys() == {scenario.name for scenario in COST_SCENARIOS}


def test_each_scenario_makes_as_many_turns_by_either_meter_as_it_says():
    for scenario in COST_SCENARIOS:
        once, twice = scenario.cpu_time_load_of(1), scenario.cpu_time_load_of(2)
        assert once.turns * once.callers * 2 == twice.turns * twice.callers == 96
        assert {once.model, scenario.instruction_load.model} <= set(MODELS)
        assert scenario.instruction_load.callers == 1, "several at once would share work by chance"
