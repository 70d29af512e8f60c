"""Names of tools that mean something to Switchboard or to the voice platforms."""

from __future__ import annotations

from agent.tools.remember import remember
from agent.tools.transfer_call import CALL_CONTROLS
from config.profile.own_tools import KNOWN_TOOLS

RESERVED_NAMES = frozenset({*KNOWN_TOOLS, *CALL_CONTROLS, remember.name})
"""No tool of an MCP server or of the operator is offered under one of them."""
