"""MCP servers as tools of the agent, with real servers: children over stdio, and streamable HTTP on a real port."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import mcp.client.stdio
import pytest
from blockbuster import blockbuster_ctx
from langchain_core.messages import ToolMessage
from structlog.testing import capture_logs

import agent.tools.mcp.session
from agent.tools.mcp.connection import McpConnection
from agent.tools.mcp.host import McpHost
from agent.tools.mcp.tool import McpTool
from config.profile.mcp_servers import McpServer, StdioTransport
from tests.support.mcp_server import TOOLS, HttpMcpServer, legacy_stdio_server, stdio_server

PATIENCE = 30
"""Seconds, for a busy machine; what is waited for takes a fraction of one."""


class Pauses:
    """The pauses between attempts to connect, each as long as the test wants it."""

    def __init__(self) -> None:
        self.begun: list[float] = []
        self._over = asyncio.Semaphore(0)

    async def __call__(self, seconds: float) -> None:
        self.begun.append(seconds)
        await self._over.acquire()

    def end(self) -> None:
        self._over.release()


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> Iterator[None]:
    with blockbuster_ctx(scanned_modules=["agent"]):
        yield


@pytest.fixture
async def http() -> AsyncIterator[HttpMcpServer]:
    async with aclosing(HttpMcpServer()) as server:
        await server.start()
        yield server


@pytest.fixture
async def server(request: pytest.FixtureRequest) -> AsyncIterator[McpServer]:
    """Each test that asks for it runs over both transports."""
    if request.param == "stdio":
        yield stdio_server("it", env={"KEY": "s3cret-value"})
        return
    async with aclosing(HttpMcpServer()) as remote:
        await remote.start()
        yield remote.entry("it")


both = pytest.mark.parametrize("server", ["stdio", "http"], indirect=True)


@asynccontextmanager
async def connected(*servers: McpServer, pauses: Pauses | None = None) -> AsyncIterator[McpHost]:
    open_connection = partial(McpConnection, sleep=pauses) if pauses else McpConnection
    host = McpHost(servers, open_connection=open_connection)
    async with host.running():
        await host.warm_up(PATIENCE)
        yield host


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.01)


def names(host: McpHost) -> list[str]:
    return [each.name for each in host.tools()]


def tool(host: McpHost, name: str) -> McpTool:
    return next(each for each in host.tools() if each.name == name)


async def call(called: McpTool, **arguments: Any) -> ToolMessage:
    """As the agent's tool node calls it."""
    message = await called.ainvoke({"type": "tool_call", "id": "1", "name": called.name, "args": arguments})
    assert isinstance(message, ToolMessage)
    return message


async def said(called: McpTool, **arguments: Any) -> tuple[str, str]:
    message = await call(called, **arguments)
    return message.status, str(message.content)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


# Calls


@both
async def test_tools_are_listed_and_called(server: McpServer) -> None:
    async with connected(server) as host:
        assert names(host) == TOOLS
        add = tool(host, "add")
        assert (add.server, add.mcp_name, add.description) == ("it", "add", "Add two numbers.")
        assert set(add.args_schema["properties"]) == {"a", "b"}
        assert await said(add, a=1, b=2) == ("success", "3")
        status = host.status()["it"]
        assert (status["state"], status["tools"], status["reason"]) == ("connected", len(TOOLS), None)


@both
async def test_only_allowed_tools_are_offered(server: McpServer) -> None:
    allowed = McpServer(server.name, server.transport, allow=("add", "pid", "no_such_tool"))
    with capture_logs() as lines:
        async with connected(allowed) as host:
            assert names(host) == ["add", "pid"]
    (warning,) = [line for line in lines if line["event"] == "mcp_tools_missing"]
    assert warning["tools"] == ["no_such_tool"]


@both
async def test_what_a_tool_reports_as_its_error_is_told_to_the_model(server: McpServer) -> None:
    async with connected(server) as host:
        status, text = await said(tool(host, "fail"))
        assert status == "error" and "no room left" in text
        status, text = await said(tool(host, "add"), a="many", b=2)
        assert status == "error" and "valid integer" in text
        assert host.status()["it"]["state"] == "connected"


@both
async def test_arguments_may_have_any_name_and_answers_any_form(server: McpServer) -> None:
    async with connected(server) as host:
        assert await said(tool(host, "address"), self="x", config="y") == ("success", "x y")
        image = "[an image (image/png), which cannot be shown here]"
        assert await said(tool(host, "picture")) == ("success", f"before\n{image}")
        _, text = await said(tool(host, "long"), length=100_001)
        assert text == "x" * 100_000 + "\n[cut here: these are the first 100,000 of 100,001 characters]"


