"""The connection to one MCP server, which a background task opens and reopens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import structlog
from langchain_core.tools import ToolException

from agent.tools.mcp.errors import McpServerError
from agent.tools.mcp.tool import ListedTool
from config.profile.mcp_servers import McpServer

if TYPE_CHECKING:
    from agent.tools.mcp.session import McpSession
    from agent.tools.mcp.tool_result import ToolResult

log = structlog.get_logger(__name__)

MIN_RETRY_PAUSE = 1.0
MAX_RETRY_PAUSE = 60.0
"""Seconds between two attempts to connect: they double from the minimum to the maximum."""

REFRESH_INTERVAL = 60.0
"""Seconds after which the tools are listed again without a notification: a server may die silently."""

ConnectionState = Literal["connected", "connecting", "down"]
Connect = Callable[[McpServer, Callable[[], None]], Awaitable[AbstractAsyncContextManager["McpSession"]]]


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """`reason` says why the server is down. `since` is in UTC."""

    state: ConnectionState
    since: datetime
    reason: str | None = None


async def connect(server: McpServer, stale: Callable[[], None]) -> AbstractAsyncContextManager[McpSession]:
    """`session.open_session`, which is imported with the first call."""
    return (await asyncio.to_thread(_import_session))(server, stale)


def _import_session() -> Callable[[McpServer, Callable[[], None]], AbstractAsyncContextManager[McpSession]]:
    from agent.tools.mcp.session import open_session

    return open_session


class McpConnection:
    """The connection to `server`. `listed` are its tools as last listed, also while it is down.

    `changed` is called when the tools or their availability may have changed. `first_attempt_done` is set after the
    first attempt to connect.
    """

    def __init__(
        self,
        server: McpServer,
        changed: Callable[[], None],
        *,
        connect: Connect = connect,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.server = server
        self.listed: tuple[ListedTool, ...] = ()
        self.status = ConnectionStatus("connecting", now())
        self.first_attempt_done = asyncio.Event()
        self._changed = changed
        self._connect = connect
        self._sleep = sleep
        self._now = now
        self._session: McpSession | None = None
        self._stale = asyncio.Event()
        self._calls: set[asyncio.Task[ToolResult]] = set()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def is_connected(self) -> bool:
        return self._session is not None

    def start(self) -> None:
        """Connect and reconnect in the background until `stop`."""
        self._task = asyncio.create_task(self._run(), name=f"MCP server {self.server.name}")

    async def stop(self) -> None:
        """Close the connection, with its process and its background task. Running calls fail."""
        self._closing = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task, *self._calls])

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Call one of the server's tools, within the server's timeout.

        Raises:
            ToolException: the call failed, or the server is down; the text is for the model.
        """
        if self._session is None:
            raise ToolException("This tool is unavailable: its server is down. Continue without it.")
        # In a task of its own: cancelling a call notifies the server, which may take a while.
        call = asyncio.create_task(self._session.call(name, arguments), name=f"call of MCP tool {name}")
        self._calls.add(call)
        call.add_done_callback(self._on_call_done)
        try:
            await asyncio.wait([call], timeout=self.server.timeout)
        finally:
            call.cancel()
        if not call.done():
            self._stale.set()
            raise ToolException(f"The tool did not answer within {self.server.timeout:g} seconds. Continue without it.")
        return self._result_of(call)

    def _result_of(self, call: asyncio.Task[ToolResult]) -> str:
        try:
            result = call.result()
        except McpServerError as exc:
            self._stale.set()
            raise ToolException(f"The tool failed: {exc}") from exc
        if result.tool_is_unknown:
            self._stale.set()
        if result.is_error:
            raise ToolException(result.text)
        return result.text

    def _on_call_done(self, call: asyncio.Task[ToolResult]) -> None:
        self._calls.discard(call)
        if not call.cancelled():
            call.exception()  # marks it as retrieved: nobody awaits an abandoned call

    async def _run(self) -> None:
        if self.server.missing:
            self._report_down(f"not set in the environment: {', '.join(self.server.missing)}")
            return
        pause = MIN_RETRY_PAUSE
        # An error while the session closes can hide the cancellation that closes it.
        while not self._closing:
            began = self._now()
            try:
                await self._run_session()
            except McpServerError as exc:
                self._report_down(str(exc))
            except Exception as exc:
                log.exception("mcp_connection_crashed", server=self.server.name)
                self._set_down(f"the connection failed ({type(exc).__name__})")
            if (self._now() - began).total_seconds() >= MAX_RETRY_PAUSE:
                pause = MIN_RETRY_PAUSE
            if not self._closing:
                await self._sleep(pause)
            pause = min(2 * pause, MAX_RETRY_PAUSE)

    async def _run_session(self) -> None:
        """Connect, and keep the list of tools up to date until the connection fails."""
        async with await self._connect(self.server, self._stale.set) as session:
            self._stale.clear()
            self.listed = await self._list_allowed(session)
            self._session = session
            self.status = ConnectionStatus("connected", self._now())
            self.first_attempt_done.set()
            log.info("mcp_server_connected", server=self.server.name, tools=len(self.listed))
            self._changed()
            try:
                while True:
                    await self._until_stale()
                    self.listed = await self._list_allowed(session)
                    self._changed()
            finally:
                # Before the session closes, which may take a while.
                self._set_down("the connection was lost")

    async def _until_stale(self) -> None:
        try:
            async with asyncio.timeout(REFRESH_INTERVAL):
                await self._stale.wait()
        except TimeoutError:
            pass
        self._stale.clear()

    async def _list_allowed(self, session: McpSession) -> tuple[ListedTool, ...]:
        tools = await session.list_tools()
        if self.server.allow is None:
            return tools
        absent = sorted(set(self.server.allow) - {each.name for each in tools})
        if absent and self._session is None:
            log.warning("mcp_tools_missing", server=self.server.name, tools=absent, key="allow")
        return tuple(each for each in tools if each.name in self.server.allow)

    def _report_down(self, reason: str) -> None:
        if reason != self.status.reason:  # each outage is logged once
            log.warning("mcp_server_down", server=self.server.name, reason=reason)
        self._set_down(reason)

    def _set_down(self, reason: str) -> None:
        was_down = self.status.state == "down"
        self._session = None
        self.status = ConnectionStatus("down", self.status.since if was_down else self._now(), reason)
        self.first_attempt_done.set()
        self._changed()
