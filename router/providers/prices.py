"""What an attempt costs in US dollars: by LiteLLM's price map, or by the deployment's own prices.

LiteLLM's calculation takes 0.1 ms, so it is asked once for the price of one token of each kind. It is asked for the
whole usage where that sum may be wrong: for long prompts, prices that depend on the hour, and special tokens (audio).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from config.models.deployments import Deployment
from config.models.provider_keys import provider_by_prefix
from router.providers.litellm_import import litellm
from router.providers.model_facts import describe_to_litellm

SHORT_PROMPT: Final = 32_000
"""Tokens. LiteLLM's map has no price that is different for a prompt that is shorter than a step below this."""

OWN_PRICES: Final[Mapping[str, str]] = {
    "input_cost_per_token": "input",
    "cache_read_input_token_cost": "cached",
    "cache_creation_input_token_cost": "written",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "reasoning",
}
"""The keys of models.yaml, and the kind of tokens that each is the price of."""

_TOTALS: Final = frozenset(
    "prompt_tokens completion_tokens total_tokens cache_read_input_tokens cache_creation_input_tokens "
    "prompt_cache_hit_tokens prompt_cache_miss_tokens cost".split()
)
_DETAILS: Final = frozenset(
    "cached_tokens cache_creation_tokens cache_write_tokens text_tokens reasoning_tokens accepted_prediction_tokens "
    "rejected_prediction_tokens".split()
)


class TokenCounts(NamedTuple):
    """The tokens of a usage by kind. `input` and `output` are those without a price of their own."""

    input: int
    cached: int
    written: int
    output: int
    reasoning: int

    @classmethod
    def of(cls, usage: Mapping[str, Any]) -> TokenCounts:
        sent, answered = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
        details, thoughts = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
        cached = _first(usage, "cache_read_input_tokens", "prompt_cache_hit_tokens") or _first(details, "cached_tokens")
        written = _first(usage, "cache_creation_input_tokens")
        written = written or _first(details, "cache_write_tokens", "cache_creation_tokens")
        reasoning = min(_first(thoughts, "reasoning_tokens"), answered)
        return cls(max(0, sent - cached - written), cached, written, answered - reasoning, reasoning)


class TokenPrices(NamedTuple):
    """US dollars for one token of each kind. `exact`: they hold for every usage, not only for short and plain ones."""

    input: float
    cached: float
    written: float
    output: float
    reasoning: float
    exact: bool = False

    def cost(self, counts: TokenCounts) -> float:
        return float(sum(price * count for price, count in zip(self[:5], counts, strict=True)))


def cost(deployment: Deployment, usage: Mapping[str, Any], service_tier: str | None = None) -> float | None:
    """The cost in US dollars of OpenAI's `usage`; None for a model without a known price.

    Prices in `litellm_params` or `model_info` win over LiteLLM's. `service_tier` is OpenAI's, such as "flex".
    """
    prices = _prices(deployment, service_tier)
    if prices is None:
        return None
    counts = TokenCounts.of(usage)
    if prices.exact or (_is_plain(usage, counts) and not _depends_on_the_hour(deployment)):
        return prices.cost(counts)
    return _asked(deployment, {name: each for name, each in usage.items() if name != "cost"}, service_tier)


@lru_cache(maxsize=1024)
def _prices(deployment: Deployment, service_tier: str | None) -> TokenPrices | None:
    """The prices of the deployment.

    Its own replace the list's: without their own price, cached tokens cost what input costs, and reasoning costs what
    output costs. A side without any price of its own keeps that of the list.
    """
    own = {name: deployment.info[name] for name in OWN_PRICES if deployment.info.get(name) is not None}
    prices = _list_prices(deployment, service_tier)
    if (sent := own.get("input_cost_per_token")) is not None:
        prices |= {"input": sent, "cached": sent, "written": sent}
    if (answered := own.get("output_cost_per_token")) is not None:
        prices |= {"output": answered, "reasoning": answered}
    prices |= {kind: own[name] for name, kind in OWN_PRICES.items() if name in own}
    if not {"input", "output"} <= prices.keys():
        return None
    return TokenPrices(**prices, exact=bool(own))


