"""Fixtures for tests of a whole server: `database_url` for both databases, a `provider`, and a client of `server`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from router.fake.server.fake_provider import FakeProvider
from tests.support.postgres_server import PostgresServer, postgres_server
from tests.support.serving import Served
from tests.support.session_client import SessionClient, client_of
from tests.support.sqlite_threads import sqlite_connections_closed


@pytest.fixture(scope="session")
def postgres_for_all() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SecretStr]:
    """The address of a database without rows for `serving`; the test runs once on each kind."""
    if request.param == "sqlite":
        yield SecretStr(f"sqlite:///{tmp_path}/data/switchboard.db")
        await sqlite_connections_closed()
    else:
        server: PostgresServer = request.getfixturevalue("postgres_for_all")
        server.start()  # a test before this one may have left it stopped
        yield SecretStr(server.migrated_database())


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    """A provider that behaves as its models are named."""
    async with FakeProvider() as provider:
        yield provider


@pytest.fixture
async def client(server: Served) -> AsyncIterator[SessionClient]:
    async with client_of(server) as client:
        yield client
