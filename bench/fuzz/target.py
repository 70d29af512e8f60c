"""The server that is fuzzed: fake models, SQLite, a token, and every feature that its APIs can reach."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import yaml

from bench.processes import RunningProcess
from bench.servers import SWITCHBOARD

MODELS: Final[dict[str, Any]] = {
    "model_list": [
        {"model_name": "fake", "litellm_params": {"model": "fake/assistant"}},
        {"model_name": "vectors", "litellm_params": {"model": "fake/embedding"}, "model_info": {"mode": "embedding"}},
    ]
}
AGENT: Final[dict[str, Any]] = {
    "system_prompt": "Be kind.",
    "tools": ["transferCall", "endCall", "multiply", "book_hotel"],
    "review": ["book_hotel"],
    "memory": {"long_term": True},
}

HEAD_TIMEOUT: Final = 3.0
BODY_TIMEOUT: Final = 4.0
"""Seconds. Shorter than the defaults, because each slow connection waits for one of them."""

SETTINGS: Final[dict[str, str]] = {
    "head_timeout": str(HEAD_TIMEOUT),
    "body_timeout": str(BODY_TIMEOUT),
    "log_level": "WARNING",
}


@dataclass(frozen=True, slots=True)
class FuzzTarget:
    """A running server. `url` has no path."""

    host: str
    port: int
    token: str

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@asynccontextmanager
async def fuzzed_server(directory: Path) -> AsyncIterator[tuple[FuzzTarget, RunningProcess]]:
    """Start the server in a process of its own, with its files in `directory`. Raises BenchError."""
    (directory / "models.yaml").write_text(yaml.safe_dump(MODELS))
    (directory / "agent.yaml").write_text(yaml.safe_dump(AGENT))
    settings = {f"SWITCHBOARD_{name.upper()}": value for name, value in SETTINGS.items()}
    environment = {**dict(SWITCHBOARD.environment), **settings, "SWITCHBOARD_AGENT_FILE": "agent.yaml"}
    server = replace(SWITCHBOARD, environment=tuple(environment.items()))
    async with server.run(directory, frozenset(), {}) as running:
        target = running.target
        yield FuzzTarget(target.host, target.port, target.token), running.process
