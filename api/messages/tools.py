"""Reads `tools` and `tool_choice` of a request; errors name the invalid field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, StrictBool

from agent.tools.caller_tools import CallerTool
from api.openai.tools import TOOL_NAME, check_tool_count, check_tool_names, read_description
from config.errors import RequestError


class ToolChoice(BaseModel):
    model_config = ConfigDict(extra="allow")

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: StrictBool | None = None


def read_tools(tools: Sequence[Mapping[str, Any]], limit: int) -> list[CallerTool]:
    """Raises RequestError: there are too many, or one is invalid or would run at Anthropic."""
    check_tool_count(len(tools), limit, "tools")
    read = [_tool(tool, f"tools[{number}]") for number, tool in enumerate(tools)]
    check_tool_names(read)
    return read


def read_tool_choice(choice: ToolChoice | None, tools: Sequence[CallerTool]) -> str | Mapping[str, Any] | None:
    """OpenAI's form of the choice; None for "auto". Raises RequestError: it names no tool of the request."""
    match choice and choice.type:
        case "none":
            return "none"
        case "any":
            return "required"
        case "tool":
            name = choice.name if choice else None
            if name not in [tool.name for tool in tools]:
                message = f"tool_choice names {name!r}, which is not one of the request's tools."
                raise RequestError(message, param="tool_choice.name")
            return {"type": "function", "function": {"name": name}}
    return None


def _tool(tool: Mapping[str, Any], place: str) -> CallerTool:
    if (kind := tool.get("type", "custom")) not in ("custom", None):
        raise RequestError(
            f"{place}.type is {kind!r}; only tools with an input_schema are supported. Tools that Anthropic defines "
            "are not available here: give the agent tools of its own, or MCP servers, in agent.yaml.",
            param=f"{place}.type",
        )
    name, schema = tool.get("name"), tool.get("input_schema")
    if not isinstance(name, str) or not TOOL_NAME.fullmatch(name):
        raise RequestError(f"{place}.name must be 1 to 128 letters, digits, '_', '.' or '-'.", param=f"{place}.name")
    if not isinstance(schema, dict):
        raise RequestError(f"{place}.input_schema must be a JSON schema, an object.", param=f"{place}.input_schema")
    parameters = {"type": "object", "properties": {}, **schema}
    return CallerTool(name, read_description(tool, place), parameters, strict=tool.get("strict"))
