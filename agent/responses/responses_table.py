"""The table of stored responses. The migration `0010_responses` creates it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Index, MetaData, Table

from agent.storage.columns import AnyText, Json, UtcTime

metadata: Final = MetaData()

responses: Final = Table(
    "responses",
    metadata,
    # AnyText, since a caller may ask for an id with any characters.
    Column("id", AnyText, primary_key=True),
    Column("caller", AnyText, nullable=False),
    Column("previous_id", AnyText),
    # The id of the first response of the chain; that of a first response itself.
    Column("first_id", AnyText, nullable=False),
    Column("expires", UtcTime),
    Column("input", Json, nullable=False),
    Column("response", Json, nullable=False),
)

Index("responses_of_chain", responses.c.first_id, responses.c.expires)
Index("responses_expires", responses.c.expires)
