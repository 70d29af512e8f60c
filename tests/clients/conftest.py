"""Runs the real server over fake providers in a thread, once per test module."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx
import pytest

from router.fake.server.fake_provider import FakeProvider
from tests.support.serving import Served, direct, fake, serving, through_litellm

BEHAVIOURS = """
fake-ok fake-429 fake-503 fake-reset fake-silent fake-cut fake-stall fake-malformed fake-no-done fake-context
fake-filter fake-401 fake-html fake-empty fake-inband-error fake-tool fake-tool-cut
""".split()
LANES = {"direct": direct, "litellm": through_litellm}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serves `fake`, its alias `gpt-4o`, and `<behaviour>-<lane>` for every fault and lane."""
    ready: Future[tuple[Served, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    folder = tmp_path_factory.mktemp("server")
    thread = threading.Thread(target=lambda: asyncio.run(_serve(folder, ready)))
    thread.start()
    served, loop, stop = ready.result(timeout=60)
    yield served
    loop.call_soon_threadsafe(stop.set)
    thread.join()


async def _serve(folder: Path, ready: Future[Any]) -> None:
    stop = asyncio.Event()
    try:
        async with (
            FakeProvider() as provider,
            serving(
                folder,
                *_models(provider.base_url),
                router={"num_retries": 0, "model_group_alias": {"gpt-4o": "fake"}},
                agent={"tools": ["transferCall", "endCall", "multiply"]},
                keep_alive_interval=0.05,
            ) as served,
        ):
            ready.set_result((served, asyncio.get_running_loop(), stop))
            await stop.wait()
    except BaseException as exc:
        if ready.done():
            raise
        ready.set_exception(exc)


def _models(provider: str) -> Iterator[dict[str, Any]]:
    yield fake()
    for behaviour in BEHAVIOURS:
        # Short timeouts only where the provider never answers; others would fail on a slow machine.
        silent = behaviour in ("fake-silent", "fake-stall")
        timeouts = {"first_token_timeout": 0.2, "stall_timeout": 0.2} if silent else {}
        for lane, deployment in LANES.items():
            yield deployment(f"{behaviour}-{lane}", provider, behaviour, **timeouts)


@pytest.fixture
def http(server: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=30) as client:
        yield client
