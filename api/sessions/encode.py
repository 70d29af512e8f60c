"""Encodes the events of a session's turn for `/agent/*`, as SSE or as one JSON object. No I/O."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import orjson

from agent.events import HandOff, TextDelta, ToolStarted, TurnFailed
from agent.sessions.events import SessionEnded, SessionEvent, SessionOpened
from agent.sessions.record import SessionRecord
from api.http.errors import stored_error_object
from api.http.usage import usage_fields
from config.errors import StorageUnavailable, SwitchboardError


class SseEncoder:
    """The SSE form of one turn. `session_id` is the caller's, until the turn has begun on one."""

    def __init__(self, session_id: str | None) -> None:
        self._session_id = session_id or ""

    async def sse(self, events: AsyncGenerator[SessionEvent, None]) -> AsyncGenerator[bytes, None]:
        """One `data:` line for each event: `text_chunk`, `tool_call`, and finally `interrupt`, `completed` or `error`.

        Raises:
            SwitchboardError: the turn did not start.
        """
        failed: SwitchboardError | None = None
        async with aclosing(events) as stream:
            async for event in stream:
                match event:
                    case SessionOpened(session_id):
                        self._session_id = session_id
                    case TextDelta(text):
                        yield self._line("text_chunk", content=text)
                    case ToolStarted(call_id, name, arguments) | HandOff(call_id, name, arguments):
                        yield self._line("tool_call", data={"tool_calls": [_call(call_id, name, arguments)]})
                    case TurnFailed(error):
                        failed = error
                    case SessionEnded() if failed is not None:
                        yield self.error_line(failed)
                    case SessionEnded(record):
                        yield self._last_line(record)
                    case _:
                        pass

    def error_line(self, error: SwitchboardError) -> bytes:
        """The `error` event."""
        return self._line("error", error_message=str(error), code=error.code)

    def restarted_line(self) -> bytes:
        """The `restarted` event of a background task: another worker goes on after the last complete step."""
        return self._line("restarted", message="The worker stopped. Another one repeats the text of this step.")

    def _last_line(self, record: SessionRecord) -> bytes:
        if record.interrupts:
            return self._line("interrupt", **_pending(record.interrupts))
        return self._line("completed", data=last_response(record))

    def _line(self, kind: str, **fields: Any) -> bytes:
        event = {"type": kind, **fields, "session_id": self._session_id, "timestamp": time.time()}
        return b"data: " + orjson.dumps(event) + b"\n\n"


async def outcome(events: AsyncGenerator[SessionEvent, None]) -> dict[str, Any]:
    """The whole turn as one JSON object.

    Raises:
        SwitchboardError: the turn did not start.
        StorageUnavailable: the turn stopped because its progress could not be stored.
    """
    failed: SwitchboardError | None = None
    ended: SessionEnded | None = None
    async with aclosing(events) as stream:
        async for event in stream:
            match event:
                case TurnFailed(error):
                    failed = error
                case SessionEnded():
                    ended = event
                case _:
                    pass
    if ended is None:
        raise SwitchboardError("The turn did not end.")
    if isinstance(failed, StorageUnavailable):
        raise failed
    return ended_response(ended)


def ended_response(ended: SessionEnded) -> dict[str, Any]:
    """The response of a turn that has ended."""
    response = last_response(ended.record)
    assert response is not None  # noqa: S101  (a session whose turn has ended has one)
    return response


def status(record: SessionRecord) -> dict[str, Any]:
    """The session's status, as a client needs it to resume the session."""
    return {
        "user_id": record.user_id,
        "session_id": record.session_id,
        "status": record.status,
        "message": record.message,
        "last_query": record.last_query,
        "last_response": last_response(record),
        "last_updated": record.updated.timestamp(),
        "expires_at": record.expires_at.timestamp() if record.expires_at else None,
        **_pending(record.interrupts),
    }


def not_found(user_id: str, session_id: str) -> dict[str, Any]:
    """The status of a session that does not exist."""
    return {
        "user_id": user_id,
        "session_id": session_id,
        "status": "not_found",
        "message": "The user has no such session, or it has expired.",
        "last_query": None,
        "last_response": None,
        "last_updated": None,
        "expires_at": None,
        **_pending(()),
    }


def last_response(record: SessionRecord) -> dict[str, Any] | None:
    """The response of the session's last turn; None before its first turn has ended."""
    last = record.last_response
    if last is None:
        return None
    response = {
        "session_id": record.session_id,
        "status": last.status,
        "timestamp": last.timestamp,
        "message": last.message,
        "result": {"messages": last.messages, "usage": usage_fields(last.usage)},
        **_pending(last.interrupts),
    }
    if last.error_code is not None:
        response |= stored_error_object(last.error_code, last.message, last.error_param)
    return response


def _pending(interrupts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`interrupt_data` is the first pending interrupt; `interrupts` lists all of them."""
    return {"interrupt_data": interrupts[0] if interrupts else None, "interrupts": list(interrupts)}


def _call(call_id: str, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": call_id, "name": name, "args": dict(arguments), "type": "tool_call"}
