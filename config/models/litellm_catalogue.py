"""The providers and models that LiteLLM knows, without importing LiteLLM, which takes seconds.

`PROVIDERS` is a copy; a test compares it with LiteLLM. The models are read from the model map that the installed
LiteLLM ships.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import orjson

PROVIDERS: Final = frozenset(
    """
    a2a a2a_agent abliteration ai21 ai21_chat aihubmix aiml aiohttp_openai amazon_nova anthropic anthropic_text
    apertis assemblyai auto_router aws_polly aws_textract azure azure_ai azure_speech azure_text baseten bedrock
    bedrock_mantle black_forest_labs bytez cerebras charity_engine chatgpt chutes clarifai cloudflare codestral
    cognition cohere cohere_chat cometapi compactifai cortecs crusoe cursor custom custom_openai darkbloom
    dashscope databricks datarobot deepgram deepinfra deepseek docker_model_runner dotprompt edenai elevenlabs
    empiriolabs empower fal_ai featherless_ai fireworks_ai friendliai galadriel gdc gemini gigachat github
    github_copilot gmi gradient_ai groq helicone heroku hosted_vllm huggingface humanloop hyperbolic inception
    infinity jina_ai lambda_ai langflow langfuse langgraph lemonade libertai litellm_agent litellm_proxy
    llamafile llamagate lm_studio manus maritalk meta meta_llama milvus minimax mistral modelscope mongodb
    moonshot morph nadir nano-gpt nebius neosantara nlp_cloud novita nscale nvidia_nim nvidia_riva oci ollama
    ollama_chat oobabooga openai openai_like openrouter ovhcloud parasail perplexity petals pg_vector pinstripes
    poe predibase prism publicai qwen_ai_platform qwencloud ragflow recraft reducto reka replicate runwayml
    s3_vectors sagemaker sagemaker_chat sagemaker_nova sail sambanova sap sarvam scaleway scx-ai snowflake
    soniox stability strands_decider synthetic tencent tensormesh text-completion-codestral
    text-completion-inception text-completion-openai together_ai topaz transcribe triton typesafe v0 valkey
    veniceai vercel_ai_gateway vertex_ai vertex_ai_beta vllm volcengine voyage wandb watsonx watsonx_text xai
    xiaomi_mimo xinference zai
    """.split()
)

CATALOGUED: Final = frozenset(
    "ai21 anthropic cerebras cohere cohere_chat dashscope deepseek gemini groq minimax mistral moonshot openai "
    "perplexity xai zai".split()
)
"""Providers of one fixed set of models, nearly all of which LiteLLM lists. Elsewhere, names are the customers' own or
the lists have gaps."""

# Providers whose listed models LiteLLM finds without a prefix: `gpt-4.1`, `claude-haiku-4-5`.
_BARE: Final = frozenset(
    "ai21 anthropic baseten bedrock cohere cohere_chat empower gradient_ai maritalk nlp_cloud openai openrouter petals "
    "replicate text-completion-openai vertex_ai watsonx".split()
)

# LiteLLM recognises these hosts in `api_base`, so that the model name needs no provider.
HOSTS: Final = frozenset(
    """
    ai-gateway.helicone.ai ai-gateway.vercel.sh api-inference.modelscope.cn api.clarifai.com api.cognition.ai
    api.cortecs.ai api.deepinfra.com api.deepseek.com api.edenai.run api.endpoints.anyscale.com
    api.featherless.ai api.friendli.ai api.galadriel.ai api.getnadir.com api.groq.com
    api.hyperbolic.xyz api.inceptionlabs.ai
    api.inference.wandb.ai api.lambda.ai api.libertai.io api.llama.com api.meta.ai api.mistral.ai
    api.moonshot.ai api.morphllm.com api.perplexity.ai api.poe.com api.prisminference.com api.publicai.co
    api.reka.ai api.sailresearch.com api.sambanova.ai api.scx.ai api.stima.tech api.studio.nebius.ai
    api.synthetic.new api.together.ai api.together.xyz api.v0.dev api.x.ai app.empower.dev codestral.mistral.ai
    dashscope-intl.aliyuncs.com dashscope.aliyuncs.com gigachat.devices.sberbank.ru inference.api.nscale.com
    integrate.api.nvidia.com llm.chutes.ai nano-gpt.com ollama.com pinstripes.io serverless.tensormesh.ai
    """.split()
)

_FILE: Final = "model_prices_and_context_window_backup.json"
_RULES: Final = "fallback_generalizations"
_FINE_TUNED: Final = ("ft:gpt-3.5-turbo", "ft:gpt-4")


class ModelFacts(NamedTuple):
    """What LiteLLM's map says of a model. `mode` is "chat", "embedding", "image_generation" ..."""

    provider: str
    mode: str | None


