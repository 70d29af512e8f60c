"""ConversationRelay's frames as a phone sees them: those that it receives, and those that it sends. Pure.

Source: https://www.twilio.com/docs/voice/conversationrelay/websocket-messages
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

Json = dict[str, Any]

NOT_BY_VOICE: Final = (False, "none", "dtmf", "false")
"""Values of `interruptible` with which speech does not interrupt the agent."""


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of what the agent says. `last` completes the utterance."""

    token: str
    last: bool = False
    language: str | None = None
    interruptible: bool = True


@dataclass(frozen=True, slots=True)
class Play:
    """The phone plays the sound at this address."""

    source: str


@dataclass(frozen=True, slots=True)
class SendDigits:
    """The phone sends these tones."""

    digits: str


@dataclass(frozen=True, slots=True)
class Language:
    """The languages of the voice and of the transcription from here on; None does not change one."""

    voice: str | None = None
    transcription: str | None = None


@dataclass(frozen=True, slots=True)
class End:
    """The agent ends the relay. `handoff_data` is JSON for the action URL, such as where to transfer the call."""

    handoff_data: str | None = None


Frame = Text | Play | SendDigits | Language | End


class InvalidFrame(Exception):
    """The server sent something that is no frame of ConversationRelay. The message says what."""


def read_frame(data: str | bytes) -> Frame:
    """The frame that the server sent. Raises InvalidFrame."""
    try:
        frame = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise InvalidFrame(f"a frame that is not JSON: {exc}") from exc
    if not isinstance(frame, dict):
        raise InvalidFrame("a frame that is not a JSON object")
    kind = frame.get("type")
    match kind:
        case "text":
            return Text(
                _text(frame, "token"),
                frame.get("last") is True,
                _optional(frame, "lang"),
                frame.get("interruptible") not in NOT_BY_VOICE,
            )
        case "play":
            return Play(_text(frame, "source"))
        case "sendDigits":
            return SendDigits(_text(frame, "digits"))
        case "language":
            return Language(_optional(frame, "ttsLanguage"), _optional(frame, "transcriptionLanguage"))
        case "end":
            return End(_optional(frame, "handoffData"))
    raise InvalidFrame(f"a frame of the unknown type {kind!r}")


def setup_frame(call_id: str, number: str, to: str, parameters: Mapping[str, str]) -> bytes:
    """The first frame of a call."""
    return orjson.dumps(
        {
            "type": "setup",
            "sessionId": f"VX{call_id.removeprefix('CA')}",
            "callSid": call_id,
            "parentCallSid": "",
            "from": number,
            "to": to,
            "forwardedFrom": "",
            "callType": "PSTN",
            "callerName": "",
            "direction": "inbound",
            "callStatus": "in-progress",
            "accountSid": "",
            "customParameters": dict(parameters),
        }
    )


def prompt_frame(said: str, language: str) -> bytes:
    """What the caller said, as transcribed."""
    return orjson.dumps({"type": "prompt", "voicePrompt": said, "lang": language, "last": True})


def interrupt_frame(heard: str, seconds: float) -> bytes:
    """The caller interrupts. `heard` is what was spoken of the utterance until then, in `seconds`."""
    milliseconds = round(seconds * 1000)
    return orjson.dumps(
        {"type": "interrupt", "utteranceUntilInterrupt": heard, "durationUntilInterruptMs": milliseconds}
    )


def dtmf_frame(digit: str) -> bytes:
    """The caller presses a key."""
    return orjson.dumps({"type": "dtmf", "digit": digit})


def _text(frame: Json, key: str) -> str:
    if not isinstance(value := frame.get(key), str):
        raise InvalidFrame(f"a {frame['type']} frame whose {key} is not text")
    return value


def _optional(frame: Json, key: str) -> str | None:
    return None if frame.get(key) is None else _text(frame, key)
