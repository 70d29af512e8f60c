"""Model metadata from LiteLLM's model map, overridden by `model_info` in models.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from config.models.deployments import Deployment
from router.providers.litellm_import import litellm

MAX_CHARS_PER_TOKEN = 8
"""An upper bound: no text has more characters per token on average."""

MAX_PRICES = 10_000
"""Entries of LiteLLM's price map, which has 4000 by itself: the names that callers fill into a wildcard are endless."""


def supports_prefill(deployment: Deployment) -> bool:
    """Whether the model continues an assistant message at the end of the prompt."""
    facts = _facts(deployment)
    if "supports_assistant_prefill" not in {**deployment.params, **deployment.info} and _wants_prefix(facts):
        return False
    return bool(facts.get("supports_assistant_prefill"))


def supports_reasoning(deployment: Deployment) -> bool:
    """Whether the model is known to think before it answers."""
    return bool(_facts(deployment).get("supports_reasoning"))


def exceeds_context(deployment: Deployment, prompt_chars: int) -> bool:
    """Whether a prompt of `prompt_chars` characters certainly exceeds the model's context window."""
    limit = _facts(deployment).get("max_input_tokens")
    return isinstance(limit, int) and prompt_chars > limit * MAX_CHARS_PER_TOKEN


def describe_to_litellm(model: str) -> None:
    """Enter an Ollama model in LiteLLM's price map.

    LiteLLM asks the server for what it does not know of such a model: twice in each request, and once while the event
    loop waits, for as long as 6000 seconds.
    """
    if model.startswith(("ollama/", "ollama_chat/")) and len(litellm.model_cost) < MAX_PRICES:
        free = {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0}
        litellm.model_cost.setdefault(model, {"litellm_provider": model.partition("/")[0], "mode": "chat", **free})


def _wants_prefix(facts: Mapping[str, Any]) -> bool:
    """Whether the provider refuses an assistant message at the end without `prefix: true`, which LiteLLM drops."""
    # Mistral: https://docs.mistral.ai/capabilities/completion/prefix
    return "mistral" in str(facts.get("litellm_provider")) or "mistral" in str(facts.get("key"))


@lru_cache(maxsize=1024)
def _facts(deployment: Deployment) -> Mapping[str, Any]:
    describe_to_litellm(deployment.model)
    try:
        known: Mapping[str, Any] = litellm.get_model_info(deployment.model)
    except Exception:  # LiteLLM raises a bare Exception for an unknown model
        known = {}
    own = {key: value for key, value in {**deployment.params, **deployment.info}.items() if value is not None}
    return {**known, **own}
