"""What LiteLLM's price map, or `model_info` in models.yaml, knows of a deployment's model. models.yaml wins."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from config.models.deployments import Deployment
from router.providers.litellm_import import litellm

CHARS_IN_A_TOKEN = 8
"""More than any text has on average: a prompt with fewer tokens than its characters divided by this does not exist."""


def supports_prefill(deployment: Deployment) -> bool:
    """Whether the model goes on from an assistant's message at the end of the prompt."""
    return bool(_facts(deployment).get("supports_assistant_prefill"))


def exceeds_context(deployment: Deployment, prompt_chars: int) -> bool:
    """Whether a prompt of that many characters is certainly longer than the model reads."""
    limit = _facts(deployment).get("max_input_tokens")
    return isinstance(limit, int) and prompt_chars > limit * CHARS_IN_A_TOKEN


def cost(deployment: Deployment, input_tokens: int, output_tokens: int) -> float | None:
    """What the tokens cost in US dollars; None for a model without a price."""
    facts = _facts(deployment)
    prices = facts.get("input_cost_per_token"), facts.get("output_cost_per_token")
    if prices[0] is None or prices[1] is None:
        return None
    return float(input_tokens * prices[0] + output_tokens * prices[1])


@lru_cache(maxsize=1024)
def _facts(deployment: Deployment) -> Mapping[str, Any]:
    try:
        known: Mapping[str, Any] = litellm.get_model_info(deployment.model)
    except Exception:  # LiteLLM's own word for a model that it does not know is a bare Exception
        known = {}
    own = {key: value for key, value in {**deployment.params, **deployment.info}.items() if value is not None}
    return {**known, **own}