def _list_prices(deployment: Deployment, service_tier: str | None) -> dict[str, float]:
    """LiteLLM's prices by kind, asked for with one token of each; without those that it does not know."""
    one: dict[str, Any] = {"prompt_tokens": 1, "completion_tokens": 0, "total_tokens": 1}
    two = {**one, "completion_tokens": 1, "total_tokens": 2}  # without a prompt, no tier of prices fits
    asked = [
        one,
        {**one, "prompt_tokens_details": {"cached_tokens": 1}},
        {**one, "prompt_tokens_details": {"cache_creation_tokens": 1}, "cache_creation_input_tokens": 1},
        two,
        {**two, "completion_tokens_details": {"reasoning_tokens": 1}},
    ]
    entry = _map_entry(deployment)
    costs = [price for usage in asked if (price := _asked(deployment, usage, service_tier)) is not None]
    if len(costs) < len(asked):
        return {}
    sent, cached, written, answered, thought = costs
    # LiteLLM's 0 may mean that it knows no price.
    prices: dict[str, float] = {}
    if sent or entry.get("input_cost_per_token") is not None:
        prices |= {"input": sent, "cached": cached, "written": written}
    if answered - sent or entry.get("output_cost_per_token") is not None:
        prices |= {"output": answered - sent, "reasoning": thought - sent}
    return prices


def _asked(deployment: Deployment, usage: Mapping[str, Any], service_tier: str | None) -> float | None:
    """LiteLLM's own cost of `usage`; None for a model that it does not know."""
    model, provider = _priced_model(deployment)
    try:
        costs = litellm.cost_per_token(
            model=model,
            custom_llm_provider=provider,
            usage_object=litellm.Usage(**usage),
            region_name=deployment.params.get("aws_region_name"),
            service_tier=service_tier or deployment.params.get("service_tier"),
            data_residency=litellm.llms.openai.data_residency.infer_openai_data_residency(
                provider, deployment.api_base
            ),
            vertex_location=deployment.params.get("vertex_location"),
        )
    except Exception:  # LiteLLM raises a bare Exception for an unknown model, and a turn must not fail by its price
        return None
    return float(sum(costs))


@lru_cache(maxsize=1024)
def _map_entry(deployment: Deployment) -> Mapping[str, Any]:
    """The model's entry in LiteLLM's price map; empty if there is none."""
    describe_to_litellm(deployment.model)
    model, provider = _priced_model(deployment)
    try:
        key = litellm.get_model_info(model=model, custom_llm_provider=provider)["key"]
    except Exception:  # LiteLLM raises a bare Exception for an unknown model
        return {}
    entry: Mapping[str, Any] = litellm.model_cost.get(key) or {}
    return entry


def _priced_model(deployment: Deployment) -> tuple[str, str | None]:
    """The model whose price it is, and its provider. Azure's names are the customer's own: `base_model` says it."""
    model = str(deployment.info.get("base_model") or deployment.model)
    return model, provider_by_prefix(deployment.model, deployment.params)


def _depends_on_the_hour(deployment: Deployment) -> bool:
    return bool(_map_entry(deployment).get("off_peak_pricing"))


def _is_plain(usage: Mapping[str, Any], counts: TokenCounts) -> bool:
    """Whether the cost of `usage` is certainly the sum over its kinds of tokens."""
    sent, answered = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    details, thoughts = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    return (
        sent < SHORT_PROMPT
        and counts.cached + counts.written <= sent
        # xAI does not count its reasoning as output.
        and usage.get("total_tokens") in (None, sent + answered)
        and (details.get("text_tokens") or counts.input) in (counts.input, sent)
        and (thoughts.get("text_tokens") or counts.output) == counts.output
        and all(name in _DETAILS or not count for each in (details, thoughts) for name, count in each.items())
        and all(name in _TOTALS or isinstance(count, Mapping) or not count for name, count in usage.items())
    )


def _first(counts: Mapping[str, Any], *names: str) -> int:
    return next((int(counts[name]) for name in names if counts.get(name)), 0)
