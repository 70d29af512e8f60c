"""Tools that a caller sends with its request. When the model calls one, the call is handed off to the caller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.tools.hand_off import HandOffTool
from agent.tools.transfer_call import call_control, end_tool, transfer_tool
from config.profile.agent_file import Destination


@dataclass(frozen=True, slots=True)
class CallerTool:
    """One function of the caller. `parameters` is a JSON schema."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool | None = None


def hand_off_tool(tool: CallerTool, destinations: Sequence[Destination]) -> HandOffTool:
    """Convert the caller's tool. Transfers are restricted to the allow-list, even under the caller's own tool."""
    match call_control(tool.name):
        case "transfer":
            return transfer_tool(tool.name, destinations, description=tool.description, parameters=tool.parameters)
        case "end":
            return end_tool(tool.name, destinations, description=tool.description, parameters=tool.parameters)
    return HandOffTool(name=tool.name, description=tool.description, args_schema=dict(tool.parameters))
