"""When the connection to an MCP server is made again, and what is known of it meanwhile; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from langchain_core.tools import ToolException
from structlog.testing import capture_logs

from agent.tools.mcp.connection import REFRESH_INTERVAL, McpConnection
from agent.tools.mcp.errors import McpServerError
from agent.tools.mcp.host import McpHost
from agent.tools.mcp.tool import ListedTool
from agent.tools.mcp.tool_result import ToolResult
from config.profile.mcp_servers import McpServer, StdioTransport
from tests.support.virtual_clock import run_virtually

START = datetime(2026, 1, 1, tzinfo=UTC)


def now() -> datetime:
    return START + timedelta(seconds=asyncio.get_running_loop().time())


class FakeServer:
    """A server whose state the test changes; `connect_times` are the times of the attempts to connect."""

    def __init__(self) -> None:
        self.tools = ["add"]
        self.up = True
        self.connect_times: list[float] = []
        self.listed = 0
        self.answer: ToolResult | Exception | None = ToolResult("3")
        self.told_of_cancel = 0
        self.stale: Callable[[], None] = lambda: None

    async def connect(self, server: McpServer, stale: Callable[[], None]) -> Any:
        self.stale = stale
        return self._session()

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[FakeServer]:
        self.connect_times.append(asyncio.get_running_loop().time())
        if not self.up:
            raise McpServerError("it cannot be reached")
        yield self

    async def list_tools(self) -> tuple[ListedTool, ...]:
        self.listed += 1
        if not self.up:
            raise McpServerError("it closed the connection")
        return tuple(ListedTool(name, "", {"type": "object"}) for name in self.tools)

    async def call(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        try:
            if self.answer is None:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(5)  # the server is told, and takes its time
            self.told_of_cancel += 1
            raise
        if isinstance(self.answer, Exception):
            raise self.answer
        assert self.answer is not None
        return self.answer

    def dies(self) -> None:
        self.up = False
        self.stale()

    def connection(self, server: McpServer, changed: Callable[[], None]) -> McpConnection:
        return McpConnection(server, changed, connect=self.connect, now=now)

    def host(self, **fields: Any) -> McpHost:
        return McpHost([McpServer("it", StdioTransport("x"), **fields)], open_connection=self.connection)


async def at(seconds: float) -> None:
    """Goes on at that time of the virtual clock, after whatever else is due then."""
    await asyncio.sleep(seconds - asyncio.get_running_loop().time())
    for _ in range(10):
        await asyncio.sleep(0)


def test_the_pauses_double_up_to_a_minute() -> None:
    async def scenario() -> list[float]:
        server = FakeServer()
        server.up = False
        async with server.host().running():
            await at(200)
        return server.connect_times

    assert run_virtually(scenario()) == [0, 1, 3, 7, 15, 31, 63, 123, 183]


def test_a_connection_that_held_for_a_minute_begins_again_with_a_short_pause() -> None:
    async def scenario() -> list[float]:
        server = FakeServer()
        server.up = False
        async with server.host().running():
            await at(5)
            server.up = True
            await at(10)  # connected at 7, after four pauses
            server.dies()
            await at(10.5)
            server.up = True
            await at(110)  # connected at 18: the fourth pause
            server.dies()
            await at(110.5)
            server.up = True
            await at(120)
        return server.connect_times

    assert run_virtually(scenario()) == [0, 1, 3, 7, 18, 111]


def test_the_status_says_since_when_and_why() -> None:
    async def scenario() -> None:
        server = FakeServer()
        host = server.host()
        async with host.running():
            assert host.status()["it"]["state"] == "connecting"
            await at(5)
            connected = {"state": "connected", "tools": 1, "reason": None, "since": "2026-01-01T00:00:00.000+00:00"}
            assert host.status() == {"it": connected}
            server.dies()
            await at(20)
            since = "2026-01-01T00:00:05.000+00:00"
            down = {"state": "down", "tools": 0, "reason": "it cannot be reached", "since": since}
            assert host.status() == {"it": down}
            server.up = True
            await at(60)
            assert host.status()["it"]["state"] == "connected"

    run_virtually(scenario())


def test_the_version_goes_up_only_when_the_tools_change() -> None:
    async def scenario() -> list[int]:
        server = FakeServer()
        host = server.host()
        versions = [host.version]
        async with host.running():
            await at(1)
            versions.append(host.version)
            server.stale()
            await at(2)
            versions.append(host.version)
            server.tools.append("more")
            server.stale()
            await at(3)
            versions.append(host.version)
        return [*versions, host.version]

    assert run_virtually(scenario()) == [0, 1, 1, 2, 3]


def test_the_tools_are_looked_at_from_time_to_time_though_nothing_is_heard() -> None:
    async def scenario() -> None:
        server = FakeServer()
        host = server.host()
        async with host.running():
            await at(REFRESH_INTERVAL - 1)
            server.tools = ["other"]
            assert [each.name for each in host.tools()] == ["add"]
            await at(REFRESH_INTERVAL)
            assert [each.name for each in host.tools()] == ["other"]
            assert server.listed == 2

    run_virtually(scenario())


def test_each_outage_is_logged_once() -> None:
    async def scenario() -> None:
        server = FakeServer()
        server.up = False
        async with server.host().running():
            await at(20)
            server.up = True
            await at(40)  # connected at 31
            server.dies()
            await at(100)

    with capture_logs() as lines:
        run_virtually(scenario())
    events = [(line["event"], line.get("reason")) for line in lines]
    closed, away = "it closed the connection", "it cannot be reached"
    assert events == [
        ("mcp_server_down", away),
        ("mcp_server_connected", None),
        ("mcp_server_down", closed),
        ("mcp_server_down", away),
    ]


def test_an_error_that_nobody_thought_of_is_logged_and_the_server_tried_again() -> None:
    async def scenario() -> list[float]:
        server = FakeServer()

        async def broken() -> tuple[ListedTool, ...]:
            raise KeyError("s3cret")

        server.list_tools = broken  # type: ignore[method-assign]
        host = server.host()
        async with host.running():
            await at(1.5)
            assert host.status()["it"]["reason"] == "the connection failed (KeyError)"
        return server.connect_times

    with capture_logs() as lines:
        assert run_virtually(scenario()) == [0, 1]
    assert {line["event"] for line in lines} == {"mcp_connection_crashed"}


def test_the_warm_up_waits_for_the_first_outcome_and_not_longer() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        server = FakeServer()
        slow = asyncio.Event()

        async def connect(of: McpServer, stale: Callable[[], None]) -> Any:
            await slow.wait()
            return await server.connect(of, stale)

        host = McpHost(
            [McpServer("it", StdioTransport("x"))],
            open_connection=lambda each, changed: McpConnection(each, changed, connect=connect, now=now),
        )
        async with host.running():
            await host.warm_up(3)
            assert loop.time() == 3
            loop.call_at(4, slow.set)
            await host.warm_up(10)
            assert loop.time() == 4
            assert len(host.tools()) == 1

    run_virtually(scenario())


def test_no_servers_are_no_trouble() -> None:
    async def scenario() -> None:
        host = McpHost([])
        await host.warm_up(5)
        async with host.running():
            await host.warm_up(5)
            assert (host.tools(), host.status(), host.version) == ((), {}, 0)

    run_virtually(scenario())


def test_a_call_that_is_given_up_returns_at_once_and_the_server_hears_of_it_later() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        server = FakeServer()
        server.answer = None
        host = server.host(timeout=2.0)
        async with host.running():
            await at(1)
            (add,) = host.tools()
            with pytest.raises(ToolException, match="did not answer within 2 seconds"):
                await add.send("add", {})
            assert (loop.time(), server.told_of_cancel) == (3, 0)
            turn = asyncio.create_task(add.send("add", {}))
            await at(4)
            turn.cancel()
            with pytest.raises(asyncio.CancelledError):
                await turn
            assert loop.time() == 4
            await at(9)
            assert server.told_of_cancel == 2

    run_virtually(scenario())


def test_what_hints_at_other_tools_has_them_listed_again() -> None:
    async def scenario() -> list[int]:
        server = FakeServer()
        host = server.host(timeout=2.0)
        listed = []
        async with host.running():
            await at(1)
            (add,) = host.tools()
            for answer in (
                ToolResult("3"),
                ToolResult("full", True),
                ToolResult("Unknown tool: add", True),
                McpServerError("x"),
                None,
            ):
                server.answer = answer
                try:
                    await add.send("add", {})
                except ToolException:
                    pass
                await asyncio.sleep(0.1)
                listed.append(server.listed)
        return listed

    assert run_virtually(scenario()) == [1, 1, 2, 3, 4]


def test_a_tool_without_its_server_says_so() -> None:
    async def scenario() -> None:
        server = FakeServer()
        host = server.host()
        async with host.running():
            await at(1)
            (add,) = host.tools()
            server.dies()
            await at(1.5)
            with pytest.raises(ToolException, match="its server is down"):
                await add.send("add", {})
        with pytest.raises(ToolException, match="its server is down"):
            await add.send("add", {})

    run_virtually(scenario())


def test_a_tool_of_a_server_runs_in_the_event_loop_alone() -> None:
    async def scenario() -> None:
        server = FakeServer()
        host = server.host()
        async with host.running():
            await at(1)
            (add,) = host.tools()
            with pytest.raises(NotImplementedError):
                add.invoke({})

    run_virtually(scenario())


def test_a_server_cannot_offer_a_tool_under_one_of_our_names() -> None:
    async def scenario() -> None:
        server = FakeServer()
        server.tools = ["transferCall", "end_call", "multiply", "remember", "free"]
        host = server.host()
        async with host.running():
            await at(1)
            names = {each.mcp_name: each.name for each in host.tools()}
        assert names == {
            "transferCall": "it_transferCall",
            "end_call": "it_end_call",
            "multiply": "it_multiply",
            "remember": "it_remember",
            "free": "free",
        }

    run_virtually(scenario())


def test_a_name_that_is_taken_gets_the_servers_name_in_front() -> None:
    async def scenario() -> list[str]:
        server = FakeServer()
        host = McpHost([McpServer("it", StdioTransport("x"))], open_connection=server.connection)
        async with host.running():
            await host.warm_up(5)
            (own,) = [each.name for each in host.tools()]
            host.use([McpServer("it", StdioTransport("x"))], taken={own})
            (offered,) = [each.name for each in host.tools()]
        return [own, offered]

    own, offered = run_virtually(scenario())
    assert offered == f"it_{own}"
