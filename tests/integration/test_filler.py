"""A caller hears something while a tool runs, through the real server with a tool that waits for a sign."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import httpx
import orjson
import pytest

from tests.support.serving import Served, serving
from tests.support.session_rig import eventually

PATIENCE = 15
"""Seconds, for a busy machine."""

TOOLS = '''\
import asyncio
import threading

sign, sign_for_threads = asyncio.Event(), threading.Event()
cancelled = 0


async def wait() -> str:
    """Wait for the sign."""
    global cancelled
    try:
        await sign.wait()
    except asyncio.CancelledError:
        cancelled += 1
        raise
    return "the sign"


def wait_in_thread() -> str:
    """Wait for the sign."""
    sign_for_threads.wait()
    return "the sign"


async def give_sign() -> str:
    """Give the sign."""
    sign.set()
    sign_for_threads.set()
    return "given"


async def count() -> str:
    """How many waits were cancelled."""
    return f"{cancelled} cancelled"
'''


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    (tmp_path / "signs.py").write_text(TOOLS)
    agent = {
        "tools": [f"signs:{name}" for name in ("wait", "wait_in_thread", "give_sign", "count")],
        "filler": {"after": 0.02, "en": ["One moment."], "zh": ["请稍等。"]},
    }
    async with serving(tmp_path, agent=agent) as server:
        yield server


@pytest.fixture
async def http(server: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=PATIENCE) as http:
        yield http


async def says(http: httpx.AsyncClient, script: str, **headers: str) -> str:
    asked = {"messages": [{"role": "user", "content": script}]}
    response = await http.post("/v1/chat/completions", json=asked, headers=headers)
    assert response.status_code == 200, response.text
    return str(response.json()["choices"][0]["message"]["content"])


@asynccontextmanager
async def listening(http: httpx.AsyncClient, script: str, **headers: str) -> AsyncIterator[AsyncIterator[str]]:
    """The texts of a stream. Leaving the block hangs up."""
    asked = {"messages": [{"role": "user", "content": script}], "stream": True}
    async with http.stream("POST", "/v1/chat/completions", json=asked, headers=headers) as response:
        assert response.status_code == 200

        async def texts() -> AsyncIterator[str]:
            async with aclosing(response.aiter_lines()) as lines:
                async for line in lines:
                    if line.startswith("data: {"):
                        (choice,) = orjson.loads(line.removeprefix("data: "))["choices"]
                        if text := choice["delta"].get("content"):
                            yield text

        async with aclosing(texts()) as found:
            yield found


@pytest.mark.parametrize(
    ("tool_name", "language", "filler"),
    [("wait", "en-US", " One moment. "), ("wait", "zh-CN", "请稍等。"), ("wait_in_thread", "on", " One moment. ")],
)
async def test_a_caller_hears_something_while_a_tool_runs(
    http: httpx.AsyncClient, tool_name: str, language: str, filler: str
) -> None:
    script = f"/say Sure.\n/call {tool_name} {{}}"
    async with asyncio.timeout(PATIENCE), listening(http, script, **{"x-switchboard-filler": language}) as texts:
        heard = ""
        while not heard.endswith(filler):
            heard += await anext(texts)
        assert heard == f"Sure.{filler}"
        await says(http, "/call give_sign {}")
        rest = "".join([text async for text in texts])
    assert rest == "The tool answered: the sign"


async def test_nobody_hears_it_who_does_not_ask_or_does_not_stream(http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(PATIENCE), listening(http, "/say Sure.\n/call wait {}") as texts:
        heard = await anext(texts)
        whole = asyncio.create_task(says(http, "/call wait {}", **{"x-switchboard-filler": "en"}))
        async with listening(http, "/call wait {}", **{"x-switchboard-filler": "en"}) as asked:
            assert await anext(asked) == "One moment. "  # the one that does not ask has waited longer
            await says(http, "/call give_sign {}")
        heard += "".join([text async for text in texts])
    assert heard == "Sure. The tool answered: the sign"
    assert await whole == "The tool answered: the sign"


async def test_a_hang_up_during_it_cancels_the_tool_at_once(http: httpx.AsyncClient) -> None:
    async with listening(http, "/call wait {}", **{"x-switchboard-filler": "en"}) as texts:
        assert await anext(texts) == "One moment. "

    async def is_cancelled() -> bool:
        return "1 cancelled" in await says(http, "/call count {}")

    await eventually(is_cancelled, seconds=1)
