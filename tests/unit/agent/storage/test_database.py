"""The default database, a SQLite file: how it is made, and what is said when it cannot be used."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as SqlalchemyTimeout
from structlog.testing import capture_logs

from agent.sessions.store import SessionStore
from agent.storage.database import open_database, storage_errors
from agent.storage.migrations.revision import NEWEST
from agent.storage.migrations.upgrade import FOLDER
from agent.storage.postgres import Postgres
from config.errors import ConfigError, StorageUnavailable
from tests.support.sqlite_threads import sqlite_connections_closed


@pytest.fixture(autouse=True)
async def no_connection_is_left_open() -> AsyncIterator[None]:
    yield
    await sqlite_connections_closed()


async def refusal(url: str | None, folder: Path) -> str:
    with pytest.raises(ConfigError) as raised:
        async with open_database(url, folder, 2, 30.0):
            pass
    (problem,) = raised.value.problems
    assert problem.key == "SWITCHBOARD_DATABASE_URL"
    return problem.message


async def test_without_an_address_the_file_lies_in_a_folder_for_this_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with open_database(None, folder, 2, 0):
        assert (folder / "switchboard.db").is_file()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_an_address_of_a_file_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_database("sqlite:///here/a.db", tmp_path / "data", 2, 0):
        assert (tmp_path / "here/a.db").is_file()
    async with open_database(f"sqlite:///{tmp_path}/there 50%/b.db", tmp_path / "data", 2, 0):
        assert (tmp_path / "there 50%/b.db").is_file()
    assert not (tmp_path / "data").exists()


async def test_every_connection_is_set_up_to_be_fast_and_safe(tmp_path: Path) -> None:
    async with open_database(None, tmp_path, 2, 0) as database:
        for use in (database.begin, database.read):
            async with use() as connection:
                values = [
                    (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
                    for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
                ]
                assert values == ["wal", 1, 5000, 1]


async def test_readers_do_not_wait_for_a_writer(tmp_path: Path) -> None:
    async with open_database(None, tmp_path, 2, 0) as database:
        store = SessionStore(database)
        made = await store.create("u", "s")
        async with database.begin() as connection, asyncio.timeout(2):
            await connection.execute(text("UPDATE sessions SET message = 'x'"))
            assert await store.find("u", "s") == made


async def test_a_file_that_another_process_holds_for_long_is_an_outage_and_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.storage.sqlite.BUSY_TIMEOUT", 0.05)
    async with open_database(None, tmp_path, 2, 0) as database:
        store = SessionStore(database)
        holder = sqlite3.connect(tmp_path / "switchboard.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with capture_logs() as logs, pytest.raises(StorageUnavailable):
            await store.create("u", "s")
        assert [(each["event"], each["problem"]) for each in logs] == [("storage_unavailable", "database is locked")]
        holder.execute("COMMIT")
        holder.close()
        assert await store.create("u", "s")


async def test_a_writer_that_reads_first_is_not_overtaken(tmp_path: Path) -> None:
    async with open_database(None, tmp_path, 2, 0) as database, open_database(None, tmp_path, 2, 0) as other:
        await SessionStore(database).create("u", "s")
        async with database.begin() as connection:
            await connection.execute(text("SELECT * FROM sessions"))
            overtaking = asyncio.create_task(SessionStore(other).create("u", "s2"))
            await asyncio.sleep(0.05)
            await connection.execute(text("UPDATE sessions SET message = 'x'"))
        assert await overtaking


async def test_more_callers_than_connections_are_told_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.storage.sqlite.BUSY_TIMEOUT", 0.05)
    async with open_database(None, tmp_path, 1, 0) as database:
        async with database.read():
            with pytest.raises(StorageUnavailable) as raised:
                await SessionStore(database).ids("u")
        assert raised.value.retry_after == 1.0
        assert await SessionStore(database).ids("u") == []


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "switchboard.db").write_text("not a database " * 100)
    message = await refusal(None, tmp_path)
    assert message.startswith(f"the database {tmp_path}/switchboard.db cannot be used: file is not a database. Check ")


async def test_a_place_where_no_file_can_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "/file/data/switchboard.db cannot be used: " in await refusal(None, tmp_path / "file" / "data")
    (tmp_path / "switchboard.db").mkdir()
    assert "cannot be used: unable to open database file. Check that " in await refusal(None, tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "cannot be used: " in await refusal(None, tmp_path)


def connection_error() -> DBAPIError:
    return DBAPIError("SELECT secret", None, psycopg.OperationalError("the connection\n\tis lost"))


@pytest.mark.parametrize(
    "error",
    [
        connection_error(),
        DBAPIError("", None, sqlite3.OperationalError("?"), connection_invalidated=True),
        SqlalchemyTimeout(),
        psycopg.OperationalError(),
        psycopg.InterfaceError(),
        psycopg.errors.AdminShutdown(),
        psycopg.errors.TooManyConnections(),
        psycopg.errors.DiskFull(),
    ],
    ids=repr,
)
def test_an_outage_is_told_in_one_way(error: Exception) -> None:
    with capture_logs() as logs, pytest.raises(StorageUnavailable) as raised, storage_errors():
        raise error
    assert raised.value.__cause__ is error
    assert [each["event"] for each in logs] == ["storage_unavailable"]
    assert "secret" not in repr(logs)


def test_what_the_driver_says_goes_into_the_log_on_one_line_without_the_statement() -> None:
    with capture_logs() as logs, pytest.raises(StorageUnavailable), storage_errors():
        raise connection_error()
    assert logs[0]["problem"] == "the connection is lost"


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_BUSY_SNAPSHOT])
def test_a_full_or_broken_disk_is_an_outage(code: int) -> None:
    error = sqlite3.OperationalError("?")
    error.sqlite_errorcode = code
    with pytest.raises(StorageUnavailable), storage_errors():
        raise error


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.OperationalError("near 'SELEKT'"),
        sqlite3.IntegrityError(),
        psycopg.errors.UndefinedTable(),
        psycopg.errors.UniqueViolation(),
        ValueError(),
        StorageUnavailable(),
        asyncio.CancelledError(),
    ],
    ids=repr,
)
def test_all_else_stays_what_it_is(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, storage_errors():
        raise error
    assert raised.value is error


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://u:hunter2@db.example:6432/voices", "db.example:6432/voices"),
        ("postgres://u:hunter2@db/voices?sslmode=require", "db:5432/voices"),
        ("postgresql://u:hunter2@/voices?host=/run/postgresql", "/run/postgresql:5432/voices"),
        ("postgresql://u:hunter2@a:1,b:2/voices", "a,b:1,2/voices"),
    ],
)
def test_a_postgres_is_named_without_its_password(url: str, name: str) -> None:
    postgres = Postgres.from_url(url)
    assert str(postgres) == name
    assert "hunter2" not in repr(postgres)


def test_what_an_address_says_wins_over_the_defaults() -> None:
    conninfo = psycopg.conninfo.conninfo_to_dict(Postgres.from_url("postgresql://db/voices?connect_timeout=1").conninfo)
    assert (conninfo["connect_timeout"], conninfo["application_name"]) == ("1", "switchboard")


async def test_an_address_that_libpq_cannot_read_is_not_quoted(tmp_path: Path) -> None:
    message = await refusal("postgresql://u:hunter2@db/voices?hunter2=1", tmp_path)
    assert "hunter2" not in message
    assert "cannot parse this URL" in message


def test_the_code_knows_its_newest_migration() -> None:
    scripts = ScriptDirectory(FOLDER)
    assert scripts.get_heads() == [NEWEST]
