from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.phone.retell.wire import (
    Details,
    PingPong,
    ReminderRequired,
    ResponseRequired,
    UpdateOnly,
    read_frame,
)
from config.errors import RequestError


def read(kind: str, **fields: Any) -> Any:
    return read_frame(orjson.dumps({"interaction_type": kind, **fields}))


def agent(content: str) -> dict[str, Any]:
    return {"role": "agent", "content": content, "words": []}


def user(content: str) -> dict[str, Any]:
    return {"role": "user", "content": content, "words": [{"word": content, "start": 4.375, "end": 4.615}]}


def request(*transcript: dict[str, Any]) -> ResponseRequired:
    frame = read("response_required", response_id=3, timestamp=3, transcript=transcript)
    assert isinstance(frame, ResponseRequired)
    return frame


def test_the_samples_of_the_documentation_are_read() -> None:
    assert read("ping_pong", timestamp=1703302407333) == PingPong(interaction_type="ping_pong", timestamp=1703302407333)
    update = read("update_only", transcript=[agent("Hey how can I help you?")], turntaking="agent_turn")
    assert isinstance(update, UpdateOnly)
    assert update.turntaking == "agent_turn"
    assert isinstance(read("reminder_required", response_id=4, transcript=[]), ReminderRequired)
    assert request(agent("Hey how can I help you?"), user("Hey. How are you?")).response_id == 3


def test_the_call_names_the_person_and_the_line() -> None:
    numbers = {"from_number": "+12137771234", "to_number": "+12137771235", "metadata": {}}
    inbound = read("call_details", call={"direction": "inbound", **numbers})
    assert isinstance(inbound, Details)
    assert (inbound.call.party, inbound.call.line) == ("+12137771234", "+12137771235")
    outbound = read("call_details", call={"direction": "outbound", **numbers})
    assert (outbound.call.party, outbound.call.line) == ("+12137771235", "+12137771234")
    web = read("call_details", call={"call_type": "web_call", "from_number": None})
    assert (web.call.party, web.call.line) == (None, None)


def test_only_the_words_since_the_agents_last_ones_are_new() -> None:
    frame = request(agent("Hello!"), user("I need a room."), agent("For how"), user(" Two nights, "), user("please."))
    assert frame.said == "Two nights, please."
    assert frame.spoken == ("Hello!", "For how")
    assert request(user("Hello?")).said == "Hello?"
    assert request(user("Hello?"), agent("Hi")).said == ""
    assert request().said == ""


def test_other_speakers_are_neither_side() -> None:
    frame = request(agent("Hello!"), user("Is Ann"), {"role": "transfer_target", "content": "Ann here"}, user("there?"))
    assert frame.said == "Is Ann there?"
    assert frame.spoken == ("Hello!",)


def test_missing_texts_are_empty() -> None:
    assert request({"role": "agent"}, {"role": "user", "content": None}, {}).said == ""
    assert read("response_required", response_id=1, transcript=None).spoken == ()


@pytest.mark.parametrize(("frame", "kind"), [({"interaction_type": "news"}, "news"), ({}, ""), ({"a": 1}, "")])
def test_an_unknown_type_is_only_named(frame: dict[str, Any], kind: str) -> None:
    assert read_frame(orjson.dumps(frame)) == kind


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "The frame is not JSON."),
        ("[1]", "The frame is not an object."),
        ('{"interaction_type": "ping_pong"}', "ping_pong.timestamp of the frame is not valid."),
        ('{"interaction_type": "ping_pong", "timestamp": 1e99}', "ping_pong.timestamp of the frame is not valid."),
        ("[" * 100_000, "The frame is not JSON."),
        ('{"interaction_type": "response_required"}', "response_required.response_id of the frame is not valid."),
    ],
)
def test_an_invalid_frame_is_refused_without_quoting_it(text: str, message: str) -> None:
    with pytest.raises(RequestError) as refused:
        read_frame(text)
    assert str(refused.value) == message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)


@given(
    kind=st.sampled_from(["ping_pong", "call_details", "update_only", "response_required", "reminder_required"]),
    fields=st.dictionaries(st.sampled_from(["timestamp", "call", "transcript", "response_id", "turntaking"]), JSON),
)
def test_no_frame_raises_another_error(kind: str, fields: dict[str, Any]) -> None:
    try:
        frame = read_frame(orjson.dumps({**fields, "interaction_type": kind}, option=orjson.OPT_PASSTHROUGH_SUBCLASS))
    except (RequestError, orjson.JSONEncodeError):
        return
    if isinstance(frame, ResponseRequired):
        assert isinstance(frame.said, str)
