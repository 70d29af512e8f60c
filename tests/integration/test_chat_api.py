"""`/chat` and `/chat/stream`: the real server on a real port, the provider faked over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio

from router.fake.sample_text import ANSWER
from router.fake.server.fake_provider import FakeProvider
from router.providers.litellm_import import litellm
from tests.support.serving import Served, direct, fake, serving, through_litellm

pytestmark = pytest.mark.asyncio(loop_scope="module")

PRICES = {"input_cost_per_token": 0.5, "output_cost_per_token": 2}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory, provider: FakeProvider) -> AsyncIterator[Served]:
    models = [
        fake(**PRICES),
        fake("free"),
        direct("listed", provider.base_url, "fake-ok") | {"model_info": {"base_model": "openai/gpt-4o-mini"}},
        through_litellm("litellm", provider.base_url, "fake-ok", **PRICES),
        direct("down", provider.base_url, "fake-503"),
        direct("cut", provider.base_url, "fake-cut", order=1),
        direct("cut", provider.base_url, "fake-ok", order=2),
        direct("alone", provider.base_url, "fake-cut", on_cut="error"),
        direct("silent", provider.base_url, "fake-silent", first_token_timeout=20),
        direct("paced", provider.base_url, "fake-ok?gap=50ms&tokens=600"),
    ]
    agent = {"tools": ["transferCall", "multiply"], "chat": {"start_message": "请稍等"}}
    folder: Path = tmp_path_factory.mktemp("chat")
    async with serving(folder, *models, agent=agent, router={"num_retries": 0}, keep_alive_interval=0.05) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="module")
async def http(server: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=10) as client:
        yield client


async def streamed(http: httpx.AsyncClient, message: str = "Hi", **fields: Any) -> list[dict[str, Any]]:
    response = await http.post("/chat/stream", json={"message": message, **fields})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    lines = [line for line in response.text.split("\n\n") if line and line != ": keep-alive"]
    return [orjson.loads(line.removeprefix("data: ")) for line in lines]


async def becomes_true(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(2):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("model", ["listed", "litellm"])
async def test_a_stream_has_start_content_and_complete(http: httpx.AsyncClient, model: str) -> None:
    start, *content, complete = await streamed(http, model=model)
    assert start == {"type": "start", "message": "请稍等"}
    assert {each["type"] for each in content} == {"content"}
    assert "".join(each["chunk"] for each in content) == ANSWER == complete["full_content"]
    usage = complete["usage"]
    assert usage.keys() == {"input_tokens", "output_tokens", "total_tokens", "total_cost"}
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 30
    counted = {"prompt_tokens": usage["input_tokens"], "completion_tokens": usage["output_tokens"]}
    if model == "listed":
        expected = sum(litellm.cost_per_token(model="openai/gpt-4o-mini", **counted))
    else:
        expected = usage["input_tokens"] * 0.5 + usage["output_tokens"] * 2
    assert usage["total_cost"] == pytest.approx(expected)


async def test_an_answer_without_streaming(http: httpx.AsyncClient) -> None:
    response = await http.post("/chat", json={"message": "Hi", "model": "fake"})
    usage = {"input_tokens": 3, "output_tokens": 3, "total_tokens": 6, "total_cost": 7.5}
    assert response.json() == {"response": "You said: Hi", "usage": usage}
    assert response.headers["cache-control"] == "no-store"


async def test_a_model_without_a_price_has_no_cost(http: httpx.AsyncClient) -> None:
    answer = (await http.post("/chat", json={"message": "Hi", "model": "free"})).json()
    assert answer["usage"]["total_cost"] is None
    assert (await streamed(http, model="free"))[-1]["usage"]["total_cost"] is None


async def test_a_system_prompt_replaces_the_agents(http: httpx.AsyncClient, provider: FakeProvider) -> None:
    for fields in ({}, {"system_prompt": "Be brief."}, {"system_prompt": " "}, {"system_prompt": None}):
        await http.post("/chat", json={"message": "Hi", "model": "listed", **fields})
    prompts = [[each["content"] for each in record.body["messages"]] for record in list(provider.log)[-4:]]
    assert prompts == [["Be kind.", "Hi"], ["Be brief.", "Hi"], ["Be kind.", "Hi"], ["Be kind.", "Hi"]]


async def test_tools_and_transfers(http: httpx.AsyncClient) -> None:
    script = '/call multiply {"a": 6, "b": 7}\n/then\n/say Done.'
    assert [each["type"] for each in await streamed(http, script)] == [
        *("start", "tool_start", "tool_end", "content", "complete")
    ]
    transfer = {"name": "transferCall", "arguments": {"destination": "+1234567890"}}
    *_, hand_off, complete = await streamed(http, "A human, please.")
    assert hand_off == {"type": "hand_off", **transfer}
    assert complete["full_content"] == "Connecting you now. "
    answer = (await http.post("/chat", json={"message": "A human, please."})).json()
    assert answer["hand_offs"] == [transfer]


@pytest.mark.parametrize("path", ["/chat", "/chat/stream"])
@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 422, "message"),
        ({"message": " "}, 422, "message"),
        ({"message": 1}, 422, "message"),
        ({"message": "Hi", "modle": "fake"}, 422, "modle"),
        ({"message": "Hi", "model": "none"}, 404, "model"),
    ],
)
async def test_a_wrong_request_is_an_http_error(
    http: httpx.AsyncClient, path: str, body: dict[str, Any], status: int, param: str
) -> None:
    response = await http.post(path, json=body)
    assert response.status_code == status
    assert response.json()["error"]["param"] == param


@pytest.mark.parametrize("path", ["/chat", "/chat/stream"])
async def test_a_token_is_needed(server: Served, path: str) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        assert (await http.post(path, json={"message": "Hi"})).status_code == 401


async def test_a_provider_that_is_down_is_an_error_event_or_a_503(http: httpx.AsyncClient) -> None:
    start, error = await streamed(http, model="down")
    assert start["type"] == "start"
    assert error == {
        "type": "error",
        "error": "No provider could answer this request. Please try again.",
        "code": "all_deployments_failed",
    }
    assert (await http.post("/chat", json={"message": "Hi", "model": "down"})).status_code == 503


async def test_an_answer_that_is_cut_is_continued(http: httpx.AsyncClient) -> None:
    events = await streamed(http, model="cut")
    assert events[-1]["type"] == "complete"
    assert "".join(each["chunk"] for each in events[1:-1]) == ANSWER == events[-1]["full_content"]


async def test_an_answer_that_cannot_be_continued_ends_with_an_error(http: httpx.AsyncClient) -> None:
    events = await streamed(http, model="alone")
    assert [each["type"] for each in events[-2:]] == ["content", "error"]
    assert events[-1]["code"] == "answer_interrupted"


async def test_the_start_comes_before_the_provider_answers_and_a_hang_up_reaches_it(
    http: httpx.AsyncClient, provider: FakeProvider
) -> None:
    for model, last in (("silent", '"start"'), ("paced", '"content"')):
        count = len(provider.log)
        async with http.stream("POST", "/chat/stream", json={"message": "Hi", "model": model}) as response:
            async with aclosing(response.aiter_lines()) as lines:
                async for line in lines:
                    if last in line:
                        break
                await becomes_true(lambda count=count: len(provider.log) == count + 1)  # type: ignore[misc]
                assert provider.log[-1].ended is None
        await becomes_true(lambda: provider.log[-1].ended_by == "caller")


async def test_a_hang_up_without_streaming_reaches_the_provider(
    http: httpx.AsyncClient, provider: FakeProvider
) -> None:
    count = len(provider.log)
    asked = asyncio.create_task(http.post("/chat", json={"message": "Hi", "model": "silent"}))
    await becomes_true(lambda: len(provider.log) == count + 1)
    asked.cancel()
    await becomes_true(lambda: provider.log[-1].ended_by == "caller")