class ModelMap(NamedTuple):
    """LiteLLM's model map. `rules` map patterns of names that carry no provider to the provider."""

    models: Mapping[str, ModelFacts]
    rules: tuple[tuple[re.Pattern[str], str], ...]

    @classmethod
    @lru_cache(maxsize=1)
    def read(cls) -> ModelMap:
        """The map of the installed LiteLLM; empty if there is none."""
        found = find_spec("litellm")
        folders = (found.submodule_search_locations if found else None) or ()
        file = next((path for folder in folders if (path := Path(folder) / _FILE).is_file()), None)
        content: dict[str, Any] = orjson.loads(file.read_bytes()) if file else {}
        models = {
            name: ModelFacts(_provider_name(entry["litellm_provider"]), entry.get("mode"))
            for name, entry in content.items()
            if isinstance(entry, dict) and isinstance(entry.get("litellm_provider"), str)
        }
        return cls(models, tuple(_routing_rules(content.get(_RULES))))


def provider_of(model: str, custom: str | None = None, api_base: str | None = None) -> str | None:
    """The provider of LiteLLM's model name `model`; None if LiteLLM would not find one.

    `custom` is `custom_llm_provider`. The result is "" if only the host of `api_base` tells LiteLLM the provider.
    """
    prefix, slash, _ = model.partition("/")
    if custom:
        return custom if custom in PROVIDERS else None
    if slash and prefix in PROVIDERS:
        return prefix
    if api_base and (urlsplit(api_base if "://" in api_base else f"https://{api_base}").hostname or "") in HOSTS:
        return ""
    listed = ModelMap.read()
    facts = listed.models.get(model)
    if facts is not None and facts.provider in _BARE and not (model.startswith("ft:") and facts.provider == "openai"):
        return facts.provider
    if any(tuned in model for tuned in _FINE_TUNED) or model.startswith("gpt-image"):
        return "openai"
    return next((provider for pattern, provider in listed.rules if pattern.search(model)), None)


def mode_of(*names: str | None) -> str | None:
    """The mode of the first of these names that LiteLLM's map has, whatever the provider; None if unknown."""
    models = ModelMap.read().models
    for name in filter(None, names):
        parts = name.split("/")
        found = [models[each].mode for n in range(len(parts)) if (each := "/".join(parts[n:])) in models]
        if not found and not parts[-1].isalpha():  # one word says nothing: `openai/fast` is not `stability/fast`
            # Some models are listed by size or under other providers only, as `azure/hd/1024-x-1024/dall-e-3`.
            found = [facts.mode for listed, facts in models.items() if listed.endswith(f"/{parts[-1]}")]
        if found:
            return found[0]
    return None


@lru_cache(maxsize=64)
def models_of(provider: str) -> frozenset[str]:
    """The names of the provider's models in LiteLLM's map, without the provider."""
    family = {provider, *(("cohere", "cohere_chat") if provider.startswith("cohere") else ())}
    family |= {"text-completion-openai"} if provider == "openai" else set()
    models = ModelMap.read().models.items()
    return frozenset(name.removeprefix(f"{facts.provider}/") for name, facts in models if facts.provider in family)


def _provider_name(listed: str) -> str:
    """The map divides some providers: `vertex_ai-language-models`, `bedrock_converse`."""
    return next(
        (each for each in ("vertex_ai", "bedrock") if listed.startswith((f"{each}-", f"{each}_converse"))), listed
    )


def _routing_rules(section: Any) -> list[tuple[re.Pattern[str], str]]:
    rules = section.get("rules", []) if isinstance(section, dict) else section
    return [
        (re.compile(rule["pattern"], re.IGNORECASE), rule["model_info"]["litellm_provider"])
        for rule in (rules if isinstance(rules, list) else [])
        if isinstance(rule, dict) and set(rule.get("model_info", {})) == {"litellm_provider"}
    ]
