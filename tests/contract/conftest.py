"""Both databases for every contract test that asks for `new_database`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest

from agent.storage.database import Database, open_database
from tests.support.migrated import copy_migrated
from tests.support.postgres_server import PostgresServer
from tests.support.sqlite_threads import sqlite_connections_closed

OpenDatabase = Callable[[], AbstractAsyncContextManager[Database]]
"""Opens the one database of the test, as each worker process would."""


@pytest.fixture
def postgres(postgres_for_all: PostgresServer) -> PostgresServer:
    """Running, even if the test before this one left it stopped."""
    postgres_for_all.start()
    return postgres_for_all


@pytest.fixture
def migrated() -> bool:
    """Whether `database_url` has its tables. Override it for a test of the migrations."""
    return True


@pytest.fixture(params=["sqlite", "postgres"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path, migrated: bool) -> AsyncIterator[str]:
    """The address of a database without rows; the test runs once on each kind, and may leave no connection open."""
    if request.param == "sqlite":
        path = tmp_path / "data" / "switchboard.db"
        if migrated:
            copy_migrated(path)
        yield f"sqlite:///{path}"
        await sqlite_connections_closed()
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.migrated_database() if migrated else server.new_database()
        yield url
        if migrated:
            server.give_back(url)


@pytest.fixture
def open_it(database_url: str, tmp_path: Path) -> OpenDatabase:
    return partial(open_database, database_url, tmp_path, 5, 10.0)


@pytest.fixture
async def database(open_it: OpenDatabase) -> AsyncIterator[Database]:
    async with open_it() as database:
        yield database


@pytest.fixture
def open_postgres(postgres: PostgresServer, tmp_path: Path) -> OpenDatabase:
    """For a test that takes PostgreSQL away."""
    return partial(open_database, postgres.migrated_database(), tmp_path, 5, 10.0)
