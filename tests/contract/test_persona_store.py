"""Personas, their conversations and messages: the same suite over SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime

import pytest

from agent.personas.conversations import PAGE, ConversationStore
from agent.personas.persona import Persona, PersonaFields
from agent.personas.store import PersonaStore
from agent.storage.database import Database
from config.errors import (
    ConversationNotFound,
    PersonaInUse,
    PersonaNameTaken,
    PersonaNotFound,
)
from tests.contract.conftest import OpenDatabase

NOW = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
NOBODY = "00000000-0000-4000-8000-000000000000"
WHOLE = PersonaFields(
    context="You cook.",
    first_message="你好",
    response_shape="{'a': \"b\"}  ",
    instructions="Be brief.\n",
    name="chef",
    model="fake",
    temperature=None,
    max_tokens=5,
    frequency_penalty=-0.5,
    presence_penalty=0.0,
    tools=("multiply",),
    max_turns=3,
)


@pytest.fixture
def personas(database: Database) -> PersonaStore:
    return PersonaStore(database, lambda: NOW)


@pytest.fixture
def conversations(database: Database) -> ConversationStore:
    return ConversationStore(database, lambda: NOW)


@pytest.fixture
async def chef(personas: PersonaStore) -> Persona:
    return await personas.create(WHOLE)


async def test_a_persona_is_found_as_it_was_made(personas: PersonaStore, chef: Persona) -> None:
    assert (chef.response_shape, chef.instructions, chef.created) == ("{'a': \"b\"}  ", "Be brief.\n", NOW)
    assert (chef.temperature, chef.frequency_penalty, chef.presence_penalty) == (None, -0.5, 0.0)
    assert chef.tools == ("multiply",)
    assert await personas.get(chef.id) == await personas.find("chef") == await personas.find(chef.id) == chef


async def test_the_optional_fields_have_defaults(personas: PersonaStore) -> None:
    made = await personas.create(PersonaFields(context="You cook."))
    assert (made.temperature, made.max_tokens, made.tools, made.max_turns) == (0.5, 1000, None, None)
    assert made == await personas.get(made.id)


async def test_personas_are_listed_oldest_first(personas: PersonaStore, chef: Persona) -> None:
    others = [await personas.create(PersonaFields(context=f"{number}")) for number in range(3)]
    assert await personas.list() == [chef, *others]
    assert await personas.list(2, 1) == others[:2]


@pytest.mark.parametrize("unknown", [NOBODY, "nobody", "a\0b", "x" * 300])
async def test_what_does_not_exist_is_not_found(
    personas: PersonaStore, conversations: ConversationStore, unknown: str
) -> None:
    for call in (
        personas.get(unknown),
        personas.find(unknown),
        personas.update(unknown, {"context": "x"}),
        personas.update(unknown, {}),
        personas.delete(unknown),
        conversations.create(unknown),
        conversations.list(unknown),
    ):
        with pytest.raises(PersonaNotFound):
            await call
    for other in (
        conversations.persona(unknown),
        conversations.messages(unknown),
        conversations.delete(unknown),
        conversations.add(unknown, "Hi", "Hello"),
    ):
        with pytest.raises(ConversationNotFound):
            await other


async def test_a_name_belongs_to_one_persona(personas: PersonaStore, chef: Persona) -> None:
    with pytest.raises(PersonaNameTaken):
        await personas.create(PersonaFields(context="x", name="chef"))
    other = await personas.create(PersonaFields(context="x", name="Chef"))
    with pytest.raises(PersonaNameTaken):
        await personas.update(other.id, {"name": "chef", "context": "changed"})
    assert await personas.list() == [chef, other]
    await personas.update(chef.id, {"name": None})
    assert (await personas.update(other.id, {"name": "chef"})).name == "chef"


async def test_a_change_leaves_the_other_fields(personas: PersonaStore, chef: Persona) -> None:
    changed = await personas.update(chef.id, {"context": "You bake.", "tools": None, "temperature": 1.5})
    assert (changed.context, changed.tools, changed.temperature) == ("You bake.", None, 1.5)
    assert (changed.name, changed.response_shape, changed.created) == (chef.name, chef.response_shape, NOW)
    assert await personas.get(chef.id) == changed
    assert await personas.update(chef.id, {}) == changed


async def test_a_persona_with_conversations_is_deleted_on_demand_only(
    personas: PersonaStore, conversations: ConversationStore, chef: Persona
) -> None:
    conversation = await conversations.create(chef.id)
    await conversations.add(conversation.id, "Hi", "Hello")
    with pytest.raises(PersonaInUse, match=r"conversations \(1\)"):
        await personas.delete(chef.id)
    assert len(await conversations.messages(conversation.id)) == 1
    await personas.delete(chef.id, cascade=True)
    with pytest.raises(ConversationNotFound):
        await conversations.messages(conversation.id)
    with pytest.raises(PersonaNotFound):
        await personas.get(chef.id)


async def test_the_newest_conversations_of_several_personas_are_listed_oldest_first(
    personas: PersonaStore,
    conversations: ConversationStore,
    chef: Persona,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.personas.conversations.NEWEST", 2)
    monkeypatch.setattr("agent.personas.conversations.MAX_IDS", 1)
    other, lonely = [await personas.create(PersonaFields(context="You sing.")) for _ in range(2)]
    made = {
        each.id: [await conversations.create(each.id, owner) for owner in ("ada", "bob", "ada", "ada")]
        for each in (chef, other)
    }
    ids = [chef.id, other.id, lonely.id]
    assert await conversations.newest([]) == {}
    assert await conversations.newest(ids) == {chef.id: made[chef.id][2:], other.id: made[other.id][2:], lonely.id: []}
    assert await conversations.newest([other.id], "bob") == {other.id: [made[other.id][1]]}
    await conversations.delete(made[chef.id][3].id)
    assert await conversations.newest([chef.id]) == {chef.id: made[chef.id][1:3]}


async def test_messages_are_numbered_and_listed_oldest_first(conversations: ConversationStore, chef: Persona) -> None:
    one, other = await conversations.create(chef.id), await conversations.create(chef.id)
    assert await conversations.list(chef.id) == [one, other]
    assert await conversations.list(chef.id, 1, 1) == [other]
    assert await conversations.persona(one.id) == chef
    for number in range(3):
        await conversations.add(one.id, f"{number}?", f"{number}!\0\ud800")
    await conversations.add(other.id, "Hi", "")
    found = await conversations.messages(one.id)
    assert [(each.number, each.user_message, each.agent_message) for each in found] == [
        (number + 1, f"{number}?", f"{number}!\ufffd\ufffd") for number in range(3)
    ]
    assert {each.conversation_id for each in found} == {one.id} and len({each.id for each in found}) == 3
    assert await conversations.messages(one.id, 1, 1) == found[1:2]
    await conversations.delete(one.id)
    assert await conversations.list(chef.id) == [other]
    assert len(await conversations.messages(other.id)) == 1


async def test_the_newest_messages_come_page_by_page(conversations: ConversationStore, chef: Persona) -> None:
    conversation = await conversations.create(chef.id)
    for number in range(PAGE + 3):
        await conversations.add(conversation.id, f"{number}?", f"{number}!")
    async with aclosing(conversations.newest_first(conversation.id)) as pages:
        numbers = [[each.number for each in page] async for page in pages]
    assert numbers == [list(range(PAGE + 3, 3, -1)), [3, 2, 1]]


async def test_exchanges_that_end_at_once_are_stored_whole(
    conversations: ConversationStore, open_it: OpenDatabase, chef: Persona
) -> None:
    conversation = await conversations.create(chef.id)
    async with open_it() as database:
        other_server = ConversationStore(database)
        await asyncio.gather(
            *(
                store.add(conversation.id, f"{at}", f"{at}")
                for at in range(8)
                for store in (conversations, other_server)
            )
        )
    found = await conversations.messages(conversation.id)
    assert [each.number for each in found] == list(range(1, 17))
    assert all(each.user_message == each.agent_message for each in found)
