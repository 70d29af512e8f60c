"""Encodes the events of a session's turn for `/agent/*`, as SSE or as one JSON object. No I/O."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import orjson
from langchain_core.messages import AnyMessage, convert_to_openai_messages

from agent.events import HandOff, ReviewRequested, TextDelta, ToolStarted, TurnFailed, Usage
from agent.sessions.events import SessionEnded, SessionEvent, SessionOpened
from agent.sessions.record import SessionRecord
from api.http.errors import error_object
from config.errors import StorageUnavailable, SwitchboardError


async def sse(events: AsyncGenerator[SessionEvent, None]) -> AsyncGenerator[bytes, None]:
    """One `data:` line for each event: `text_chunk`, `tool_call`, and finally `interrupt`, `completed` or `error`.

    Raises:
        SwitchboardError: the turn did not start.
    """
    session_id = ""
    failed: SwitchboardError | None = None
    interrupts: list[Mapping[str, Any]] = []
    async with aclosing(events) as stream:
        async for event in stream:
            match event:
                case SessionOpened(session_id):
                    pass
                case TextDelta(text):
                    yield _line("text_chunk", session_id, content=text)
                case ToolStarted(call_id, name, arguments) | HandOff(call_id, name, arguments):
                    yield _line("tool_call", session_id, data={"tool_calls": [_call(call_id, name, arguments)]})
                case ReviewRequested(interrupt_id, question):
                    interrupts.append({"interrupt_id": interrupt_id, **question})
                case TurnFailed(error):
                    failed = error
                case SessionEnded() if failed is not None:
                    yield error_line(failed, session_id)
                case SessionEnded():
                    if interrupts:
                        yield _line("interrupt", session_id, **_pending(interrupts))
                    else:
                        yield _line("completed", session_id, data=_outcome(event, None))
                case _:
                    pass


def error_line(error: SwitchboardError, session_id: str = "") -> bytes:
    """The `error` event."""
    return _line("error", session_id, error_message=str(error), code=error.code)


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
    return _outcome(ended, failed)


def status(record: SessionRecord) -> dict[str, Any]:
    """The session's status, as a client needs it to resume the session."""
    return {
        "user_id": record.user_id,
        "session_id": record.session_id,
        "status": record.status,
        "message": record.message,
        "last_query": record.last_query,
        "last_response": record.last_response,
        "last_updated": _time(record.updated),
        "expires_at": _time(record.expires_at),
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


def messages(history: Sequence[AnyMessage]) -> list[dict[str, Any]]:
    """Messages in OpenAI's format, with their ids."""
    return [{"id": each.id, **_message(each)} for each in history]


def _outcome(ended: SessionEnded, failed: SwitchboardError | None) -> dict[str, Any]:
    record = ended.record
    answer: dict[str, Any] = {
        "session_id": record.session_id,
        "status": "error" if failed else record.status,
        "timestamp": _now(),
        "message": record.message or record.last_response or "",
        "result": {"messages": messages(ended.messages), "usage": _usage(ended.usage)},
        **_pending(record.interrupts),
    }
    return {**answer, **error_object(failed)} if failed else answer


def _pending(interrupts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`interrupt_data` is the first pending interrupt; `interrupts` lists all of them."""
    return {"interrupt_data": interrupts[0] if interrupts else None, "interrupts": list(interrupts)}


def _message(message: AnyMessage) -> dict[str, Any]:
    converted = convert_to_openai_messages(message)
    return converted if isinstance(converted, dict) else converted[0]


def _call(call_id: str, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": call_id, "name": name, "args": dict(arguments)}


def _usage(usage: Usage) -> dict[str, int]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }


def _line(kind: str, session_id: str, **fields: Any) -> bytes:
    return b"data: " + orjson.dumps({"type": kind, **fields, "session_id": session_id, "timestamp": _now()}) + b"\n\n"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")
