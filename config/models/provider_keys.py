"""Where a provider's key comes from when an entry of models.yaml does not say.

LiteLLM reads these variables itself, but only when a request is sent; knowing them here lets a deployment without a key
be left out from the start. Providers that are not listed need no key, or have ways of their own to sign in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The first one is the name that people are told; any of them will do. A test compares them with LiteLLM's.
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

# An endpoint without which the provider cannot be reached.
BASE_VARIABLES: Mapping[str, str] = {"azure": "AZURE_API_BASE", "hosted_vllm": "HOSTED_VLLM_API_BASE"}

# Signing in without a key: a parameter or a variable that begins so stands for it.
_OTHER_WAYS: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("anthropic_federation_", "anthropic_identity_", "ANTHROPIC_AUTH_TOKEN"),
    "azure": ("azure_ad_", "azure_username", "client_secret", "AZURE_AD_TOKEN", "AZURE_CLIENT_ID"),
    "openai": ("openai_identity_",),
}


def provider_of(model: str, params: Mapping[str, Any]) -> str | None:
    """LiteLLM's name of the provider, as far as it can be told without LiteLLM."""
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
    """The provider's key from the environment, and the variable to set when there is none but one is needed."""
    variables = KEY_VARIABLES.get(provider or "", ())
    found = next((environ[name] for name in variables if environ.get(name)), None)
    set_up = [*params, *(name for name, value in environ.items() if value)]
    if found or not variables or any(name.startswith(_OTHER_WAYS.get(provider or "", ("\0",))) for name in set_up):
        return found, None
    return None, variables[0]


def find_base(provider: str | None, environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The same for the address of providers that have no fixed one."""
    variable = BASE_VARIABLES.get(provider or "")
    found = environ.get(variable) if variable else None
    return found or None, None if found else variable
