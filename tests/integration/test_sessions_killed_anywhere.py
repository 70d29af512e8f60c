"""A server that dies between any two writes of a turn: the message is kept, no tool runs twice, the session goes on.

Each transaction of the turn leaves a copy of the database, as a SIGKILL at that moment would.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.tools import tool
from sqlalchemy import Connection

from agent.storage.database import open_database
from agent.tools.review import OUTCOME_UNKNOWN
from agent.tools.tool_set import SERVER_TOOLS
from config.profile.agent_file import AgentProfile
from tests.support.session_rig import assert_consistent_history, queries, session_rig

T = TypeVar("T")

PROFILE = AgentProfile(system_prompt="Be kind.", tools=("count", "book_hotel"), review=("book_hotel",))

TURN = """
/say I count.
/call count {"name": "first"}
/call count {"name": "second"}
/then
/say Once more.
/call count {"name": "third"}
""".strip()


@dataclass(slots=True)
class Copying:
    """A `SqliteThread` that copies the database after each transaction. `ran` are the tools that had begun by then."""

    thread: Any
    path: Path
    ran: list[str]
    copies: list[tuple[Path, list[str]]] = field(default_factory=list)

    async def run(self, work: Callable[[Connection], T], *, read_only: bool = False) -> T:
        result: T = await self.thread.run(work, read_only=read_only)
        copy = self.path.parent / f"copy{len(self.copies)}" / self.path.name
        self.copies.append((copy, list(self.ran)))
        await asyncio.to_thread(copy_database, self.path, copy)
        return result


def copy_database(path: Path, copy: Path) -> None:
    """Copy the database as it is found after the lease of its turn has lapsed."""
    copy.parent.mkdir()
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("UPDATE sessions SET lease_until = '1970-01-01 00:00:00.000000' WHERE turn_id IS NOT NULL")
        target.commit()


async def test_killed_between_any_two_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    @tool
    async def count(name: str) -> str:
        """Counts."""
        ran.append(name)
        return f"counted {name}"

    monkeypatch.setitem(SERVER_TOOLS, "count", count)
    async with open_database(None, tmp_path / "data", 2, 10.0) as database:
        assert database.thread is not None
        copying = Copying(database.thread, tmp_path / "data" / "switchboard.db", ran)
        async with session_rig(replace(database, thread=copying), PROFILE) as rig:  # type: ignore[arg-type]
            await rig.invoke("Hi").read_all()
            begun = len(copying.copies)
            await rig.invoke(TURN).read_all()
    killed = copying.copies[begun:]
    assert ran == ["first", "second", "third"]
    assert len(killed) >= 8  # the claim, three steps of the model, two of tools, their results, the end
    for copy, before in killed:
        ran.clear()
        async with (
            open_database(f"sqlite:///{copy}", tmp_path, 2, 10.0) as database,
            session_rig(database, PROFILE) as rig,
        ):
            assert await rig.status() == ("completed" if copy == killed[-1][0] else "error")
            await rig.invoke("And now?").read_all()
            history = await rig.history()
            assert_consistent_history(history)
            assert queries(history) == ["Hi", TURN, "And now?"]
            results = {str(each.content) for each in history if isinstance(each, ToolMessage)}
            assert results <= {OUTCOME_UNKNOWN, *(f"counted {each}" for each in before)}
            assert ran == []  # no tool runs again by itself
