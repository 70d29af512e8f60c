"""A server for the short form of `make fuzz`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bench.fuzz.target import AGENT, MODELS, SETTINGS, FuzzTarget
from tests.support.server_process import ServerProcess, running, server_in
from tests.support.serving import TOKEN


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    process = server_in(tmp_path, *MODELS["model_list"], agent=AGENT, **SETTINGS)
    async with running(process):
        yield process
        assert "Traceback" not in process.log, process.log


@pytest.fixture
def target(server: ServerProcess) -> FuzzTarget:
    return FuzzTarget("127.0.0.1", server.port, TOKEN)
