"""A server whose database is away when it starts: it waits a while, then says so in one line and ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.postgres_server import PostgresServer
from tests.support.server_process import client_of_process, running, server_in
from tests.support.session_rig import eventually


@pytest.fixture
def postgres(postgres_for_all: PostgresServer) -> PostgresServer:
    postgres_for_all.start()
    return postgres_for_all


@pytest.mark.parametrize("workers", [1, 2])
async def test_it_ends_with_one_clear_line(tmp_path: Path, postgres: PostgresServer, workers: int) -> None:
    url = postgres.new_database()
    postgres.stop()
    server = server_in(tmp_path / "server", database_url=url, startup_wait=1, workers=workers)
    await server.begin()
    assert await server.ended() == 1
    said = server.log.splitlines()
    assert not [line for line in said if "Traceback" in line or "hunter2" in line]
    (refusal,) = [line for line in said if "cannot be used" in line]
    assert refusal == said[-1]
    assert refusal.startswith("SWITCHBOARD_DATABASE_URL: the database ")
    assert "Check that it runs and that SWITCHBOARD_DATABASE_URL is correct" in refusal
    assert len([line for line in said if "waiting_for_database" in line]) == 1


async def test_it_starts_when_the_database_comes_in_time(tmp_path: Path, postgres: PostgresServer) -> None:
    url = postgres.new_database()
    postgres.stop()
    server = server_in(tmp_path / "server", database_url=url, startup_wait=60)
    await server.begin()
    await eventually(lambda: "waiting_for_database" in server.log, 60)
    await asyncio.to_thread(postgres.start)
    async with running(server), client_of_process(server) as client:
        assert (await client.invoke("Hi"))["status"] == "completed"


async def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    server = server_in(tmp_path / "server", data_dir=tmp_path / "data")
    await server.begin()
    assert await server.ended() == 1
    assert "Traceback" not in server.log
    assert str(tmp_path / "data") in server.log.splitlines()[-1]
