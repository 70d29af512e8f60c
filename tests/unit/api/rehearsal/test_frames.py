"""ConversationRelay's frames, as a phone receives and sends them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.rehearsal import frames
from api.rehearsal.frames import End, InvalidFrame, Language, Play, SendDigits, Text, read_frame
from tests.support.properties import few, json_objects


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({"type": "text", "token": "Hi ", "last": False}, Text("Hi ")),
        ({"type": "text", "token": "", "last": True, "lang": "zh-CN"}, Text("", True, "zh-CN")),
        ({"type": "text", "token": "a", "interruptible": False}, Text("a", interruptible=False)),
        ({"type": "text", "token": "a", "interruptible": "any", "preemptible": True}, Text("a")),
        ({"type": "play", "source": "https://a/b.mp3", "loop": 1}, Play("https://a/b.mp3")),
        ({"type": "sendDigits", "digits": "9w1"}, SendDigits("9w1")),
        ({"type": "language", "ttsLanguage": "sv-SE"}, Language("sv-SE")),
        ({"type": "end", "handoffData": "{}"}, End("{}")),
        ({"type": "end"}, End()),
    ],
)
def test_frames_are_read(frame: dict[str, Any], expected: frames.Frame) -> None:
    assert read_frame(orjson.dumps(frame)) == expected


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"type": "txt"}', "unknown type 'txt'"),
        ('{"type": "text"}', "whose token is not text"),
        ('{"type": "end", "handoffData": {}}', "whose handoffData is not text"),
    ],
)
def test_what_is_no_frame_is_refused_in_words(data: str, said: str) -> None:
    with pytest.raises(InvalidFrame, match=said):
        read_frame(data)


@few
@given(
    json_objects("type token last lang source digits handoffData interruptible"), st.sampled_from(["text", "end", 1])
)
def test_any_object_is_a_frame_or_is_refused(value: dict[str, Any], kind: object) -> None:
    try:
        assert isinstance(read_frame(orjson.dumps({**value, "type": kind})), frames.Frame)
    except InvalidFrame:
        pass


def test_frames_are_sent_as_twilio_sends_them() -> None:
    setup = orjson.loads(frames.setup_frame("CA1", "+1", "+2", {"model": "fast"}))
    assert (setup["type"], setup["callSid"], setup["sessionId"]) == ("setup", "CA1", "VX1")
    assert (setup["from"], setup["to"], setup["customParameters"]) == ("+1", "+2", {"model": "fast"})
    assert orjson.loads(frames.prompt_frame("Hi", "en-US")) == {
        "type": "prompt", "voicePrompt": "Hi", "lang": "en-US", "last": True
    }  # fmt: skip
    assert orjson.loads(frames.interrupt_frame("Of course", 1.5)) == {
        "type": "interrupt", "utteranceUntilInterrupt": "Of course", "durationUntilInterruptMs": 1500
    }  # fmt: skip
    assert orjson.loads(frames.dtmf_frame("#")) == {"type": "dtmf", "digit": "#"}
