"""The carrier's frames: whatever comes is a frame, or no frame."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.phone.relay.wire import Dtmf, Frame, Interrupt, LineError, Prompt, Setup, Unknown, frame_of
from config.errors import RequestError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    ["callSid", "from", "to", "direction", "customParameters", "voicePrompt", "lang", "last", "digit", "description"]
)


@pytest.mark.parametrize(
    ("frame", "read"),
    [
        ({"type": "setup", "callSid": "CA1", "from": "+1", "to": "+2"}, Setup("CA1", "+1", "+2")),
        (
            {"type": "setup", "callSid": "CA1", "from": "+1", "to": "+2", "direction": "outbound-api"},
            Setup("CA1", "+2", "+1"),
        ),
        ({"type": "setup", "callControlId": "v3:1"}, Setup("v3:1", "", "", is_telnyx=True)),
        (
            {"type": "setup", "callSid": "CA1", "customParameters": {"model": "fast", "agent": 7}},
            Setup("CA1", "", "", model="fast"),
        ),
        ({"type": "prompt", "voicePrompt": "Hi", "lang": "en-US", "last": True}, Prompt("Hi", "en-US", True)),
        ({"type": "prompt", "voicePrompt": "Hi", "last": False}, Prompt("Hi", None, False)),
        (
            {"type": "interrupt", "utteranceUntilInterrupt": "Life", "durationUntilInterruptMs": "460"},
            Interrupt("Life"),
        ),
        ({"type": "dtmf", "digit": "1"}, Dtmf("1")),
        ({"type": "error", "description": "No."}, LineError("No.")),
        ({"type": "info", "name": "tokensPlayed"}, Unknown("info")),
        ({"type": 7}, Unknown(None)),
    ],
)
def test_frames(frame: dict[str, object], read: Frame) -> None:
    assert frame_of(orjson.dumps(frame)) == frame_of(orjson.dumps(frame).decode()) == read


@given(st.sampled_from(["setup", "prompt", "interrupt", "dtmf", "error", "x"]), st.dictionaries(FIELDS, VALUES))
def test_any_object_is_a_frame(kind: str, fields: dict[str, object]) -> None:
    frame_of(orjson.dumps({**fields, "type": kind}))


@given(st.binary(max_size=20) | st.text(st.characters(codec="utf-8"), max_size=20))
def test_anything_else_is_refused(message: bytes | str) -> None:
    try:
        frame_of(message)
    except RequestError:
        pass
