"""What a call does with the agent's hand-offs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agent.calls.line import Line
from agent.events import HandOff
from agent.sessions.turn_response import TurnResponse
from agent.tools.phone_lines import allowed_number
from agent.tools.transfer_call import CALL_CONTROLS, TRANSFER_TOOLS, call_control
from config.profile.agent_file import Destination


async def carry_out(hand_off: HandOff, line: Line, destinations: Sequence[Destination]) -> bool:
    """Transfer the call, or hang up. Returns False for anything else, and for a number that is not allowed."""
    control = call_control(hand_off.name)
    if control == "end":
        await line.hang_up()
        return True
    if control == "transfer" and (number := _number(hand_off, destinations)) is not None:
        await line.transfer(number)
        return True
    return False


def hand_offs_of(response: TurnResponse) -> list[HandOff]:
    """The hand-offs that a stored turn made. Those that were refused are not in it."""
    calls = (call for message in response.messages for call in message.get("tool_calls") or ())
    return [HandOff(str(call["id"]), call["name"], call["args"]) for call in calls if call["name"] in CALL_CONTROLS]


def _number(hand_off: HandOff, destinations: Sequence[Destination]) -> str | None:
    """The allowed number in the arguments. An MCP server's tool may name its argument in any way."""
    arguments: Mapping[str, Any] = hand_off.arguments
    named = TRANSFER_TOOLS.get(hand_off.name, "")
    values = [arguments[named]] if named in arguments else list(arguments.values())
    found = (allowed_number(each, destinations) for each in values)
    return next((each for each in found if each is not None), None)
