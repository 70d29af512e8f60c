"""Opening the database: the same suite over SQLite and PostgreSQL, with real processes where several start at once."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from structlog.testing import capture_logs

from agent.sessions.sessions_table import sessions
from agent.sessions.store import SessionStore
from agent.storage.database import Database, open_database
from agent.storage.migrations.upgrade import VERSION_TABLE
from config.errors import ConfigError, StorageUnavailable
from tests.contract.conftest import OpenDatabase
from tests.support.postgres_server import PostgresServer

ROOT = Path(__file__).parents[2]

PROCESS = """
import asyncio, sys
from pathlib import Path
from agent.storage.database import open_database
from agent.storage.checkpoints import open_checkpoints
from agent.sessions.store import SessionStore

async def main(url, folder, name):
    async with open_database(url, folder, 2, 20.0) as database, open_checkpoints(database) as saver:
        await SessionStore(database).create("u", name)
        assert await saver.aget_tuple({"configurable": {"thread_id": "a"}}) is None

print("ready", flush=True)
sys.stdin.readline()
asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
"""


@pytest.fixture
def migrated() -> bool:
    return False


async def test_several_processes_start_at_once_on_an_empty_database(
    open_it: OpenDatabase, database_url: str, tmp_path: Path
) -> None:
    async with asyncio.timeout(90):
        processes = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-W", "error", "-c", PROCESS, database_url, tmp_path, f"s{n}"),
                **{"stdin": PIPE, "stdout": PIPE, "stderr": PIPE, "cwd": ROOT},
            )
            for n in range(5)
        ]
        for process in processes:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
        ended = await asyncio.gather(*[process.communicate(b"go\n") for process in processes])
    assert [stderr.decode() for _, stderr in ended if b"Traceback" in stderr] == []
    assert [process.returncode for process in processes] == [0] * 5
    async with open_it() as database:
        assert len(await SessionStore(database).ids("u")) == 5


async def test_the_migrations_make_the_tables_that_the_code_knows(database: Database) -> None:
    def differences(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"include_object": ours}), METADATA))

    async with database.read() as connection:
        assert await connection.run_sync(differences) == []


METADATA = sessions.metadata


def ours(_: Any, name: str | None, kind: str, reflected: bool, __: Any) -> bool:
    return kind != "table" or not reflected or name in METADATA.tables


async def test_what_is_stored_is_there_when_it_is_opened_again(open_it: OpenDatabase) -> None:
    async with open_it() as database:
        made = await SessionStore(database).create("u", "s")
    async with open_it() as database:
        assert await SessionStore(database).find("u", "s") == made


async def test_a_database_of_a_newer_version_is_refused_and_not_touched(open_it: OpenDatabase) -> None:
    async with open_it() as database, database.begin() as connection:
        await connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(ConfigError) as raised:
        async with open_it():
            pass
    assert "was migrated by a newer version of Switchboard (its tables are at revision 9999" in str(raised.value)
    assert "hunter2" not in str(raised.value)


async def test_a_migration_that_fails_leaves_the_tables_as_they_were(
    open_it: OpenDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_it():
        pass
    versions = tmp_path / "scripts" / "versions"
    versions.mkdir(parents=True)
    for script in (ROOT / "agent/storage/migrations/versions").glob("*.py"):
        (versions / script.name).write_text(script.read_text())
    newest = max(script.name[:4] for script in versions.glob("*.py"))
    (versions / "broken.py").write_text(BROKEN.replace("NEWEST", newest))
    monkeypatch.setattr("agent.storage.migrations.upgrade.FOLDER", versions.parent)
    monkeypatch.setattr("agent.storage.migrations.revision.NEWEST", "broken")
    for _ in range(2):  # no lock is left behind either
        with pytest.raises(ConfigError):
            async with open_it():
                pass
    (versions / "broken.py").unlink()
    async with open_it() as database:
        async with database.read() as connection:
            assert "half_made" not in await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        assert await SessionStore(database).create("u", "s")


BROKEN = """
import sqlalchemy as sa
from alembic import op
revision = "broken"
down_revision = "NEWEST"
def upgrade():
    op.create_table("half_made", sa.Column("id", sa.Integer))
    op.execute("SELECT * FROM no_such_table")
