"""A tool of an MCP server, as LangChain knows tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.tools import BaseTool
from pydantic import Field


@dataclass(frozen=True, slots=True)
class ListedTool:
    """A tool as its server lists it; `parameters` is a JSON schema."""

    name: str
    description: str
    parameters: Mapping[str, Any]


class McpTool(BaseTool):
    """Calls the tool `mcp_name` of `server`. `name` is what the model knows it by; the server checks the arguments.

    `send` makes the call and raises ToolException for whatever goes wrong, which the model is told and the turn
    survives.
    """

    server: str
    mcp_name: str
    args_schema: dict[str, Any]
    handle_tool_error: bool = True
    send: Callable[[str, Mapping[str, Any]], Awaitable[str]] = Field(exclude=True, repr=False)

    def _run(self, /, **arguments: Any) -> str:
        raise NotImplementedError("a tool of an MCP server runs in the event loop alone: use ainvoke")

    # `self` must not stand in the way of an argument of that name.
    async def _arun(self, /, **arguments: Any) -> str:
        return await self.send(self.mcp_name, arguments)
