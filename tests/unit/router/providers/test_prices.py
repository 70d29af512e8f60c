import re
from typing import Any

import pytest

from config.models.deployments import Deployment
from router.providers.litellm_import import litellm
from router.providers.prices import SHORT_PROMPT, cost

MODELS = """
openai/gpt-4o-mini openai/gpt-4.1 openai/gpt-5 openai/o3-mini gpt-4o azure/gpt-4o azure/gpt-5.4
anthropic/claude-sonnet-4-5 anthropic/claude-haiku-4-5 claude-opus-4-5 gemini/gemini-2.5-pro gemini/gemini-2.5-flash
vertex_ai/gemini-2.5-pro vertex_ai/claude-sonnet-4-5 bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0
bedrock/amazon.nova-pro-v1:0 deepseek/deepseek-chat deepseek/deepseek-v4-pro xai/grok-4.3 mistral/mistral-large-latest
dashscope/qwen-plus dashscope/qwen3-max dashscope/qwen3-coder-plus sail/moonshotai/Kimi-K3
groq/openai/gpt-oss-120b anthropic/claude-haiku-5-5 minimax/MiniMax-M3 moonshot/kimi-k2.5
perplexity/sonar-deep-research github/gpt-4o fireworks_ai/accounts/fireworks/models/deepseek-v3 cerebras/gpt-oss-120b
""".split()
"""Of many providers; some with prices that change above 32, 128, 200, 272 or 512 thousand tokens, or by the hour."""


