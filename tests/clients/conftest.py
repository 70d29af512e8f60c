"""Runs the real server over fake providers in a thread, once per test module."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from router.fake.server.fake_provider import FakeProvider
from tests.support.serving import Served, direct, fake, serving, through_litellm
from tests.support.serving_thread import running_in_thread

BEHAVIOURS = """
fake-ok fake-429 fake-503 fake-reset fake-silent fake-cut fake-stall fake-malformed fake-no-done fake-context
fake-filter fake-401 fake-html fake-empty fake-inband-error fake-tool fake-tool-cut
""".split()
LANES = {"direct": direct, "litellm": through_litellm}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serves `fake`, its alias `gpt-4o`, and `<behaviour>-<lane>` for every fault and lane."""
    with running_in_thread(lambda: _serving(tmp_path_factory.mktemp("server"))) as served:
        yield served


@asynccontextmanager
async def _serving(folder: Path) -> AsyncIterator[Served]:
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
        yield served


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
