"""Tools that transfer a phone call or end it.

A number that the model made up, or that a caller talked it into, is toll fraud. So a transfer, whoever advertises the
tool, only goes to a destination of the allow-list in agent.yaml, and with the number as the allow-list has it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.tools import ToolException

from agent.tools.hand_off import HandOffTool
from config.profile.agent_file import Destination

TRANSFER_TOOLS: Mapping[str, str] = {
    "transferCall": "destination",  # Vapi
    "transfer_call": "destination",
    "transfer_to_number": "transfer_number",  # ElevenLabs
}
"""The voice platforms' names for a transfer tool, and the argument that contains the number."""

END_TOOLS = frozenset({"endCall", "end_call"})

TRANSFER_DESCRIPTION = (
    "Transfer the phone call to a person. Call it when the caller asks for a human, an agent, an operator or a "
    "transfer, in any language. First say one short sentence, such as 'Connecting you now.', then call it at once."
)
END_DESCRIPTION = "End the phone call. Call it after the goodbye, when the caller has nothing more to ask."


class TransferTool(HandOffTool):
    """A transfer to one of the allowed `destinations`. `argument` is the parameter that contains it."""

    argument: str
    destinations: tuple[Destination, ...]

    def accept(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """`arguments` with the destination as the allow-list has it; without one, the first of the list.

        Raises:
            ToolException: the destination is not on the allow-list.
        """
        asked = arguments.get(self.argument)
        if asked in (None, ""):
            return {**arguments, self.argument: self.destinations[0].number}
        for destination in self.destinations:
            if _same(asked, destination.number) or (destination.name and _same(asked, destination.name)):
                return {**arguments, self.argument: destination.number}
        allowed = ", ".join(_described(each) for each in self.destinations)
        raise ToolException(f"Refused: that destination is not allowed. Allowed: {allowed}. Do not try any other.")


def transfer_tool(
    name: str,
    destinations: Sequence[Destination],
    *,
    description: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> TransferTool:
    """The transfer tool `name`, one of `TRANSFER_TOOLS`. A caller's own description and parameters are kept."""
    argument = TRANSFER_TOOLS[name]
    schema = dict(parameters or {"type": "object", "properties": {}})
    described = "Where to: " + "; ".join(_described(each) for each in destinations)
    given = schema.get("properties") or {}
    destination = {"description": described, **given.get(argument, {}), "type": "string"}
    destination["enum"] = [each.number for each in destinations]
    schema["properties"] = {**given, argument: destination}
    if parameters is None and len(destinations) > 1:
        schema["required"] = [argument]
    return TransferTool(
        name=name,
        description=description or TRANSFER_DESCRIPTION,
        args_schema=schema,
        argument=argument,
        destinations=tuple(destinations),
    )


def end_tool(name: str, *, description: str | None = None, parameters: Mapping[str, Any] | None = None) -> HandOffTool:
    """The hang-up tool `name`, one of `END_TOOLS`."""
    schema = dict(parameters or {"type": "object", "properties": {}})
    return HandOffTool(name=name, description=description or END_DESCRIPTION, args_schema=schema)


def _same(asked: object, known: str) -> bool:
    return isinstance(asked, str) and _bare(asked) == _bare(known)


def _bare(text: str) -> str:
    return re.sub(r"[\s().\-]", "", text).casefold().removeprefix("tel:")


def _described(destination: Destination) -> str:
    notes = ", ".join(filter(None, (destination.name, destination.description)))
    return f"{destination.number} ({notes})" if notes else destination.number
