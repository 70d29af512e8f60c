"""A session's live state as JSON: the fields of its record that a status shows."""

from __future__ import annotations

import json
from datetime import datetime

from agent.sessions.record import SessionRecord
from agent.sessions.turn_response import read_response


def encode(record: SessionRecord) -> str:
    """The record as JSON, without model, system message and summary."""
    last, expires_at = record.last_response, record.expires_at
    fields = {
        "user_id": record.user_id,
        "session_id": record.session_id,
        "thread_id": record.thread_id,
        "status": record.status,
        "message": record.message,
        "last_query": record.last_query,
        "last_response": None if last is None else last.stored(),
        "interrupts": record.interrupts,
        "created": record.created.isoformat(),
        "updated": record.updated.isoformat(),
        "expires_at": None if expires_at is None else expires_at.isoformat(),
    }
    return json.dumps(fields)


def decode(value: str) -> SessionRecord:
    """The record that was encoded."""
    fields = json.loads(value)
    last, expires_at = fields["last_response"], fields["expires_at"]
    updated = datetime.fromisoformat(fields["updated"])
    return SessionRecord(
        user_id=fields["user_id"],
        session_id=fields["session_id"],
        thread_id=fields["thread_id"],
        status=fields["status"],
        message=fields["message"],
        last_query=fields["last_query"],
        last_response=None if last is None else read_response(last, updated),
        model=None,
        system_message=None,
        interrupts=tuple(fields["interrupts"]),
        summary=None,
        created=datetime.fromisoformat(fields["created"]),
        updated=updated,
        expires_at=None if expires_at is None else datetime.fromisoformat(expires_at),
    )
