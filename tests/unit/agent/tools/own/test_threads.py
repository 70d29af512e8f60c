"""Synchronous tools in threads of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from agent.tools.own import threads


async def test_a_call_that_is_cancelled_before_its_thread_begins_ends_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies: list[Callable[[], None]] = []

    def thread(target: Callable[[], None], **_: Any) -> SimpleNamespace:
        return SimpleNamespace(start=lambda: bodies.append(target))

    def look() -> str:
        return "one"

    monkeypatch.setattr(threads, "Thread", thread)
    call = asyncio.ensure_future(threads.in_thread(look)())
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    (body,) = bodies
    body()  # what it raised would be printed as a crash of the thread
