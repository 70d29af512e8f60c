"""Starts the MCP server of the tests as a process, over stdio or streamable HTTP."""

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

STARTUP_TIMEOUT = 30.0
"""Seconds."""

PROGRAM = str(Path(__file__).with_name("mcp_program.py"))
OLD_PROGRAM = str(Path(__file__).with_name("old_mcp_program.py"))

TOOLS = ["add", "address", "die", "fail", "hang", "long", "picture", "pid", "rename", "seen_calls", "variable"]


def stdio_server(name: str = "stdio", env: Mapping[str, str] | None = None, **fields: Any) -> McpServer:
    """Return a server that each client starts as its own child process."""
    secrets = {variable: SecretStr(value) for variable, value in (env or {}).items()}
    return McpServer(name, StdioTransport(sys.executable, (PROGRAM, "stdio"), secrets), **fields)


def legacy_stdio_server(name: str = "old", *options: str, **fields: Any) -> McpServer:
    """Return a server with MCP version 2025-06-18; for `options` see old_mcp_program.py."""
    return McpServer(name, StdioTransport(sys.executable, (OLD_PROGRAM, *options)), **fields)


class HttpMcpServer:
    """A server that keeps its port over restarts. While it is stopped, the port refuses connections."""

    def __init__(self) -> None:
        # Bound but not listening: reserves the port, and connections are refused.
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._reservation.bind(("127.0.0.1", 0))
        self._process: Process | None = None
        self.port = self._reservation.getsockname()[1]

    def entry(self, name: str = "http", headers: Mapping[str, str] | None = None, **fields: Any) -> McpServer:
        secrets = {header: SecretStr(value) for header, value in (headers or {}).items()}
        return McpServer(name, HttpTransport(f"http://127.0.0.1:{self.port}/mcp", secrets), **fields)

    async def start(self) -> None:
        """Return once the server accepts connections."""
        command = [sys.executable, PROGRAM, "http", str(self.port)]
        self._process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL)
        assert self._process.stdout is not None
        async with asyncio.timeout(STARTUP_TIMEOUT):
            assert await self._process.stdout.readline() == b"ready\n"

    async def kill(self) -> None:
        """Kill the server, if it runs."""
        if self._process is not None:
            with suppress(ProcessLookupError):  # the process may have exited
                self._process.kill()
            await self._process.communicate()
            self._process = None

    async def aclose(self) -> None:
        await self.kill()
        self._reservation.close()
