"""Runs the real server on a real port in the test's process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
import yaml
from blockbuster import blockbuster_ctx
from fastapi import FastAPI
from pydantic import SecretStr

from agent.storage.database import DEFAULT_FILE
from api.app import create_app
from api.server import protocol_options
from config.database_url import SQLITE_PREFIX
from config.settings import Settings
from tests.support.migrated import copy_migrated

TOKEN = "test-token"


@dataclass(frozen=True, slots=True)
class Served:
    """A running server. `url` has no path; `app` gives access to internal state."""

    url: str
    app: FastAPI

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {TOKEN}"}


def fake(name: str = "fake", model: str = "fake/echo", **params: Any) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": model, **params}}


def direct(name: str, base_url: str, model: str, **params: Any) -> dict[str, Any]:
    """Return a deployment on the OpenAI lane."""
    return fake(name, f"openai/{model}", api_base=base_url, api_key="sk-provider", **params)


def through_litellm(name: str, base_url: str, model: str, **params: Any) -> dict[str, Any]:
    """Return a deployment on the LiteLLM lane."""
    return {**direct(name, base_url, model, **params), "model_info": {"lane": "litellm"}}


class _Server(uvicorn.Server):
    """`ready` is set once the server has started or has failed to; `stop` ends it without uvicorn's pauses."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 0.1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.sleep(0)  # connections that a client has just closed
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
            return
        for each in (*self.servers, *(sockets or ())):
            each.close()
        await self.lifespan.shutdown()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


def _sqlite_file(settings: Mapping[str, Any]) -> Path | None:
    """The file that the server would create and migrate; None if its database is another."""
    url: SecretStr | None = settings.get("database_url")
    if url is None:
        return Path(settings["data_dir"]) / DEFAULT_FILE
    text = url.get_secret_value()
    return Path(text.removeprefix(SQLITE_PREFIX)) if text.startswith(SQLITE_PREFIX) else None


@contextmanager
def _blocking_calls_fail() -> Iterator[None]:
    with blockbuster_ctx(scanned_modules=["config", "router", "agent", "api"]) as blocking:
        for function in blocking.functions.values():
            # LiteLLM loads certificates at the first request to a provider.
            function.can_block_in("router/lanes/litellm_lane.py", "_call")
        yield


@asynccontextmanager
async def serving(
    folder: Path,
    *models: Mapping[str, Any],
    router: Mapping[str, Any] | None = None,
    agent: Mapping[str, Any] | None = None,
    finds_blocking: bool = True,
    **settings: Any,
) -> AsyncIterator[Served]:
    """Serve `models` (entries of model_list) until the block ends. `agent` is agent.yaml, with a default prompt.

    A request fails if it makes a blocking call in the event loop. A second server that starts meanwhile would fail,
    too: set `finds_blocking` to False for both.
    """
    models_file = folder / "models.yaml"
    models_file.write_text(
        yaml.safe_dump({"model_list": list(models) or [fake()], "router_settings": dict(router or {})})
    )
    if agent is not None:
        agent_file = folder / "agent.yaml"
        agent_file.write_text(yaml.safe_dump({"system_prompt": "Be kind.", **agent}))
        settings["agent_file"] = agent_file
    settings.setdefault("data_dir", folder / "data")
    if path := _sqlite_file(settings):
        copy_migrated(path)
    configured = Settings(api_tokens=(SecretStr(TOKEN),), models_file=models_file, _env_file=None, **settings)
    app = create_app(configured)
    # Without an explicit protocol, asyncio leaves Nagle's algorithm on, which delays every answer by 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    server = _Server(uvicorn.Config(app, **protocol_options(configured), timeout_graceful_shutdown=1))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    running.add_done_callback(lambda _: server.ready.set())
    try:
        await server.ready.wait()
        assert server.started, "the server did not start"
        with _blocking_calls_fail() if finds_blocking else nullcontext():
            yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", app)
    finally:
        server.stop()
        await running
