"""Sessions with a persona: `agent_id` of `/agent/invoke`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.fake.sample_text import ANSWER
from router.fake.server.fake_provider import FakeProvider
from tests.support.persona_client import CHEF, PersonaClient
from tests.support.serving import Served, direct, fake, serving
from tests.support.session_client import SessionClient, assert_error

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def server(tmp_path: Path, provider: FakeProvider) -> AsyncIterator[Served]:
    models = [fake(), direct("provider", provider.base_url, "fake-ok")]
    agent = {"tools": ["transferCall", "book_hotel"], "review": ["book_hotel"], "trim": {"max_messages": 3}}
    async with serving(tmp_path, *models, agent=agent) as served:
        yield served


async def test_a_session_stays_with_its_persona(client: SessionClient, provider: FakeProvider) -> None:
    personas = PersonaClient(client.http)
    chef = await personas.create(model="provider", tools=["multiply"], instructions="Be brief.", temperature=0.1)
    other = await personas.create(model="provider")
    await client.invoke("Soup?", "s", agent_id=chef["id"], system_message="Today is Friday.")
    await client.invoke("More?", "s")
    await client.invoke("And more?", "s", agent_id=chef["id"])
    body = provider.log[-1].body
    assert [(each["role"], each["content"]) for each in body["messages"]] == [
        ("system", f"{CHEF['context']}\n\nToday is Friday."),
        ("assistant", CHEF["first_message"]),
        ("user", "More?"),
        ("assistant", ANSWER),
        ("user", "Be brief."),
        ("user", "And more?"),
    ]
    assert body["temperature"] == 0.1 and [each["function"]["name"] for each in body["tools"]] == ["multiply"]
    assert [each[1] for each in await client.transcript("s")][::2] == ["Soup?", "More?", "And more?"]

    refused = await client.post("invoke", query="Hi", session_id="s", agent_id=other["id"])
    assert_error(refused, 409, "session_of_another_agent", chef["id"])
    assert len(await client.history("s")) == 6


async def test_without_a_session_id_the_latest_session_with_the_persona_goes_on(client: SessionClient) -> None:
    personas = PersonaClient(client.http)
    chef = await personas.create(model="fake")
    with_chef = (await client.invoke("Soup?", None, agent_id=chef["id"]))["session_id"]
    plain = (await client.invoke("Hi", "plain"))["session_id"]
    assert (await client.invoke("More?", None, agent_id=chef["id"]))["session_id"] == with_chef
    refused = await client.post("invoke", query="Hi", session_id=plain, agent_id=chef["id"])
    assert_error(refused, 409, "session_of_another_agent", "no agent")


async def test_a_personas_tool_can_be_reviewed(client: SessionClient) -> None:
    chef = await PersonaClient(client.http).create(model="fake", tools=["book_hotel"])
    asked = await client.invoke('/call book_hotel {"hotel_name": "Ritz"}', "s", agent_id=chef["id"])
    assert asked["status"] == "interrupted"
    edited = await client.resume("s", response_type="edit", args={"hotel_name": "Savoy"})
    assert edited["status"] == "completed" and "Savoy" in str(edited["result"])


async def test_an_unknown_persona_begins_no_session(client: SessionClient) -> None:
    for unknown in (NOBODY, "nobody"):
        refused = await client.post("invoke", query="Hi", session_id="s", agent_id=unknown)
        assert_error(refused, 404, "agent_not_found")
    assert (await client.status("s"))["status"] == "not_found"
    chef = await PersonaClient(client.http).create(model="fake")
    await client.invoke("Hi", "s", agent_id=chef["id"])
    await client.http.delete(f"/agents/{chef['id']}")
    assert_error(await client.post("invoke", query="Hi", session_id="s"), 404, "agent_not_found")
