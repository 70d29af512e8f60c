"""Answers that were read against what waited a moment ago: what is stored alone decides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.sessions.record import SessionRecord
from agent.sessions.requests import Resumption
from agent.storage.database import open_database
from agent.tools.review import ReviewResponse
from config.errors import NotPending
from config.profile.agent_file import AgentProfile
from tests.support.session_rig import SESSION, USER, SessionRig, session_rig
from tests.support.sqlite_threads import sqlite_connections_closed

PROFILE = AgentProfile("Be kind.", tools=("multiply",), review=("multiply",))
TWO = '/call multiply {"a": 6, "b": 7}\n/call multiply {"a": 2, "b": 3}'


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[SessionRig]:
    async with open_database(None, tmp_path, 2, 10.0) as database, session_rig(database, PROFILE) as rig:
        yield rig
    await sqlite_connections_closed()


async def answer(rig: SessionRig, interrupt_id: str) -> None:
    request = Resumption(USER, SESSION, {interrupt_id: ReviewResponse("accept")})
    async for _ in rig.service.resume(request):
        pass


async def late(rig: SessionRig, monkeypatch: pytest.MonkeyPatch, record: SessionRecord, interrupt_id: str) -> None:
    """An answer whose request read `record` before somebody else was faster."""

    async def get(*_: Any) -> SessionRecord:
        return record

    with monkeypatch.context() as patched:
        patched.setattr(rig.service, "get", get)
        with pytest.raises(NotPending, match="answered already"):
            await answer(rig, interrupt_id)


async def test_one_that_comes_after_the_last_changes_nothing(rig: SessionRig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.invoke(TWO.splitlines()[0]).read_all()
    before = await rig.service.get(USER, SESSION)
    await answer(rig, before.interrupts[0]["interrupt_id"])
    after, history = await rig.service.get(USER, SESSION), await rig.history()
    assert after.status == "completed"
    await late(rig, monkeypatch, before, before.interrupts[0]["interrupt_id"])
    assert (await rig.service.get(USER, SESSION), await rig.history()) == (after, history)


async def test_one_to_what_was_answered_meanwhile_leaves_the_rest_waiting(
    rig: SessionRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.invoke(TWO).read_all()
    before = await rig.service.get(USER, SESSION)
    first, second = (each["interrupt_id"] for each in before.interrupts)
    await answer(rig, first)
    await late(rig, monkeypatch, before, first)
    waits = await rig.service.get(USER, SESSION)
    assert (waits.status, [each["interrupt_id"] for each in waits.interrupts]) == ("interrupted", [second])
    await answer(rig, second)
    assert [str(each.text) for each in await rig.history() if each.type == "tool"] == ["42", "6"]
    assert await rig.status() == "completed"
