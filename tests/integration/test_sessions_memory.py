"""What the agent remembers through `/agent/*`: within a session what `trim` lets it see, and users across sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from agent.memory.long_term import HEADING as KNOWN
from agent.memory.summary import HEADING as SUMMARY
from agent.sessions.store import SessionStore
from agent.storage.database import open_database
from router.fake.sample_text import ANSWER
from router.fake.server.fake_provider import FakeProvider
from tests.support.serving import direct, fake, serving
from tests.support.session_client import SessionClient, assert_error, client_of, said_in

REMEMBERS = {"memory": {"long_term": True}}
MULTIPLY = '/call multiply {"a": 6, "b": 7}'


class Rig:
    """A client of a server whose model `provider` keeps what it is sent."""

    def __init__(self, client: SessionClient, provider: FakeProvider, store: SessionStore) -> None:
        self.client = client
        self.store = store
        self._provider = provider

    async def sent(self, query: str, session_id: str = "s", user_id: str = "ann") -> list[tuple[str, str]]:
        """Role and content of what a turn sends to the provider."""
        await self.client.of(user_id).invoke(query, session_id, model="provider")
        asked = [each.body["messages"] for each in self._provider.log]  # a summary may have been asked for since
        return [(each["role"], each["content"]) for each in [own for own in asked if own[-1]["content"] == query][-1]]

    async def prompt(self, session_id: str, user_id: str = "ann") -> str:
        """The system prompt of a turn."""
        [prompt] = [text for role, text in await self.sent("Hi", session_id, user_id) if role == "system"]
        return prompt


class Rigs:
    """Makes rigs on the database of the test."""

    def __init__(self, folder: Path, database_url: SecretStr) -> None:
        self._folder = folder
        self._url = database_url

    @asynccontextmanager
    async def __call__(self, agent: Mapping[str, Any]) -> AsyncIterator[Rig]:
        async with AsyncExitStack() as running:
            provider = await running.enter_async_context(FakeProvider())
            url = self._url.get_secret_value()
            database = await running.enter_async_context(open_database(url, self._folder, 2, 10.0))
            models = fake(), direct("provider", provider.base_url, "fake-ok")
            served = await running.enter_async_context(
                serving(self._folder, *models, agent=agent, database_url=self._url)
            )
            client = await running.enter_async_context(client_of(served))
            yield Rig(client, provider, SessionStore(database))


@pytest.fixture
def rigs(tmp_path: Path, database_url: SecretStr) -> Rigs:
    return Rigs(tmp_path, database_url)


# Within a session


async def test_the_whole_conversation_is_sent_unless_it_is_to_be_trimmed(rigs: Rigs) -> None:
    async with rigs({}) as rig:
        for number in range(20):
            await rig.client.invoke(f"Number {number}")
        assert len(await rig.sent("And?")) == 1 + 40 + 1


async def test_trimming_sends_the_newest_turns_and_leaves_the_history_whole(rigs: Rigs) -> None:
    async with rigs({"trim": {"max_messages": 3}}) as rig:
        for number in range(5):
            await rig.client.invoke(f"Number {number}")
        assert await rig.sent("And?") == [
            ("system", "Be kind."),
            ("user", "Number 4"),
            ("assistant", "You said: Number 4"),
            ("user", "And?"),
        ]
        assert [text for role, text in await rig.client.transcript() if role == "user"] == [
            *(f"Number {number}" for number in range(5)),
            "And?",
        ]


async def test_trimming_never_parts_a_call_from_its_result(rigs: Rigs) -> None:
    async with rigs({"tools": ["multiply"], "trim": {"max_messages": 3}}) as rig:
        await rig.client.invoke("Hi")
        await rig.client.invoke(MULTIPLY)
        roles = [role for role, _ in await rig.sent("And?")]
        assert roles == ["system", "user"]
        assert len(await rig.client.transcript()) == 2 + 4 + 2


async def test_trimming_by_tokens_keeps_the_prompt_and_the_last_message(rigs: Rigs) -> None:
    async with rigs({"trim": {"max_tokens": 40}}) as rig:
        await rig.client.invoke("word " * 100)
        sent = await rig.sent("long " * 200)
        assert [role for role, _ in sent] == ["system", "user"]
        assert sent[0] == ("system", "Be kind.")


async def test_a_summary_stands_for_what_fell_out(rigs: Rigs) -> None:
    async with rigs({"trim": {"max_messages": 4, "summarize": True}}) as rig:
        for query in ("One", "Two", "Three"):
            sent = await rig.sent(query)
        assert [text for role, text in sent if role != "assistant"] == ["Be kind.", "Two", "Three"]
        await _becomes_summarised(rig.store)
        sent = await rig.sent("Four")
        prompts = ["Be kind.", f"{SUMMARY} {ANSWER}"]
        assert [text for role, text in sent if role != "assistant"] == [*prompts, "Three", "Four"]
        assert len(await rig.client.transcript()) == 8


async def _becomes_summarised(store: SessionStore) -> None:
    async with asyncio.timeout(10):
        while (record := await store.find("ann", "s")) is None or record.summary is None:
            await asyncio.sleep(0.01)


# Users across sessions


async def test_a_memory_is_written_listed_and_forgotten(rigs: Rigs) -> None:
    async with rigs(REMEMBERS) as rig:
        client = rig.client
        first = await client.post("write/longterm", memory_info="  Likes tea.  ")
        assert first.status_code == 200
        answer = first.json()
        assert (answer["success"], answer["user_id"], answer["message"]) == (True, "ann", "The memory is stored.")
        assert answer["memory"].keys() == {"id", "content", "created"}
        assert answer["memory"]["content"] == "Likes tea."
        await client.post("write/longterm", memory_info="Has a cat.")
        assert await client.memories() == ["Has a cat.", "Likes tea."]
        again = await client.post("write/longterm", memory_info="Likes tea.")
        assert again.json()["memory"]["id"] == answer["memory"]["id"]
        assert await client.memories() == ["Likes tea.", "Has a cat."]
        page = await client.get("longterm/ann", limit=1, offset=1)
        assert [each["content"] for each in page["memories"]] == ["Has a cat."]
        found = await client.get("longterm/ann", query="pets", limit=1)
        assert len(found["memories"]) == 1
        rest = await client.get("longterm/ann", query="pets", limit=1, offset=1)
        assert {each["content"] for each in found["memories"] + rest["memories"]} == {"Likes tea.", "Has a cat."}
        assert await client.get("longterm/ann", query="pets", offset=2) == {"memories": []}
        gone = await client.http.delete(f"/agent/longterm/ann/{answer['memory']['id']}")
        assert gone.json() == {"success": True}
        assert await client.memories() == ["Has a cat."]
        assert await client.of("bob").memories() == []


async def test_one_user_cannot_forget_for_another(rigs: Rigs) -> None:
    async with rigs(REMEMBERS) as rig:
        memory = (await rig.client.post("write/longterm", memory_info="Likes tea.")).json()["memory"]
        refused = await rig.client.http.delete(f"/agent/longterm/bob/{memory['id']}")
        assert_error(refused, 404, "memory_not_found")
        assert_error(await rig.client.http.delete(f"/agent/longterm/ann/{uuid4()}"), 404, "memory_not_found")
        assert_error(await rig.client.http.delete("/agent/longterm/ann/1"), 422, "invalid_field", "memory_id")
        assert await rig.client.memories() == ["Likes tea."]


@pytest.mark.parametrize(
    ("content", "status", "says"),
    [
        ("", 400, "contain text"),
        (" \n ", 400, "contain text"),
        ("x" * 10_001, 400, "10,000"),
        ("x" * 1_000_000, 400, "10,000"),
        ("a\0b", 400, "cannot be stored"),
        (None, 422, "memory_info"),
        (5, 422, "memory_info"),
    ],
    ids=["empty", "blank", "long", "1 MB", "NUL", "null", "number"],
)
async def test_what_cannot_be_remembered_is_refused(rigs: Rigs, content: Any, status: int, says: str) -> None:
    async with rigs(REMEMBERS) as rig:
        refused = await rig.client.post("write/longterm", memory_info=content)
        code = "invalid_request" if status == 400 else "invalid_field"
        assert assert_error(refused, status, code, says)["param"] == "memory_info"
        assert await rig.client.memories() == []


async def test_what_the_api_wrote_is_in_the_prompts_of_that_user_alone(rigs: Rigs) -> None:
    async with rigs(REMEMBERS) as rig:
        assert await rig.prompt("before") == "Be kind."
        await rig.client.post("write/longterm", memory_info="Likes tea.")
        assert await rig.prompt("after") == f"Be kind.\n\n{KNOWN}\n- Likes tea."
        assert await rig.prompt("before") == f"Be kind.\n\n{KNOWN}\n- Likes tea."
        assert await rig.prompt("after", "bob") == "Be kind."
        [memory] = (await rig.client.get("longterm/ann"))["memories"]
        await rig.client.http.delete(f"/agent/longterm/ann/{memory['id']}")
        assert await rig.prompt("after") == "Be kind."


async def test_what_the_agent_remembered_is_known_in_the_next_session_of_that_user_alone(rigs: Rigs) -> None:
    async with rigs(REMEMBERS) as rig:
        answer = await rig.client.invoke('/call remember {"content": "Is called Ada."}', "first")
        assert said_in(answer) == "The tool answered: Remembered."
        assert await rig.client.memories() == ["Is called Ada."]
        assert await rig.prompt("second") == f"Be kind.\n\n{KNOWN}\n- Is called Ada."
        assert await rig.prompt("second", "bob") == "Be kind."


async def test_what_no_agent_would_read_is_refused_and_no_prompt_has_what_was_stored_before(rigs: Rigs) -> None:
    async with rigs(REMEMBERS) as rig:
        await rig.client.post("write/longterm", memory_info="Likes tea.")
    async with rigs({}) as rig:
        refused = await rig.client.post("write/longterm", memory_info="Likes coffee.")
        assert_error(refused, 409, "memory_disabled", "no long-term memory")
        assert await rig.client.memories() == ["Likes tea."]
        assert await rig.prompt("s") == "Be kind."


async def test_a_memory_outlives_its_session(rigs: Rigs) -> None:
    async with rigs(REMEMBERS) as rig:
        await rig.client.invoke('/call remember {"content": "Is called Ada."}', "first")
        assert (await rig.client.http.delete("/agent/session/ann/first")).status_code == 200
        assert "Ada" in await rig.prompt("second")
