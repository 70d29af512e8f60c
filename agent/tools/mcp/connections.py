"""The MCP servers of the agent together: which tools they offer now, and how each of them is.

The client of the `mcp` package must be entered and left by one task, so each server has a task in the background that
owns its connection; calls go through it from the tasks of the turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypedDict

from agent.tools.mcp.connection import McpConnection, State
from agent.tools.mcp.names import offered_names
from agent.tools.mcp.tool import McpTool
from agent.tools.remember import remember
from agent.tools.transfer_call import END_TOOLS, TRANSFER_TOOLS
from config.profile.agent_file import KNOWN_TOOLS
from config.profile.mcp_servers import McpServer

OWN_NAMES = frozenset({*KNOWN_TOOLS, *TRANSFER_TOOLS, *END_TOOLS, remember.name})
"""Names that have a meaning here, so that no tool of a server is offered under one of them."""


class ServerStatus(TypedDict):
    """A server as `/health` shows it. `since` is in UTC; `reason` is None unless it is down."""

    state: State
    tools: int
    reason: str | None
    since: str


class McpConnections:
    """Keeps a connection to each of `servers` while `running()`. `connect` makes the connection of one server."""

    def __init__(
        self,
        servers: Sequence[McpServer],
        *,
        connect: Callable[[McpServer, Callable[[], None]], McpConnection] = McpConnection,
    ) -> None:
        self.version = 0
        """Goes up whenever `tools()` changes."""
        self._servers = tuple(servers)
        self._connect = connect
        self._connections: dict[str, McpConnection] = {}
        self._tools: tuple[McpTool, ...] = ()
        self._ending: set[asyncio.Task[None]] = set()
        self._running = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connect in the background while this is entered. A server that is down delays and fails nothing."""
        self._running = True
        self.use(self._servers)
        try:
            yield
        finally:
            self._running = False
            self._end(list(self._connections.values()))
            self._connections = {}
            self._refresh()
            if self._ending:
                await asyncio.wait(self._ending)

    async def warm_up(self, seconds: float) -> None:
        """Wait until every server has been tried once, but no longer than that."""
        tried = [asyncio.ensure_future(each.tried.wait()) for each in self._connections.values()]
        try:
            if tried:
                await asyncio.wait(tried, timeout=seconds)
        finally:
            for each in tried:
                each.cancel()

    def use(self, servers: Sequence[McpServer]) -> None:
        """Have these servers from now on. Those that stay as they were stay connected; calls of the others fail."""
        self._servers = tuple(servers)
        if not self._running:
            return
        before = self._connections
        self._connections = {each.name: self._kept(before.get(each.name), each) for each in servers}
        self._end([each for each in before.values() if each not in self._connections.values()])
        for each in self._connections.values():
            if each not in before.values():
                each.start()
        self._refresh()

    def tools(self) -> tuple[McpTool, ...]:
        """The tools of the servers that are up, in the order of the servers and then by name."""
        return self._tools

    def status(self) -> dict[str, ServerStatus]:
        """How each server is, by its name."""
        return {name: _status(each) for name, each in self._connections.items()}

    def _kept(self, before: McpConnection | None, server: McpServer) -> McpConnection:
        return before if before is not None and before.server == server else self._connect(server, self._refresh)

    def _end(self, connections: Sequence[McpConnection]) -> None:
        for each in connections:
            task = asyncio.create_task(each.stop(), name=f"end of MCP server {each.server.name}")
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    def _refresh(self) -> None:
        # Servers that are down have their say in the names, so that no tool changes its name while one is away.
        listed = {name: [tool.name for tool in each.listed] for name, each in self._connections.items()}
        names = offered_names(listed, OWN_NAMES)
        tools = tuple(
            McpTool(
                name=names[name, tool.name],
                description=tool.description,
                args_schema=dict(tool.parameters),
                server=name,
                mcp_name=tool.name,
                send=each.call,
            )
            for name, each in self._connections.items()
            if each.is_up
            for tool in each.listed
        )
        if list(map(_identity, tools)) != list(map(_identity, self._tools)):
            self._tools = tools
            self.version += 1


def _identity(tool: McpTool) -> tuple[str, str, str, str, Mapping[str, Any], object]:
    return tool.name, tool.server, tool.mcp_name, tool.description, tool.args_schema, tool.send


def _status(connection: McpConnection) -> ServerStatus:
    condition = connection.condition
    return {
        "state": condition.state,
        "tools": len(connection.listed) if connection.is_up else 0,
        "reason": condition.reason,
        "since": condition.since.isoformat(timespec="milliseconds"),
    }