"""


async def test_only_one_process_sets_up_at_a_time(open_it: OpenDatabase, database: Database) -> None:
    async with open_it() as other, database.migration_lock():
        with capture_logs() as logs:
            second = asyncio.ensure_future(hold(other))
            while not logs:
                await asyncio.sleep(0.01)
        assert [(each["event"], each["log_level"]) for each in logs] == [("waiting_for_migration", "info")]
        assert not second.done()
        second.cancel()
        await asyncio.wait([second])
        third = asyncio.ensure_future(hold(other))
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await third


async def hold(database: Database) -> None:
    async with database.migration_lock():
        pass


async def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    with pytest.raises(LookupError):
        async with database.begin() as connection:
            await connection.execute(text("CREATE TABLE half_made (id INTEGER)"))
            raise LookupError
    async with database.read() as connection:
        assert "half_made" not in await connection.run_sync(lambda sync: inspect(sync).get_table_names())


async def test_a_bug_in_a_statement_is_not_taken_for_an_outage(database: Database) -> None:
    for statement in ("SELECT * FROM no_such_table", "SELEKT", "INSERT INTO sessions (thread_id) VALUES ('x')"):
        with pytest.raises(Exception, match=r"no_such_table|syntax|user_id|NULL|null") as raised:
            async with database.begin() as connection:
                await connection.execute(text(statement))
        assert not isinstance(raised.value, StorageUnavailable)


async def test_more_callers_than_connections_wait_for_their_turn(database: Database) -> None:
    async def one() -> int:
        async with database.read() as connection:
            return int((await connection.execute(text("SELECT 1"))).scalar_one())

    assert sum(await asyncio.gather(*[one() for _ in range(10 * database.pool_size)])) == 10 * database.pool_size


# PostgreSQL alone


async def test_the_start_waits_for_postgres_and_says_so_once(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.storage.database.POLL_INTERVAL", 0.01)
    url = postgres.new_database()
    postgres.stop()

    async def start() -> None:
        async with open_database(url, tmp_path, 2, 60.0) as database:
            await SessionStore(database).create("u", "s")

    with capture_logs() as logs:
        starting = asyncio.create_task(start())
        while not logs:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)  # a few more looks, of which the log says nothing
        postgres.start()
        await starting
    (told,) = logs
    assert (told["event"], told["log_level"], told["seconds"]) == ("waiting_for_database", "warning", 60.0)
    assert told["database"].endswith("/test_" + url.partition("/test_")[2].partition("?")[0])
    assert "hunter2" not in repr(logs)


async def test_a_postgres_that_does_not_come_up_in_time_is_a_clear_error(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.storage.database.POLL_INTERVAL", 0.01)
    url = postgres.url("voices")
    postgres.stop()
    with pytest.raises(ConfigError) as raised:
        async with open_database(url, tmp_path, 2, 0.05):
            pass
    (problem,) = raised.value.problems
    assert problem.key == "SWITCHBOARD_DATABASE_URL"
    assert ":5432/voices cannot be used: " in problem.message
    assert "Check that it runs and that SWITCHBOARD_DATABASE_URL is correct" in problem.message
    assert "hunter2" not in str(raised.value)
    assert "\n" not in problem.message


async def test_who_may_not_make_tables_is_told_so(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.new_database()
    postgres.execute("CREATE ROLE reader LOGIN")
    with pytest.raises(ConfigError, match="permission denied for schema public"):
        async with open_database(url.replace("postgres:hunter2@", "reader:hunter2@"), tmp_path, 2, 0.0):
            pass


async def test_no_more_connections_are_opened_than_the_pool_may_have(postgres: PostgresServer, tmp_path: Path) -> None:
    async with open_database(postgres.new_database(), tmp_path, 3, 5.0) as database:

        async def opened() -> int:
            count = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            async with database.read() as connection:
                return int((await connection.execute(count)).scalar_one())

        while await opened() > 1:
            await asyncio.sleep(0.01)  # PostgreSQL still ends the connections of the migration
        assert max(await asyncio.gather(*[opened() for _ in range(30)])) == 3
