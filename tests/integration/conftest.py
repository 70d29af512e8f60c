"""Fixtures for tests of a whole server: a `database_url`, a `provider`, and a client of `server`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from zlib import crc32

import pytest
from pydantic import SecretStr

from router.fake.server.fake_provider import FakeProvider
from tests.support.postgres_server import PostgresServer
from tests.support.serving import Served
from tests.support.session_client import SessionClient, client_of
from tests.support.sqlite_threads import sqlite_connections, sqlite_connections_closed

DATABASES = ("sqlite", "postgres")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "both_databases: each test runs on SQLite and on PostgreSQL")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Half of the tests run on SQLite, half on PostgreSQL: those of the stores, in `tests/contract`, run on both.

    So do tests with the mark `both_databases`, whose turns end at any moment. A test's name decides, so that a new
    test does not move others.
    """
    if "database_url" in metafunc.fixturenames:
        both = metafunc.definition.get_closest_marker("both_databases") is not None
        one = DATABASES[crc32(metafunc.function.__name__.encode()) % 2]
        metafunc.parametrize("database_url", DATABASES if both else [one], indirect=True)


@pytest.fixture(autouse=True)
async def connections_end_with_their_loop() -> AsyncIterator[None]:
    """Wait for the connections to SQLite of a test, unless a server for all tests of the file has some, too."""
    others = sqlite_connections()
    yield
    if not others:
        await sqlite_connections_closed()


@pytest.fixture(autouse=True)
def endless_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no minute of the callers' limits end in a test: what was used in the last one counts less and less."""
    monkeypatch.setattr("limits.aio.storage.memory.time", SimpleNamespace(time=lambda: 1_800_000_030.0))


@pytest.fixture
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SecretStr]:
    """The address of a database without rows for `serving`."""
    if request.param == "sqlite":
        yield SecretStr(f"sqlite:///{tmp_path}/data/switchboard.db")
    else:
        server: PostgresServer = request.getfixturevalue("postgres_for_all")
        url = server.migrated_database()
        yield SecretStr(url)
        server.give_back(url)


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    """A provider that behaves as its models are named."""
    async with FakeProvider() as provider:
        yield provider


@pytest.fixture
async def client(server: Served) -> AsyncIterator[SessionClient]:
    async with client_of(server) as client:
        yield client
