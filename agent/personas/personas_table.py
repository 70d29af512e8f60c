"""The tables of personas, conversations and messages. The migrations `0005_personas` and `0008_owners`
create them.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, ColumnElement, Float, ForeignKey, Integer, MetaData, Table, Text, true

from agent.storage.columns import AnyText, Json, UtcTime

metadata: Final = MetaData()

# Ids are AnyText, since a caller may ask for an id with any characters.
# `number` is the order of creation: several rows may have the same time.
personas: Final = Table(
    "personas",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", AnyText, nullable=False, unique=True),
    Column("created", UtcTime, nullable=False),
    Column("name", AnyText, unique=True),
    Column("context", Text, nullable=False),
    Column("first_message", Text, nullable=False),
    Column("response_shape", Text, nullable=False),
    Column("instructions", Text, nullable=False),
    Column("model", AnyText),
    Column("temperature", Float),
    Column("max_tokens", Integer),
    Column("frequency_penalty", Float),
    Column("presence_penalty", Float),
    Column("tools", Json),
    Column("max_turns", Integer),
    Column("owner", AnyText),
)

conversations: Final = Table(
    "persona_conversations",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", AnyText, nullable=False, unique=True),
    Column("agent_id", ForeignKey("personas.id"), nullable=False, index=True),
    Column("created", UtcTime, nullable=False),
    Column("owner", AnyText),
)

messages: Final = Table(
    "persona_messages",
    metadata,
    Column("conversation_id", ForeignKey("persona_conversations.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("id", AnyText, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("user_message", Text, nullable=False),
    Column("agent_message", AnyText, nullable=False),
)


def visible_to(owner: str | None) -> ColumnElement[bool]:
    """The conversations that a caller may see: with `owner`, those that it made."""
    return true() if owner is None else conversations.c.owner == owner
