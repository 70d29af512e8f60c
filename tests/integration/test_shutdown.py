"""The end of a server process: what a signal does to running turns, half-sent requests and new connections."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import yaml
from fastapi.testclient import TestClient

from api.app import create_app
from bench.soak.resources import worker_pids
from config.settings import Settings
from tests.support.server_process import ServerProcess, running, server_in
from tests.support.serving import TOKEN, fake

DRAIN = 2.0
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
SLOW = {"messages": [{"role": "user", "content": "/say Hello.\n/wait 25s\n/say Bye."}], "stream": True}


@asynccontextmanager
async def server(folder: Path, drain: float = DRAIN, **settings: Any) -> AsyncIterator[ServerProcess]:
    models = [fake(first_token_timeout=60, stall_timeout=60)]
    process = server_in(folder / "server", *models, drain_time=drain, **settings)
    async with running(process):
        yield process


def signalled(process: ServerProcess, signum: signal.Signals = signal.SIGTERM) -> None:
    assert process.process is not None
    os.kill(process.process.pid, signum)


async def exit_code(process: ServerProcess, within: float) -> int:
    async with asyncio.timeout(within):
        return await process.ended()


async def refuses_connections(process: ServerProcess) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", process.port)
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    writer.close()
    return False


@asynccontextmanager
async def speaking(process: ServerProcess) -> AsyncIterator[AsyncIterator[str]]:
    """The lines of an answer that has begun and takes longer than the drain time."""
    async with (
        httpx.AsyncClient(base_url=process.url, headers=HEADERS, timeout=60) as http,
        http.stream("POST", "/v1/chat/completions", json=SLOW) as response,
    ):
        lines = response.aiter_lines()
        async for line in lines:
            if "Hello" in line:
                break
        yield lines


async def test_half_a_body_does_not_hold_the_process(tmp_path: Path) -> None:
    async with server(tmp_path) as process:
        _, writer = await asyncio.open_connection("127.0.0.1", process.port)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n"
        writer.write(head.encode() + b"content-length: 1000\r\n\r\n{")
        await writer.drain()
        await asyncio.sleep(0.2)
        signalled(process)
        assert await exit_code(process, DRAIN + 8) == -signal.SIGTERM
        writer.close()


def test_the_server_is_live_and_ready_until_it_stops(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(yaml.safe_dump({"model_list": [fake()]}))
    settings = Settings(
        _env_file=None, api_tokens=(TOKEN,), models_file=tmp_path / "models.yaml", data_dir=tmp_path / "data"
    )
    with TestClient(create_app(settings)) as client:
        probes = {each: client.get(f"/health/{each}") for each in ("live", "ready")}
        assert {each: probes[each].json()["status"] for each in probes} == {"live": "ok", "ready": "ready"}
        assert client.portal is not None
        client.portal.call(client.app_state["guard"].drain.begin)
        ready = client.get("/health/ready")
        assert (ready.status_code, ready.json()) == (503, {"status": "draining"})
        assert client.get("/health/live").status_code == 200


async def test_a_running_turn_ends_with_the_in_band_error_after_the_drain_time(tmp_path: Path) -> None:
    async with server(tmp_path) as process, speaking(process) as lines:
        signalled(process)
        began = asyncio.get_running_loop().time()
        rest = [line async for line in lines if line.startswith("data: ")]
        assert asyncio.get_running_loop().time() - began >= DRAIN - 0.5
        assert orjson.loads(rest[-2][6:])["error"]["code"] == "server_stopping"
        assert rest[-1] == "data: [DONE]"
        assert await exit_code(process, 8) == -signal.SIGTERM


async def test_tasks_that_the_end_interrupts_wait_for_the_next_start(tmp_path: Path) -> None:
    """Also while an answer that takes longer than the drain time holds the process."""
    asked = {"user_id": "ann", "session_id": "s", "query": "/wait 25s\n/say Bye."}
    async with server(tmp_path, drain=0.5) as process, speaking(process) as lines:
        async with httpx.AsyncClient(base_url=process.url, headers=HEADERS, timeout=60) as http:
            for _ in range(2):
                (await http.post("/agent/invoke/async", json=asked)).raise_for_status()
            while (await http.get("/agent/tasks/ann")).json()["tasks"][-1]["status"] == "queued":
                await asyncio.sleep(0.02)
        signalled(process)
        assert [line async for line in lines if line][-1] == "data: [DONE]"
        assert await exit_code(process, 8) == -signal.SIGTERM
        process.process = None
        await process.start()
        async with httpx.AsyncClient(base_url=process.url, headers=HEADERS, timeout=60) as http:
            tasks = (await http.get("/agent/tasks/ann")).json()["tasks"]
    assert {each["status"] for each in tasks} <= {"queued", "running"} and len(tasks) == 2


async def test_a_request_that_is_on_its_way_on_an_idle_connection_is_answered(tmp_path: Path) -> None:
    request = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"
    async with server(tmp_path) as process:
        reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
        writer.write(request)
        await reader.readuntil(b'{"status":"ok"}')
        signalled(process)
        while not await refuses_connections(process):
            await asyncio.sleep(0)
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(), DRAIN)  # to the end: the connection is not kept
        assert answer.startswith(b"HTTP/1.1 200 ")
        writer.close()
        assert await exit_code(process, 8) == -signal.SIGTERM


async def test_a_turn_that_ends_in_time_is_whole(tmp_path: Path) -> None:
    async with server(tmp_path, drain=20) as process:
        said = {"messages": [{"role": "user", "content": "/wait 1500ms\n/say Bye."}]}
        async with httpx.AsyncClient(base_url=process.url, headers=HEADERS, timeout=60) as http:
            asking = asyncio.create_task(http.post("/v1/chat/completions", json=said))
            await asyncio.sleep(0.5)
            signalled(process)
            response = await asking
        assert response.json()["choices"][0]["message"]["content"] == "Bye."
        assert await exit_code(process, 8) == -signal.SIGTERM


@pytest.mark.parametrize("workers", [1, 2])
async def test_new_connections_are_refused_meanwhile_and_a_second_signal_ends_at_once(
    workers: int, tmp_path: Path
) -> None:
    async with server(tmp_path, drain=60, workers=workers) as process, speaking(process):
        signalled(process)
        async with asyncio.timeout(5):
            while not await refuses_connections(process):
                await asyncio.sleep(0.05)
        assert process.process is not None and process.process.returncode is None
        signalled(process)
        await exit_code(process, 5)


@pytest.mark.parametrize("workers", [1, 2])
async def test_connections_that_wait_to_be_accepted_are_answered(workers: int, tmp_path: Path) -> None:
    async with server(tmp_path, workers=workers) as process, AsyncExitStack() as closing:
        stopped = worker_pids(process)
        assert len(stopped) == workers
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)  # so that nobody accepts
            closing.callback(os.kill, pid, signal.SIGCONT)
        async with asyncio.timeout(20):
            while not all(status(pid)["State"].strip().startswith("T") for pid in stopped):
                await asyncio.sleep(0.01)
            signalled(process)
            while not all(int(status(pid)["ShdPnd"], 16) & 1 << signal.SIGTERM - 1 for pid in stopped):
                await asyncio.sleep(0.01)
        clients = [await asyncio.open_connection("127.0.0.1", process.port) for _ in range(20)]
        for _, writer in clients:
            writer.write(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        answers = await asyncio.gather(*(reader.read() for reader, _ in clients), return_exceptions=True)
        assert [each for each in answers if not (isinstance(each, bytes) and each.startswith(b"HTTP/1.1 200 "))] == []
        for _, writer in clients:
            writer.close()
        closing.pop_all()
        await exit_code(process, 8)


def status(pid: int) -> dict[str, str]:
    return dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
