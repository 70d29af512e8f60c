"""The connection to one MCP server: kept up in the background, and made again whenever it breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import structlog
from langchain_core.tools import ToolException

from agent.tools.mcp.failure import McpFailure
from agent.tools.mcp.tool import ListedTool
from config.profile.mcp_servers import McpServer

if TYPE_CHECKING:
    from agent.tools.mcp.session import McpSession
    from agent.tools.mcp.tool_result import ToolResult

log = structlog.get_logger(__name__)

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds between two attempts to connect: they double from the first to the longest."""

LOOK_EVERY = 60.0
"""Seconds after which the tools are listed again though nothing was heard: not every death of a server is."""

State = Literal["connected", "connecting", "down"]
Dial = Callable[[McpServer, Callable[[], None]], Awaitable[AbstractAsyncContextManager["McpSession"]]]


@dataclass(frozen=True, slots=True)
class Condition:
    """How it stands with a server. `reason` says in words why it is down; `since` is in UTC."""

    state: State
    since: datetime
    reason: str | None = None


async def dial(server: McpServer, stale: Callable[[], None]) -> AbstractAsyncContextManager[McpSession]:
    """`session.open_session`, imported when it is first needed."""
    return (await asyncio.to_thread(_import_session))(server, stale)


def _import_session() -> Callable[[McpServer, Callable[[], None]], AbstractAsyncContextManager[McpSession]]:
    from agent.tools.mcp.session import open_session

    return open_session


class McpConnection:
    """One server. `listed` are its tools as they were last seen, also while it is down.

    `changed` is called whenever the tools, or whether they can be called, may have changed.
    """

    def __init__(
        self,
        server: McpServer,
        changed: Callable[[], None],
        *,
        dial: Dial = dial,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.server = server
        self.listed: tuple[ListedTool, ...] = ()
        self.condition = Condition("connecting", now())
        self.tried = asyncio.Event()
        self._changed = changed
        self._dial = dial
        self._sleep = sleep
        self._now = now
        self._session: McpSession | None = None
        self._stale = asyncio.Event()
        self._calls: set[asyncio.Task[ToolResult]] = set()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def is_up(self) -> bool:
        return self._session is not None

    def start(self) -> None:
        """Connect in the background, until `stop`."""
        self._task = asyncio.create_task(self._run(), name=f"MCP server {self.server.name}")

    async def stop(self) -> None:
        """Give the connection up, and end what was started for it. Calls that are under way fail."""
        self._closing = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task, *self._calls])

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Call one of the server's tools, within the server's timeout.

        Raises:
            ToolException: it failed, or there is no connection; the text is for the model.
        """
        if self._session is None:
            raise ToolException("This tool cannot be used just now: its server is down. Go on without it.")
        # A task of its own: telling the server that nobody waits any more may itself have to wait.
        call = asyncio.create_task(self._session.call(name, arguments), name=f"call of MCP tool {name}")
        self._calls.add(call)
        call.add_done_callback(self._forget)
        try:
            await asyncio.wait([call], timeout=self.server.timeout)
        finally:
            call.cancel()
        if not call.done():
            self._stale.set()
            raise ToolException(f"The tool did not answer within {self.server.timeout:g} seconds. Go on without it.")
        return self._text_of(call)

    def _text_of(self, call: asyncio.Task[ToolResult]) -> str:
        try:
            answer = call.result()
        except McpFailure as exc:
            self._stale.set()
            raise ToolException(f"The tool failed: {exc}") from exc
        if answer.tool_is_unknown:
            self._stale.set()
        if answer.is_error:
            raise ToolException(answer.text)
        return answer.text

    def _forget(self, call: asyncio.Task[ToolResult]) -> None:
        self._calls.discard(call)
        if not call.cancelled():
            call.exception()  # nobody waits for that of a call which was given up

    async def _run(self) -> None:
        if self.server.missing:
            self._fails(f"not set in the environment: {', '.join(self.server.missing)}")
            return
        pause = FIRST_PAUSE
        # A cancellation can get lost behind an error of the teardown that it brings about.
        while not self._closing:
            began = self._now()
            try:
                await self._stay_connected()
            except McpFailure as exc:
                self._fails(str(exc))
            except Exception as exc:
                log.exception("mcp_connection_crashed", server=self.server.name)
                self._goes_down(f"the connection failed ({type(exc).__name__})")
            if (self._now() - began).total_seconds() >= LONGEST_PAUSE:
                pause = FIRST_PAUSE
            if not self._closing:
                await self._sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _stay_connected(self) -> None:
        """Connect, and follow what the server offers until it fails."""
        async with await self._dial(self.server, self._stale.set) as session:
            self._stale.clear()
            self.listed = await self._allowed(session)
            self._session = session
            self.condition = Condition("connected", self._now())
            self.tried.set()
            log.info("mcp_server_connected", server=self.server.name, tools=len(self.listed))
            self._changed()
            try:
                while True:
                    await self._until_stale()
                    self.listed = await self._allowed(session)
                    self._changed()
            finally:
                # Before the session is taken down, which may take a while.
                self._goes_down("the connection was lost")

    async def _until_stale(self) -> None:
        try:
            async with asyncio.timeout(LOOK_EVERY):
                await self._stale.wait()
        except TimeoutError:
            pass
        self._stale.clear()

    async def _allowed(self, session: McpSession) -> tuple[ListedTool, ...]:
        tools = await session.list_tools()
        if self.server.allow is None:
            return tools
        absent = sorted(set(self.server.allow) - {each.name for each in tools})
        if absent and self._session is None:
            log.warning("mcp_tools_not_there", server=self.server.name, tools=absent, key="allow")
        return tuple(each for each in tools if each.name in self.server.allow)

    def _fails(self, reason: str) -> None:
        if reason != self.condition.reason:  # each outage is told of once
            log.warning("mcp_server_down", server=self.server.name, reason=reason)
        self._goes_down(reason)

    def _goes_down(self, reason: str) -> None:
        was_down = self.condition.state == "down"
        self._session = None
        self.condition = Condition("down", self.condition.since if was_down else self._now(), reason)
        self.tried.set()
        self._changed()
