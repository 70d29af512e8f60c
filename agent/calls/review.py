"""Waits for a person's decision about a tool call of a session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Final

from agent.sessions.service import SessionService
from agent.sessions.signals import Signals, turn_ended_topic, wait_for_signal
from agent.sessions.turn_response import TurnResponse
from config.errors import StorageUnavailable

POLL_INTERVAL: Final = 2.0
"""Seconds between two looks at the session, in case that a signal is lost."""


async def outcomes(
    sessions: SessionService, signals: Signals, user_id: str, session_id: str, since: float | None
) -> AsyncGenerator[TurnResponse, None]:
    """The response of each turn that goes on after a decision, until none is pending any more.

    `since` is the time of the response that asked for the decision; None is that of the newest.
    """
    record = await sessions.find(user_id, session_id)
    if record is None:
        return
    if since is None:
        since = record.last_response.timestamp if record.last_response else 0.0
    ended = asyncio.Event()
    with signals.subscribe(turn_ended_topic(record.thread_id), ended.set):
        while record is not None:
            ended.clear()
            with suppress(StorageUnavailable):
                record = await sessions.find(user_id, session_id)
            response = record and record.last_response
            if response and response.timestamp != since:
                since = response.timestamp
                yield response
            if record is None or record.status not in ("interrupted", "running"):
                return
            await wait_for_signal(ended, POLL_INTERVAL)
