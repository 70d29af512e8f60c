"""Environment variables of the providers, for entries of models.yaml without `api_key` or `api_base`.

LiteLLM reads the same variables, but only when it sends a request. Reading them here excludes a deployment without a
key from the start. Providers that are not listed need no key or authenticate in another way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Any of them works; messages name the first. A test compares them with LiteLLM's.
KEY_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("ANTHROPIC_API_KEY",),
    "azure": ("AZURE_API_KEY", "AZURE_OPENAI_API_KEY"),
    "cerebras": ("CEREBRAS_API_KEY",),
    "cohere": ("COHERE_API_KEY",),
    "dashscope": ("DASHSCOPE_API_KEY",),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "fireworks_ai": ("FIREWORKS_AI_API_KEY", "FIREWORKS_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "groq": ("GROQ_API_KEY",),
    "mistral": ("MISTRAL_API_KEY",),
    "moonshot": ("MOONSHOT_API_KEY",),
    "openai": ("OPENAI_API_KEY",),
    "openrouter": ("OPENROUTER_API_KEY",),
    "together_ai": ("TOGETHERAI_API_KEY", "TOGETHER_API_KEY", "TOGETHER_AI_API_KEY"),
    "xai": ("XAI_API_KEY",),
}

# Providers without a fixed address.
BASE_VARIABLES: Mapping[str, str] = {"azure": "AZURE_API_BASE", "hosted_vllm": "HOSTED_VLLM_API_BASE"}

# Providers whose fixed address a variable replaces. LiteLLM reads the same ones.
OTHER_BASES: Mapping[str, tuple[str, ...]] = {"openai": ("OPENAI_BASE_URL", "OPENAI_API_BASE")}

# Authentication without a key: a parameter or variable with one of these prefixes replaces it.
_KEYLESS_PREFIXES: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("anthropic_federation_", "anthropic_identity_", "ANTHROPIC_AUTH_TOKEN"),
    "azure": ("azure_ad_", "azure_username", "client_secret", "AZURE_AD_TOKEN", "AZURE_CLIENT_ID"),
    "openai": ("openai_identity_",),
}


def provider_by_prefix(model: str, params: Mapping[str, Any]) -> str | None:
    """LiteLLM's name of the provider that `params` or the prefix of `model` say, known or not; None if neither says it.

    See `litellm_catalogue.provider_of` for what LiteLLM itself would find.
    """
    if params.get("custom_llm_provider"):
        return str(params["custom_llm_provider"])
    provider, slash, _ = model.partition("/")
    if slash:
        return provider
    if model.startswith(("gpt-", "o1", "o3", "o4", "chatgpt-")):
        return "openai"
    return "anthropic" if model.startswith("claude-") else None


def find_key(
    provider: str | None, params: Mapping[str, Any], environ: Mapping[str, str]
) -> tuple[str | None, str | None]:
    """The provider's key from the environment, and the variable to set if a key is needed but missing."""
    variables = KEY_VARIABLES.get(provider or "", ())
    found = next(filter(None, (_value(environ, name) for name in variables)), None)
    configured = [*params, *(name for name, value in environ.items() if value)]
    prefixes = _KEYLESS_PREFIXES.get(provider or "", ())
    if found or not variables or any(name.startswith(prefixes) for name in configured):
        return found, None
    return None, variables[0]


def find_base(provider: str | None, environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The provider's base URL from the environment, and the variable to set if one is needed but missing."""
    for other in OTHER_BASES.get(provider or "", ()):
        if found := _value(environ, other):
            return found, None
    variable = BASE_VARIABLES.get(provider or "")
    found = _value(environ, variable) if variable else ""
    return found or None, None if found else variable


def _value(environ: Mapping[str, str], name: str) -> str:
    """The variable's value, empty if there is none. One from a file often ends with a line break."""
    return environ.get(name, "").strip()
