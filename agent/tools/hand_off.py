"""Tools that are not carried out here but handed to the caller: its own tools, transfers, hang-ups.

Calling one ends the turn (`return_direct`) and leaves a tool message, so the thread stays valid for the next turn. A
call that is refused leaves an error message instead, and the agent goes on and tells the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from langchain_core.tools import BaseTool

HANDED_OVER = "Handed over to the caller's side, which carries it out."


class HandOffTool(BaseTool):
    """A tool that ends the turn. `args_schema` is the JSON schema that the model sees; the caller validates the rest.

    The tool message's artifact is the arguments to hand over.
    """

    args_schema: dict[str, Any]
    return_direct: bool = True
    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    handle_tool_error: bool = True

    def accept(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """The arguments to hand over.

        Raises:
            ToolException: the call is refused; its text is what the model is told.
        """
        return arguments

    def _run(self, **arguments: Any) -> tuple[str, Mapping[str, Any]]:
        return HANDED_OVER, self.accept(arguments)

    async def _arun(self, **arguments: Any) -> tuple[str, Mapping[str, Any]]:
        return self._run(**arguments)
