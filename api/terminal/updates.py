"""What a turn yields while it runs, read from the events of a stream."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

from api.terminal.agent_api import ConnectionLost
from api.terminal.turn_parts import CallPart, Json, Outcome, TextPart, call_of_event, outcome_of_answer, pending_in


@dataclass(frozen=True, slots=True)
class Waiting:
    """The turn's answer is late for this reason. The client keeps trying."""

    reason: str


class Restarted(Waiting):
    """The worker of a task stopped. Another one repeats the text since the last tool call."""


Update = TextPart | CallPart | Waiting | Outcome
"""What a turn yields while it runs. The last is the Outcome."""


def read_events(events: Iterator[Json]) -> Generator[Update, None, None]:
    """The updates in the events of a stream, to its end. Raises ConnectionLost if the stream breaks off."""
    for event in events:
        match event.get("type"):
            case "text_chunk":
                yield TextPart(str(event.get("content") or ""))
            case "tool_call":
                for call in (event.get("data") or {}).get("tool_calls") or ():
                    yield call_of_event(call)
            case "restarted":
                yield Restarted(str(event.get("message") or "Another worker repeats the text of this step."))
            case "interrupt":
                yield Outcome("interrupted", interrupts=pending_in(event))
                return
            case "completed":
                yield outcome_of_answer(event.get("data") or {})
                return
            case "error":
                yield Outcome("error", str(event.get("error_message") or "The turn failed."))
                return
    raise ConnectionLost("The connection to the server broke.", sent=True)