@both
async def test_many_calls_go_on_at_once(server: McpServer) -> None:
    async with connected(server) as host:
        waiting = asyncio.create_task(call(tool(host, "hang")))
        add = tool(host, "add")
        answers = await asyncio.gather(*(said(add, a=number, b=1) for number in range(50)))
        assert answers == [("success", str(number + 1)) for number in range(50)]
        assert not waiting.done()
        waiting.cancel()


@both
async def test_a_tool_that_hangs_costs_its_call_alone(server: McpServer) -> None:
    async with connected(McpServer(server.name, server.transport, timeout=0.3)) as host:
        hang, seen, pid = (tool(host, name) for name in ("hang", "seen_calls", "pid"))
        before = await said(pid)
        assert await said(hang) == ("error", "The tool did not answer within 0.3 seconds. Continue without it.")
        async with asyncio.timeout(PATIENCE):
            while await said(seen) != ("success", "1 1"):  # the server was told, and gave the call up
                pass
        assert await said(pid) == before
        assert host.status()["it"]["state"] == "connected"


@both
async def test_a_cancelled_turn_cancels_its_call_alone(server: McpServer) -> None:
    async with connected(server) as host:
        hang, seen, pid = (tool(host, name) for name in ("hang", "seen_calls", "pid"))
        before = await said(pid)
        turns = [asyncio.create_task(call(hang)) for _ in range(2)]
        async with asyncio.timeout(PATIENCE):
            while await said(seen) != ("success", "2 0"):
                pass
        turns[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await turns[0]
        async with asyncio.timeout(PATIENCE):
            while await said(seen) != ("success", "2 1"):
                pass
        assert not turns[1].done()
        assert await said(pid) == before
        turns[1].cancel()


# Servers that go and come


async def test_a_server_that_dies_within_a_call_is_started_again() -> None:
    pauses = Pauses()
    async with connected(stdio_server("it"), pauses=pauses) as host:
        pid, version = tool(host, "pid"), host.version
        _, before = await said(pid)
        assert await said(tool(host, "die")) == ("error", "The tool failed: Connection closed")
        await until(lambda: pauses.begun == [1.0])
        assert host.tools() == () and host.version > version
        status = host.status()["it"]
        assert (status["state"], status["tools"], status["reason"]) == ("down", 0, "it closed the connection")
        status, text = await said(pid)
        assert status == "error" and "its server is down" in text
        pauses.end()
        await until(lambda: names(host) == TOOLS)
        _, after = await said(pid)  # a tool of before the crash works again
        assert before != after


@pytest.mark.parametrize("server", [stdio_server("it"), legacy_stdio_server("it")], ids=["new", "old"])
async def test_a_server_that_dies_between_calls_is_started_again(server: McpServer) -> None:
    pauses = Pauses()
    async with connected(server, pauses=pauses) as host:
        offered = names(host)
        _, pid = await said(tool(host, "pid"))
        os.kill(int(pid), signal.SIGKILL)
        await until(lambda: pauses.begun == [1.0])
        pauses.end()
        await until(lambda: names(host) == offered)


async def test_a_remote_server_that_dies_within_a_call_is_found_again(http: HttpMcpServer) -> None:
    pauses = Pauses()
    async with connected(http.entry("it"), pauses=pauses) as host:
        hang, seen = tool(host, "hang"), tool(host, "seen_calls")
        turn = asyncio.create_task(said(hang))
        async with asyncio.timeout(PATIENCE):
            while await said(seen) != ("success", "1 0"):
                pass
        await http.kill()
        assert await turn == ("error", "The tool failed: the connection broke")
        await until(lambda: pauses.begun == [1.0])
        assert host.status()["it"]["reason"] in ("it cannot be reached", "the connection broke")
        await http.start()
        pauses.end()
        await until(lambda: names(host) == TOOLS)
        assert await said(seen) == ("success", "0 0")


async def test_a_remote_server_that_is_down_at_the_start_is_tried_until_it_comes_up() -> None:
    pauses, other = Pauses(), legacy_stdio_server()
    async with aclosing(HttpMcpServer()) as http, connected(http.entry(), other, pauses=pauses) as host:
        await until(lambda: pauses.begun == [1.0])
        pauses.end()
        await until(lambda: pauses.begun == [1.0, 2.0])
        status = host.status()
        assert (status["http"]["state"], status["http"]["reason"]) == ("down", "it cannot be reached")
        assert {each.server for each in host.tools()} == {"old"}
        await http.start()
        pauses.end()
        await until(lambda: {each.server for each in host.tools()} == {"old", "http"})
        assert host.status()["http"]["state"] == "connected"


async def test_a_program_that_is_not_there_at_the_start_is_tried_until_it_is(tmp_path: Path) -> None:
    program, pauses = tmp_path / "server", Pauses()
    async with connected(McpServer("it", StdioTransport(str(program))), pauses=pauses) as host:
        reason = "it cannot be started (No such file or directory)"
        assert host.status()["it"]["reason"] == reason
        at = legacy_stdio_server().transport
        assert isinstance(at, StdioTransport)
        await asyncio.to_thread(program.write_text, f"#!/bin/sh\nexec {sys.executable} {at.args[0]}\n")
        await asyncio.to_thread(program.chmod, 0o700)
        pauses.end()
        await until(lambda: host.status()["it"]["state"] == "connected")


async def test_a_start_does_not_wait_for_a_server_that_says_nothing() -> None:
    silent = McpServer("it", StdioTransport(sys.executable, ("-c", "import sys; sys.stdin.read()")))
    host = McpHost([silent])
    async with host.running():
        await host.warm_up(0.05)
        assert host.tools() == ()
        assert host.status()["it"]["state"] == "connecting"


async def test_a_server_that_does_not_come_up_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent.tools.mcp.session, "CONNECT_TIMEOUT", 0.2)
    silent = McpServer("it", StdioTransport(sys.executable, ("-c", "import sys; sys.stdin.read()")))
    async with connected(silent, pauses=Pauses()) as host:
        assert host.status()["it"]["reason"] == "it did not answer in time"


