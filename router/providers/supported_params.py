"""Parameters that a request would like to have: they are sent where the model has them, and nowhere else.

A caller of Anthropic's API asks every model for thoughts, say. `drop_params` of models.yaml is not for that: it decides
for all parameters of all callers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from config.models.deployments import Deployment
from router.providers.litellm_import import litellm
from router.providers.model_facts import describe_to_litellm, supports_reasoning

IF_SUPPORTED: Final = "if_supported"
"""The key of a turn's parameters with those that may be left out."""

_HAS_TOP_K: Final = frozenset(
    {"anthropic", "fireworks_ai", "gemini", "hosted_vllm", "ollama", "ollama_chat", "openrouter", "together_ai"}
)
"""LiteLLM passes `top_k` on to every provider; these take it."""


def supported_params(deployment: Deployment, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """`params`, with those of `if_supported` that the deployment's model has beside the others."""
    if IF_SUPPORTED not in params:
        return params
    certain = {name: value for name, value in params.items() if name != IF_SUPPORTED}
    supported = _supported(deployment)
    return certain | {name: value for name, value in params[IF_SUPPORTED].items() if name in supported}


@lru_cache(maxsize=1024)
def _supported(deployment: Deployment) -> frozenset[str]:
    describe_to_litellm(deployment.model)
    try:
        model, provider, _, _ = litellm.get_llm_provider(model=deployment.model, api_base=deployment.api_base)
    except litellm.exceptions.BadRequestError:  # no provider of LiteLLM's, such as the fake model
        return frozenset()
    names = set(litellm.get_supported_openai_params(model=model, custom_llm_provider=provider) or ())
    if not supports_reasoning(deployment):  # LiteLLM sends it to each model that it does not know
        names.discard("reasoning_effort")
    return frozenset(names | ({"top_k"} if provider in _HAS_TOP_K else set()))
