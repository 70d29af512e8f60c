"""Which revision of the tables this code is written for."""

from __future__ import annotations

from typing import Final

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

NEWEST: Final = "0002"

VERSION_TABLE: Final = "switchboard_version"
"""Not Alembic's own name for it: the database may be shared with a program that uses Alembic too."""


async def is_current(engine: AsyncEngine) -> bool:
    """Whether the database's tables are those that this code knows."""
    async with engine.connect() as connection:
        return await connection.run_sync(_revisions) == [NEWEST]


def _revisions(connection: Connection) -> list[str]:
    if not inspect(connection).has_table(VERSION_TABLE):
        return []
    return list(connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars())  # noqa: S608