async def test_a_connection_lasts_longer_than_it_may_take_to_make() -> None:
    async with connected(legacy_stdio_server()) as host:
        pid = tool(host, "pid")
        before = await said(pid)
        loop, late = asyncio.get_running_loop(), asyncio.Event()
        loop.call_later(agent.tools.mcp.session.CONNECT_TIMEOUT + 1, late.set)
        time = loop.time
        loop.time = lambda: time() + agent.tools.mcp.session.CONNECT_TIMEOUT + 1  # type: ignore[method-assign]
        await late.wait()
        assert await said(pid) == before


async def test_a_server_that_stands_still_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent.tools.mcp.session, "LIST_TIMEOUT", 0.2)
    monkeypatch.setattr(mcp.client.stdio, "PROCESS_TERMINATION_TIMEOUT", 0.1)
    monkeypatch.setattr(mcp.client.stdio, "FORCE_KILL_TIMEOUT", 0.1)
    pauses = Pauses()
    async with connected(legacy_stdio_server("it", timeout=0.2), pauses=pauses) as host:
        pid = tool(host, "pid")
        before = await said(pid)
        os.kill(int(before[1]), signal.SIGSTOP)
        assert await said(pid) == ("error", "The tool did not answer within 0.2 seconds. Continue without it.")
        await until(lambda: pauses.begun == [1.0])
        assert host.status()["it"]["reason"] == "it did not answer in time"
        assert gone(int(before[1]))
        pauses.end()
        await until(lambda: host.status()["it"]["state"] == "connected")
        assert await said(pid) != before


async def test_a_refusal_is_told_without_the_secret_that_was_refused() -> None:
    heads: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    with capture_logs() as lines:
        async with aclosing(HttpMcpServer()) as place:
            server = place.entry("it", headers={"Authorization": "s3cret"})
            async with (
                await asyncio.start_server(refuse, "127.0.0.1", place.port, reuse_port=True),
                connected(server, pauses=Pauses()) as host,
            ):
                assert host.status()["it"]["reason"] == "it answered with HTTP status 401"
    assert heads and all(b"authorization: s3cret" in head.lower() for head in heads)
    assert "s3cret" not in str(lines)


# Tools that change


@both
async def test_a_tool_that_was_renamed_is_offered_under_its_new_name(server: McpServer) -> None:
    async with connected(server) as host:
        version = host.version
        await call(tool(host, "rename"), old="add", new="plus", tell=True)
        await until(lambda: "plus" in names(host) and "add" not in names(host))
        assert host.version == version + 1
        assert await said(tool(host, "plus"), a=1, b=2) == ("success", "3")


@both
async def test_a_tool_that_was_renamed_unheard_is_missed_by_the_first_call(server: McpServer) -> None:
    async with connected(server) as host:
        add = tool(host, "add")
        await call(tool(host, "rename"), old="add", new="plus", tell=False)
        assert await said(add, a=1, b=2) == ("error", "Unknown tool: add")
        await until(lambda: "plus" in names(host) and "add" not in names(host))


