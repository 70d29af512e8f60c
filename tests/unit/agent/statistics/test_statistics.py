"""What a process counts in memory, and what of it is to be stored."""

from __future__ import annotations

from dataclasses import replace

from agent.statistics.counts import Counts
from agent.statistics.statistics import MAX_NAMES, MAX_RECENT, MAX_UNSTORED, OTHER, TOTAL, Statistics
from tests.support.counted_turns import answered, ended, failed

NOON = 29_000_880
"""A minute since 1970."""


class Rig:
    def __init__(self) -> None:
        self.minute = NOON
        self.statistics = Statistics(clock=lambda: self.minute * 60.0)
        self.stored: dict[int, Counts] = {}

    def count(self, turns: int = 1) -> None:
        for _ in range(turns):
            self.statistics.turn_began()
            self.statistics.turn_ended(ended())

    def store(self) -> None:
        snapshot = self.statistics.snapshot()
        self.stored.update(snapshot.counts)
        self.statistics.stored(snapshot)

    @property
    def total(self) -> int:
        return self.in_minute(TOTAL)

    def in_minute(self, minute: int) -> int:
        return turns(self.stored.get(minute, Counts()))


def turns(*counts: Counts) -> int:
    return Counts.sum(*counts).total("models")["turns.stop"]


def test_a_turn_is_counted_by_model_caller_and_deployment() -> None:
    statistics = Statistics()
    statistics.count_request("ann")
    statistics.turn_began()
    assert statistics.running == 1
    statistics.turn_ended(ended(failed(deployment="b"), answered()))
    assert statistics.running == 0
    counts = statistics.since_start
    usage = {"input_tokens": 40, "output_tokens": 10, "cost": 250_000_000}
    assert +counts.of("models", "assistant") == {
        "turns.stop": 1,
        **usage,
        "turn.2": 1,
        "turn_us": 2_000_000,
        "first_token.0.5": 1,
        "first_token_us": 500_000,
    }
    assert counts.of("callers", "ann") == {"requests": 1, "turns.stop": 1, **usage}
    assert +counts.of("deployments", "b") == {"attempts.rate_limited": 1}
    assert counts.of("deployments", "a") == {
        "attempts.ok": 1,
        **usage,
        "first_token.0.5": 1,
        "first_token_us": 500_000,
    }


def test_the_cost_of_a_turn_with_an_unknown_price_is_marked_as_incomplete() -> None:
    statistics = Statistics()
    statistics.turn_ended(ended(answered(cost=0.25), answered("b", cost=None)))
    model = statistics.since_start.of("models", "assistant")
    assert (model["cost"], model["unpriced"]) == (250_000_000, 1)
    assert statistics.since_start.of("deployments", "b")["unpriced"] == 1
    assert statistics.since_start.of("deployments", "b")["cost"] == 0


def test_a_failed_attempt_is_not_unpriced() -> None:
    statistics = Statistics()
    statistics.turn_ended(ended(failed(), outcome="all_deployments_failed", first_token=None))
    model = statistics.since_start.of("models", "assistant")
    assert model["unpriced"] == 0
    assert model["first_token_us"] == 0


def test_hedges_and_splices_are_counted_once_for_each_turn() -> None:
    statistics = Statistics()
    statistics.turn_ended(ended(answered(), replace(answered("b"), hedge=True)))
    statistics.turn_ended(ended(failed("answer_cut"), replace(answered("b"), continues=True)))
    statistics.turn_ended(ended(failed("answer_cut"), replace(failed(), continues=True)))
    model = statistics.since_start.of("models", "assistant")
    assert (model["hedges"], model["spliced"]) == (1, 1)


def test_the_last_turns_are_kept_with_their_number_and_time() -> None:
    rig = Rig()
    rig.count(MAX_RECENT + 1)
    assert (len(rig.statistics.recent), rig.statistics.recent[0].number) == (MAX_RECENT, 2)
    newest = rig.statistics.recent[-1]
    assert (newest.number, newest.ended, newest.turn.outcome) == (MAX_RECENT + 1, NOON * 60.0, "stop")


def test_endless_names_are_counted_as_other() -> None:
    statistics = Statistics()
    for number in range(MAX_NAMES + 10):
        statistics.turn_ended(ended(model=f"openai/{number}"))
    statistics.turn_ended(ended(model="openai/0"))
    models = statistics.since_start.group("models")
    assert len(models) == MAX_NAMES + 1
    assert models[OTHER]["turns.stop"] == 10
    assert models["openai/0"]["turns.stop"] == 2


def test_a_name_that_no_database_stores_is_stored() -> None:
    statistics = Statistics()
    statistics.turn_ended(ended(model="bad \ud800 name"))
    (counts,) = {each.to_json() for each in statistics.snapshot().counts.values()}
    assert turns(Counts.from_json(counts)) == 1


def test_counts_survive_json() -> None:
    statistics = Statistics()
    statistics.turn_ended(ended())
    text = statistics.since_start.to_json()
    assert Counts.from_json(text).to_json() == text


def test_a_snapshot_has_the_total_and_the_current_minute() -> None:
    rig = Rig()
    rig.count(2)
    rig.store()
    rig.count(3)
    rig.store()
    assert (rig.total, rig.in_minute(NOON)) == (5, 5)
    assert rig.statistics.is_stored()


def test_what_is_counted_while_a_snapshot_is_stored_is_stored_with_the_next() -> None:
    rig = Rig()
    rig.count()
    first = rig.statistics.snapshot()
    rig.count()
    rig.minute += 1
    rig.count()
    rig.stored.update(first.counts)
    rig.statistics.stored(first)
    assert not rig.statistics.is_stored()
    rig.store()
    assert (rig.total, rig.in_minute(NOON), rig.in_minute(NOON + 1)) == (3, 2, 1)


def test_an_outage_loses_nothing() -> None:
    rig = Rig()
    for _ in range(5):
        rig.count()
        rig.statistics.snapshot()  # never stored
        rig.minute += 1
    rig.store()
    assert [rig.in_minute(NOON + each) for each in range(5)] == [1] * 5
    assert rig.total == 5


def test_a_long_outage_loses_the_oldest_minutes_but_no_total() -> None:
    rig = Rig()
    for _ in range(MAX_UNSTORED + 10):
        rig.count()
        rig.minute += 1
    rig.store()
    assert sum(rig.in_minute(NOON + each) for each in range(MAX_UNSTORED + 10)) == MAX_UNSTORED
    assert rig.in_minute(NOON) == 0
    assert rig.total == MAX_UNSTORED + 10


def test_a_clock_that_goes_back_does_not_split_a_minute() -> None:
    rig = Rig()
    rig.minute += 1
    rig.count()
    rig.minute -= 1
    rig.count()
    rig.store()
    assert (rig.in_minute(NOON + 1), rig.in_minute(NOON), rig.total) == (2, 0, 2)
