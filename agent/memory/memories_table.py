"""The table of long-term memories. The migration `0002_memories` creates it."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary, MetaData, Table, Text, Uuid

from agent.storage.columns import UtcTime

memories = Table(
    "memories",
    MetaData(),
    Column("id", Uuid, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("embedding_model", Text),
    # A packed vector, see `embeddings.pack`; empty when the model refused the content. It is the last column because
    # SQLite reads through a long value to reach the columns after it.
    Column("embedding", LargeBinary),
    Index("memories_of_user", "user_id", "created"),
)

NEWEST_FIRST = (memories.c.created.desc(), memories.c.id)
