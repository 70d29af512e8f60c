from typing import Any

import pytest
from pydantic import SecretStr

from config.deployments import Deployment
from config.errors import RequestRejected
from router.lanes.base import Attempt
from router.lanes.openai_request import MAX_WORDED, NotOnThisWire, body, route

USER = [{"role": "user", "content": "hi"}]


def request(model: str, messages: list[Any], **params: Any) -> dict[str, Any]:
    deployment = Deployment(id="d", group="g", model=model, api_key=SecretStr("sk-x"), api_base="http://host/v1/")
    return body(route(deployment), Attempt(deployment, messages, params, 5.0))


@pytest.mark.parametrize(
    ("messages", "params"),
    [
        ([{"role": "user", "content": [{"type": "bogus"}]}], {}),
        ([{"role": "user", "content": [{"type": "image_url"}]}], {}),
        ([1], {}),
        (USER, {"tool_choice": {"a": 1}}),
    ],
)
def test_a_request_of_an_impossible_form_is_the_callers_fault(messages: list[Any], params: dict[str, Any]) -> None:
    with pytest.raises(RequestRejected):
        request("openai/gpt-4o-mini", messages, **params)


def test_parameters_that_the_model_does_not_take_are_named() -> None:
    with pytest.raises(RequestRejected, match="stop, frequency_penalty"):
        request("xai/grok-4", USER, frequency_penalty=0.1, stop=["a"])


def test_a_request_whose_answer_litellm_would_rewrite_is_not_for_this_wire() -> None:
    schema = {"name": "n", "schema": {"type": "object", "properties": {}}}
    with pytest.raises(NotOnThisWire):
        request("groq/llama-3.3-70b-versatile", USER, response_format={"type": "json_schema", "json_schema": schema})


def test_the_key_and_the_headers_are_in_the_head_and_not_in_the_body() -> None:
    deployment = Deployment(
        id="d",
        group="g",
        model="openai/m",
        api_key=SecretStr("sk-x"),
        api_base="http://host/v1/",
        params={"extra_headers": {"authorization": "Other"}, "organization": "o", "timeout": 3, "tags": ["t"]},
    )
    found = route(deployment)
    assert str(found.url) == "http://host/v1/chat/completions"
    assert found.headers["Authorization"] == "Other"
    assert found.headers["OpenAI-Organization"] == "o"
    assert body(found, Attempt(deployment, USER, {}, 5.0)).keys() == {"model", "messages", "stream", "stream_options"}


def test_parameters_that_were_worded_once_serve_only_those_who_ask_for_the_same() -> None:
    deployment = Deployment(id="d", group="g", model="openai/m", api_key=SecretStr("sk-x"), api_base="http://host/v1/")
    found = route(deployment)
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]

    def asked(**params: Any) -> dict[str, Any]:
        return body(found, Attempt(deployment, USER, params, 5.0))

    first = asked(temperature=0.5, tools=tools)
    assert asked(temperature=0.7)["temperature"] == 0.7
    assert "tools" not in asked(temperature=0.7)
    first["tools"].clear()
    assert asked(temperature=0.5, tools=tools)["tools"] == tools, "one request's body must not change another's"
    assert asked(temperature=0.5, tools=tools)["messages"] == USER


def test_a_route_does_not_keep_every_set_of_parameters_that_it_ever_saw() -> None:
    deployment = Deployment(id="d", group="g", model="openai/m", api_key=SecretStr("sk-x"), api_base="http://host/v1/")
    found = route(deployment)
    for seed in range(2 * MAX_WORDED):
        assert body(found, Attempt(deployment, USER, {"seed": seed}, 5.0))["seed"] == seed
    assert len(found.worded) <= MAX_WORDED
