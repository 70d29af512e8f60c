"""The OpenAPI document of the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from openai.types.responses import ResponseStatus
from pydantic import SecretStr

from api.app import create_app
from config.settings import Settings


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Settings(api_tokens=(SecretStr("t"),), _env_file=None)).openapi()


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_all_references_resolve(document: dict[str, Any]) -> None:
    found = list(references(document))
    assert found
    for reference in found:
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in place, reference
            place = place[part]


def test_nested_bodies_are_described(document: dict[str, Any]) -> None:
    def body(path: str) -> dict[str, Any]:
        schema = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        found: dict[str, Any] = schema["properties"]
        return found

    stream_options = body("/v1/chat/completions")["stream_options"]["anyOf"][0]
    assert "include_usage" in stream_options["properties"]
    decision = body("/agent/resume")["decisions"]["anyOf"][0]["items"]
    assert "args" in decision["properties"]["edited_action"]["anyOf"][0]["properties"]


@pytest.mark.parametrize("path", ["/agent/invoke/stream", "/agent/resume/stream"])
def test_streams_are_event_streams(document: dict[str, Any], path: str) -> None:
    assert list(document["paths"][path]["post"]["responses"]["200"]["content"]) == ["text/event-stream"]


def test_a_response_has_the_statuses_of_openais_types(document: dict[str, Any]) -> None:
    status = document["components"]["schemas"]["Response"]["properties"]["status"]
    assert set(status["enum"]) == set(get_args(ResponseStatus))


@pytest.mark.parametrize("call", [("/v1/responses", "post"), ("/v1/responses/{response_id}", "get")])
def test_a_response_is_json_or_an_event_stream(document: dict[str, Any], call: tuple[str, str]) -> None:
    path, method = call
    content = document["paths"][path][method]["responses"]["200"]["content"]
    assert set(content) == {"application/json", "text/event-stream"}


def test_a_completion_is_json_or_an_event_stream(document: dict[str, Any]) -> None:
    content = document["paths"]["/v1/chat/completions"]["post"]["responses"]["200"]["content"]
    assert set(content) == {"application/json", "text/event-stream"}


def test_ids_are_described(document: dict[str, Any]) -> None:
    (user_id,) = document["paths"]["/agent/sessionids/{user_id}"]["get"]["parameters"][:1]
    invoke = document["paths"]["/agent/invoke"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    for schema in (user_id["schema"], invoke["properties"]["user_id"]):
        assert (schema["minLength"], schema["maxLength"]) == (1, 256)


def test_a_token_may_be_sent_in_three_ways(document: dict[str, Any]) -> None:
    schemes = {name: each.get("scheme") for name, each in document["components"]["securitySchemes"].items()}
    assert schemes == {"HTTPBearer": "bearer", "APIKeyHeader": None, "HTTPBasic": "basic"}
    ways = [{"HTTPBearer": []}, {"APIKeyHeader": []}, {"HTTPBasic": []}]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation.get("security", []) == ([] if path.startswith("/health") else ways), path
