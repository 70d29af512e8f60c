"""A real MCP server as a process of its own, for tests: over stdio, or over streamable HTTP on a real port."""

from __future__ import annotations

import asyncio
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from config.profile.mcp_servers import HttpTransport, McpServer, StdioTransport

START = 30.0
"""Seconds that a server may take to start."""

PROGRAM = str(Path(__file__).with_name("mcp_program.py"))
OLD_PROGRAM = str(Path(__file__).with_name("old_mcp_program.py"))

TOOLS = ["add", "address", "die", "fail", "hang", "long", "picture", "pid", "rename", "seen_calls", "variable"]


def over_stdio(name: str = "stdio", env: Mapping[str, str] | None = None, **fields: Any) -> McpServer:
    """The server as a child of whoever connects to it."""
    secrets = {variable: SecretStr(value) for variable, value in (env or {}).items()}
    return McpServer(name, StdioTransport(sys.executable, (PROGRAM, "stdio"), secrets), **fields)


def of_the_old_kind(name: str = "old", *options: str, **fields: Any) -> McpServer:
    """A server that knows no version of MCP after 2025-06-18; `options` as in old_mcp_program.py."""
    return McpServer(name, StdioTransport(sys.executable, (OLD_PROGRAM, *options)), **fields)


class HttpMcpServer:
    """A server whose port stays the same however often it is started; while it does not run, nobody listens there."""

    def __init__(self) -> None:
        # Bound, but not listening: the port is ours and a connection is refused.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._place.bind(("127.0.0.1", 0))
        self._process: Process | None = None
        self.port = self._place.getsockname()[1]

    def entry(self, name: str = "http", headers: Mapping[str, str] | None = None, **fields: Any) -> McpServer:
        secrets = {header: SecretStr(value) for header, value in (headers or {}).items()}
        return McpServer(name, HttpTransport(f"http://127.0.0.1:{self.port}/mcp", secrets), **fields)

    async def start(self) -> None:
        """Returns as soon as it takes connections."""
        command = [sys.executable, PROGRAM, "http", str(self.port)]
        self._process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL)
        assert self._process.stdout is not None
        async with asyncio.timeout(START):
            assert await self._process.stdout.readline() == b"ready\n"

    async def kill(self) -> None:
        """Does nothing to a server that does not run."""
        if self._process is not None:
            with suppress(ProcessLookupError):  # it may have ended by itself
                self._process.kill()
            await self._process.communicate()
            self._process = None

    async def aclose(self) -> None:
        await self.kill()
        self._place.close()
