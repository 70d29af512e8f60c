"""The table of long-term memories; the migration `0002_memories` makes the same."""

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
    # Last, since SQLite reads past a long value to reach the next. As `embeddings.pack` makes it; empty: refused.
    Column("embedding", LargeBinary),
    Index("memories_of_user", "user_id", "created"),
)

NEWEST_FIRST = (memories.c.created.desc(), memories.c.id)
