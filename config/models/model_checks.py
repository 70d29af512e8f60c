"""Checks the model of each entry: its provider must exist, and LiteLLM should know the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from config.errors import Problem
from config.models import fake_models
from config.models.entry_schema import KnownParams
from config.models.litellm_catalogue import CATALOGUED, PROVIDERS, ModelMap, models_of, provider_of
from config.models.schema import ModelsFile
from config.parsing.validation import did_you_mean
from config.parsing.yaml_document import Document, KeyPath

FAKE = "fake/"
_REFERENCE = "os.environ"
_PROXY_ONLY = frozenset({"auto_router", "litellm_agent"})
"""Routers of a LiteLLM proxy that look like providers."""


def proxy_only_providers(value: Any) -> frozenset[str]:
    """The providers that only a LiteLLM proxy has: its routers, and the file's own Python code."""
    section = value.get("litellm_settings") if isinstance(value, dict) else None
    entries = section.get("custom_provider_map") if isinstance(section, Mapping) else None
    own = [each.get("provider") for each in (entries if isinstance(entries, list) else []) if isinstance(each, dict)]
    return _PROXY_ONLY | {each for each in own if isinstance(each, str)}


def check_providers(models: ModelsFile, document: Document, proxy_only: frozenset[str]) -> Iterator[Problem]:
    """A Problem for each model whose provider does not exist. `proxy_only` providers are no problem."""
    for path, params in _entries(models):
        prefix, slash, name = params.model.partition("/")
        if prefix == "fake" and slash:
            fake = name.partition("?")[0]
            if "*" not in fake and fake not in fake_models.ANSWERING and not fake_models.is_failure(fake):
                known = [FAKE + each for each in (*fake_models.ANSWERING, *fake_models.NAMED_FAILURES)]
                yield document.problem(path, f"there is no fake model {fake!r}{did_you_mean(FAKE + fake, known)}")
        elif prefix not in proxy_only and provider_of(params.model, params.custom_llm_provider, _base(params)) is None:
            yield document.problem(path, _unknown_provider(params))


def unlisted_models(models: ModelsFile, document: Document) -> Iterator[str]:
    """A warning for each model that LiteLLM does not list, of a provider whose models it lists. New models exist."""
    for path, params in _entries(models):
        provider = provider_of(params.model, params.custom_llm_provider, _base(params))
        if provider not in CATALOGUED or params.model_fields_set & {"api_base", "base_url"} or "*" in params.model:
            continue
        name = params.model.removeprefix(f"{provider}/").removeprefix("responses/")
        known = models_of(provider)
        if name not in known and not name.startswith("ft:"):
            message = f"LiteLLM does not list this model of {provider}{did_you_mean(name, known)}"
            yield str(document.problem(path, message))


def _entries(models: ModelsFile) -> Iterator[tuple[KeyPath, KnownParams]]:
    """The entries whose model is known by now; a `*` stands for any provider."""
    for index, entry in models.model_list.items():
        params = entry.litellm_params
        if not params.model.startswith(_REFERENCE) and "*" not in params.model.partition("/")[0]:
            yield ("model_list", index, "litellm_params", "model"), params


def _base(params: KnownParams) -> str | None:
    return params.api_base or params.base_url


def _unknown_provider(params: KnownParams) -> str:
    prefix, slash, _ = params.model.partition("/")
    if params.custom_llm_provider or slash:
        provider = params.custom_llm_provider or prefix
        return f"LiteLLM has no provider {provider!r}{did_you_mean(provider, {*PROVIDERS, 'fake'})}"
    hint = did_you_mean(params.model, ModelMap.read().models)
    return f"the provider is missing: write provider/model, such as openai/{params.model}{hint}"
