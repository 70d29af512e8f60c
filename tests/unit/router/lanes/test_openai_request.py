from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from config.errors import RequestRejected
from config.models.deployments import Deployment
from router.lanes.base import LaneRequest
from router.lanes.openai_request import (
    MAX_CACHED_PARAMS,
    NeedsLiteLLM,
    ProviderEndpoint,
    provider_endpoint,
    request_body,
)

USER = [{"role": "user", "content": "hi"}]


def request(model: str, messages: list[Any], **params: Any) -> dict[str, Any]:
    deployment = Deployment(id="d", group="g", model=model, api_key=SecretStr("sk-x"), api_base="http://host/v1/")
    return sent(provider_endpoint(deployment), messages, params)


def sent(to: ProviderEndpoint, messages: list[Any], params: dict[str, Any]) -> dict[str, Any]:
    own = Deployment(id="d", group="g", model=to.model)
    found: dict[str, Any] = orjson.loads(request_body(to, LaneRequest(own, messages, params, 5.0)))
    return found


@pytest.mark.parametrize(
    ("messages", "params"),
    [
        ([{"role": "user", "content": [{"type": "bogus"}]}], {}),
        ([{"role": "user", "content": [{"type": "image_url"}]}], {}),
        ([1], {}),
        (USER, {"tool_choice": {"a": 1}}),
    ],
)
def test_a_malformed_request_is_rejected(messages: list[Any], params: dict[str, Any]) -> None:
    with pytest.raises(RequestRejected):
        request("openai/gpt-4o-mini", messages, **params)


def test_unsupported_parameters_are_named() -> None:
    with pytest.raises(RequestRejected, match="stop, frequency_penalty"):
        request("xai/grok-4", USER, frequency_penalty=0.1, stop=["a"])


def test_a_request_whose_answer_litellm_would_rewrite_needs_the_litellm_lane() -> None:
    schema = {"name": "n", "schema": {"type": "object", "properties": {}}}
    with pytest.raises(NeedsLiteLLM):
        request("groq/llama-3.3-70b-versatile", USER, response_format={"type": "json_schema", "json_schema": schema})


def test_the_key_and_the_headers_are_in_the_headers_and_not_in_the_body() -> None:
    deployment = Deployment(
        id="d",
        group="g",
        model="openai/m",
        api_key=SecretStr("sk-x"),
        api_base="http://host/v1/",
        params={"extra_headers": {"authorization": "Other"}, "organization": "o", "timeout": 3, "tags": ["t"]},
    )
    found = provider_endpoint(deployment)
    assert str(found.url) == "http://host/v1/chat/completions"
    assert found.headers["Authorization"] == "Other"
    assert found.headers["OpenAI-Organization"] == "o"
    assert orjson.loads(request_body(found, LaneRequest(deployment, USER, {}, 5.0))).keys() == {
        *("model", "messages", "stream", "stream_options"),
    }


@pytest.mark.parametrize("model", ["openai/m", "groq/m", "mistral/m", "xai/m"])
def test_prepared_parameters_are_reused_only_for_equal_ones(model: str) -> None:
    deployment = Deployment(id="d", group="g", model=model, api_key=SecretStr("sk-x"), api_base="http://host/v1/")
    found = provider_endpoint(deployment)
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
    asked = {"temperature": 0.5, "tools": tools}
    first = sent(found, USER, asked)
    assert (first["messages"], first["temperature"], first["tools"]) == (USER, 0.5, tools)
    assert sent(found, USER, asked) == first
    other = [{"role": "user", "content": "bye"}]
    assert sent(found, other, asked) == {**first, "messages": other}
    cooler = sent(found, USER, {"temperature": 0.7})
    assert cooler["temperature"] == 0.7
    assert "tools" not in cooler


def test_messages_of_a_deployments_extra_body_come_last() -> None:
    extra = {"extra_body": {"messages": [{"role": "user", "content": "always this"}]}}
    own = Deployment(
        id="d", group="g", model="openai/m", api_key=SecretStr("sk-x"), api_base="http://host/v1/", params=extra
    )
    said = orjson.loads(request_body(provider_endpoint(own), LaneRequest(own, USER, {}, 5.0)))
    assert said["messages"] == extra["extra_body"]["messages"]


@pytest.mark.parametrize("model", ["openai/m", "mistral/m"])
def test_the_cache_of_prepared_parameters_is_bounded(model: str) -> None:
    deployment = Deployment(id="d", group="g", model=model, api_key=SecretStr("sk-x"), api_base="http://host/v1/")
    found = provider_endpoint(deployment)
    for seed in range(MAX_CACHED_PARAMS + 10):
        assert sent(found, USER, {"seed": seed})["messages"] == USER
    assert 0 < len(found.prepared) <= MAX_CACHED_PARAMS
