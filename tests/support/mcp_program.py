"""The MCP server of the tests: `mcp_program.py stdio` or `mcp_program.py http <port>`."""

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
    """Has arguments whose names are special in Python and LangChain."""
    return f"{self} {config}"


@server.tool(structured_output=False)
async def hang() -> str:
    """Never returns."""
    calls["started"] += 1
    try:
        await asyncio.Event().wait()
    finally:
        calls["cancelled"] += 1
    return ""


@server.tool(structured_output=False)
async def die() -> str:
    """Ends the server during the call."""
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
    """The server's process id."""
    return str(os.getpid())


@server.tool(structured_output=False)
async def picture() -> list:
    """A text and an image."""
    return ["before", Image(data=b"x", format="png")]


@server.tool(structured_output=False)
async def seen_calls() -> str:
    """The number of started and of cancelled calls of `hang`."""
    return f"{calls['started']} {calls['cancelled']}"


@server.tool(structured_output=False)
async def variable(name: str) -> str:
    """The value of an environment variable."""
    return os.environ.get(name, "")


@server.tool(structured_output=False)
async def rename(old: str, new: str, tell: bool, context: Context) -> str:
    """Rename a tool; `tell` notifies the clients."""
    known = server._tool_manager._tools
    known[new] = known.pop(old).model_copy(update={"name": new})
    if tell:
        await context.notify_tools_changed()
    return "done"


def serve(port: int) -> None:
    """Serve over HTTP, and print a line once the port accepts connections."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    print("ready", flush=True)
    app = server.streamable_http_app()
    uvicorn.Server(uvicorn.Config(app, log_level="critical")).run(sockets=[listener])


if __name__ == "__main__":
    if sys.argv[1] == "http":
        serve(int(sys.argv[2]))
    else:
        print("this line is no message", flush=True)
        print("this line is for the log: s3cret-value", file=sys.stderr, flush=True)
        server.run("stdio")
