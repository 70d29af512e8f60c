"""`/agents/*` as its clients use it: the real server on a real port. `tests/contract` has both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from router.fake.sample_text import ANSWER
from router.fake.server.fake_provider import FakeProvider
from tests.support.persona_client import CHEF, PersonaClient
from tests.support.serving import Served, direct, fake, serving
from tests.support.session_client import assert_error

NOBODY = "00000000-0000-4000-8000-000000000000"
SHAPE = "{'recipe': 'string', 'minutes': 20}"


@pytest.fixture
async def server(tmp_path: Path, provider: FakeProvider) -> AsyncIterator[Served]:
    models = [
        fake(),
        fake("broken", "fake/503"),
        direct("provider", provider.base_url, "fake-ok"),
        direct("paced", provider.base_url, "fake-ok?gap=50ms&tokens=600"),
    ]
    agent = {"tools": ["transferCall", "multiply"]}
    async with serving(tmp_path, *models, agent=agent, router={"num_retries": 0}, keep_alive_interval=0.05) as served:
        yield served


@pytest.fixture
async def client(server: Served) -> AsyncIterator[PersonaClient]:
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=20) as http:
        yield PersonaClient(http)


def sent(provider: FakeProvider, at: int = -1) -> list[tuple[str, str]]:
    return [(each["role"], each["content"]) for each in provider.log[at].body["messages"]]


async def test_agents_conversations_and_messages_have_exactly_their_fields(client: PersonaClient) -> None:
    assert await client.get("") == {"message": "Hello there conversational ai!"}
    assert await client.get("get-agents") == []
    one = await client.create(response_shape=" {'a': \"b\"}\n", instructions="Be brief.")
    assert list(one) == [
        *("id", "timestamp", "context", "first_message", "response_shape", "instructions", "conversations"),
        *("name", "model", "temperature", "max_tokens", "frequency_penalty", "presence_penalty", "tools", "max_turns"),
    ]
    assert (one["response_shape"], one["instructions"]) == (" {'a': \"b\"}\n", "Be brief.")
    assert (one["temperature"], one["max_tokens"], one["tools"], one["name"]) == (0.5, 1000, None, None)
    assert abs((datetime.now(UTC) - datetime.fromisoformat(one["timestamp"])).total_seconds()) < 60
    other = await client.create(name="sous-chef", tools=[], temperature=2, max_tokens=None)
    assert await client.get("get-agents") == [one, other]
    assert await client.get("get-agents", limit=1, offset=1) == [other]

    conversation = await client.post("create-conversation", agent_id=one["id"])
    assert conversation.keys() == {"id", "agent_id", "timestamp"} and conversation["agent_id"] == one["id"]
    assert await client.get("get-conversations", agent_id=one["id"]) == [conversation]
    assert await client.get("get-agents") == [{**one, "conversations": [conversation]}, other]
    assert await client.get("get-conversations", agent_id=other["id"]) == []

    assert await client.chat(conversation["id"], '/say {"a": "1"}') == '{"a": "1"}'
    (message,) = await client.get("get-messages", conversation_id=conversation["id"])
    assert message.keys() == {"id", "timestamp", "conversation_id", "user_message", "agent_message"}
    assert message["conversation_id"] == conversation["id"]
    assert (message["user_message"], message["agent_message"]) == ('/say {"a": "1"}', '{"a": "1"}')


async def test_the_provider_receives_the_persona_the_history_and_the_instructions_in_order(
    client: PersonaClient, provider: FakeProvider
) -> None:
    talk = await client.converse(
        model="provider",
        instructions="Discard what is not relevant.",
        response_shape="a short poem",
        frequency_penalty=0.25,
        presence_penalty=-1,
        tools=["multiply"],
    )
    assert await client.chat(talk, "First?") == ANSWER
    await client.chat(talk, "Second?")
    told = "Discard what is not relevant.\n\nFollow a RFC8259 compliant JSON with a shape of: a short poem"
    assert sent(provider) == [
        ("system", CHEF["context"]),
        ("assistant", CHEF["first_message"]),
        ("user", "First?"),
        ("assistant", ANSWER),
        ("user", told),
        ("user", "Second?"),
    ]
    body = provider.log[-1].body
    assert [body[each] for each in ("temperature", "max_tokens", "frequency_penalty", "presence_penalty")] == [
        *(0.5, 1000, 0.25, -1)
    ]
    assert [each["function"]["name"] for each in body["tools"]] == ["multiply"]
    bare = await client.converse(model="provider", first_message="", temperature=None, tools=[])
    await client.chat(bare, "Hi")
    assert sent(provider) == [("system", CHEF["context"]), ("user", "Hi")]
    assert "temperature" not in provider.log[-1].body and "tools" not in provider.log[-1].body


async def test_an_answer_that_does_not_fit_its_shape_is_asked_for_once_more(
    client: PersonaClient, provider: FakeProvider
) -> None:
    talk = await client.converse(model="provider", response_shape=SHAPE)
    response = await client.http.post("/agents/chat-agent", json={"conversation_id": talk, "message": "Soup?"})
    assert response.json() == {"conversation_id": talk, "response": ANSWER}
    assert response.headers["x-switchboard-shape"] == "mismatch"
    assert len(provider.log) == 2 and sent(provider)[:-2] == sent(provider, 0)
    (_, first), (role, again) = sent(provider)[-2:]
    assert first == ANSWER and role == "user" and "does not fit the shape: it is not valid JSON" in again
    assert await client.messages(talk) == [("Soup?", ANSWER)]

    fitting = await client.converse(model="fake", response_shape=SHAPE)
    said = '/say {"recipe": "Soup", "minutes": 5}'
    response = await client.http.post("/agents/chat-agent", json={"conversation_id": fitting, "message": said})
    assert (
        response.json()["response"] == '{"recipe": "Soup", "minutes": 5}'
        and "x-switchboard-shape" not in response.headers
    )
    assert len(await client.messages(fitting)) == 1


async def test_a_stream_has_the_events_of_a_chat(client: PersonaClient) -> None:
    talk = await client.converse(model="fake")
    events = await client.stream(talk, '/call multiply {"a": 6, "b": 7}\n/then\n/say 春天\n/call transferCall')
    assert events[0] == {"type": "start", "message": "开始生成响应..."}
    assert events[1:3] == [
        {"type": "tool_start", "name": "multiply", "args": {"a": 6, "b": 7}},
        {"type": "tool_end", "name": "multiply", "result": "42", "ok": True},
    ]
    assert events[-2] == {"type": "hand_off", "name": "transferCall", "arguments": {"destination": "+1234567890"}}
    assert {event["type"] for event in events[3:-2]} == {"content"}
    usage = events[-1].pop("usage")
    assert events[-1] == {"type": "complete", "full_content": "春天"}
    assert "".join(event["chunk"] for event in events[3:-2]) == "春天"
    assert usage.keys() == {"input_tokens", "output_tokens", "total_tokens", "total_cost"}
    assert usage["total_cost"] is None and usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0
    assert await client.messages(talk) == [
        ('/call multiply {"a": 6, "b": 7}\n/then\n/say 春天\n/call transferCall', "春天")
    ]


async def test_a_stream_says_what_fails_and_what_does_not_fit(client: PersonaClient, provider: FakeProvider) -> None:
    talk = await client.converse(model="broken")
    start, error = await client.stream(talk, "Hi")
    assert (start["type"], error["type"], error["code"]) == ("start", "error", "all_deployments_failed")
    assert error.keys() == {"type", "error", "code"} and error["error"]

    talk = await client.converse(model="provider", response_shape=SHAPE)
    start, content, complete = await client.stream(talk, "Soup?")
    assert (start["type"], content) == ("start", {"type": "content", "chunk": ANSWER})
    assert (complete["full_content"], complete["shape"]) == (ANSWER, "mismatch")


async def test_a_stream_starts_before_the_provider_answers_and_a_hang_up_stores_nothing(
    client: PersonaClient, provider: FakeProvider
) -> None:
    talk = await client.converse(model="paced")
    body = {"conversation_id": talk, "message": "Hello?"}
    async with client.http.stream("POST", "/agents/chat-agent/stream", json=body) as response:
        async with aclosing(response.aiter_lines()) as lines:
            assert '"start"' in await anext(lines)
            async for line in lines:
                if '"content"' in line:
                    break
    async with asyncio.timeout(5):
        while provider.log[-1].ended_by != "caller":
            await asyncio.sleep(0.001)
    assert await client.messages(talk) == []
    assert (await client.http.delete(f"/agents/conversations/{talk}")).status_code == 200


async def test_a_conversation_is_over_after_its_turns(client: PersonaClient, provider: FakeProvider) -> None:
    talk = await client.converse(model="provider", max_turns=2)
    assert [await client.chat(talk, each) for each in ("One", "Two")] == [ANSWER, ANSWER]
    assert await client.chat(talk, "Three") == "This conversation is over, good bye."
    assert len(provider.log) == 2 and len(await client.messages(talk)) == 2


async def test_what_fails_or_is_abandoned_stores_nothing(client: PersonaClient, provider: FakeProvider) -> None:
    talk = await client.converse(model="broken")
    await client.refused(503, "all_deployments_failed", "POST", "chat-agent", conversation_id=talk, message="Hello?")
    assert await client.messages(talk) == []

    talk = await client.converse(model="paced")
    body = {"conversation_id": talk, "message": "Hello?"}
    asked = asyncio.create_task(client.http.post("/agents/chat-agent", json=body))
    async with asyncio.timeout(5):
        while not len(provider.log):
            await asyncio.sleep(0.001)
        asked.cancel()
        while provider.log[-1].ended_by != "caller":
            await asyncio.sleep(0.001)
    assert await client.messages(talk) == []


async def test_messages_sent_at_once_are_answered_one_after_the_other(
    client: PersonaClient, provider: FakeProvider
) -> None:
    talk = await client.converse(model="provider")
    await asyncio.gather(*(client.chat(talk, f"{number}?") for number in range(5)))
    assert len(await client.messages(talk)) == 5
    lengths = [len(sent(provider, at)) for at in range(5)]
    assert lengths == [3, 5, 7, 9, 11]  # each saw the answers before it


async def test_a_hand_off_is_in_the_answer_and_what_was_spoken_is_stored(client: PersonaClient) -> None:
    talk = await client.converse(model="fake", response_shape=SHAPE)
    said = "/say One moment.\n/call transferCall"
    answer = await client.post("chat-agent", conversation_id=talk, message=said)
    assert answer == {
        "conversation_id": talk,
        "response": "One moment.",
        "hand_offs": [{"name": "transferCall", "arguments": {"destination": "+1234567890"}}],
    }
    assert await client.messages(talk) == [(said, "One moment.")]


async def test_a_change_counts_from_the_next_turn_on(client: PersonaClient, provider: FakeProvider) -> None:
    agent = await client.create(model="provider", name="chef")
    talk = await client.post("create-conversation", agent_id=agent["id"])
    response = await client.http.patch(f"/agents/{agent['id']}", json={"context": "You bake.", "name": None})
    assert response.json() == agent | {"context": "You bake.", "name": None, "conversations": [talk]}
    await client.chat(talk["id"], "Hi")
    assert sent(provider)[0] == ("system", "You bake.")


async def test_deleting(client: PersonaClient) -> None:
    agent = await client.create(model="fake")
    talks = [(await client.post("create-conversation", agent_id=agent["id"]))["id"] for _ in range(2)]
    await client.chat(talks[0], "Hi")
    await client.refused(409, "agent_in_use", "DELETE", agent["id"], "?cascade=true")
    assert (await client.http.delete(f"/agents/conversations/{talks[0]}")).json() == {"success": True}
    await client.refused(404, "conversation_not_found", "GET", f"get-messages?conversation_id={talks[0]}")
    assert (await client.http.delete(f"/agents/{agent['id']}?cascade=true")).json() == {"success": True}
    await client.refused(404, "conversation_not_found", "GET", f"get-messages?conversation_id={talks[1]}")
    assert await client.get("get-agents") == []


async def test_what_does_not_exist_is_a_404(client: PersonaClient) -> None:
    agent, talk = (404, "agent_not_found"), (404, "conversation_not_found")
    plain = unknown = NOBODY
    await client.refused(*agent, "POST", "create-conversation", agent_id=plain)
    await client.refused(*agent, "GET", f"get-conversations?agent_id={unknown}")
    await client.refused(*agent, "PATCH", unknown, context="x")
    await client.refused(*agent, "DELETE", unknown)
    await client.refused(*talk, "GET", f"get-messages?conversation_id={unknown}")
    await client.refused(*talk, "DELETE", f"conversations/{unknown}")
    for path in ("chat-agent", "chat-agent/stream"):
        await client.refused(*talk, "POST", path, conversation_id=plain, message="Hi")


BAD_FIELDS: list[tuple[str, Any, str]] = [
    ("context", "", "blank"),
    ("context", " \n", "blank"),
    ("context", None, "string"),
    ("instructions", "x" * 1_000_000, "100000 characters"),
    ("first_message", "a\0b", "NUL"),
    ("temperature", -0.1, "greater than or equal to 0"),
    ("temperature", 2.1, "less than or equal to 2"),
    ("temperature", "warm", "number"),
    ("max_tokens", 0, "greater"),
    ("max_tokens", 1.5, "integer"),
    ("frequency_penalty", 3, "less"),
    ("presence_penalty", -3, "greater"),
    ("max_turns", 0, "greater"),
    ("response_shape", {"a": "b"}, "string"),
    ("model", "fale", "did you mean 'fake'?"),
    ("model", "agent:chef", "not an agent"),
    ("tools", ["multiplY"], "did you mean 'multiply'?"),
    ("tools", ["os:system"], "the tools are transferCall"),
    ("tools", ["mcp:files:*"], "no MCP servers"),
    ("tools", ["multiply", "multiply"], "twice"),
    ("name", NOBODY, "look like an id"),
    ("name", "a/b", "slash"),
    ("name", " ", "printable"),
    ("temprature", 1, "Extra inputs"),
]


async def test_bad_fields_are_named_and_change_nothing(client: PersonaClient) -> None:
    agent = await client.create(name="chef")
    for field, value, says in BAD_FIELDS:
        fields = {**CHEF, field: value}
        for method, path, body in (("POST", "create-agent", fields), ("PATCH", agent["id"], {field: value})):
            param = await client.refused(422, "invalid_field", method, path, says, **body)
            assert str(param).partition("[")[0] == field
    await client.refused(409, "agent_name_taken", "POST", "create-agent", "'chef'", **CHEF, name="chef")
    for missing in ("context", "first_message"):
        rest = {name: value for name, value in CHEF.items() if name != missing}
        assert await client.refused(422, "invalid_field", "POST", "create-agent", missing, **rest) == missing
    talk = await client.post("create-conversation", agent_id=agent["id"])
    for path in ("chat-agent", "chat-agent/stream"):
        for message in ("", "  ", "x" * 100_001):
            body = {"conversation_id": talk["id"], "message": message}
            assert await client.refused(422, "invalid_field", "POST", path, **body) == "message"
    assert await client.refused(422, "invalid_field", "GET", "get-conversations") == "agent_id"
    assert await client.get("get-agents") == [{**agent, "conversations": [talk]}]
    assert await client.messages(talk["id"]) == []


async def test_every_call_needs_the_token(server: Served) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        for method, path in (("GET", ""), ("GET", "get-agents"), ("POST", "chat-agent"), ("DELETE", NOBODY)):
            assert_error(await http.request(method, f"/agents/{path}"), 401, "invalid_api_key")


# Personas as models


async def test_a_persona_is_a_model_by_its_id_and_by_its_name(client: PersonaClient, provider: FakeProvider) -> None:
    named = await client.create(
        name="chef", model="provider", tools=["multiply"], instructions="Be brief.", presence_penalty=1
    )
    unnamed = await client.create(model="provider")
    listed = [each["id"] for each in (await client.http.get("/v1/models")).json()["data"]]
    assert listed[-2:] == ["agent:chef", f"agent:{unnamed['id']}"]
    body = {
        "messages": [
            {"role": "system", "content": "Today is Friday."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "Soup?"},
        ],
        "temperature": 0.1,
        "max_completion_tokens": 700,
    }
    for name in ("agent:chef", f"agent:{named['id']}"):
        assert (await client.http.get(f"/v1/models/{name}")).json()["id"] == name
        answer = await client.http.post("/v1/chat/completions", json={"model": name, **body})
        assert answer.json()["choices"][0]["message"]["content"] == ANSWER
        assert sent(provider) == [
            ("system", CHEF["context"]),
            ("system", "Today is Friday."),
            ("assistant", CHEF["first_message"]),
            ("user", "Hi"),
            ("assistant", "Hello"),
            ("user", "Be brief."),
            ("user", "Soup?"),
        ]
        request = provider.log[-1].body
        assert (request["temperature"], request["presence_penalty"]) == (0.1, 1)
        assert request["max_completion_tokens"] == 700 and "max_tokens" not in request
        assert [each["function"]["name"] for each in request["tools"]] == ["multiply"]


async def test_a_persona_answers_on_chat(client: PersonaClient, provider: FakeProvider) -> None:
    await client.create(name="chef", model="provider")
    for path in ("/chat", "/chat/stream"):
        answer = await client.http.post(path, json={"model": "agent:chef", "message": "Hi", "system_prompt": "Rhyme."})
        assert answer.status_code == 200
        assert [content for _, content in sent(provider)] == [*(CHEF["context"], "Rhyme.", CHEF["first_message"], "Hi")]
    assert_error(await client.http.post("/chat", json={"model": "agent:x", "message": "Hi"}), 404, "model_not_found")


async def test_other_models_keep_agent_yamls_tools_after_a_persona(
    client: PersonaClient, provider: FakeProvider
) -> None:
    await client.create(name="chef", model="provider", tools=[])
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    tools = []
    for model in ("provider", "agent:chef", "provider"):
        await client.http.post("/v1/chat/completions", json={"model": model, **body})
        tools.append([each["function"]["name"] for each in provider.log[-1].body.get("tools", ())])
    assert tools == [["transferCall", "multiply"], [], ["transferCall", "multiply"]]


@pytest.mark.parametrize("name", ["agent:", "agent:nobody", f"agent:{NOBODY}", "agent:a/b"])
async def test_an_unknown_persona_is_no_model(client: PersonaClient, name: str) -> None:
    body = {"model": name, "messages": [{"role": "user", "content": "Hi"}]}
    assert_error(await client.http.post("/v1/chat/completions", json=body), 404, "model_not_found", "no such agent")
    assert_error(await client.http.get(f"/v1/models/{name}"), 404, "model_not_found")
