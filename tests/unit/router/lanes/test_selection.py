from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from config.errors import CredentialsRefused
from config.models.deployments import Deployment
from router.lanes.base import Chunk, LaneRequest
from router.lanes.openai_request import provider_endpoint
from router.lanes.selection import Lanes, lane_name

GPT = Deployment(id="d", group="g", model="openai/gpt-4o-mini", api_key=SecretStr("sk-x"))


class StubLane:
    def __init__(self) -> None:
        self.closed = False
        self.warmed: list[Deployment] = []

    async def warm_up(self, deployments: Sequence[Deployment]) -> None:
        self.warmed += deployments

    async def stream(self, request: LaneRequest) -> AsyncGenerator[Chunk, None]:
        yield {}

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("openai/gpt-4o-mini", "openai"),
        ("openai/some-local-model", "openai"),
        ("dashscope/qwen-plus", "openai"),
        ("deepseek/deepseek-chat", "openai"),
        ("groq/llama-3.3-70b-versatile", "openai"),
        ("mistral/mistral-small-latest", "openai"),
        ("openrouter/openai/gpt-4o-mini", "openai"),
        ("hosted_vllm/qwen", "openai"),
        ("fake/echo", "fake"),
        ("anthropic/claude-sonnet-4-5", "litellm"),
        ("gemini/gemini-2.5-flash", "litellm"),
        ("azure/gpt-4o", "litellm"),
        ("ollama/llama3", "litellm"),
        ("openai/gpt-5.4", "litellm"),  # with tools LiteLLM sends it to the Responses API
        ("openai/responses/gpt-4o", "litellm"),
        ("no-such-provider/model", "litellm"),
    ],
)
def test_the_lane_depends_on_the_provider(model: str, expected: str) -> None:
    assert lane_name(replace(GPT, model=model)) == expected


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"temperature": 0.5, "top_k": 3, "timeout": 5, "extra_headers": {"a": "b"}, "extra_body": {}}, "openai"),
        ({"num_gpu": 1}, "openai"),
        ({"cache_control_injection_points": [{"location": "message", "role": "system"}]}, "litellm"),
        ({"input_cost_per_token": 0.1, "tags": ["a"], "organization": "o"}, "openai"),
        ({"supports_system_message": False}, "litellm"),
        ({"mock_response": "hi"}, "litellm"),
        ({"ssl_verify": False}, "litellm"),
    ],
)
def test_a_parameter_that_makes_litellm_do_more_than_send_needs_its_lane(params: dict[str, Any], expected: str) -> None:
    assert lane_name(replace(GPT, params=params)) == expected


def test_an_address_with_a_query_needs_litellms_lane() -> None:
    assert lane_name(replace(GPT, api_base="http://host/v1?version=2")) == "litellm"


@pytest.mark.parametrize("lane", ["openai", "litellm"])
def test_model_info_can_choose_the_lane(lane: str) -> None:
    assert lane_name(replace(GPT, info={"lane": lane})) == lane


def test_a_provider_that_is_not_openai_compatible_cannot_use_the_openai_lane() -> None:
    with pytest.raises(CredentialsRefused, match="not OpenAI-compatible"):
        provider_endpoint(replace(GPT, model="anthropic/claude-sonnet-4-5"))


def test_a_deployment_without_a_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(CredentialsRefused, match='"d" has no api_key'):
        provider_endpoint(replace(GPT, api_key=None))


async def test_lanes_are_shared_and_closed_together() -> None:
    fake, openai, litellm = StubLane(), StubLane(), StubLane()
    lanes = Lanes(fake, openai, litellm)
    assert lanes.for_deployment(GPT) is lanes.for_deployment(GPT) is openai
    assert lanes.for_deployment(replace(GPT, info={"lane": "litellm"})) is litellm
    assert lanes.for_deployment(replace(GPT, model="fake/echo")) is fake
    await lanes.aclose()
    assert fake.closed and openai.closed and litellm.closed


async def test_each_lane_is_warmed_up_for_its_own_deployments() -> None:
    fake, openai, litellm = StubLane(), StubLane(), StubLane()
    echo, claude = replace(GPT, model="fake/echo"), replace(GPT, model="anthropic/claude-sonnet-4-5")
    await Lanes(fake, openai, litellm).warm_up([GPT, echo, claude])
    assert (fake.warmed, openai.warmed, litellm.warmed) == ([echo], [GPT], [claude])
