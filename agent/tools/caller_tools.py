"""Tools that a caller sends along with its request. They are offered to the model and handed back when it calls
them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.tools.hand_off import HandOffTool
from agent.tools.transfer_call import END_TOOLS, TRANSFER_TOOLS, end_tool, transfer_tool
from config.profile.agent_file import Destination


@dataclass(frozen=True, slots=True)
class CallerTool:
    """One function of the caller's: `parameters` is its JSON schema."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool | None = None


def hand_off_tool(tool: CallerTool, destinations: Sequence[Destination]) -> HandOffTool:
    """The caller's tool as one that ends the turn. A transfer stays bound to the allow-list, whoever advertises it."""
    if tool.name in TRANSFER_TOOLS:
        return transfer_tool(tool.name, destinations, description=tool.description, parameters=tool.parameters)
    if tool.name in END_TOOLS:
        return end_tool(tool.name, description=tool.description, parameters=tool.parameters)
    return HandOffTool(name=tool.name, description=tool.description, args_schema=dict(tool.parameters))
