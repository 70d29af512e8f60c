"""The TwiML of `/phone/incoming` and `/phone/relay/action`."""

from __future__ import annotations

import pytest

from api.rehearsal.twiml import Incoming, InvalidTwiml, read_destination, read_incoming

RELAY = '<Response><Connect action="/a"><ConversationRelay {}>{}</ConversationRelay></Connect></Response>'


def test_whether_it_greets_the_language_and_the_parameters_are_read() -> None:
    attributes = 'url="wss://h/phone/relay?a=1&amp;b=2" welcomeGreeting="Hi &amp; hello" language="zh-CN"'
    document = RELAY.format(attributes, '<Language code="zh-CN"/><Parameter name="agent" value="chef"/>')
    assert read_incoming(document) == Incoming(True, True, "zh-CN", "a=1&b=2", {"agent": "chef"})


@pytest.mark.parametrize(("value", "interruptible"), [("none", False), ("dtmf", False), ("any", True)])
def test_the_agent_may_not_be_interruptible(value: str, interruptible: bool) -> None:
    assert read_incoming(RELAY.format(f'interruptible="{value}"', "")).interruptible is interruptible


@pytest.mark.parametrize(
    ("document", "number"),
    [
        ("<Response><Dial>+1 234</Dial></Response>", "+1 234"),
        ("<Response><Dial answerOnBridge='true'><Number>+1234</Number></Dial></Response>", "+1234"),
        ("<Response><Dial>\n  <Sip>sip:a@b</Sip>\n</Dial></Response>", "sip:a@b"),
        ("<Response><Hangup/></Response>", None),
        ("<Response/>", None),
    ],
)
def test_the_destination_is_what_is_dialled(document: str, number: str | None) -> None:
    assert read_destination(document) == number


def test_what_is_no_twiml_is_refused() -> None:
    with pytest.raises(InvalidTwiml, match="not XML"):
        read_destination("<Response>")
    with pytest.raises(InvalidTwiml, match="ConversationRelay"):
        read_incoming("<Response><Say>Hi</Say></Response>")