async def test_a_server_of_the_old_kind_is_understood() -> None:
    async with connected(legacy_stdio_server("old", "bytes")) as host:
        # On several pages, one of them twice; two are the same to OpenAI.
        assert [each.mcp_name for each in host.tools()] == ["deaf", "grow", "pid", "say.it", "say_it"]
        assert len(set(names(host))) == 5
        await call(tool(host, "grow"), tool="new")
        await until(lambda: "new" in names(host))
        assert await said(tool(host, "new"), a="é") == ("success", 'new {"a": "\\u00e9"}')


async def test_tools_of_one_name_are_told_apart_by_their_servers(http: HttpMcpServer) -> None:
    pauses = Pauses()
    async with connected(stdio_server("a"), http.entry("b"), pauses=pauses) as host:
        assert names(host) == [f"{server}_{name}" for server in "ab" for name in TOOLS]
        assert await said(tool(host, "b_add"), a=1, b=2) == ("success", "3")
        await call(tool(host, "b_die"))
        await until(lambda: pauses.begun == [1.0])
        assert names(host) == [f"a_{name}" for name in TOOLS]  # they do not change their names meanwhile


# Reload and shut-down


async def test_a_reload_changes_only_what_is_new() -> None:
    stays, goes, comes = stdio_server("stays"), legacy_stdio_server("goes"), legacy_stdio_server("comes")
    async with connected(stays, goes) as host:
        pid = tool(host, "stays_pid")
        before, old = await said(pid), tool(host, "grow")
        host.use([comes, stdio_server("stays")])
        await host.warm_up(PATIENCE)
        assert {each.server for each in host.tools()} == {"stays", "comes"}
        assert list(host.status()) == ["comes", "stays"]
        assert await said(pid) == before
        status, text = await said(old, tool="x")
        assert status == "error" and "its server is down" in text
        host.use([])
        assert (host.tools(), host.status()) == ((), {})


async def test_a_server_with_other_settings_is_started_anew() -> None:
    async with connected(stdio_server("it")) as host:
        before = await said(tool(host, "pid"))
        host.use([stdio_server("it", env={"KEY": "other"})])
        await host.warm_up(PATIENCE)
        assert await said(tool(host, "pid")) != before
        assert await said(tool(host, "variable"), name="KEY") == ("success", "other")


async def test_children_end_with_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp.client.stdio, "PROCESS_TERMINATION_TIMEOUT", 0.1)
    monkeypatch.setattr(mcp.client.stdio, "FORCE_KILL_TIMEOUT", 0.1)
    async with connected(stdio_server("good"), legacy_stdio_server("bad", "stubborn")) as host:
        started = [int((await said(tool(host, name)))[1]) for name in ("good_pid", "bad_pid")]
        turn = asyncio.create_task(said(tool(host, "deaf")))
        assert not any(map(gone, started))
    assert all(map(gone, started))
    status, _ = await turn
    assert status == "error"


async def test_a_call_to_a_server_that_reads_nothing_can_be_cancelled_at_once() -> None:
    async with connected(legacy_stdio_server()) as host:
        deaf = asyncio.create_task(call(tool(host, "deaf")))
        speaks = [asyncio.create_task(call(tool(host, "grow"), tool="x" * 300_000)) for _ in range(2)]
        await asyncio.wait([deaf, *speaks], timeout=0.2)
        async with asyncio.timeout(1):  # telling the server has five seconds of its own
            for each in (deaf, *speaks):
                each.cancel()
            await asyncio.wait([deaf, *speaks])


@pytest.mark.logs_content
async def test_what_a_child_writes_to_its_standard_error_is_logged_without_secrets(content_is_logged: None) -> None:
    with capture_logs() as lines:
        async with connected(stdio_server("it", env={"KEY": "s3cret-value"})):
            await until(lambda: any(line["event"] == "mcp_server_stderr" for line in lines))
    (line,) = [line for line in lines if line["event"] == "mcp_server_stderr"]
    assert (line["line"], line["log_level"]) == ("this line is for the log: ***", "info")
    assert sum(line["event"] == "mcp_server_sent_invalid_message" for line in lines) == 1
    assert "s3cret" not in str(lines)


async def test_a_server_whose_variable_is_not_set_is_not_started() -> None:
    server = McpServer("it", StdioTransport("/no/such/program"), missing=("WEATHER_KEY",))
    with capture_logs() as lines:
        async with connected(server) as host:
            assert host.status()["it"]["reason"] == "not set in the environment: WEATHER_KEY"
    assert [line["event"] for line in lines] == ["mcp_server_down"]
