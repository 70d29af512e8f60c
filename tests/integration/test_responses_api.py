"""The Responses API as its clients use it: the real server on a real port, the provider faked over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from openai import AsyncOpenAI, NotFoundError
from pydantic import BaseModel

from router.fake.sample_text import ANSWER
from router.fake.server.fake_provider import FakeProvider
from tests.support.response_types import valid_events, valid_response
from tests.support.serving import TOKEN, Served, direct, fake, serving, through_litellm

KEY = {"x-session-id": "call-1"}
LOOKUP: Any = {
    "type": "function",
    "name": "lookup",
    "description": "Look up a customer.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
        "additionalProperties": False,
    },
}


class City(BaseModel):
    name: str
    people: int


@pytest.fixture
async def server(tmp_path: Path, provider: FakeProvider) -> AsyncIterator[Served]:
    models = [
        fake(),
        direct("direct", provider.base_url, "fake-ok"),
        through_litellm("litellm", provider.base_url, "fake-ok"),
        direct("broken", provider.base_url, "fake-503"),
        direct("stand-in", provider.base_url, "fake-503"),
        direct("cut", provider.base_url, "fake-cut"),
        direct("silent", provider.base_url, "fake-silent"),
        direct("paced", provider.base_url, "fake-ok?gap=20ms&tokens=64"),
    ]
    router = {"num_retries": 0, "first_token_timeout": 20, "fallbacks": [{"stand-in": ["direct"]}]}
    agent = {"tools": ["transferCall", "multiply"]}
    async with serving(tmp_path, *models, router=router, agent=agent, keep_alive_interval=5) as served:
        yield served


@pytest.fixture
async def openai(server: Served) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key=TOKEN, max_retries=0) as client:
        yield client


@pytest.fixture
async def http(server: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=10) as client:
        yield client


def events_in(response: httpx.Response) -> list[dict[str, Any]]:
    """The events of the stream, each checked."""
    frames = [each.split("\n") for each in response.text.split("\n\n")[:-1] if not each.startswith(":")]
    events: list[dict[str, Any]] = [orjson.loads(data.removeprefix("data: ")) for _, data in frames]
    assert [name for name, _ in frames] == [f"event: {each['type']}" for each in events]
    valid_events(events)
    return events


async def requests_at(provider: FakeProvider, count: int) -> None:
    while len(provider.log) < count:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("model", ["direct", "litellm"])
async def test_every_event_and_object_is_what_openais_schema_says(http: httpx.AsyncClient, model: str) -> None:
    asked = {"model": model, "input": "Hi", "instructions": "Be brief."}
    streamed = await http.post("/v1/responses", json={**asked, "stream": True})
    events = events_in(streamed)
    assert streamed.headers["x-switchboard-model"] == model
    assert valid_response(events[-1]["response"]).output_text == ANSWER
    whole = await http.post("/responses", json=asked)
    assert valid_response(whole.json()).output_text == ANSWER
    assert whole.json()["usage"]["output_tokens"] > 0
    assert float(whole.headers["x-switchboard-overhead-ms"]) > 0


async def test_the_provider_is_sent_what_was_asked(http: httpx.AsyncClient, provider: FakeProvider) -> None:
    shape = {"type": "json_schema", "name": "city", "schema": City.model_json_schema(), "strict": False}
    parts = [{"type": "input_text", "text": "Hi"}, {"type": "input_image", "image_url": "data:image/png;base64,AA=="}]
    asked = {
        "model": "direct",
        "instructions": "Be brief.",
        "input": [{"role": "user", "content": parts}],
        "tools": [LOOKUP],
        "tool_choice": "none",
        "text": {"format": shape},
        "max_output_tokens": 500,
        "temperature": 0.5,
    }
    assert (await http.post("/v1/responses", json=asked)).status_code == 200
    sent = provider.log[-1].body
    assert sent["messages"][-2] == {"role": "system", "content": "Be brief."}
    assert [part["type"] for part in sent["messages"][-1]["content"]] == ["text", "image_url"]
    assert sent["response_format"]["json_schema"]["name"] == "city"
    assert (sent["max_tokens"], sent["temperature"], sent["tool_choice"]) == (500, 0.5, "none")
    assert sent["tools"][-1]["function"]["strict"] is True


async def test_openais_stream_helper_and_its_parser_accept_the_answer(openai: AsyncOpenAI) -> None:
    async with openai.responses.stream(
        model="fake", input='/say One moment.\n/call lookup {"name": "Ada"}', tools=[LOOKUP]
    ) as stream:
        kinds = [event.type async for event in stream]
        whole = await stream.get_final_response()
    assert "response.function_call_arguments.done" in kinds
    assert whole.output_text == "One moment."
    assert [item.type for item in whole.output] == ["message", "function_call"]
    parsed = await openai.responses.parse(model="fake", input="A city", text_format=City)
    assert isinstance(parsed.output_parsed, City)


async def test_the_callers_tool_is_handed_back_and_its_result_is_taken(openai: AsyncOpenAI) -> None:
    history: list[Any] = [{"role": "user", "content": '/call lookup {"name": "Ada"}'}]
    first = await openai.responses.create(model="fake", input=history, tools=[LOOKUP])
    [call] = first.output
    assert call.type == "function_call"
    assert orjson.loads(call.arguments) == {"name": "Ada"}
    history += [call.to_dict(), {"type": "function_call_output", "call_id": call.call_id, "output": "Ada Lovelace"}]
    second = await openai.responses.create(model="fake", input=history, tools=[LOOKUP])
    assert "Ada Lovelace" in second.output_text


async def test_the_agents_tools_run_here_and_a_transfer_is_handed_over(http: httpx.AsyncClient) -> None:
    asked = {"model": "fake", "input": '/call multiply {"a": 6, "b": 7}', "stream": True}
    assert "42" in valid_response(events_in(await http.post("/v1/responses", json=asked))[-1]["response"]).output_text
    asked = {"model": "fake", "input": "I want to talk to a human.", "stream": True}
    message, call = events_in(await http.post("/v1/responses", json=asked))[-1]["response"]["output"]
    assert message["content"][0]["text"] == "Connecting you now. "
    assert (call["name"], call["arguments"]) == ("transferCall", '{"destination":"+1234567890"}')


async def test_a_fallback_names_itself(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/responses", json={"model": "stand-in", "input": "Hi"})
    assert (response.json()["model"], response.headers["x-switchboard-attempts"]) == ("direct", "2")


async def test_an_error_before_the_first_byte_is_a_status_and_after_it_an_event(http: httpx.AsyncClient) -> None:
    before = await http.post("/v1/responses", json={"model": "broken", "input": "Hi", "stream": True})
    assert (before.status_code, before.json()["error"]["code"]) == (503, "all_deployments_failed")
    events = events_in(await http.post("/v1/responses", json={"model": "cut", "input": "Hi", "stream": True}))
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["error"]["code"] == "server_error"
    assert events[-1]["response"]["output"][0]["status"] == "incomplete"


async def test_what_cannot_be_honoured_is_named(http: httpx.AsyncClient, openai: AsyncOpenAI) -> None:
    hosted = await http.post("/v1/responses", json={"model": "fake", "input": "Hi", "tools": [{"type": "web_search"}]})
    assert (hosted.status_code, hosted.json()["error"]["param"]) == (400, "tools[0].type")
    assert "web_search" in hosted.json()["error"]["message"]
    with pytest.raises(NotFoundError) as caught:
        await openai.responses.create(model="gpt-9", input="Hi")
    assert caught.value.code == "model_not_found"
    assert (await http.post("/v1/responses", json={"input": "Hi"}, headers={"authorization": ""})).status_code == 401


@pytest.mark.parametrize("stream", [True, False])
async def test_a_hang_up_closes_the_providers_connection(
    http: httpx.AsyncClient, provider: FakeProvider, stream: bool
) -> None:
    async def listen() -> None:
        async with http.stream(
            "POST", "/v1/responses", json={"model": "paced", "input": "Hi", "stream": stream}
        ) as sent:
            async with aclosing(sent.aiter_lines()) as lines:
                async for line in lines:
                    if "output_text.delta" in line:
                        break

    listening = asyncio.create_task(listen())
    await requests_at(provider, 1)
    if stream:
        await listening
    listening.cancel()
    async with asyncio.timeout(1):
        while provider.open_connections:
            await asyncio.sleep(0.001)
    assert provider.log[-1].ended_by == "caller"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_newer_request_of_the_session_supersedes_the_older(
    http: httpx.AsyncClient, provider: FakeProvider, stream: bool
) -> None:
    asked = {"model": "silent", "input": "Hi", "stream": stream}
    older = asyncio.create_task(http.post("/v1/responses", json=asked, headers=KEY))
    await requests_at(provider, 1)
    newer = await http.post("/v1/responses", json={"model": "paced", "input": "Wait"}, headers=KEY)
    assert newer.json()["status"] == "completed"
    assert (await older).headers["x-switchboard-superseded"] == "true"
    whole = events_in(await older)[-1]["response"] if stream else (await older).json()
    assert (whole["status"], valid_response(whole).output_text) == ("completed", "")
    assert len(provider.log) == 2
