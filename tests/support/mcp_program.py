"""The MCP server of the tests, as a program: `mcp_program.py stdio`, or `mcp_program.py http <port>`."""

import asyncio
import os
import socket
import sys

import uvicorn
from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("test")
calls = {"started": 0, "cancelled": 0}


@server.tool()
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool(structured_output=False)
async def address(self: str, config: str) -> str:
    """Arguments with names that mean something in Python and LangChain."""
    return f"{self} {config}"


@server.tool(structured_output=False)
async def hang() -> str:
    """Never answers."""
    calls["started"] += 1
    try:
        await asyncio.Event().wait()
    finally:
        calls["cancelled"] += 1
    return ""


@server.tool(structured_output=False)
async def die() -> str:
    """Ends the server in the middle of the call."""
    os._exit(1)


@server.tool(structured_output=False)
async def fail() -> str:
    """Always fails."""
    raise ToolError("no room left")


@server.tool(structured_output=False)
async def long(length: int) -> str:
    """A long text."""
    return "x" * length


@server.tool(structured_output=False)
async def pid() -> str:
    """The number of the server's process."""
    return str(os.getpid())


@server.tool(structured_output=False)
async def picture() -> list:
    """A text and an image."""
    return ["before", Image(data=b"x", format="png")]


@server.tool(structured_output=False)
async def seen_calls() -> str:
    """How many calls of `hang` were started, and how many were cancelled."""
    return f"{calls['started']} {calls['cancelled']}"


@server.tool(structured_output=False)
async def variable(name: str) -> str:
    """A variable of the environment."""
    return os.environ.get(name, "")


@server.tool(structured_output=False)
async def rename(old: str, new: str, tell: bool, context: Context) -> str:
    """Give a tool another name; `tell` says whether clients hear of it."""
    known = server._tool_manager._tools
    known[new] = known.pop(old).model_copy(update={"name": new})
    if tell:
        await context.notify_tools_changed()
    return "done"


def serve(port: int) -> None:
    """Prints a line as soon as connections are taken."""
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    place.bind(("127.0.0.1", port))
    place.listen()
    print("ready", flush=True)
    app = server.streamable_http_app()
    uvicorn.Server(uvicorn.Config(app, log_level="critical")).run(sockets=[place])


if __name__ == "__main__":
    if sys.argv[1] == "http":
        serve(int(sys.argv[2]))
    else:
        print("this line is no message", flush=True)
        print("this line is for the log: s3cret-value", file=sys.stderr, flush=True)
        server.run("stdio")
