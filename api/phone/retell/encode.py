"""The frames that Retell is sent: https://docs.retellai.com/api-references/llm-websocket

They are text: Retell closes a connection on which it gets a binary frame. It silently drops a frame with a field of
another type.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import orjson

from agent.tools.line_tools import DONE
from config.profile.phone import PhoneSettings

_NO_INTERRUPTION: Final = {"no_interruption_allowed": True}


class RetellLine:
    """The line of one caller behind Retell, see `agent.calls.line.Line`. `send` sends a frame.

    Retell decides when the agent speaks: it asks for a response, and everything until its end belongs to it. What the
    agent says at other times interrupts both sides.
    """

    def __init__(self, send: Callable[[str], Awaitable[None]], settings: PhoneSettings) -> None:
        self._send = send
        self._options = _NO_INTERRUPTION if settings.interruptible in ("none", "dtmf") else {}
        self._digits: dict[str, str] = {}
        """The keys that running tools have to press."""
        self._to_press = ""
        self._asked: int | None = None
        self._interrupts = 0
        self._speaks_unasked = False

    def ask(self, response_id: int) -> None:
        """Retell waits for this response from now on, and for no earlier one."""
        self._asked, self._speaks_unasked = response_id, False
        self._to_press = ""

    async def say(self, text: str, *, solicited: bool, language: str | None = None) -> None:
        """Speak the next piece. Retell chooses the language; a reminder of which it asked is a response."""
        await self._speak(text, complete=False, **self._options)

    async def end_utterance(self) -> None:
        """Without the end, Retell would wait for more, and ask for nothing until the caller speaks."""
        digits, self._to_press = self._to_press, ""
        if digits:
            await self._speak("", complete=True, digit_to_press=digits)
        elif self._asked is not None or self._speaks_unasked:
            await self._speak("", complete=True)

    async def tool_started(self, call_id: str, name: str, arguments: Mapping[str, Any]) -> None:
        if name == "sendDigits" and isinstance(digits := arguments.get("digits"), str):
            self._digits[call_id] = digits
        await self._send(tool_call_invocation(call_id, name, arguments))

    async def tool_finished(self, call_id: str, content: str) -> None:
        """Retell presses the keys of an accepted `sendDigits` when all is spoken. It knows no pauses between them."""
        digits = self._digits.pop(call_id, "")
        if content == DONE:
            self._to_press += re.sub("[wW]", "", digits)
        await self._send(tool_call_result(call_id, content))

    async def transfer(self, destination: str) -> None:
        """Retell connects the caller when all is spoken; not if the caller interrupts the agent before."""
        await self._speak("", complete=True, transfer_number=destination)

    async def hang_up(self) -> None:
        """Retell hangs up when all is spoken; not if the caller interrupts the agent before."""
        await self._speak("", complete=True, end_call=True)

    async def _speak(self, text: str, *, complete: bool, **actions: Any) -> None:
        response_id = self._asked
        if response_id is None and not self._speaks_unasked:
            self._interrupts += 1
        if complete:
            self._asked = None
        self._speaks_unasked = response_id is None and not complete
        if response_id is None:
            await self._send(agent_interrupt(self._interrupts, text, complete=complete, **actions))
        else:
            await self._send(response(response_id, text, complete=complete, **actions))


def config() -> str:
    """The first frame: Retell sends pings and connects again when they fail, and it sends the call's details."""
    wished = {"auto_reconnect": True, "call_details": True, "transcript_with_tool_calls": False}
    return _frame("config", config=wished)


def pong(timestamp: int) -> str:
    """The answer to a ping, with its `timestamp`."""
    return _frame("ping_pong", timestamp=timestamp)


def response(response_id: int, content: str, *, complete: bool = False, **actions: Any) -> str:
    """The next piece of what Retell asked for with `response_id`.

    Retell performs the `actions` of the last piece, which is `complete`, when all is spoken: `end_call` or
    `transfer_number`. With `no_interruption_allowed` the caller cannot interrupt the piece.
    """
    return _frame("response", response_id=response_id, content=content, content_complete=complete, **actions)


def agent_interrupt(interrupt_id: int, content: str, *, complete: bool = False, **actions: Any) -> str:
    """The next piece of what the agent says unasked. Pieces with the same `interrupt_id` belong together."""
    return _frame("agent_interrupt", interrupt_id=interrupt_id, content=content, content_complete=complete, **actions)


def tool_call_invocation(call_id: str, name: str, arguments: Mapping[str, Any]) -> str:
    """The agent calls one of its tools. Retell notes it in its transcript."""
    return _frame("tool_call_invocation", tool_call_id=call_id, name=name, arguments=_json(arguments))


def tool_call_result(call_id: str, content: str) -> str:
    """The result of a tool, for Retell's transcript."""
    return _frame("tool_call_result", tool_call_id=call_id, content=content)


def _frame(kind: str, **fields: Any) -> str:
    return _json({"response_type": kind, **fields})


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
