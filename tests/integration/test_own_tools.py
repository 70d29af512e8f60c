"""The operator's own tools, in Python files and behind HTTP, through the real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from tests.support.serving import Served, serving
from tests.support.session_client import SessionClient, client_of
from tests.support.tool_service import ToolService, tool_service

PATIENCE = 15
"""Seconds, for a busy machine."""

PYTHON_TOOLS = '''\
from __future__ import annotations

import asyncio
import threading

from langchain_core.tools import tool
from langgraph.prebuilt import ToolRuntime

from prices import CURRENCY

waits = {"begun": 0, "cancelled": 0}


async def lookup_order(order_id: int, runtime: ToolRuntime) -> str:
    """Look up an order.

    Args:
        order_id: The number on the invoice.
    """
    who = runtime.context
    return f"order {order_id} of {who.user_id} in {who.session_id}, call {runtime.tool_call_id}"


def price(item: str) -> dict[str, object]:
    """The price of an item."""
    main = threading.current_thread() is threading.main_thread()
    return {"item": item, "price": 7, "currency": CURRENCY, "main": main}


@tool("stock-level")
async def stock(item: str) -> str:
    """How many of an item are in stock."""
    raise RuntimeError(f"no connection to the stock of {item}")


async def wait() -> str:
    """Wait for ever."""
    waits["begun"] += 1
    try:
        await asyncio.Event().wait()
    finally:
        waits["cancelled"] += 1


async def waited() -> str:
    """How many waits began and were cancelled."""
    return "{begun} {cancelled}".format(**waits)
'''


def http_entry(service: ToolService, path: str, name: str, **keys: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"order_id": {"type": "integer"}}, "required": ["order_id"]}
    return {"name": name, "description": f"Use {name}.", "url": f"{service.url}{path}", "parameters": schema, **keys}


@pytest.fixture
async def service() -> AsyncIterator[ToolService]:
    async with tool_service() as service:
        yield service


@pytest.fixture
async def server(service: ToolService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    (tmp_path / "my_tools.py").write_text(PYTHON_TOOLS)
    (tmp_path / "prices.py").write_text("CURRENCY = 'EUR'\n")
    monkeypatch.setenv("ORDERS_KEY", "Bearer s3cret")
    agent = {
        "tools": [
            *(f"my_tools:{name}" for name in ("lookup_order", "price", "stock", "wait", "waited")),
            http_entry(service, "/orders", "get_order", headers={"Authorization": "os.environ/ORDERS_KEY"}),
            http_entry(service, "/orders", "cancel_order"),
            *(http_entry(service, f"/{path}", path) for path in ("redirect", "broken", "endless", "hang", "gone")),
            http_entry(service, "/hang", "slow", timeout=0.1),
        ],
        "review": ["cancel_order", "price"],
    }
    async with serving(tmp_path, agent=agent) as server:
        yield server


@pytest.fixture
async def http(server: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=PATIENCE) as http:
        yield http


@pytest.fixture
async def sessions(server: Served) -> AsyncIterator[SessionClient]:
    async with client_of(server) as client:
        yield client


async def says(http: httpx.AsyncClient, script: str, session: str = "call-7") -> str:
    asked = {"messages": [{"role": "user", "content": script}], "user": "ännä"}
    response = await http.post("/v1/chat/completions", json=asked, headers={"x-session-id": session})
    assert response.status_code == 200, response.text
    return str(response.json()["choices"][0]["message"]["content"])


async def test_a_python_function_knows_its_caller(http: httpx.AsyncClient) -> None:
    said = await says(http, '/call lookup_order {"order_id": 7}')
    assert "order 7 of ännä in call-7, call call_" in said


async def test_an_http_tool_sends_arguments_ids_and_secrets(http: httpx.AsyncClient, service: ToolService) -> None:
    assert "shipped" in await says(http, '/call get_order {"order_id": 7}')
    assert "shipped" in await says(http, '/call get_order {"order_id": 8}')
    first, second = service.received
    assert (first.method, first.target, first.json, second.json) == (
        "POST",
        "/orders",
        {"order_id": 7},
        {"order_id": 8},
    )
    assert first.headers["authorization"] == "Bearer s3cret"
    assert first.headers["x-switchboard-user-id"] == "%C3%A4nn%C3%A4"
    assert first.headers["x-switchboard-session-id"] == "call-7"
    assert first.headers["x-switchboard-call-id"].startswith("call_")
    assert "cookie" not in second.headers


FAILURES = {
    'get_order {"order_id": "seven"}': "Invalid arguments: $.order_id: 'seven' is not of type 'integer'",
    'redirect {"order_id": 7}': "a redirect (HTTP status 302), which is not followed",
    'broken {"order_id": 7}': "HTTP status 503: the warehouse is closed",
    'endless {"order_id": 7}': "[cut here: these are the first 65,536 bytes]",
    'gone {"order_id": 7}': "The connection to the tool's service broke.",
    'slow {"order_id": 7}': "The tool did not answer within 0.1 seconds.",
    'stock-level {"item": "tea"}': "The tool failed: RuntimeError: no connection to the stock of tea. Continue",
    "lookup_order {}": "order_id",
}


async def test_what_fails_is_told_to_the_model_in_words(http: httpx.AsyncClient) -> None:
    with capture_logs() as lines:
        said = {call: await says(http, f"/call {call}") for call in FAILURES}
    assert [call for call, words in FAILURES.items() if words not in said[call]] == []
    assert "Traceback" not in str(said) and len(said['endless {"order_id": 7}']) < 40_000
    assert "my_tools.py:" in str([line["at"] for line in lines if line["event"] == "tool_failed"])
    assert "s3cret" not in str(lines) and "127.0.0.1" not in str(lines)


async def test_a_hang_up_cancels_an_http_tool_down_to_its_socket(http: httpx.AsyncClient, service: ToolService) -> None:
    async with asyncio.timeout(PATIENCE):
        async with http.stream("POST", "/v1/chat/completions", json=streamed('/call hang {"order_id": 7}')):
            while not service.received:
                await asyncio.sleep(0.01)
        await service.closed.wait()


async def test_a_hang_up_cancels_a_python_tool(http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(PATIENCE):
        async with http.stream("POST", "/v1/chat/completions", json=streamed("/call wait {}")):
            while "1 0" not in await says(http, "/call waited {}"):
                pass
        while "1 1" not in await says(http, "/call waited {}"):
            pass


def streamed(script: str) -> dict[str, Any]:
    """A request whose stream begins before the tool is called."""
    return {"messages": [{"role": "user", "content": f"/say One moment.\n{script}"}], "stream": True}


async def test_a_review_applies_to_every_kind(sessions: SessionClient, service: ToolService) -> None:
    await sessions.invoke('/call cancel_order {"order_id": 7}')
    refused = await sessions.post("resume", session_id="s", response_type="edit", args={"order_id": "x"})
    assert refused.status_code == 400 and "invalid for cancel_order" in refused.text
    assert service.received == []
    await sessions.resume(response_type="edit", args={"order_id": 9})
    (received,) = service.received
    assert received.json == {"order_id": 9}
    assert (received.headers["x-switchboard-user-id"], received.headers["x-switchboard-session-id"]) == ("ann", "s")

    await sessions.invoke('/call price {"item": "tea"}')
    refused = await sessions.post("resume", session_id="s", response_type="edit", args={"itm": "cake"})
    assert refused.status_code == 400 and "unknown argument itm" in refused.text
    answered = await sessions.resume(response_type="edit", args={"item": "cake"})
    assert '"item": "cake"' in str(answered) and '"main": false' in str(answered), "not in a thread of its own"


async def test_a_reviewed_tool_is_not_offered_without_a_review(http: httpx.AsyncClient) -> None:
    assert "price is not a valid tool" in await says(http, '/call price {"item": "tea"}')


async def test_a_saved_python_file_is_used_at_once_and_a_broken_one_never(
    http: httpx.AsyncClient, tmp_path: Path
) -> None:
    async def problems(*reasons: str) -> None:
        expected = [f"agent.yaml:{line}: tools[0]: my_tools cannot be imported: {each}" for each in reasons]
        async with asyncio.timeout(PATIENCE):
            while (await http.get("/health")).json()["reload"]["problems"] != expected:
                await asyncio.sleep(0.02)

    text = (tmp_path / "agent.yaml").read_text()
    line = text[: text.index("my_tools:")].count("\n") + 1

    async def until_said(script: str, words: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while words not in await says(http, script):
                await asyncio.sleep(0.02)

    waiting = asyncio.create_task(says(http, "/call wait {}", session="waits"))
    new = PYTHON_TOOLS.replace('f"order {order_id}', 'f"parcel {order_id}')
    (tmp_path / "my_tools.py").write_text(new)
    await until_said('/call lookup_order {"order_id": 7}', "parcel 7")
    assert not waiting.done(), "a running turn is disturbed"
    waiting.cancel()

    (tmp_path / "my_tools.py").write_text("def lookup_order(:\n")
    await problems("my_tools.py, line 1: SyntaxError: invalid syntax")
    assert "parcel 7" in await says(http, '/call lookup_order {"order_id": 7}')
    (tmp_path / "my_tools.py").write_text(new.replace("from prices", "from price_list"))
    await problems("my_tools.py, line 9: ModuleNotFoundError: No module named 'price_list'")
    (tmp_path / "price_list.py").write_text("CURRENCY = 'CHF'\n")
    await problems()
