"""The response of a session's turn, which the session keeps until its next turn has ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Final, Literal

from langchain_core.messages import AIMessage

from agent.events import Usage
from agent.message_fields import message_fields

_KEY: Final = "turn_response"
_PREFIX: Final = f'{{"{_KEY}": '

USAGE_FIELDS: Final = frozenset(each.name for each in fields(Usage))


@dataclass(frozen=True, slots=True)
class TurnResponse:
    """What the turn's caller got, or would have got without a hang-up.

    `timestamp` is the end of the turn in Unix seconds. `messages` are those that the turn added, see
    `agent.message_fields`. A failed turn has the error's words in `message`, and its `error_code`. An interrupted one
    keeps the `model` and the `system_message` of its request, with which it goes on after the review.
    """

    status: Literal["completed", "interrupted", "error"]
    timestamp: float
    message: str = ""
    messages: tuple[Mapping[str, Any], ...] = ()
    usage: Usage = field(default_factory=Usage)
    interrupts: tuple[Mapping[str, Any], ...] = ()
    error_code: str | None = None
    error_param: str | None = None
    model: str | None = None
    system_message: str | None = None

    def stored(self) -> str:
        """The response as text, for `read_response`."""
        # `asdict` of the whole copies all messages first, which takes three times as long.
        named = ((each.name, getattr(self, each.name)) for each in fields(self))
        values = {name: value for name, value in named if value is not None}
        return json.dumps({_KEY: {**values, "usage": asdict(self.usage)}})


def read_response(stored: str, updated: datetime) -> TurnResponse:
    """The stored response. Earlier versions stored only the text of the answer, whose turn ended at `updated`."""
    if not stored.startswith(_PREFIX):
        messages = (message_fields(AIMessage(stored)),) if stored else ()
        return TurnResponse("completed", updated.timestamp(), messages=messages)
    value = json.loads(stored)[_KEY]
    value["usage"] = Usage(**{name: each for name, each in value["usage"].items() if name in USAGE_FIELDS})
    value["messages"], value["interrupts"] = tuple(value["messages"]), tuple(value["interrupts"])
    return TurnResponse(**value)
