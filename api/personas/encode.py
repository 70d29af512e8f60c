"""Encodes personas, conversations and messages for `/agents/*`. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from agent.personas.persona import Conversation, Exchange, Persona
from agent.personas.turn import PersonaTurn
from api.http.turn_response import served_headers


def agent(persona: Persona, conversations: Iterable[Conversation] = ()) -> dict[str, Any]:
    """All fields of the persona, with its newest conversations."""
    fields = asdict(persona)
    del fields["owner"]
    return {
        "id": fields.pop("id"),
        "timestamp": _time(fields.pop("created")),
        **{name: fields.pop(name) for name in ("context", "first_message", "response_shape", "instructions")},
        "conversations": [conversation(each) for each in conversations],
        **fields,
    }


def conversation(found: Conversation) -> dict[str, str]:
    return {"id": found.id, "agent_id": found.agent_id, "timestamp": _time(found.created)}


def message(exchange: Exchange) -> dict[str, str]:
    return {
        "id": exchange.id,
        "timestamp": _time(exchange.created),
        "conversation_id": exchange.conversation_id,
        "user_message": exchange.user_message,
        "agent_message": exchange.agent_message,
    }


def shape(turn: PersonaTurn) -> Mapping[str, str]:
    """`shape` of the last event of a stream, whose headers are sent before the answer is checked."""
    return {"shape": "mismatch"} if turn.shape == "mismatch" else {}


def headers(turn: PersonaTurn) -> Mapping[str, str]:
    """The headers of the last turn that ran, and `x-switchboard-shape: mismatch`."""
    served = served_headers(turn.turns[-1]) if turn.turns else {}
    return {**served, "x-switchboard-shape": "mismatch"} if turn.shape == "mismatch" else served


def _time(moment: datetime) -> str:
    """ISO 8601 with the offset of UTC, which every client's parser of datetimes reads."""
    return moment.isoformat(timespec="microseconds")
