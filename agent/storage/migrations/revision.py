"""The revision of the tables that this code requires."""

from __future__ import annotations

from typing import Final

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

NEWEST: Final = "0011"

VERSION_TABLE: Final = "switchboard_version"
"""Differs from Alembic's default, because the database may be shared with another program that uses Alembic."""


async def is_current(engine: AsyncEngine) -> bool:
    """Whether the tables of the database are at the newest revision."""
    async with engine.connect() as connection:
        return await connection.run_sync(_revisions) == [NEWEST]


def _revisions(connection: Connection) -> list[str]:
    if not inspect(connection).has_table(VERSION_TABLE):
        return []
    return list(connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars())  # noqa: S608
