import pytest
import respx

import router.providers.model_facts
from config.models.deployments import Deployment
from router.providers.litellm_import import litellm
from router.providers.model_facts import describe_to_litellm, exceeds_context, supports_prefill
from router.providers.prices import cost


@pytest.fixture(autouse=True)
def the_price_map_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm, "model_cost", dict(litellm.model_cost))


@pytest.mark.parametrize("provider", ["ollama", "ollama_chat"])
def test_nothing_is_asked_of_an_ollama_server_and_its_models_cost_nothing(provider: str) -> None:
    deployment = Deployment(id="d", group="g", model=f"{provider}/some-model", api_base="http://ollama.example:11434")
    with respx.mock(assert_all_called=False) as network:
        network.route().respond(404)
        assert not exceeds_context(deployment, 1_000_000)
        assert cost(deployment, {"prompt_tokens": 1000, "completion_tokens": 1000}) == 0.0
        litellm.get_model_info(deployment.model)
        assert not network.calls


@pytest.mark.parametrize(
    ("model", "info", "prefills"),
    [
        ("mistral/mistral-large-latest", {}, False),
        ("mistral/mistral-large-latest", {"supports_assistant_prefill": True}, True),
        ("azure_ai/mistral-medium-2505", {}, False),
        ("deepseek/deepseek-chat", {}, True),
        ("openai/gpt-4o-mini", {}, False),
    ],
)
def test_mistral_is_not_sent_a_prefill_that_it_refuses(model: str, info: dict[str, bool], prefills: bool) -> None:
    assert supports_prefill(Deployment(id="d", group="g", model=model, info=info)) is prefills


def test_names_without_end_do_not_fill_the_price_map(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router.providers.model_facts, "MAX_PRICES", len(litellm.model_cost) + 1)
    for number in range(3):
        describe_to_litellm(f"ollama_chat/model-{number}")
    assert [number for number in range(3) if f"ollama_chat/model-{number}" in litellm.model_cost] == [0]
