"""Responses that the server stores: chains, references, what was asked, and restarts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError
from openai.types.responses import ResponseItemList
from pydantic import SecretStr

from api.tasks import lifespan
from router.fake.server.fake_provider import FakeProvider
from tests.integration.test_responses_api import LOOKUP, events_in
from tests.integration.test_responses_background import events_in as sse_events
from tests.support.response_types import IN_BACKGROUND, valid_response
from tests.support.serving import TOKEN, Served, direct, fake, serving
from tests.support.session_rig import eventually


@pytest.fixture
async def server(tmp_path: Path, provider: FakeProvider) -> AsyncIterator[Served]:
    async with serving(tmp_path, fake(), direct("direct", provider.base_url, "fake-ok")) as served:
        yield served


@pytest.fixture
async def openai(server: Served) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key=TOKEN, max_retries=0) as client:
        yield client


@pytest.fixture
async def http(server: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=10) as client:
        yield client


def said_to(provider: FakeProvider) -> list[str]:
    return [each["content"] for each in provider.log[-1].body["messages"]]


async def test_a_chain_has_all_that_was_said_but_not_the_instructions(
    openai: AsyncOpenAI, provider: FakeProvider
) -> None:
    first = await openai.responses.create(model="direct", input="One", instructions="Be brief.")
    stream = await openai.responses.create(model="direct", input="Two", previous_response_id=first.id, stream=True)
    *_, last = [event async for event in stream]
    assert last.type == "response.completed"
    assert said_to(provider)[-3:] == ["One", first.output_text, "Two"]
    third = await openai.responses.create(model="direct", input="Three", previous_response_id=last.response.id)
    assert said_to(provider)[-5:] == ["One", first.output_text, "Two", last.response.output_text, "Three"]
    assert "Be brief." not in said_to(provider)
    assert third.previous_response_id == last.response.id


async def test_a_tools_output_answers_the_call_of_the_previous_response(openai: AsyncOpenAI) -> None:
    first = await openai.responses.create(model="fake", input='/call lookup {"name": "Ada"}', tools=[LOOKUP])
    [call] = first.output
    assert call.type == "function_call"
    output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "Ada Lovelace"}
    second = await openai.responses.create(model="fake", input=[output], previous_response_id=first.id, tools=[LOOKUP])
    assert "Ada Lovelace" in second.output_text


async def test_an_item_may_be_named_by_its_id(openai: AsyncOpenAI, provider: FakeProvider) -> None:
    first = await openai.responses.create(model="direct", input="One")
    items: Any = [
        {"role": "user", "content": "One"},
        {"type": "item_reference", "id": first.output[0].id},
        {"role": "user", "content": "Two"},
    ]
    await openai.responses.create(model="direct", input=items)
    assert said_to(provider)[-3:] == ["One", first.output_text, "Two"]
    items[1]["id"] = "msg_unknown"
    with pytest.raises(BadRequestError) as caught:
        await openai.responses.create(model="direct", input=items)
    assert caught.value.param == "input[1].id"


async def test_a_stored_response_is_read_and_deleted(openai: AsyncOpenAI, http: httpx.AsyncClient) -> None:
    made = await http.post("/v1/responses", json={"model": "fake", "input": "Hi", "metadata": {"room": "7"}})
    assert made.json()["store"] is True
    path = f"/v1/responses/{made.json()['id']}"
    assert (await http.get(path)).json() == made.json()
    assert (await http.get(path, params={"stream": "true"})).status_code == 400
    cancelled = await http.post(f"{path}/cancel")
    assert (cancelled.status_code, "synchronous" in cancelled.json()["error"]["message"]) == (400, True)
    await openai.responses.delete(made.json()["id"])
    for method, place in (("GET", path), ("DELETE", path), ("POST", f"{path}/cancel"), ("GET", f"{path}/input_items")):
        response = await http.request(method, place)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "response_not_found")
    assert (await http.get(path, headers={"authorization": ""})).status_code == 401


async def test_what_was_asked_is_listed_in_pages(openai: AsyncOpenAI, http: httpx.AsyncClient) -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA=="}
    first = await openai.responses.create(model="fake", input='/call lookup {"name": "Ada"}', tools=[LOOKUP])
    [call] = first.output
    assert call.type == "function_call"
    second = await openai.responses.create(
        model="fake",
        previous_response_id=first.id,
        input=[
            {"type": "function_call_output", "call_id": call.call_id, "output": "Ada Lovelace"},
            {"role": "user", "content": [{"type": "input_text", "text": "Look"}, image]},  # type: ignore[list-item]
        ],
    )
    whole = await http.get(f"/v1/responses/{second.id}/input_items", params={"order": "asc"})
    ResponseItemList.model_validate(whole.json())
    kinds = [item["type"] for item in whole.json()["data"]]
    assert kinds == ["message", "function_call", "function_call_output", "message"]
    assert whole.json()["data"][1]["id"] == call.id
    listed = [item.id async for item in openai.responses.input_items.list(second.id, limit=1)]
    assert listed == [item["id"] for item in whole.json()["data"]][::-1]


async def test_what_is_not_stored_cannot_be_gone_on_with(openai: AsyncOpenAI, http: httpx.AsyncClient) -> None:
    made = await openai.responses.create(model="fake", input="Hi", store=False)
    for name in (made.id, "resp_unknown"):
        with pytest.raises(NotFoundError) as caught:
            await openai.responses.create(model="fake", input="Hi", previous_response_id=name)
        assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")
        assert caught.value.type == "invalid_request_error"
    asked = {"model": "fake", "input": "Hi", "previous_response_id": "resp_unknown", "stream": True}
    assert (await http.post("/v1/responses", json=asked)).status_code == 404


async def test_a_chain_goes_on_after_a_restart(tmp_path: Path, database_url: SecretStr) -> None:
    async def answer(**asked: Any) -> dict[str, Any]:
        async with (
            serving(tmp_path, fake(), database_url=database_url) as served,
            httpx.AsyncClient(base_url=served.url, headers=served.headers, timeout=10) as http,
        ):
            response = await http.post("/v1/responses", json={"model": "fake", "stream": True, **asked})
            whole: dict[str, Any] = events_in(response)[-1]["response"]
            return whole

    first = await answer(input="/say Yes.\n/call lookup {}", tools=[LOOKUP])
    _, call = first["output"]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "Ada Lovelace"}
    second = await answer(input=[output], previous_response_id=first["id"])
    assert "Ada Lovelace" in valid_response(second).output_text


async def test_the_next_server_goes_on_with_what_a_stopped_one_left(
    tmp_path: Path, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifespan, "TIME_TO_FINISH", 0.0)

    silent = direct("silent", provider.base_url, "fake-silent", first_token_timeout=60)

    @asynccontextmanager
    async def served() -> AsyncIterator[httpx.AsyncClient]:
        async with serving(tmp_path, silent) as server, httpx.AsyncClient(base_url=server.url) as http:
            http.headers = httpx.Headers(server.headers)
            yield http

    async with served() as http:
        asked = {"model": "silent", "input": "Hi", "background": True}
        path = f"/v1/responses/{(await http.post('/v1/responses', json=asked)).json()['id']}"
        await eventually(lambda: len(provider.log) == 1)
    assert provider.log[0].ended_by == "caller"
    async with served() as http:
        await eventually(lambda: len(provider.log) == 2)
        assert (await http.post(f"{path}/cancel")).json()["status"] == "cancelled"
        events = sse_events(await http.get(f"{path}?stream=true"))
    assert [each["type"] for each in events] == [*IN_BACKGROUND, "response.in_progress", "response.incomplete"]
    assert [each["sequence_number"] for each in events] == [0, 1, 2, 3, 4]
