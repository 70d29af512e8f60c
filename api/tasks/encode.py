"""Encodes background tasks for `/agent/task*`. Their events and answers are those of the sessions' API. No I/O."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Any

from agent.sessions.events import SessionEnded, SessionEvent
from agent.tasks.record import TaskRecord
from api.http.errors import error_object
from api.sessions import encode
from config.errors import SwitchboardError


def task(record: TaskRecord) -> dict[str, Any]:
    """The task with its result, which is that of /agent/invoke."""
    answer = record.answer or {}
    return {
        "task_id": record.task_id,
        "user_id": record.user_id,
        "session_id": record.session_id,
        "status": record.status,
        "message": answer.get("message", ""),
        "result": answer.get("result"),
        "interrupt_data": answer.get("interrupt_data"),
        "interrupts": answer.get("interrupts", []),
        "steps": list(record.steps),
        "created": record.created.timestamp(),
        "started": _time(record.started),
        "finished": _time(record.finished),
        **({"error": answer["error"]} if "error" in answer else {}),
    }


async def sse(events: AsyncGenerator[tuple[int, str], None]) -> AsyncGenerator[bytes, None]:
    """The events with their numbers as ids, for `Last-Event-ID`. Raises as `events` does."""
    async with aclosing(events) as numbered:
        async for number, line in numbered:
            yield f"id: {number}\n{line}".encode()


class SessionFormats:
    """Stores events and answers as `/agent/invoke` sends them."""

    async def lines(self, events: AsyncGenerator[SessionEvent, None], session_id: str) -> AsyncGenerator[str, None]:
        async with aclosing(encode.SseEncoder(session_id).sse(events)) as lines:
            async for line in lines:
                yield line.decode()

    def answer(self, ended: SessionEnded) -> Mapping[str, Any]:
        return encode.ended_response(ended)

    def failure(self, error: SwitchboardError, session_id: str) -> Mapping[str, Any]:
        return {"session_id": session_id, "status": "error", "message": str(error), **error_object(error)}

    def error_line(self, error: SwitchboardError, session_id: str) -> str:
        return encode.SseEncoder(session_id).error_line(error).decode()

    def restarted_line(self, session_id: str) -> str:
        return encode.SseEncoder(session_id).restarted_line().decode()


def _time(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
