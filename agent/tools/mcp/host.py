"""The MCP host: connects to the agent's MCP servers and offers their tools.

The same task must enter and leave a client of the `mcp` package. So each server has a background task that owns its
connection; the tasks of the turns call tools through it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypedDict

from agent.tools.mcp.connection import ConnectionState, McpConnection
from agent.tools.mcp.tool import McpTool
from agent.tools.mcp.tool_names import offered_names
from agent.tools.reserved_names import RESERVED_NAMES
from config.profile.mcp_servers import McpServer


class ServerStatus(TypedDict):
    """A server's entry in `/health`. `since` is in UTC; `reason` is None unless it is down."""

    state: ConnectionState
    tools: int
    reason: str | None
    since: str


class McpHost:
    """Keeps a connection to each of `servers` while `running()` is entered. `open_connection` creates one of them.

    `taken` are the names of the operator's own tools, under which no tool of a server is offered.
    """

    def __init__(
        self,
        servers: Sequence[McpServer],
        taken: Collection[str] = (),
        *,
        open_connection: Callable[[McpServer, Callable[[], None]], McpConnection] = McpConnection,
    ) -> None:
        self.version = 0
        """Incremented when `tools()` changes."""
        self._servers = tuple(servers)
        self._taken = frozenset(taken)
        self._open_connection = open_connection
        self._connections: dict[str, McpConnection] = {}
        self._tools: tuple[McpTool, ...] = ()
        self._stopping: set[asyncio.Task[None]] = set()
        self._running = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connect in the background while this is entered. A server that is down causes no delay and no error."""
        self._running = True
        self.use(self._servers, self._taken)
        try:
            yield
        finally:
            self._running = False
            self._stop(list(self._connections.values()))
            self._connections = {}
            self._refresh()
            if self._stopping:
                await asyncio.wait(self._stopping)

    async def warm_up(self, seconds: float) -> None:
        """Wait up to `seconds` for the first attempt to connect to each server."""
        attempts = [asyncio.ensure_future(each.first_attempt_done.wait()) for each in self._connections.values()]
        try:
            if attempts:
                await asyncio.wait(attempts, timeout=seconds)
        finally:
            for each in attempts:
                each.cancel()

    def use(self, servers: Sequence[McpServer], taken: Collection[str] = ()) -> None:
        """Replace the servers. Unchanged ones stay connected; running calls of removed ones fail."""
        self._servers, self._taken = tuple(servers), frozenset(taken)
        if not self._running:
            return
        before = self._connections
        self._connections = {each.name: self._reuse_or_open(before.get(each.name), each) for each in servers}
        self._stop([each for each in before.values() if each not in self._connections.values()])
        for each in self._connections.values():
            if each not in before.values():
                each.start()
        self._refresh()

    def tools(self) -> tuple[McpTool, ...]:
        """The tools of the connected servers, in the order of the servers and then by name."""
        return self._tools

    def status(self) -> dict[str, ServerStatus]:
        """The status of each server, by its name."""
        return {name: _status(each) for name, each in self._connections.items()}

    def _reuse_or_open(self, before: McpConnection | None, server: McpServer) -> McpConnection:
        return (
            before if before is not None and before.server == server else self._open_connection(server, self._refresh)
        )

    def _stop(self, connections: Sequence[McpConnection]) -> None:
        for each in connections:
            task = asyncio.create_task(each.stop(), name=f"stop MCP server {each.server.name}")
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)

    def _refresh(self) -> None:
        # Includes servers that are down, so that an outage changes no tool's name.
        listed = {name: [tool.name for tool in each.listed] for name, each in self._connections.items()}
        names = offered_names(listed, RESERVED_NAMES | self._taken)
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
            if each.is_connected
            for tool in each.listed
        )
        if list(map(_identity, tools)) != list(map(_identity, self._tools)):
            self._tools = tools
            self.version += 1


def _identity(tool: McpTool) -> tuple[str, str, str, str, Mapping[str, Any], object]:
    return tool.name, tool.server, tool.mcp_name, tool.description, tool.args_schema, tool.send


def _status(connection: McpConnection) -> ServerStatus:
    status = connection.status
    return {
        "state": status.state,
        "tools": len(connection.listed) if connection.is_connected else 0,
        "reason": status.reason,
        "since": status.since.isoformat(timespec="milliseconds"),
    }
