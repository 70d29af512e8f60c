"""An MCP server over stdio whose tool calls can be counted and held: `marking_program.py <folder>`.

A call appends a line to `<folder>/<name>.marks` and returns once `<folder>/<name>.go` exists.
"""

import asyncio
import sys
from pathlib import Path

from mcp.server.mcpserver import MCPServer

server = MCPServer("marking")


@server.tool(structured_output=False)
async def mark(name: str) -> str:
    """Leave a mark."""
    folder = Path(sys.argv[1])
    with (folder / f"{name}.marks").open("a") as marks:
        marks.write("marked\n")
    while not (folder / f"{name}.go").exists():
        await asyncio.sleep(0.01)
    return f"marked {name}"


@server.tool(structured_output=False)
async def mark_if_allowed(name: str) -> str:
    """Leave a mark after a review."""
    return await mark(name)


if __name__ == "__main__":
    server.run("stdio")
