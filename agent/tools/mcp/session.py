"""One live session with an MCP server, over the client of the `mcp` package.

Importing that takes half a second, so it is done by the first connection, in a thread, and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

# mcp would import it within the first call, and hold up everyone.
import jsonschema.validators  # noqa: F401
import structlog
from mcp import Client, MCPError
from mcp.client.session import IncomingMessage
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp_types import CONNECTION_CLOSED, INTERNAL_ERROR, Tool, ToolListChangedNotification
from pydantic import ValidationError

from agent.tools.mcp.failure import McpFailure
from agent.tools.mcp.tool import ListedTool
from agent.tools.mcp.tool_result import ToolResult, answer, shortened
from agent.tools.mcp.transport import Http, child, remote
from config.profile.mcp_servers import HttpTransport, McpServer

log = structlog.get_logger(__name__)

CONNECT_WITHIN = 60.0
"""Seconds that a server may take to start and to agree on a version: some are downloaded first."""

LIST_WITHIN = 30.0
"""Seconds for the list of tools. A server that cannot say even that in time is taken for dead."""

LISTEN_AGAIN = 5.0
"""Seconds after which a stream of changes is opened again when the server has closed it."""

MOST_PAGES = 100

# Their lines quote addresses, which may hold keys, and what is said to tools.
for _name, _level in (("httpx2", logging.WARNING), ("httpcore2", logging.WARNING), ("mcp", logging.CRITICAL)):
    logging.getLogger(_name).setLevel(_level)


class McpSession:
    """May be used by any task, while the task that opened it keeps it open."""

    def __init__(self, client: Client, http: Http | None) -> None:
        self._client = client
        self._http = http

    async def list_tools(self) -> tuple[ListedTool, ...]:
        """All tools of the server, each name once.

        Raises:
            McpFailure: the server does not say, or is gone.
        """
        tools: dict[str, ListedTool] = {}
        try:
            async with asyncio.timeout(LIST_WITHIN):
                cursor: str | None = None
                for _ in range(MOST_PAGES):
                    page = await self._client.list_tools(cursor=cursor)
                    for each in page.tools:
                        tools.setdefault(each.name, _listed(each))
                    cursor = page.next_cursor
                    if cursor is None:
                        break
        except Exception as exc:
            raise McpFailure(_reason(exc, self._http)) from exc
        return tuple(tools[name] for name in sorted(tools))

    async def call(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        """Call a tool. To be cancelled by who waits no longer: the server is told.

        Raises:
            McpFailure: there is no answer, or one that is no MCP.
        """
        try:
            return answer(await self._client.call_tool(name, dict(arguments)))
        except MCPError as exc:
            # mcp's own stand-in for an answer that did not come says less than what is known of the request.
            trouble = self._http.trouble if self._http and exc.code == INTERNAL_ERROR else None
            raise McpFailure(trouble or shortened(exc.message)) from exc
        except Exception as exc:
            # RuntimeError and ValidationError for an answer that breaks the server's own schema; whatever else a
            # server can bring the client to, it costs this call alone.
            raise McpFailure(f"its answer cannot be read ({type(exc).__name__})") from exc


@asynccontextmanager
async def open_session(server: McpServer, stale: Callable[[], None]) -> AsyncIterator[McpSession]:
    """Connect to the server. It must be left by the task that entered it.

    `stale` is called when the list of tools may have changed, or the session may be at its end.

    Raises:
        McpFailure: there is no connection, or it came to its end.
    """
    http: Http | None = None
    try:
        async with AsyncExitStack() as stack, asyncio.timeout(CONNECT_WITHIN) as patience:
            if isinstance(server.transport, HttpTransport):
                http = await Http.open(server.transport, CONNECT_WITHIN)
            client = Client(
                _transport(server, http, stale),
                cache=None,
                message_handler=_Notifications(server.name, stale),
            )
            await stack.enter_async_context(client)
            patience.reschedule(None)
            await stack.enter_async_context(_following_changes(server.name, client, stale))
            yield McpSession(client, http)
    except Exception as exc:
        raise McpFailure(_reason(exc, http)) from exc


def _transport(server: McpServer, http: Http | None, ended: Callable[[], None]) -> Any:
    if isinstance(server.transport, HttpTransport):
        assert http is not None  # noqa: S101 - opened for every address
        return remote(server.transport, http)
    return child(server.name, server.transport, ended)


class _Notifications:
    """What a server says unasked. Most of it means nothing here."""

    def __init__(self, server: str, stale: Callable[[], None]) -> None:
        self._server = server
        self._stale = stale
        self._rubbish = False

    async def __call__(self, message: IncomingMessage) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._stale()
        elif isinstance(message, Exception) and not self._rubbish:
            self._rubbish = True
            log.warning("mcp_server_prints_rubbish", server=self._server, effect="lines that are no messages are lost")


@asynccontextmanager
async def _following_changes(server: str, client: Client, stale: Callable[[], None]) -> AsyncIterator[None]:
    changes = asyncio.create_task(_follow_changes(server, client, stale), name=f"changes of MCP server {server}")
    try:
        yield
    finally:
        changes.cancel()
        await asyncio.wait([changes])


async def _follow_changes(server: str, client: Client, stale: Callable[[], None]) -> None:
    """From the version of 2026-07-28 on, changes come over a stream that has to be asked for."""
    while True:
        try:
            async with client.listen(tools_list_changed=True) as changes:
                stale()  # what changed before the stream was open was not heard
                async for _ in changes:
                    stale()
        except SubscriptionLost:
            pass
        except (ListenNotSupportedError, MCPError):
            return
        except Exception:
            # The list is looked at from time to time in any case.
            log.warning("mcp_changes_not_heard", server=server, exc_info=True)
            return
        stale()
        await asyncio.sleep(LISTEN_AGAIN)


def _listed(tool: Tool) -> ListedTool:
    parameters = {"type": "object", "properties": {}, **tool.input_schema}
    return ListedTool(tool.name, tool.description or tool.title or "", parameters)


def _reason(error: BaseException, http: Http | None) -> str:
    """Why there is no session, in words that anyone may read: `/health` shows them."""
    while isinstance(error, BaseExceptionGroup):
        error = next(
            (each for each in error.exceptions if not isinstance(each, asyncio.CancelledError)), error.exceptions[0]
        )
    if isinstance(error, McpFailure):
        return str(error)
    if http is not None and http.trouble is not None:
        return http.trouble
    match error:
        case TimeoutError():
            return "it did not answer in time"
        case MCPError(code=code) if code == CONNECTION_CLOSED:
            return "it closed the connection"
        case MCPError(code=code):
            return f"it answered with an error (code {code})"
        case ValidationError():
            return "what it answers is not MCP"
        case OSError():
            return f"it cannot be started ({error.strerror or type(error).__name__})"
        case _:
            return f"the connection failed ({type(error).__name__})"
