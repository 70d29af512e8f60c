"""What a turn costs, over all of its attempts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from config.errors import AllDeploymentsFailed, AnswerCut, ProviderOverloaded
from config.models.deployments import Deployment
from router.model_call import ModelCall
from router.routed_turn import RoutedTurn
from router.token_estimate import estimated_usage
from tests.support.scripted_lane import HANG, ScriptedLane, delta, deployment, finish, router_over, text, usage

PRICES = {"input_cost_per_token": 1, "output_cost_per_token": 10}
GOOD = [text("Hel"), text("lo."), finish(), usage(3, 2)]
WHOLE = "One two three four five six seven eight nine ten eleven twelve."


def priced(model: str, order: int = 0, **prices: float) -> Deployment:
    return deployment(model, order=order, info=PRICES | prices)


async def cost_of(scripts: dict[str, list[Any]], *deployments: Deployment, **settings: Any) -> float | None:
    turn = router_over(ScriptedLane(scripts), *deployments, **{"num_retries": 0, **settings}).begin("main")
    await read(turn)
    return turn.record.cost


async def read(turn: RoutedTurn) -> None:
    async for _ in ModelCall(turn, [{"role": "user", "content": "Hi"}], {}).chunks():
        pass


async def test_an_answer_costs_its_tokens() -> None:
    assert await cost_of({"a": [GOOD]}, priced("a")) == 3 + 20


async def test_cached_tokens_and_reasoning_have_their_prices() -> None:
    counted = {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_creation_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    prices = {"cache_read_input_token_cost": 0.5, "cache_creation_input_token_cost": 2}
    script = [delta({"reasoning_content": "Hm."}), *GOOD[:3], {"choices": [], "usage": counted}]
    assert await cost_of({"a": [script]}, priced("a", output_cost_per_reasoning_token=100, **prices)) == 3 + 2 + 4 + 320


async def test_an_attempt_that_fails_without_a_token_costs_nothing() -> None:
    scripts = {"a": [[ProviderOverloaded("503")]], "b": [GOOD]}
    assert await cost_of(scripts, deployment("a"), priced("b", 1)) == 3 + 20


async def test_an_attempt_that_fails_pays_for_what_it_reports() -> None:
    scripts = {"a": [[finish(), usage(7, 0)]], "b": [GOOD]}
    assert await cost_of(scripts, priced("a"), priced("b", 1)) == 7 + 3 + 20
    assert await cost_of(scripts, deployment("a"), priced("b", 1)) is None


async def test_a_turn_without_an_answer_costs_what_its_attempts_report() -> None:
    turn = router_over(ScriptedLane({"a": [[finish(), usage(7, 0)]]}), priced("a"), num_retries=0).begin("main")
    with pytest.raises(AllDeploymentsFailed):
        await read(turn)
    assert turn.record.cost == 7


async def test_an_answer_that_is_cut_and_continued_costs_both_parts() -> None:
    cut = [text(WHOLE[:32]), usage(3, 6), AnswerCut("reset")]
    scripts = {"a": [cut], "b": [[text(WHOLE[32:]), finish(), usage(9, 7)]]}
    assert await cost_of(scripts, priced("a"), priced("b", 1, output_cost_per_token=100)) == 3 + 60 + 9 + 700


async def test_a_cut_answer_whose_tokens_nobody_counted_costs_an_estimate() -> None:
    cut = [text(WHOLE[:32]), AnswerCut("reset")]
    scripts = {"a": [cut], "b": [[text(WHOLE[32:]), finish(), usage(9, 7)]]}
    turn = router_over(ScriptedLane(scripts), priced("a"), priced("b", 1), num_retries=0).begin("main")
    chunks = [chunk async for chunk in ModelCall(turn, [{"role": "user", "content": "Hi"}], {}).chunks()]
    first = turn.record.attempts[0]
    assert (first.input_tokens, first.output_tokens) == (4, 8)  # 4 for a message, and 32 letters
    assert turn.record.cost == 4 + 80 + 9 + 70
    counted = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    assert [each["total_tokens"] for each in counted] == [12, 16]


@pytest.mark.parametrize(("loser", "cost"), [([HANG], 23), ([usage(5, 0), HANG], 28)])
async def test_the_attempt_that_loses_the_race_costs_what_it_reports(loser: list[Any], cost: float) -> None:
    deployments = priced("a", 0), priced("b", 1)
    assert await cost_of({"a": [loser], "b": [GOOD]}, *deployments, hedge_after=0.005, hedge_budget=1.0) == cost


async def test_the_loser_without_a_price_leaves_the_cost_unknown_only_if_it_had_to_be_paid() -> None:
    deployments = deployment("a", order=0), priced("b", 1)
    hedged = {"hedge_after": 0.005, "hedge_budget": 1.0}
    assert await cost_of({"a": [[HANG]], "b": [GOOD]}, *deployments, **hedged) == 23
    assert await cost_of({"a": [[usage(5, 0), HANG]], "b": [GOOD]}, *deployments, **hedged) is None


@pytest.mark.parametrize("script", [GOOD[:3], [*GOOD[:3], usage(0, 0)]], ids=["no usage", "an empty one"])
async def test_an_answer_whose_tokens_nobody_counted_costs_an_estimate(script: list[Any]) -> None:
    assert await cost_of({"a": [script]}, priced("a")) == 4 + 10


async def test_a_turn_reports_the_estimate_that_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    estimates: list[dict[str, int]] = []

    def estimated(*arguments: Any) -> dict[str, int]:
        estimates.append(estimated_usage(*arguments))
        return estimates[-1]

    monkeypatch.setattr("router.attempt.estimated_usage", estimated)
    scripts = {"a": [[finish("length")], GOOD[:3], [text(WHOLE[:32]), AnswerCut("reset")]], "b": [GOOD[:3]]}
    router = router_over(ScriptedLane(scripts), priced("a"), priced("b", 1), num_retries=0)
    for attempts in (1, 1, 2):
        turn = router.begin("main")
        chunks = [chunk async for chunk in ModelCall(turn, [{"role": "user", "content": "Hi"}], {}).chunks()]
        reported = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
        assert [each["prompt_tokens"] for each in reported] == [each.input_tokens for each in turn.record.attempts]
        assert reported == estimates  # each attempt is estimated once
        assert len(reported) == attempts
        estimates.clear()


async def test_an_estimate_without_a_price_costs_nothing_that_is_known() -> None:
    assert await cost_of({"a": [GOOD[:3]]}, deployment("a")) is None


async def test_without_a_price_the_cost_is_unknown_and_not_0() -> None:
    assert await cost_of({"a": [GOOD]}, deployment("a")) is None


async def test_an_answer_that_its_caller_left_costs_an_estimate() -> None:
    turn = router_over(ScriptedLane({"a": [[text("Hel"), HANG]]}), priced("a")).begin("main")
    reading = asyncio.create_task(read(turn))
    async with asyncio.timeout(1):
        while turn.record.first_token is None:
            await asyncio.sleep(0.001)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert turn.record.cost == 4 + 10


async def test_the_service_tier_that_the_provider_names_has_its_price() -> None:
    flex = {**usage(1000, 0), "service_tier": "flex"}
    scripts = {"openai/gpt-5": [[text("Hi"), finish(), flex]]}
    assert await cost_of(scripts, deployment("openai/gpt-5")) == pytest.approx(1000 * 6.25e-7)


@pytest.mark.parametrize("tier", [["flex"], 1])
async def test_a_service_tier_that_cannot_be_one_has_the_usual_price(tier: Any) -> None:
    scripts = {"openai/gpt-5": [[text("Hi"), finish(), usage(1000, 0)]]}
    turn = router_over(ScriptedLane(scripts), deployment("openai/gpt-5")).begin("main")
    async for _ in ModelCall(turn, [{"role": "user", "content": "Hi"}], {"service_tier": tier}).chunks():
        pass
    assert turn.record.cost == pytest.approx(1000 * 1.25e-6)
