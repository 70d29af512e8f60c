"""`/docs` and openapi.json: whole without the internet, and true."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator, ValidationError

from api.docs.calls import CALLS
from router.fake.server.fake_provider import FakeProvider
from router.stream.sse_events import EventParser
from tests.support.serving import Served, direct, fake, serving

VECTORS = {**fake("vectors", "fake/embedding"), "model_info": {"mode": "embedding"}}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    async with (
        FakeProvider() as provider,
        serving(
            tmp_path,
            *(fake(), direct("broken", provider.base_url, "fake-503"), VECTORS),
            router={"num_retries": 0},
            agent={"tools": ["transferCall"], "memory": {"long_term": True}},
        ) as served,
    ):
        yield served


@pytest.fixture
async def http(server: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=10) as client:
        yield client


@pytest.fixture
async def described(http: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await http.get("/openapi.json")).json()
    return found


def operations(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def check(described: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    """Fail unless `value` is valid for `schema` in this document."""
    Draft202012Validator({**schema, "components": described["components"]}).validate(value)


def check_events(described: dict[str, Any], schema: dict[str, Any], stream: bytes) -> None:
    """Fail unless the data of each event is as `schema` says; it may name several events."""
    for payload in EventParser().feed(stream):
        problems = []
        for each in schema.get("anyOf", [schema]):
            data = each["properties"]["data"]
            try:
                check(
                    described,
                    data.get("contentSchema", data),
                    json.loads(payload) if "contentSchema" in data else payload.decode(),
                )
                break
            except (ValueError, ValidationError) as problem:
                problems.append(problem)
        else:
            raise ExceptionGroup(payload.decode(), problems)


async def test_the_page_and_all_that_it_loads_come_from_this_server(http: httpx.AsyncClient) -> None:
    page = await http.get("/docs", headers={"Authorization": ""})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert [each for each in loaded if "//" in each] == []
    for each in loaded:
        if not each.startswith("data:"):
            assert (await http.get(f"/{each}")).status_code == 200
    style = (await http.get("/docs/swagger-ui.css")).text
    assert not re.findall(r"url\((?![\"']?data:)|@import", style)
    start = (await http.get("/docs/start.js")).text
    assert 'url: "openapi.json"' in start


async def test_only_the_listed_files_are_served(http: httpx.AsyncClient) -> None:
    for name in ("README.md", "..%2Froutes.py", "%2e%2e/routes.py", "nothing"):
        assert (await http.get(f"/docs/{name}")).status_code == 404
    assert "Apache License" in (await http.get("/docs/LICENSE")).text


async def test_every_call_has_an_answer_and_its_errors_in_our_shape(described: dict[str, Any]) -> None:
    assert "HTTPValidationError" not in str(described)
    assert {(method, path) for method, path, _ in operations(described)} == set(CALLS)
    for method, path, operation in operations(described):
        responses = operation["responses"]
        if not path.startswith("/health"):
            assert "401" in responses, (method, path)
        for status, response in responses.items():
            for kind, content in response["content"].items():
                if kind == "application/json":
                    check(described, content["schema"], content["example"])
                elif kind == "text/event-stream":
                    check_events(described, content["itemSchema"], content["example"].encode())
                else:
                    assert content["schema"], (path, status)
            if int(status) >= 400 and not path.startswith("/health"):
                error = "AnthropicError" if path.startswith("/v1/messages") else "Error"
                assert response["content"]["application/json"]["schema"] == {"$ref": f"#/components/schemas/{error}"}
            assert response["content"], (method, path, status)
    assert {"400", "401", "404", "503"} <= described["paths"]["/v1/chat/completions"]["post"]["responses"].keys()
    assert {"409", "422"} <= described["paths"]["/agent/invoke"]["post"]["responses"].keys()


async def test_every_example_request_is_valid_and_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    for reference in re.findall(r"'\$ref': '([^']+)'", str(described)):
        assert reference.removeprefix("#/components/schemas/") in described["components"]["schemas"]
    for method, path, operation in operations(described):
        if body := operation.get("requestBody"):
            (content,) = body["content"].values()
            assert content["example"], (method, path)
            check(described, content["schema"], content["example"])


async def test_real_answers_are_as_described(http: httpx.AsyncClient, described: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"user_id": "ada", "session_id": "s1"}
    hi = {"messages": [{"role": "user", "content": "Hi"}]}
    for method, path, body, status in [
        ("post", "/v1/chat/completions", {**hi, "model": "fake"}, 200),
        ("post", "/v1/chat/completions", {"messages": [{"role": "user", "content": "A human, please."}]}, 200),
        ("post", "/v1/chat/completions", {**hi, "model": "broken"}, 503),
        ("post", "/v1/chat/completions", {**hi, "model": "none"}, 404),
        ("post", "/v1/chat/completions", {}, 400),
        ("post", "/v1/responses", {"model": "fake", "input": "Hi"}, 200),
        ("post", "/v1/responses", {"model": "fake", "input": []}, 400),
        ("post", "/v1/responses/{response_id}/cancel", None, 404),
        ("post", "/v1/embeddings", {"model": "vectors", "input": "a"}, 200),
        ("get", "/v1/models", None, 200),
        ("get", "/v1/models/{name}", None, 200),
        ("post", "/agent/invoke", {**asked, "query": "Hi"}, 200),
        ("post", "/agent/invoke", {"query": "Hi"}, 422),
        ("post", "/agent/resume", {**asked, "response_type": "accept"}, 409),
        ("get", "/agent/status/{user_id}/{session_id}", None, 200),
        ("get", "/agent/history/{user_id}/{session_id}", None, 200),
        ("get", "/agent/sessionids/{user_id}", None, 200),
        ("get", "/agent/active/sessionid/{user_id}", None, 200),
        ("patch", "/agent/session/{user_id}/{session_id}", {"ttl": 60}, 200),
        ("post", "/agent/write/longterm", {"user_id": "ada", "memory_info": "A fact."}, 200),
        ("get", "/agent/longterm/{user_id}", None, 200),
        ("delete", "/agent/session/{user_id}/{session_id}", None, 200),
        ("post", "/agent/cancel/{user_id}/{session_id}", {}, 404),
        ("get", "/stats", None, 200),
        ("get", "/stats/timeseries", None, 200),
        ("post", "/reset-stats", None, 200),
        ("get", "/health", None, 200),
        ("get", "/health/live", None, 200),
        ("get", "/health/ready", None, 200),
    ]:
        url = path.format(user_id="ada", session_id="s1", name="fake", response_id="resp_1")
        response = await http.request(method, url, **({} if body is None else {"json": body}))
        assert response.status_code == status, (path, response.text)
        documented = described["paths"][path][method]["responses"][str(status)]
        check(described, documented["content"]["application/json"]["schema"], response.json())


async def test_real_streams_are_as_described(http: httpx.AsyncClient, described: dict[str, Any]) -> None:
    hi = {"messages": [{"role": "user", "content": "Hi"}], "stream": True, "stream_options": {"include_usage": True}}
    transfer = {"messages": [{"role": "user", "content": "A human, please."}], "stream": True}
    asked = {"user_id": "ada", "session_id": "s1", "query": "Hi"}
    for path, body in [
        ("/v1/chat/completions", {**hi, "model": "fake"}),
        ("/v1/chat/completions", {**transfer, "model": "fake"}),
        ("/chat/stream", {"message": "Hi"}),
        ("/chat/stream", {"message": "Hi", "model": "broken"}),
        ("/chat/stream", {"message": "A human, please."}),
        ("/agent/invoke/stream", asked),
        ("/agent/invoke/stream", {**asked, "model": "broken"}),
    ]:
        response = await http.post(path, json=body)
        assert response.headers["content-type"].startswith("text/event-stream"), response.text
        documented = described["paths"][path]["post"]["responses"]["200"]["content"]["text/event-stream"]
        check_events(described, documented["itemSchema"], response.content)


async def test_a_path_that_is_written_out_allows_only_its_own_methods(http: httpx.AsyncClient) -> None:
    for path, method, allowed in [("/agents/get-agents", "PUT", "GET"), ("/agents/some-id", "PUT", "DELETE, PATCH")]:
        response = await http.request(method, path)
        assert (response.status_code, response.headers["allow"]) == (405, allowed)
