"""A server with the fake model in this process, so that one command shows everything without a key."""

from __future__ import annotations

import secrets
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import uvicorn
from pydantic import SecretStr

from api.listening import bind, port_of
from api.log import configure_logging
from api.server import protocol_options
from api.terminal.keyboard import state_folder
from config.errors import ConfigError, Problem
from config.profile.agent_file import DEFAULT_AGENT_FILE
from config.settings import Settings

CHAT_AGENT_FILE: Final = DEFAULT_AGENT_FILE.with_name("assistant.yaml")
PHONE_AGENT_FILE: Final = DEFAULT_AGENT_FILE.with_name("demo-phone.yaml")
MODELS_FILE: Final = DEFAULT_AGENT_FILE.with_name("demo-models.yaml")
START_TIMEOUT: Final = 60.0
STOP_TIMEOUT: Final = 5.0
TOOLS_TIMEOUT: Final = 10.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class DemoServer:
    url: str
    token: str


@contextmanager
def demo_server(agent_file: Path = CHAT_AGENT_FILE) -> Iterator[DemoServer]:
    """Serve on a free port until the block ends. Sessions and the log are kept in the user's state folder.

    Raises ConfigError if the server does not start.
    """
    folder = _folder()
    token = secrets.token_urlsafe(24)
    log_file = folder / "server.log"
    with log_file.open("w", encoding="utf-8") as log:
        configure_logging("INFO", as_json=False, stream=log)
        sockets = bind("127.0.0.1", 0)
        server = uvicorn.Server(_config(_settings(folder, token, agent_file)))
        thread = threading.Thread(target=server.run, args=(sockets,), name="demo-server", daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{port_of(sockets)}"
        try:
            _wait(server, thread, log_file)
            _wait_for_tools(url)
            yield DemoServer(url, token)
        finally:
            server.should_exit = True
            thread.join(STOP_TIMEOUT)


def _folder() -> Path:
    """A folder that stays; a temporary one if the state folder cannot be written."""
    try:
        folder = state_folder() / "demo"
        folder.mkdir(exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="switchboard-demo-"))
    return folder


def _settings(folder: Path, token: str, agent_file: Path) -> Settings:
    """Independent of the user's `.env`, and of a database and a Redis in the environment."""
    return Settings(
        _env_file=None,
        callers_file=None,
        api_tokens=(SecretStr(token),),
        data_dir=folder,
        agent_file=agent_file,
        models_file=MODELS_FILE,
        database_url=None,
        redis_url=None,
        workers=1,
        drain_time=0.0,
    )


def _config(settings: Settings) -> uvicorn.Config:
    from api.app import create_app  # takes a second, which the caller's checks need not wait for

    return uvicorn.Config(create_app(settings), **protocol_options(settings), timeout_graceful_shutdown=1)


def _wait(server: uvicorn.Server, thread: threading.Thread, log_file: Path) -> None:
    end = time.monotonic() + START_TIMEOUT
    while not server.started:
        if not thread.is_alive() or time.monotonic() > end:
            raise ConfigError([Problem(f"the demo server did not start; its log says why: {log_file}")])
        time.sleep(0.02)


def _wait_for_tools(url: str) -> None:
    """Wait for the MCP servers, so that the first turn has all tools. Without them, the rest works."""
    end = time.monotonic() + TOOLS_TIMEOUT
    with httpx.Client(base_url=url, trust_env=False) as http:
        while time.monotonic() < end:
            states = http.get("/health").json()["mcp_servers"].values()
            if all(each["state"] == "connected" for each in states):
                return
            time.sleep(0.05)