def usage(prompt: int, completion: int, cached: int = 0, written: int = 0, reasoning: int = 0) -> dict[str, Any]:
    counts: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if cached or written:
        counts["prompt_tokens_details"] = {"cached_tokens": cached, "cache_creation_tokens": written}
    if written:
        counts["cache_creation_input_tokens"] = written
    if reasoning:
        counts["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return counts


USAGES = [
    usage(1_234, 567),
    usage(20_000, 300, cached=12_000),
    usage(20_000, 300, cached=2_000, written=10_000),
    usage(900, 2_000, reasoning=1_500),
    usage(SHORT_PROMPT - 1, 10),
    usage(SHORT_PROMPT + 1, 10),
    usage(150_000, 800, cached=30_000, reasoning=300),
    usage(250_000, 800, cached=30_000, written=10_000),
    usage(600_000, 800, cached=30_000),
]


def of(model: str, **info: Any) -> Deployment:
    return Deployment(id="d", group="g", model=model, info=info)


def litellms_cost(model: str, counts: dict[str, Any]) -> float:
    answer = litellm.ModelResponse(usage=litellm.Usage(**counts))
    return float(litellm.completion_cost(answer, model=model))


@pytest.mark.parametrize("model", MODELS)
def test_the_cost_is_litellms(model: str) -> None:
    deployment = of(model)
    found = [cost(deployment, each) for each in USAGES]
    assert found == pytest.approx([litellms_cost(model, each) for each in USAGES], rel=1e-9, abs=1e-15)
    assert all(found)


@pytest.mark.parametrize("tier", ["flex", "priority", "default", "scale"])
def test_a_service_tier_has_its_price(tier: str) -> None:
    answer = litellm.ModelResponse(usage=litellm.Usage(**USAGES[1]))
    expected = litellm.completion_cost(answer, model="openai/gpt-5", service_tier=tier)
    assert cost(of("openai/gpt-5"), USAGES[1], tier) == pytest.approx(expected)


def test_litellm_is_asked_for_whole_usages_only_where_a_sum_may_be_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = of("gemini/gemini-2.5-pro")
    cost(deployment, USAGES[0])
    asked = []

    def cost_per_token(**arguments: Any) -> tuple[float, float]:
        asked.append(arguments["usage_object"].prompt_tokens)
        return 1.0, 2.0

    monkeypatch.setattr(litellm, "cost_per_token", cost_per_token)
    for each in USAGES[:5]:
        cost(deployment, each)
    assert asked == []
    assert cost(deployment, USAGES[7]) == 3.0
    sound = {**usage(500, 5), "prompt_tokens_details": {"audio_tokens": 100}}
    hour = {
        **usage(501, 5),
        "prompt_tokens_details": {"cache_creation_token_details": {"ephemeral_1h_input_tokens": 9}},
    }
    uncounted = {**usage(502, 5, reasoning=4), "total_tokens": 511}
    overlapping = {**usage(503, 5, reasoning=4), "completion_tokens_details": {"reasoning_tokens": 4, "text_tokens": 5}}
    assert [cost(deployment, each) for each in (sound, hour, uncounted, overlapping)] == [3.0] * 4
    assert asked == [250_000, 500, 501, 502, 503]


def test_a_price_that_depends_on_the_hour_is_asked_for_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = of("deepseek/deepseek-v4-pro")
    cost(deployment, USAGES[0])
    monkeypatch.setattr(litellm, "cost_per_token", lambda **_: (1.0, 2.0))
    assert cost(deployment, USAGES[0]) == 3.0


def test_no_price_of_litellm_changes_below_a_short_prompt() -> None:
    steps = [
        float(number) * (1000 if thousand else 1)
        for entry in litellm.model_cost.values()
        for key in entry
        for number, thousand in re.findall(r"_above_(\d+)(k?)_tokens", key)
    ]
    steps += [
        tier["range"][0]
        for entry in litellm.model_cost.values()
        for tier in entry.get("tiered_pricing") or ()
        if tier.get("range") and tier["range"][0] > 0
    ]
    assert min(steps) == SHORT_PROMPT


@pytest.mark.parametrize("model", ["openai/some-model", "fake/echo", "azure/my-name", "hosted_vllm/mine"])
def test_a_model_without_a_known_price_has_no_cost(model: str) -> None:
    assert cost(of(model), USAGES[0]) is None


@pytest.mark.parametrize("missing", ["input", "output"])
def test_litellms_0_for_a_missing_price_is_no_price(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {**litellm.model_cost["gpt-4.1-mini"]}
    del entry[f"{missing}_cost_per_token"]
    model = f"openai/without-{missing}-price"  # LiteLLM remembers the entries of models that it was asked about
    monkeypatch.setitem(litellm.model_cost, model, entry)
    known = litellms_cost(model, usage(1_234, 567))
    assert known > 0
    assert cost(of(model), usage(1_234, 567)) is None
    assert cost(of(model, **{f"{missing}_cost_per_token": 0}), usage(1_234, 567)) == pytest.approx(known)


def test_azures_base_model_says_the_price() -> None:
    assert cost(of("azure/my-name", base_model="azure/gpt-4o"), USAGES[0]) == cost(of("azure/gpt-4o"), USAGES[0])
    assert cost(of("azure/my-name", base_model="gpt-4o"), USAGES[0]) == cost(of("azure/gpt-4o"), USAGES[0])


def test_the_region_of_bedrock_and_openai_has_its_price() -> None:
    tokyo = Deployment(
        id="d", group="g", model="bedrock/anthropic.claude-instant-v1", params={"aws_region_name": "ap-northeast-1"}
    )
    expected = litellm.cost_per_token(
        model="bedrock/ap-northeast-1/anthropic.claude-instant-v1", usage_object=litellm.Usage(**USAGES[0])
    )
    assert cost(tokyo, USAGES[0]) == pytest.approx(sum(expected))
    european = Deployment(id="d", group="g", model="openai/gpt-6-astra", api_base="https://eu.api.openai.com/v1")
    usual, dearer = cost(of("openai/gpt-6-astra"), USAGES[0]), cost(european, USAGES[0])
    assert usual and dearer and dearer > usual


PRICES = {
    "input_cost_per_token": 10,
    "output_cost_per_token": 100,
    "cache_read_input_token_cost": 1,
    "cache_creation_input_token_cost": 12,
    "output_cost_per_reasoning_token": 1000,
}
DETAILED = usage(9, 5, cached=4, written=2, reasoning=3)


def test_own_prices_win_and_each_kind_of_token_may_have_one() -> None:
    for model in ("unknown/a", "openai/gpt-4o"):
        assert cost(of(model, **PRICES), DETAILED) == 3 * 10 + 4 * 1 + 2 * 12 + 2 * 100 + 3 * 1000
    anthropic = {"prompt_tokens": 9, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 2}
    assert cost(of("unknown/a", **PRICES), anthropic) == 3 * 10 + 4 * 1 + 2 * 12


@pytest.mark.parametrize("model", ["unknown/a", "openai/gpt-5"])
def test_without_a_price_of_their_own_cached_tokens_and_thoughts_have_the_usual_one(model: str) -> None:
    usual = {name: PRICES[name] for name in ("input_cost_per_token", "output_cost_per_token")}
    assert cost(of(model, **usual), DETAILED) == 9 * 10 + 5 * 100
    assert cost(of(model, input_cost_per_token=0, output_cost_per_token=0), DETAILED) == 0.0


def test_one_own_price_leaves_the_other_to_litellm() -> None:
    assert cost(of("openai/gpt-4o-mini", input_cost_per_token=1), usage(2, 10)) == pytest.approx(2 + 10 * 6e-7)
    assert cost(of("unknown/a", input_cost_per_token=1), usage(2, 10)) is None
