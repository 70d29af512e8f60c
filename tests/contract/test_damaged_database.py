"""Databases that are damaged, removed, newer than the server, or silent: words for people, and no tracebacks."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from langchain_core.messages import HumanMessage
from langgraph.graph import START, MessagesState, StateGraph

from agent.sessions.store import SessionStore
from agent.storage.checkpoints import open_checkpoints
from agent.storage.database import Database, open_database, storage_errors
from agent.storage.earlier_checkpoints import CHECKPOINT_FORMAT
from agent.storage.sqlite import FilePresence
from config.errors import ConfigError, StorageUnavailable
from tests.contract.conftest import OpenDatabase
from tests.support.postgres_server import PostgresServer
from tests.support.sqlite_threads import sqlite_connections_closed


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    yield tmp_path / "data"
    await sqlite_connections_closed()


def truncate_log_and_damage(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with path.open("r+b") as file:
        file.write(b"garbage!" * (path.stat().st_size // 8))


async def test_a_database_that_is_damaged_while_it_runs_is_said_in_words(folder: Path) -> None:
    async with open_database(None, folder, 2, 1.0) as database:
        store = SessionStore(database)
        await store.create("ann", "s")
        await asyncio.to_thread(truncate_log_and_damage, folder / "switchboard.db")
        with pytest.raises(StorageUnavailable, match="damaged"):
            for number in range(50):
                await store.create("ann", f"s{number}")
                await store.find("ann", "s")


async def test_a_removed_folder_is_said_in_words(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.storage.sqlite.LOOK_INTERVAL", 0.0)
    async with open_database(None, folder, 2, 1.0) as database:
        store = SessionStore(database)
        await store.create("ann", "s")
        shutil.rmtree(folder)
        for call in (store.find("ann", "s"), store.create("ann", "t")):
            with pytest.raises(StorageUnavailable, match="file is gone"):
                await call


async def test_the_file_is_looked_up_at_most_once_in_a_second(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    presence = FilePresence()
    assert await presence.exists(file)
    file.unlink()
    assert await presence.exists(file)


@pytest.mark.parametrize("name", ["switchboard.db", "checkpoints.db"])
async def test_a_file_that_is_no_database_is_refused_at_the_start_by_its_name(folder: Path, name: str) -> None:
    folder.mkdir()
    (folder / name).write_bytes(b"garbage " * 1000)
    with pytest.raises(ConfigError, match=rf"{name} cannot be used: .*not a database"):
        async with open_database(None, folder, 2, 1.0):
            pass


def add_one_message(database: Database, saver: Any) -> Any:
    graph = StateGraph(MessagesState)
    graph.add_node("answer", lambda _: {"messages": []})
    graph.add_edge(START, "answer")
    compiled = graph.compile(checkpointer=saver)
    return compiled.ainvoke({"messages": [HumanMessage("Hi")]}, {"configurable": {"thread_id": "t"}})


async def test_checkpoints_of_a_newer_version_are_refused(
    open_it: OpenDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_it() as database:
        async with open_checkpoints(database) as saver:
            await add_one_message(database, saver)
            written = await saver.aget_tuple({"configurable": {"thread_id": "t"}})
            assert written is not None and written.checkpoint["v"] == CHECKPOINT_FORMAT
        async with open_checkpoints(database):
            pass  # what this version wrote, it reads
        monkeypatch.setattr("agent.storage.earlier_checkpoints.CHECKPOINT_FORMAT", CHECKPOINT_FORMAT - 1)
        with pytest.raises(ConfigError, match="a newer version of Switchboard wrote them"):
            async with open_checkpoints(database):
                pass


class Freezer:
    """A proxy before PostgreSQL that can stop answering: it takes connections and forwards nothing."""

    def __init__(self, url: str) -> None:
        query = parse_qs(urlsplit(url).query)
        self._socket = f"{query['host'][0]}/.s.PGSQL.5432"
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.name = urlsplit(url).path

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """The URL of the database behind the proxy."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield f"postgresql://postgres:hunter2@127.0.0.1:{port}{self.name}?sslmode=disable&gssencmode=disable"
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def freeze(self) -> None:
        self._thawed.clear()

    def thaw(self) -> None:
        self._thawed.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        writers = [writer]
        try:
            await self._thawed.wait()
            from_server, to_server = await asyncio.open_unix_connection(self._socket)
            writers.append(to_server)
            await asyncio.gather(self._forward(reader, to_server), self._forward(from_server, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for each in writers:
                each.transport.abort()
            for each in writers:
                with suppress(OSError):
                    await each.wait_closed()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._thawed.wait()
            writer.write(data)
            await writer.drain()
        writer.close()


async def test_a_postgresql_that_takes_connections_and_never_answers_is_an_outage_within_three_seconds(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    freezer = Freezer(postgres.new_database())
    async with freezer.running() as url, open_database(url, tmp_path, 2, 10.0) as database:
        async with open_checkpoints(database) as saver:
            store = SessionStore(database)
            await store.create("ann", "s")
            thread: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
            await add_one_message(database, saver)
            freezer.freeze()
            for _ in range(2):  # on connections that were open, and on new ones
                began = asyncio.get_running_loop().time()
                with pytest.raises(StorageUnavailable):
                    await store.find("ann", "s")
                assert asyncio.get_running_loop().time() - began < 3
                began = asyncio.get_running_loop().time()
                with pytest.raises(StorageUnavailable), storage_errors():
                    await saver.aget_tuple(thread)
                assert asyncio.get_running_loop().time() - began < 3
            freezer.thaw()
            assert await store.find("ann", "s") is not None
            assert await saver.aget_tuple(thread) is not None
