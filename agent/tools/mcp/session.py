"""A session with an MCP server, over the client of the `mcp` package.

Importing `mcp` takes half a second. The first connection imports this module, in a thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

# mcp would import it during the first call and block the event loop.
import jsonschema.validators  # noqa: F401
import structlog
from mcp import Client, MCPError
from mcp.client.session import IncomingMessage
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp_types import CONNECTION_CLOSED, INTERNAL_ERROR, Tool, ToolListChangedNotification
from pydantic import ValidationError

from agent.tools.mcp.errors import McpServerError
from agent.tools.mcp.tool import ListedTool
from agent.tools.mcp.tool_result import ToolResult, to_tool_result, truncated
from agent.tools.mcp.transport import HttpClient, http_transport, stdio_transport
from config.profile.mcp_servers import HttpTransport, McpServer

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT = 60.0
"""Seconds for a server to start and to negotiate a version: some are downloaded first."""

LIST_TIMEOUT = 30.0
"""Seconds to list the tools. A slower server counts as down."""

RESUBSCRIBE_DELAY = 5.0
"""Seconds until a stream of changes that the server closed is opened again."""

MAX_PAGES = 100
"""Pages of a list of tools that are read."""

# Their log lines contain addresses, which may contain keys, and the arguments of tools.
for _name, _level in (("httpx2", logging.WARNING), ("httpcore2", logging.WARNING), ("mcp", logging.CRITICAL)):
    logging.getLogger(_name).setLevel(_level)


class McpSession:
    """Any task may use the session, as long as the task that opened it keeps it open."""

    def __init__(self, client: Client, http: HttpClient | None) -> None:
        self._client = client
        self._http = http

    async def list_tools(self) -> tuple[ListedTool, ...]:
        """All tools of the server, each name once, sorted by name.

        Raises:
            McpServerError: the server does not answer in time, or is down.
        """
        tools: dict[str, ListedTool] = {}
        try:
            async with asyncio.timeout(LIST_TIMEOUT):
                cursor: str | None = None
                for _ in range(MAX_PAGES):
                    page = await self._client.list_tools(cursor=cursor)
                    for each in page.tools:
                        tools.setdefault(each.name, _listed(each))
                    cursor = page.next_cursor
                    if cursor is None:
                        break
        except Exception as exc:
            raise McpServerError(_reason(exc, self._http)) from exc
        return tuple(tools[name] for name in sorted(tools))

    async def call(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        """Call a tool. Cancel the task to abandon the call; the server is notified.

        Raises:
            McpServerError: there is no result, or it is invalid.
        """
        try:
            return to_tool_result(await self._client.call_tool(name, dict(arguments)))
        except MCPError as exc:
            # For a request that failed, mcp raises a generic error; the HTTP client knows the reason.
            problem = self._http.problem if self._http and exc.code == INTERNAL_ERROR else None
            raise McpServerError(problem or truncated(exc.message)) from exc
        except Exception as exc:
            # RuntimeError or ValidationError: the result violates the server's own schema. Whatever else an invalid
            # result makes the client raise fails only this call.
            raise McpServerError(f"its answer cannot be read ({type(exc).__name__})") from exc


@asynccontextmanager
async def open_session(server: McpServer, stale: Callable[[], None]) -> AsyncIterator[McpSession]:
    """Connect to the server. The task that enters the context must also leave it.

    `stale` is called when the list of tools may have changed or the connection may be lost.

    Raises:
        McpServerError: the connection failed or was lost.
    """
    http: HttpClient | None = None
    try:
        async with AsyncExitStack() as stack, asyncio.timeout(CONNECT_TIMEOUT) as connect_timeout:
            if isinstance(server.transport, HttpTransport):
                http = await HttpClient.open(server.transport, CONNECT_TIMEOUT)
            client = Client(
                _transport(server, http, stale),
                cache=None,
                message_handler=_Notifications(server.name, stale),
            )
            await stack.enter_async_context(client)
            connect_timeout.reschedule(None)
            await stack.enter_async_context(_watch_changes(server.name, client, stale))
            yield McpSession(client, http)
    except Exception as exc:
        raise McpServerError(_reason(exc, http)) from exc


def _transport(server: McpServer, http: HttpClient | None, ended: Callable[[], None]) -> Any:
    if isinstance(server.transport, HttpTransport):
        assert http is not None  # noqa: S101 - opened for every address
        return http_transport(server.transport, http)
    return stdio_transport(server.name, server.transport, ended)


class _Notifications:
    """Handles the notifications of a server. Only changes of the list of tools matter here."""

    def __init__(self, server: str, stale: Callable[[], None]) -> None:
        self._server = server
        self._stale = stale
        self._warned = False

    async def __call__(self, message: IncomingMessage) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._stale()
        elif isinstance(message, Exception) and not self._warned:
            self._warned = True
            log.warning("mcp_server_sent_invalid_message", server=self._server, effect="the message is ignored")


@asynccontextmanager
async def _watch_changes(server: str, client: Client, stale: Callable[[], None]) -> AsyncIterator[None]:
    changes = asyncio.create_task(_follow_changes(server, client, stale), name=f"changes of MCP server {server}")
    try:
        yield
    finally:
        changes.cancel()
        await asyncio.wait([changes])


async def _follow_changes(server: str, client: Client, stale: Callable[[], None]) -> None:
    """Subscribe to changes of the list of tools. Servers since protocol version 2026-07-28 send them on a stream."""
    while True:
        try:
            async with client.listen(tools_list_changed=True) as changes:
                stale()  # changes before the subscription were missed
                async for _ in changes:
                    stale()
        except SubscriptionLost:
            pass
        except (ListenNotSupportedError, MCPError):
            return
        except Exception:
            # The list is also refreshed at intervals.
            log.warning("mcp_subscription_failed", server=server, exc_info=True)
            return
        stale()
        await asyncio.sleep(RESUBSCRIBE_DELAY)


def _listed(tool: Tool) -> ListedTool:
    parameters = {"type": "object", "properties": {}, **tool.input_schema}
    return ListedTool(tool.name, tool.description or tool.title or "", parameters)


def _reason(error: BaseException, http: HttpClient | None) -> str:
    """Why the session failed. `/health` shows it to everyone, so it contains no secrets."""
    while isinstance(error, BaseExceptionGroup):
        error = next(
            (each for each in error.exceptions if not isinstance(each, asyncio.CancelledError)), error.exceptions[0]
        )
    if isinstance(error, McpServerError):
        return str(error)
    if http is not None and http.problem is not None:
        return http.problem
    match error:
        case TimeoutError():
            return "it did not answer in time"
        case MCPError(code=code) if code == CONNECTION_CLOSED:
            return "it closed the connection"
        case MCPError(code=code):
            return f"it answered with an error (code {code})"
        case ValidationError():
            return "its answer is not valid MCP"
        case OSError():
            return f"it cannot be started ({error.strerror or type(error).__name__})"
        case _:
            return f"the connection failed ({type(error).__name__})"
