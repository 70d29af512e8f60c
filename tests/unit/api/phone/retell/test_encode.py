from __future__ import annotations

from typing import Any

import orjson

from agent.tools.line_tools import DONE
from api.phone.retell import encode
from config.profile.phone import PhoneSettings


def test_the_frames_are_those_of_the_documentation() -> None:
    assert orjson.loads(encode.config()) == {
        "response_type": "config",
        "config": {"auto_reconnect": True, "call_details": True, "transcript_with_tool_calls": False},
    }
    assert orjson.loads(encode.pong(1703302407333)) == {"response_type": "ping_pong", "timestamp": 1703302407333}
    assert orjson.loads(encode.response(3, "I'm doing great, ")) == {
        "response_type": "response",
        "response_id": 3,
        "content": "I'm doing great, ",
        "content_complete": False,
    }
    assert orjson.loads(encode.response(10, "Goodbye.", complete=True, end_call=True)) == {
        "response_type": "response",
        "response_id": 10,
        "content": "Goodbye.",
        "content_complete": True,
        "end_call": True,
    }
    assert orjson.loads(encode.agent_interrupt(1, "Stop!", complete=True, no_interruption_allowed=True)) == {
        "response_type": "agent_interrupt",
        "interrupt_id": 1,
        "content": "Stop!",
        "content_complete": True,
        "no_interruption_allowed": True,
    }


def test_the_arguments_of_a_tool_are_json_in_a_string() -> None:
    call = orjson.loads(encode.tool_call_invocation("call_1", "book", {"city": "北京"}))
    assert call == {
        "response_type": "tool_call_invocation",
        "tool_call_id": "call_1",
        "name": "book",
        "arguments": '{"city":"北京"}',
    }
    assert orjson.loads(encode.tool_call_result("call_1", "Booked.")) == {
        "response_type": "tool_call_result",
        "tool_call_id": "call_1",
        "content": "Booked.",
    }


class Sent(list[dict[str, Any]]):
    """The frames that a line sends."""

    async def send(self, text: str) -> None:
        self.append(orjson.loads(text))

    def said(self) -> list[tuple[str, int, str, bool]]:
        """Type, id, content and whether it is the last, of what was spoken."""
        return [
            (kind, each.get("response_id", each.get("interrupt_id")), each["content"], each["content_complete"])
            for each in self
            if (kind := each["response_type"])
        ]


async def test_what_retell_asked_for_is_one_response_until_its_end() -> None:
    sent = Sent()
    line = encode.RetellLine(sent.send, PhoneSettings())
    line.ask(3)
    await line.say("One moment. ", solicited=True)
    await line.say("It is four.", solicited=True)
    await line.end_utterance()
    await line.end_utterance()
    assert sent.said() == [
        ("response", 3, "One moment. ", False),
        ("response", 3, "It is four.", False),
        ("response", 3, "", True),
    ]
    assert not any("no_interruption_allowed" in each for each in sent)


async def test_what_the_agent_says_unasked_interrupts_with_an_id_for_each_utterance() -> None:
    sent = Sent()
    line = encode.RetellLine(sent.send, PhoneSettings())
    await line.end_utterance()
    for text in ("Your colleague ", "agrees."):
        await line.say(text, solicited=False)
    await line.end_utterance()
    await line.say("Anything else?", solicited=False)
    line.ask(4)
    await line.say("Yes.", solicited=True)
    await line.end_utterance()
    await line.say("Goodbye.", solicited=False)
    await line.hang_up()
    assert sent.said() == [
        ("agent_interrupt", 1, "Your colleague ", False),
        ("agent_interrupt", 1, "agrees.", False),
        ("agent_interrupt", 1, "", True),
        ("agent_interrupt", 2, "Anything else?", False),
        ("response", 4, "Yes.", False),
        ("response", 4, "", True),
        ("agent_interrupt", 3, "Goodbye.", False),
        ("agent_interrupt", 3, "", True),
    ]
    assert sent[-1]["end_call"] is True


async def test_a_reminder_of_which_retell_asked_is_a_response() -> None:
    sent = Sent()
    line = encode.RetellLine(sent.send, PhoneSettings())
    line.ask(5)
    await line.say("Are you still there?", solicited=False)
    await line.end_utterance()
    assert sent.said() == [("response", 5, "Are you still there?", False), ("response", 5, "", True)]


async def test_the_last_piece_of_a_response_transfers() -> None:
    sent = Sent()
    line = encode.RetellLine(sent.send, PhoneSettings())
    line.ask(6)
    await line.say("I connect you.", solicited=True)
    await line.transfer("+1234567890")
    assert sent[-1] == {
        "response_type": "response",
        "response_id": 6,
        "content": "",
        "content_complete": True,
        "transfer_number": "+1234567890",
    }


async def test_keys_that_the_agent_presses_are_pressed_when_all_is_spoken() -> None:
    sent = Sent()
    line = encode.RetellLine(sent.send, PhoneSettings())
    line.ask(7)
    await line.say("I press one. ", solicited=True)
    for call_id, digits, result in (("a", "1ww2", DONE), ("b", "99", "Refused.")):
        await line.tool_started(call_id, "sendDigits", {"digits": digits})
        await line.tool_finished(call_id, result)
    await line.end_utterance()
    assert (sent[-1]["response_id"], sent[-1]["content_complete"], sent[-1]["digit_to_press"]) == (7, True, "12")
    await line.tool_started("c", "sendDigits", {"digits": "3"})
    await line.tool_finished("c", DONE)
    line.ask(8)  # the caller has spoken
    await line.end_utterance()
    assert "digit_to_press" not in sent[-1]


async def test_a_line_that_speech_does_not_interrupt_says_so_with_each_piece() -> None:
    sent = Sent()
    line = encode.RetellLine(sent.send, PhoneSettings(interruptible="none"))
    line.ask(9)
    await line.say("Listen.", solicited=True)
    assert sent[-1]["no_interruption_allowed"] is True
