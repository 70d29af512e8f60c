"""The outcome of a turn on a session, collected from its events."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AnyMessage

from agent.events import Event, ReviewRequested, TurnFailed, TurnFinished, Usage
from agent.message_fields import all_fields
from agent.message_usage import message_usage
from agent.sessions.handed_off import as_handed_off
from agent.sessions.record import Status
from agent.sessions.turn_response import TurnResponse
from config.errors import ServerStopping, TurnCancelled, TurnSuperseded


@dataclass(slots=True)
class TurnOutcome:
    """What is stored of a turn. Pass every event to `add`; a turn without a final event was abandoned by its caller.

    `earlier` are the messages of a turn that began in a process that died; None if it began in this one.
    """

    earlier: Sequence[AnyMessage] | None = None
    usage: Usage = field(default_factory=Usage)
    interrupts: list[Mapping[str, Any]] = field(default_factory=list)
    _final: TurnFinished | TurnFailed | None = None

    def add(self, event: Event) -> None:
        match event:
            case ReviewRequested(interrupt_id, question):
                self.interrupts.append({"interrupt_id": interrupt_id, **question})
            case Usage():
                self.usage = event
            case TurnFinished() | TurnFailed():
                self._final = event

    @property
    def is_incomplete(self) -> bool:
        """Whether the turn stopped in the middle of a step."""
        return not isinstance(self._final, TurnFinished)

    @property
    def is_stopped(self) -> bool:
        """Whether the turn ended because its server stops."""
        return isinstance(self._final, TurnFailed) and isinstance(self._final.error, ServerStopping)

    @property
    def status(self) -> Status:
        match self._final:
            case TurnFinished("interrupted"):
                return "interrupted"
            case TurnFinished():
                return "completed"
            case TurnFailed(TurnCancelled() | TurnSuperseded()) | None:
                return "idle"
            case _:
                return "error"

    @property
    def message(self) -> str:
        """Why the turn did not finish, "" when it did."""
        match self._final:
            case TurnFinished():
                return ""
            case TurnFailed(error):
                return str(error)
            case _:
                return "The caller hung up during the turn."

    def response(self, messages: Sequence[AnyMessage]) -> TurnResponse:
        """What the caller of the turn gets. `messages` are those that the turn added in this process.

        The cost of a turn that began in another process is not known.
        """
        failed = self._final.error if isinstance(self._final, TurnFailed) else None
        if failed is None and self.is_incomplete:
            failed = TurnCancelled(self.message)
        return TurnResponse(
            status="error" if failed else "interrupted" if self.status == "interrupted" else "completed",
            timestamp=time.time(),
            message=self.message,
            messages=all_fields([*as_handed_off([*(self.earlier or ()), *messages])]),
            usage=self.usage if self.earlier is None else message_usage(self.earlier) + self.usage,
            interrupts=tuple(self.interrupts),
            error_code=failed.code if failed else None,
            error_param=getattr(failed, "param", None),
        )
