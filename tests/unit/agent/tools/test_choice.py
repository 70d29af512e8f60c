from __future__ import annotations

from dataclasses import replace

import pytest

from agent.tools.choice import choice_problem, chosen_tools
from agent.tools.mcp.tool import McpTool
from config.profile.agent_file import AgentProfile
from config.profile.mcp_servers import McpServer, StdioTransport

PROFILE = AgentProfile(
    "Be kind.", tools=("transferCall", "lookup_order"), mcp_servers=(McpServer("files", StdioTransport("files")),)
)


async def send(*_: object) -> str:
    return ""


def mcp_tool(name: str) -> McpTool:
    return McpTool(name=name, description="", server="files", mcp_name=name, args_schema={}, send=send)


@pytest.mark.parametrize(
    "names", [[], ["multiply", "book_hotel"], ["lookup_order"], ["mcp:*"], ["mcp:files:read", "mcp:files:*"]]
)
def test_the_tools_that_ship_and_those_of_agent_yaml_may_be_chosen(names: list[str]) -> None:
    assert choice_problem(names, PROFILE) is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("lookup_ordr", "did you mean 'lookup_order'?"),
        ("my_tools:lookup_order", "unknown tool"),
        ("os:system", "the tools are transferCall, endCall, multiply, book_hotel, sendDigits, playSound"),
        ("http://127.0.0.1/", "unknown tool"),
        ("mcp:file:*", "the servers are files"),
        ("mcp:files", "mcp:<server>:<tool>"),
    ],
)
def test_no_other_tool_may(name: str, says: str) -> None:
    assert says in str(choice_problem([name], PROFILE))


def test_no_transfer_without_a_destination() -> None:
    assert "unknown tool" in str(choice_problem(["transferCall"], replace(PROFILE, transfer_destinations=())))


def test_only_what_is_chosen_and_exists_is_taken() -> None:
    offered = [mcp_tool("read"), mcp_tool("write")]
    profile, of_servers = chosen_tools(("multiply", "gone", "mcp:files:read"), PROFILE, offered)
    assert profile.tools == ("multiply",) and of_servers == (offered[0],)
