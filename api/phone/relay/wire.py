"""The frames that a carrier sends on ConversationRelay's WebSocket. Twilio and Telnyx send the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from api.http.body import json_object

MAX_SAID: Final = 20_000
"""Characters of one prompt. Nobody says as much without a pause."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The first frame. `party` is the other party's number, `line` that of this server.

    `model` and `agent` are those of the custom parameters: who answers in place of the profile's. `is_telnyx`: the
    carrier is Telnyx, whose frames have one more id.
    """

    call_id: str
    party: str
    line: str
    model: str | None = None
    agent: str | None = None
    is_telnyx: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the caller has said; `is_last`: and has finished saying."""

    text: str
    language: str | None
    is_last: bool


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The caller spoke while the line did; `heard` is what it had played until then."""

    heard: str


@dataclass(frozen=True, slots=True)
class Dtmf:
    """The caller pressed a key."""

    digit: str


@dataclass(frozen=True, slots=True)
class LineError:
    """The carrier could not use a frame of ours, or its speech provider failed."""

    description: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A frame of another type, None if it has no name."""

    type: str | None


Frame = Setup | Prompt | Interrupt | Dtmf | LineError | Unknown


def frame_of(message: str | bytes) -> Frame:
    """The frame in a message. Raises RequestError if it is no JSON object."""
    sent = json_object(message.encode() if isinstance(message, str) else message, "The frame")
    match sent.get("type"):
        case "setup":
            return _setup(sent)
        case "prompt":
            return Prompt(
                _text(sent, "voicePrompt")[:MAX_SAID], _text(sent, "lang") or None, sent.get("last") is not False
            )
        case "interrupt":
            return Interrupt(_text(sent, "utteranceUntilInterrupt"))
        case "dtmf":
            return Dtmf(_text(sent, "digit")[:1])
        case "error":
            return LineError(_text(sent, "description"))
        case kind:
            return Unknown(kind if isinstance(kind, str) else None)


def _setup(sent: Mapping[str, Any]) -> Setup:
    caller, called = _text(sent, "from"), _text(sent, "to")
    if _text(sent, "direction").startswith("outbound"):  # this server's number called
        caller, called = called, caller
    parameters = given if isinstance(given := sent.get("customParameters"), dict) else {}
    control_id = _text(sent, "callControlId")
    return Setup(
        _text(sent, "callSid") or control_id or _text(sent, "sessionId"),
        caller,
        called,
        _text(parameters, "model") or None,
        _text(parameters, "agent") or None,
        is_telnyx=bool(control_id),
    )


def _text(sent: Mapping[str, Any], name: str) -> str:
    value = sent.get(name)
    return value if isinstance(value, str) else ""
