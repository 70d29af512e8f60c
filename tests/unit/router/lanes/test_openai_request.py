from typing import Any

import pytest
from pydantic import SecretStr

from config.deployments import Deployment
from config.errors import RequestRejected
from router.lanes.base import Attempt
from router.lanes.openai_request import NotOnThisWire, body, route

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
