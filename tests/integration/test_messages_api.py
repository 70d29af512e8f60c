"""`/v1/messages` on the wire: what the provider is sent, the order of the events, hang-ups, newer requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from router.fake.sample_text import ANSWER
from router.fake.server.fake_provider import FakeProvider
from tests.support.serving import Served, direct, fake, serving

PIXEL = {"type": "base64", "media_type": "image/png", "data": "QUJD"}


@pytest.fixture
async def server(tmp_path: Path, provider: FakeProvider) -> AsyncIterator[Served]:
    behaviours = {
        "ok": "fake-ok",
        "broken": "fake-503",
        "cut": "fake-cut",
        "lost": "fake-cut",
        "silent": "fake-silent",
        "slow": "fake-ok?first=300ms",
        "limited": "fake-429-retry-after-7",
    }
    models = [
        direct(name, provider.base_url, model, first_token_timeout=20, stall_timeout=20)
        for name, model in behaviours.items()
    ]
    models.append({**direct("thinker", provider.base_url, "fake-ok"), "model_info": {"supports_reasoning": True}})
    aliases = {"claude-sonnet-4-5": "ok"}
    router = {"num_retries": 0, "model_group_alias": aliases, "fallbacks": [{"broken": ["ok"]}, {"cut": ["ok"]}]}
    async with serving(tmp_path, fake(), *models, router=router, keep_alive_interval=0.05) as served:
        yield served


@pytest.fixture
async def http(server: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=10) as client:
        yield client


def body(model: str, content: Any = "Hi", **more: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 1000, "messages": [{"role": "user", "content": content}], **more}


def events(text: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [orjson.loads(line) for line in lines]


async def becomes_true(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(1):
        while not condition():
            await asyncio.sleep(0.001)


async def test_the_provider_gets_the_request_in_its_own_form(http: httpx.AsyncClient, provider: FakeProvider) -> None:
    asked = body(
        "ok",
        [{"type": "text", "text": "What is this?"}, {"type": "image", "source": PIXEL}],
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        stop_sequences=["END"],
        top_k=5,
        thinking={"type": "enabled", "budget_tokens": 1024},
        metadata={"user_id": "ada"},
        tools=[{"name": "add", "input_schema": {"type": "object", "properties": {}}}],
        tool_choice={"type": "auto", "disable_parallel_tool_use": True},
    )
    headers = {"anthropic-version": "2023-06-01", "anthropic-beta": "context-management-2025-06-27"}
    answered = await http.post("/v1/messages?beta=true", json=asked, headers=headers)
    assert answered.json()["content"] == [{"type": "text", "text": ANSWER}]
    sent = provider.log[-1].body
    assert sent["messages"][-1]["content"][1]["image_url"] == {"url": "data:image/png;base64,QUJD"}
    assert "Be brief." in orjson.dumps(sent["messages"][:-1]).decode()
    assert (sent["stop"], sent["max_tokens"], sent["user"], sent["parallel_tool_calls"]) == (
        ["END"],
        1000,
        "ada",
        False,
    )
    assert not {"top_k", "reasoning_effort", "if_supported"} & sent.keys()  # the model is not known to have them
    assert "add" in [tool["function"]["name"] for tool in sent["tools"]]


async def test_a_model_that_thinks_is_sent_the_effort(http: httpx.AsyncClient, provider: FakeProvider) -> None:
    await http.post("/v1/messages", json=body("thinker", thinking={"type": "enabled", "budget_tokens": 2048}))
    assert provider.log[-1].body["reasoning_effort"] == "medium"


async def test_the_order_of_the_events(http: httpx.AsyncClient) -> None:
    answered = await http.post("/v1/messages", json=body("ok", stream=True))
    assert answered.headers["content-type"].startswith("text/event-stream")
    assert answered.headers["request-id"] == answered.headers["x-request-id"]
    kinds = [each["type"] for each in events(answered.text) if each["type"] != "ping"]
    deltas = kinds.count("content_block_delta")
    assert deltas > 0
    assert kinds == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * deltas,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert answered.text.startswith("event: message_start\ndata: {")


async def test_pings_keep_the_connection_alive(http: httpx.AsyncClient) -> None:
    kinds = [each["type"] for each in events((await http.post("/v1/messages", json=body("slow", stream=True))).text)]
    assert kinds[:2] == ["message_start", "ping"]
    assert kinds.count("message_start") == 1
    assert kinds[-1] == "message_stop"


@pytest.mark.parametrize("path", ["/v1/messages", "/messages"])
async def test_an_alias_and_a_fallback_serve(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.post(path, json=body("claude-sonnet-4-5"))).json()["model"] == "claude-sonnet-4-5"
    answered = await http.post(path, json=body("broken"))
    assert (answered.json()["model"], answered.headers["x-switchboard-attempts"]) == ("ok", "2")


async def test_a_cut_answer_goes_on(http: httpx.AsyncClient) -> None:
    assert (await http.post("/v1/messages", json=body("cut"))).json()["content"] == [{"type": "text", "text": ANSWER}]


async def test_a_hang_up_closes_the_providers_connection(http: httpx.AsyncClient, provider: FakeProvider) -> None:
    async with http.stream("POST", "/v1/messages", json=body("silent", stream=True)) as response:
        async with aclosing(response.aiter_lines()) as lines:
            async for line in lines:
                if line == "event: ping":
                    break
            await becomes_true(lambda: len(provider.log) == 1)
            assert provider.log[-1].ended is None
    await becomes_true(lambda: provider.log[-1].ended_by == "caller" and provider.open_connections == 0)


async def test_a_newer_request_of_the_session_replaces_the_older(
    http: httpx.AsyncClient, provider: FakeProvider
) -> None:
    key = {"x-session-id": "call-1"}
    older = asyncio.create_task(http.post("/v1/messages", json=body("silent", stream=True), headers=key))
    await becomes_true(lambda: len(provider.log) == 1)
    newer = await http.post("/v1/messages", json=body("ok", "Wait"), headers=key)
    assert newer.json()["content"][0]["text"] == ANSWER
    assert events((await older).text)[-2]["delta"]["stop_reason"] == "end_turn"


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/v1/messages", 405, "invalid_request_error"),
        ("POST", "/v1/messages/batches", 404, "not_found_error"),
        ("POST", "/v1/messages", 400, "invalid_request_error"),
    ],
)
async def test_errors_have_anthropics_form(
    http: httpx.AsyncClient, method: str, path: str, status: int, kind: str
) -> None:
    answered = await http.request(method, path, content="{" if method == "POST" else None)
    assert (answered.status_code, answered.json()["type"], answered.json()["error"]["type"]) == (status, "error", kind)
    assert answered.json()["request_id"] == answered.headers["request-id"]


async def test_an_error_after_the_start_of_the_stream_has_the_id_of_the_request(http: httpx.AsyncClient) -> None:
    answered = await http.post("/v1/messages", json=body("lost", stream=True), headers={"x-request-id": "mine"})
    assert (events(answered.text)[-1]["type"], events(answered.text)[-1]["request_id"]) == ("error", "mine")


async def test_a_rate_limit_says_when_to_come_back(http: httpx.AsyncClient) -> None:
    answered = await http.post("/v1/messages", json=body("limited"))
    assert (answered.status_code, answered.json()["error"]["type"]) == (429, "rate_limit_error")
    assert 0 < int(answered.headers["retry-after"]) <= 7


async def test_other_clients_keep_their_form(http: httpx.AsyncClient) -> None:
    assert (await http.get("/v1/models")).json()["object"] == "list"
    assert (await http.get("/v1/models/nobody")).json()["error"]["code"] == "model_not_found"
    theirs = await http.get("/v1/models/nobody", headers={"anthropic-version": "2023-06-01"})
    assert theirs.json()["error"]["type"] == "not_found_error"
    assert "request-id" not in (await http.post("/v1/chat/completions", json={})).headers
