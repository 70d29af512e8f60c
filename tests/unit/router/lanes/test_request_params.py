from typing import Any

import pytest
from pydantic import SecretStr

from config.errors import RequestError
from config.models.deployments import Deployment
from router.lanes.base import LaneRequest
from router.lanes.request_params import completion_arguments


def arguments(given: dict[str, Any], configured: dict[str, Any] | None = None, content: Any = "hi") -> dict[str, Any]:
    deployment = Deployment(
        id="d", group="g", model="openai/m", api_key=SecretStr("sk-x"), api_base="http://a", params=configured or {}
    )
    return completion_arguments(LaneRequest(deployment, [{"role": "user", "content": content}], given, 5.0))


def test_the_deployments_parameters_are_the_defaults() -> None:
    joined = arguments({"temperature": 0.1, "seed": None}, {"temperature": 0.9, "seed": 4, "top_k": 3})
    assert (joined["temperature"], joined["seed"], joined["top_k"]) == (0.1, 4, 3)


@pytest.mark.parametrize(
    "name", ["api_base", "base_url", "api_key", "mock_response", "extra_headers", "extra_body", "model"]
)
def test_a_caller_cannot_redirect_the_request_and_the_key(name: str) -> None:
    joined = arguments({name: "http://elsewhere"})
    assert "http://elsewhere" not in joined.values()
    assert (joined["model"], joined["api_base"], joined["api_key"]) == ("openai/m", "http://a", "sk-x")


@pytest.mark.parametrize(
    ("given", "configured"),
    [("max_tokens", "max_completion_tokens"), ("max_completion_tokens", "max_tokens")],
)
def test_the_callers_limit_replaces_the_deployments_under_either_name(given: str, configured: str) -> None:
    joined = arguments({given: 5}, {configured: 100})
    assert joined[given] == 5
    assert configured not in joined


def test_messages_and_tools_are_copies() -> None:
    content: list[Any] = [{"type": "text", "text": "a"}]
    joined = arguments({}, content=content)
    joined["messages"][0]["content"].clear()
    assert content == [{"type": "text", "text": "a"}]


@pytest.mark.parametrize("content", ["\ud800", {1, 2}])
def test_what_json_cannot_encode_is_rejected(content: Any) -> None:
    with pytest.raises(RequestError) as caught:
        arguments({}, content=content)
    assert type(caught.value) is RequestError
