"""The OpenAI API as its clients use it: the real server on a real port, the provider faked over real sockets."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError

from router.fake.sample_text import ANSWER
from router.fake.server.fake_provider import FakeProvider
from tests.support.serving import TOKEN, Served, direct, fake, serving, through_litellm

LOOKUP = {
    "type": "function",
    "function": {
        "name": "lookup",
        "description": "Look up a customer.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
            "additionalProperties": False,
        },
    },
}


def basic(credentials: str | bytes) -> dict[str, str]:
    raw = credentials.encode() if isinstance(credentials, str) else credentials
    return {"Authorization": f"Basic {base64.b64encode(raw).decode()}"}


@pytest.fixture
async def server(tmp_path: Path, provider: FakeProvider) -> AsyncIterator[Served]:
    models = [
        fake(),
        direct("direct", provider.base_url, "fake-ok"),
        through_litellm("litellm", provider.base_url, "fake-ok"),
        direct("broken", provider.base_url, "fake-503"),
        direct("cut", provider.base_url, "fake-cut"),
    ]
    router = {"num_retries": 1, "model_group_alias": {"gpt-4o-mini": "direct"}, "fallbacks": [{"broken": ["direct"]}]}
    async with serving(tmp_path, *models, router=router, keep_alive_interval=0.05) as served:
        yield served


@pytest.fixture
async def openai(server: Served) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key=TOKEN, max_retries=0) as client:
        yield client


@pytest.fixture
async def http(server: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=10) as client:
        yield client


def ask(text: str, **body: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **body}


def chunks_in(response: httpx.Response) -> list[dict[str, Any]]:
    lines = [line for line in response.text.split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    assert all(line == ": keep-alive" or line.startswith("data: ") for line in lines)
    return [orjson.loads(line[6:]) for line in lines[:-1] if line.startswith("data: ")]


@pytest.mark.parametrize("model", ["direct", "litellm", "gpt-4o-mini"])
async def test_openais_client_streams_through_each_lane(openai: AsyncOpenAI, model: str) -> None:
    usage = {"include_usage": True}
    stream = await openai.chat.completions.create(**ask("Hi", model=model), stream=True, stream_options=usage)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == ANSWER
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert {chunk.model for chunk in chunks} == {model}
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens > 0


@pytest.mark.parametrize("model", ["direct", "litellm"])
async def test_the_user_and_keys_of_a_part_reach_the_provider(
    http: httpx.AsyncClient, provider: FakeProvider, model: str
) -> None:
    part = {"type": "text", "text": "Hi", "prompt_cache_breakpoint": True}
    body = {"model": model, "user": "ada", "messages": [{"role": "user", "content": [part]}]}
    assert (await http.post("/v1/chat/completions", json=body)).status_code == 200
    assert (provider.log[-1].body["user"], provider.log[-1].body["messages"][-1]["content"]) == ("ada", [part])


async def test_openais_stricter_stream_helper_accepts_text_and_tool_calls(openai: AsyncOpenAI) -> None:
    asked = ask('/say One moment.\n/call lookup {"name": "Ada"}', model="fake", tools=[LOOKUP])
    async with openai.chat.completions.stream(**asked) as stream:
        kinds = [event.type async for event in stream]
        whole = await stream.get_final_completion()
    assert "content.delta" in kinds
    assert "tool_calls.function.arguments.done" in kinds
    message = whole.choices[0].message
    assert message.tool_calls
    assert message.tool_calls[0].function.arguments == '{"name":"Ada"}'
    assert whole.choices[0].finish_reason == "tool_calls"


async def test_a_non_streamed_answer_says_the_same(openai: AsyncOpenAI) -> None:
    raw = await openai.chat.completions.with_raw_response.create(**ask("Hi", model="direct"))
    answer = raw.parse()
    assert answer.choices[0].message.content == ANSWER
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0
    assert raw.headers["x-switchboard-model"] == "direct"
    assert raw.headers["x-switchboard-deployment"].startswith("direct/")
    assert raw.headers["x-switchboard-attempts"] == "1"
    assert float(raw.headers["x-switchboard-overhead-ms"]) > 0


async def test_the_callers_tool_is_handed_back_and_its_result_is_taken(openai: AsyncOpenAI) -> None:
    history: list[Any] = [{"role": "user", "content": '/call lookup {"name": "Ada"}'}]
    first = await openai.chat.completions.create(model="fake", messages=history, tools=[LOOKUP])  # type: ignore[list-item]
    message = first.choices[0].message
    assert message.tool_calls
    history += [message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "Ada Lovelace"}]
    second = await openai.chat.completions.create(model="fake", messages=history, tools=[LOOKUP])  # type: ignore[list-item]
    assert "Ada Lovelace" in (second.choices[0].message.content or "")
    assert second.choices[0].finish_reason == "stop"


async def test_a_transfer_follows_the_text_whole_and_with_the_legacy_object(http: httpx.AsyncClient) -> None:
    response = await http.post("/chat/completions", json=ask("I want to talk to a human.", stream=True))
    chunks = chunks_in(response)
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    assert text == "Connecting you now. "
    [transfer] = [chunk for chunk in chunks if chunk["choices"][0]["delta"].get("tool_calls")]
    function = transfer["choices"][0]["delta"]["tool_calls"][0]["function"]
    assert function == {"name": "transferCall", "arguments": '{"destination":"+1234567890"}'}
    assert transfer["function_call"] == {"name": "transferCall", "arguments": {"destination": "+1234567890"}}
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_a_number_that_a_caller_talked_the_model_into_is_refused(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/chat/completions", json=ask('/call transferCall {"destination": "+449876543210"}'))
    choice = response.json()["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert "tool_calls" not in choice["message"]
    assert "function_call" not in response.json()


@pytest.mark.parametrize(
    ("name", "argument"), [("transferCall", "destination"), ("transfer_to_number", "transfer_number")]
)
async def test_the_transfer_takes_the_form_that_the_caller_advertises(
    http: httpx.AsyncClient, name: str, argument: str
) -> None:
    parameters = {"type": "object", "properties": {argument: {"type": "string"}, "reason": {"type": "string"}}}
    tool = {"type": "function", "function": {"name": name, "parameters": parameters}}
    call = f'/call {name} {{"{argument}": "+1 (234) 567-890", "reason": "billing"}}'
    response = await http.post("/v1/chat/completions", json=ask(call, tools=[tool]))
    [made] = response.json()["choices"][0]["message"]["tool_calls"]
    assert made["function"]["name"] == name
    assert orjson.loads(made["function"]["arguments"]) == {argument: "+1234567890", "reason": "billing"}


async def test_the_agents_own_tools_run_here_and_never_show(tmp_path: Path) -> None:
    async with serving(tmp_path, agent={"tools": ["multiply"]}) as served:
        async with httpx.AsyncClient(base_url=served.url, headers=served.headers) as http:
            response = await http.post("/v1/chat/completions", json=ask('/call multiply {"a": 6, "b": 7}', stream=True))
    chunks = chunks_in(response)
    assert not any(chunk["choices"][0]["delta"].get("tool_calls") for chunk in chunks)
    assert "42" in "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


async def test_a_fallback_names_itself(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/chat/completions", json=ask("Hi", model="broken"))
    assert response.json()["model"] == "direct"
    assert response.headers["x-switchboard-model"] == "direct"
    assert response.headers["x-switchboard-attempts"] == "3"


async def test_an_error_before_the_first_byte_is_a_status_and_after_it_a_line(
    tmp_path: Path, provider: FakeProvider
) -> None:
    models = direct("broken", provider.base_url, "fake-503"), direct("cut", provider.base_url, "fake-cut")
    async with serving(tmp_path, *models, router={"num_retries": 0}) as served:
        async with httpx.AsyncClient(base_url=served.url, headers=served.headers) as http:
            before = await http.post("/v1/chat/completions", json=ask("Hi", model="broken", stream=True))
            after = await http.post("/v1/chat/completions", json=ask("Hi", model="cut", stream=True))
            whole = await http.post("/v1/chat/completions", json=ask("Hi", model="cut"))
    assert (before.status_code, before.json()["error"]["code"]) == (503, "all_deployments_failed")
    assert (after.status_code, chunks_in(after)[-1]["error"]["code"]) == (200, "answer_interrupted")
    assert whole.status_code == 502
    assert "server had an error" not in before.text + after.text + whole.text


async def test_silence_is_filled_with_comments_and_they_bring_the_head(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/chat/completions", json=ask("/wait 200ms\n/say Here.", model="fake", stream=True))
    assert response.text.startswith(": keep-alive\n\n")
    assert chunks_in(response)


async def test_an_error_after_a_comment_is_a_line(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/chat/completions", json=ask("/wait 200ms\n/fail 503", model="fake", stream=True))
    assert response.status_code == 200
    assert chunks_in(response)[-1]["error"]["code"] == "all_deployments_failed"


async def test_a_newer_request_on_the_session_supersedes_the_older_one(
    http: httpx.AsyncClient, provider: FakeProvider, server: Served
) -> None:
    headers = {"x-session-id": "call-1"}
    body = ask("Hi", model="direct", stream=True)
    slow = {**body, "messages": [{"role": "user", "content": "/wait 30s"}], "model": "fake"}
    async with http.stream("POST", "/v1/chat/completions", json=slow, headers=headers) as older:
        lines = older.aiter_lines()
        assert await anext(lines) == ": keep-alive"
        newer = await http.post("/v1/chat/completions", json=body, headers=headers)
        rest = [line async for line in lines if line.startswith("data: ")]
    assert chunks_in(newer)[-1]["choices"][0]["finish_reason"] == "stop"
    assert orjson.loads(rest[0][6:])["choices"][0]["finish_reason"] == "stop"
    assert rest[1:] == ["data: [DONE]"]


async def test_requests_without_a_session_do_not_disturb_each_other(http: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *[http.post("/v1/chat/completions", json=ask(f"Number {n}", user="u")) for n in range(8)]
    )
    for number, answer in enumerate(answers):
        assert f"Number {number}" in answer.json()["choices"][0]["message"]["content"]


async def test_the_models_are_listed_and_found_by_name(openai: AsyncOpenAI) -> None:
    listed = [model.id async for model in openai.models.list()]
    assert listed == ["fake", "direct", "litellm", "broken", "cut", "gpt-4o-mini"]
    assert (await openai.models.retrieve("gpt-4o-mini")).id == "gpt-4o-mini"
    with pytest.raises(NotFoundError):
        await openai.models.retrieve("gpt-9")


async def test_openais_client_understands_the_errors(openai: AsyncOpenAI) -> None:
    with pytest.raises(NotFoundError) as unknown:
        await openai.chat.completions.create(**ask("Hi", model="gpt-9"))
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(BadRequestError) as several:
        await openai.chat.completions.create(**ask("Hi", model="fake", n=2))
    assert several.value.param == "n"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Authorization": f"Bearer {TOKEN}"}, 200),
        ({"x-api-key": TOKEN}, 200),
        ({"x-api-key": "wrong"}, 401),
        ({"api-key": TOKEN}, 200),
        ({"api-key": "wrong"}, 401),
        (basic(f"any:{TOKEN}"), 200),
        (basic(f":{TOKEN}"), 200),
        (basic(f"{TOKEN}:"), 401),
        (basic(TOKEN), 401),
        (basic("any:wrong"), 401),
        (basic(b"\xff:\xff"), 401),
        ({"Authorization": "Basic !!"}, 401),
        ({"Authorization": "Basic é".encode()}, 401),
        ({**basic("proxy:password"), "x-api-key": TOKEN}, 200),
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/fake"])
async def test_only_who_has_a_token_gets_in(
    server: Served, path: str, headers: dict[str, str] | dict[str, bytes], status: int
) -> None:
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as http:
        response = await http.get(path)
    assert response.status_code == status
    if status == 401:
        assert response.json()["error"]["code"] == "invalid_api_key"
        assert response.headers["www-authenticate"] == "Bearer"  # Basic would open a dialog in browsers


async def test_a_client_that_can_only_be_given_a_url_gets_in_everywhere(server: Served) -> None:
    url = server.url.replace("://", f"://any:{TOKEN}@")
    async with httpx.AsyncClient() as http:
        for path in ("/v1/models", "/agent/sessionids/ann"):
            assert (await http.get(f"{url}{path}")).status_code == 200
        for path, body in (("/v1/chat/completions", ask("Hi")), ("/chat", {"message": "Hi"})):
            assert (await http.post(f"{url}{path}", json=body)).status_code == 200


@pytest.mark.parametrize(
    ("content", "status", "says"),
    [
        (b"", 400, "not valid JSON"),
        (b"[]", 400, "must be a JSON object"),
        (b"{}", 400, "messages"),
        (rb'{"messages":[{"role":"user","content":"\ud800"}]}', 400, "surrogate"),
        (b'{"messages":[{"role":"assistant","content":[{"type":"audio","url":"b"}]}]}', 400, "cannot be sent"),
        (b'{"messages":[{"role":"user","content":"' + b"x" * 3_000_000 + b'"}]}', 413, "larger than"),
        (orjson.dumps(ask("Hi", model="fake", tools="x")), 400, "tools"),
    ],
)
async def test_a_bad_body_has_an_openai_error_and_the_server_goes_on(
    http: httpx.AsyncClient, content: bytes, status: int, says: str
) -> None:
    response = await http.post("/v1/chat/completions", content=content)
    assert response.status_code == status
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}
    assert says in response.json()["error"]["message"]
    assert (await http.post("/v1/chat/completions", json=ask("Hi"))).status_code == 200


async def test_unknown_paths_and_methods_have_openai_errors_too(http: httpx.AsyncClient) -> None:
    assert (await http.get("/v1/nothing")).json()["error"]["code"] == "not_found"
    wrong = await http.get("/v1/chat/completions")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize("path", ["completions", "audio/speech"])
async def test_a_path_of_openai_that_is_not_served_says_what_to_call(http: httpx.AsyncClient, path: str) -> None:
    for each in (f"/v1/{path}", f"/{path}"):
        response = await http.post(each, json={"model": "fake", "input": "Hi"})
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")
        assert "/v1/chat/completions" in response.json()["error"]["message"]


async def test_the_request_id_is_the_callers_or_a_new_one(http: httpx.AsyncClient) -> None:
    assert (await http.get("/health", headers={"x-request-id": "abc-1"})).headers["x-request-id"] == "abc-1"
    assert (await http.get("/health", headers={"x-request-id": "a b"})).headers["x-request-id"].startswith("req_")


async def test_health_shows_the_breaker_of_a_deployment_whose_key_is_refused(
    provider: FakeProvider, tmp_path: Path
) -> None:
    async with serving(tmp_path, direct("locked", provider.base_url, "fake-401")) as served:
        async with httpx.AsyncClient(base_url=served.url, headers=served.headers) as client:
            refused = await client.post("/v1/chat/completions", json=ask("Hi", model="locked"))
            [locked] = (await client.get("/health")).json()["deployments"]
    assert (refused.status_code, int(refused.headers["retry-after"]) > 0) == (503, True)
    assert (locked["breaker"], locked["breaker_reason"]) == ("open", "credentials_refused")


async def test_health_needs_no_token_and_names_what_is_left_out(tmp_path: Path) -> None:
    async with serving(tmp_path, fake("gpt", "openai/gpt-4o-mini", api_key="os.environ/NOT_SET_KEY"), fake()) as served:
        async with httpx.AsyncClient(base_url=served.url) as http:
            health = await http.get("/health")
            root = (await http.get("/", headers={"accept": "*/*"})).json()
            for path in ("health", "docs", "openapi"):
                assert (await http.get(root["links"][path])).status_code == 200
    assert root.keys() == {"status", "name", "version", "streaming", "links"}
    assert (root["status"], root["name"], root["streaming"]) == ("ok", "switchboard", True)
    assert health.json()["streaming"] is True
    assert health.status_code == 200
    left_out, ready = health.json()["deployments"]
    assert (left_out["state"], left_out["missing"]) == ("missing_key", ["NOT_SET_KEY"])
    assert (ready["state"], ready["breaker"]) == ("ready", "closed")
    assert health.json()["default_model"] == "fake"
