"""The copy of LiteLLM's providers, and the model map, agree with LiteLLM itself."""

from __future__ import annotations

import pytest

from config.models.litellm_catalogue import CATALOGUED, HOSTS, PROVIDERS, mode_of, models_of, provider_of
from router.providers.litellm_import import litellm


def litellm_provider(model: str, **given: str) -> str | None:
    try:
        return str(litellm.get_llm_provider(model, **given)[1])
    except litellm.exceptions.BadRequestError:
        return None


def test_the_providers_are_litellms() -> None:
    registry = litellm.litellm_core_utils.get_llm_provider_logic.JSONProviderRegistry
    assert {each.value for each in litellm.types.utils.LlmProviders} | set(registry.list_providers()) == PROVIDERS


def test_the_hosts_are_litellms() -> None:
    endpoints = litellm.constants.openai_compatible_endpoints
    assert {each.removeprefix("https://").partition("/")[0] for each in endpoints} == HOSTS


def test_each_name_of_litellms_map_has_a_provider_here_if_it_has_one_there() -> None:
    # Names with a known provider are decided by the provider alone; LiteLLM would ask some of them for a sign-in.
    bare = [name for name in litellm.model_cost if name.partition("/")[0] not in PROVIDERS]
    differing = {name for name in bare if (provider_of(name) is None) != (litellm_provider(name) is None)}
    assert differing == set()


@pytest.mark.parametrize(
    "model",
    [
        "openai/x",
        "openia/gpt-4.1",
        "gpt-4.1",
        "gpt4",
        "claude-new-9",
        "claude",
        "ft:gpt-4o:me",
        "meta/llama",
        "x",
        "a/b",
    ],
)
def test_a_name_resolves_as_in_litellm(model: str) -> None:
    assert provider_of(model) == litellm_provider(model)


def test_litellm_knows_the_provider_of_a_host() -> None:
    base = "https://api.deepseek.com/v1"
    assert litellm_provider("deepseek-next", api_base=base) == "deepseek" and provider_of("x", api_base=base) == ""
    assert litellm_provider("deepseek-next", api_base="http://127.0.0.1:1") is None
    assert provider_of("x", api_base="http://127.0.0.1:1") is None


@pytest.mark.parametrize("provider", sorted(CATALOGUED))
def test_a_catalogued_provider_has_chat_models(provider: str) -> None:
    assert any(mode_of(f"{provider}/{name}") == "chat" for name in models_of(provider))


def test_the_mode_of_a_model_is_found_with_and_without_its_provider() -> None:
    assert mode_of("text-embedding-3-small") == mode_of("openai/text-embedding-3-small") == "embedding"
    assert mode_of(None, "nothing", "openai/whisper-1") == "audio_transcription"
    assert mode_of("openai/dall-e-3") == "image_generation"
    assert mode_of("nothing/at-all") is None


@pytest.mark.parametrize("name", ["openai/fast", "hosted_vllm/base", "openai/nova", "ollama_chat/best", "vllm/dev"])
def test_a_name_of_ones_own_is_not_another_providers_model(name: str) -> None:
    assert mode_of(name) is None


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("hosted_vllm/BAAI/bge-m3", "embedding"),
        ("openai/Qwen3-Embedding-8B", "embedding"),
        ("openai/nomic-embed-text", "embedding"),
        ("openai/whisper-large-v3", "audio_transcription"),
        ("hosted_vllm/bge-reranker-v2-m3", "rerank"),
    ],
)
def test_a_model_that_only_others_have_is_known_at_ones_own_address(name: str, mode: str) -> None:
    assert mode_of(name) == mode
