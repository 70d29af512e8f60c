"""Hand-off tools: the caller executes them, not this server. Its own tools, transfers and hang-ups.

A call ends the turn (`return_direct`) and leaves a tool message, so that the thread stays valid for the next turn. A
refused call leaves an error message instead, and the agent continues and tells the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from langchain_core.tools import BaseTool

HANDED_OVER = "Handed over to the caller's side, which carries it out."


class HandOffTool(BaseTool):
    """A tool that ends the turn. `args_schema` is the JSON schema for the model; the caller validates the arguments.

    The artifact of its tool message is the arguments to hand off.
    """

    args_schema: dict[str, Any]
    return_direct: bool = True
    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    handle_tool_error: bool = True

    def accept(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """The arguments to hand off.

        Raises:
            ToolException: the call is refused; the model sees the text.
        """
        return arguments

    def _run(self, **arguments: Any) -> tuple[str, Mapping[str, Any]]:
        return HANDED_OVER, self.accept(arguments)

    async def _arun(self, **arguments: Any) -> tuple[str, Mapping[str, Any]]:
        return self._run(**arguments)
