"""Tools of MCP servers as LangChain tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.tools import BaseTool
from pydantic import Field


@dataclass(frozen=True, slots=True)
class ListedTool:
    """A tool in its server's list. `parameters` is a JSON schema."""

    name: str
    description: str
    parameters: Mapping[str, Any]


class McpTool(BaseTool):
    """Calls the tool `mcp_name` of `server`. The model knows it as `name`; the server validates the arguments.

    `send` makes the call. It raises ToolException for every failure: the model sees its text, and the turn goes on.
    """

    server: str
    mcp_name: str
    args_schema: dict[str, Any]
    handle_tool_error: bool = True
    send: Callable[[str, Mapping[str, Any]], Awaitable[str]] = Field(exclude=True, repr=False)

    def _run(self, /, **arguments: Any) -> str:
        raise NotImplementedError("MCP tools are async only: use ainvoke")

    # Positional-only, so that a tool may have an argument named `self`.
    async def _arun(self, /, **arguments: Any) -> str:
        return await self.send(self.mcp_name, arguments)
