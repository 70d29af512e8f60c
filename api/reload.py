"""Hot reload of models.yaml, agent.yaml with its Python tools, callers.yaml and `.env`, within a second.

A file is applied as a whole, and only if it is valid. Running turns keep the snapshot that they started with.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, TypedDict

import structlog
from watchfiles import awatch

from agent.tools.own.loader import ToolLoader
from agent.turns import TurnService
from api.watched_file import WatchedFile
from config.callers.caller import Callers
from config.callers.callers_file import load_callers
from config.errors import Problem
from config.models.deployments import Registry
from config.models.models_file import load_models
from config.profile.agent_file import AgentProfile, load_agent
from config.settings import ENV_FILE, Settings, load_environment
from router.lanes.selection import Lanes

log = structlog.get_logger(__name__)

QUIET_PERIOD: Final = 50
"""Milliseconds without a further change after which a file counts as saved."""

POLL_INTERVAL: Final = 500
"""Milliseconds between polls. Network mounts and links to other folders send no change events."""


class Status(TypedDict):
    """The `reload` object of `/health`. `at` is the time of the last load, in UTC."""

    ok: bool
    problems: list[str]
    at: str


class Reload:
    """Watches the files of a server and applies their changes while `running()` is active."""

    def __init__(self, settings: Settings, tools: ToolLoader) -> None:
        self.models = WatchedFile(ModelsReader(settings.models_file), settings.models_file, ENV_FILE)
        self.agent = WatchedFile(
            lambda: tools.load(load_agent(settings.agent_file, load_environment())),
            settings.agent_file,
            ENV_FILE,
            more_files=lambda: sorted(tools.files),
        )
        callers_file = settings.callers_file
        self.callers = WatchedFile(lambda: load_callers(callers_file), callers_file) if callers_file else None
        self._wake = asyncio.Event()
        self._force = False

    @property
    def status(self) -> Status:
        """Whether the current files are applied. File names have no folders, because `/health` needs no token."""
        problems = [problem for each in self._files for problem in each.problems]
        at = max(each.loaded_at for each in self._files).isoformat(timespec="milliseconds")
        return {"ok": not problems, "problems": [_without_folder(each) for each in problems], "at": at}

    @property
    def _files(self) -> list[WatchedFile[Any]]:
        return [self.models, self.agent, *([self.callers] if self.callers else [])]

    @asynccontextmanager
    async def running(self, turns: TurnService, lanes: Lanes) -> AsyncIterator[None]:
        """Apply changes to `turns` until the block ends. SIGHUP reloads all files at once."""
        tasks = [
            asyncio.create_task(self._watch(), name="reload: watch"),
            asyncio.create_task(self._refresh(turns, lanes), name="reload: refresh"),
        ]
        try:
            with _on_sighup(self._reload_all):
                yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _reload_all(self) -> None:
        self._force = True
        self._wake.set()

    async def _watch(self) -> None:
        # Watch folders, not files: editors rename on save, and Kubernetes replaces a link next to the file.
        folders = {file.parent for each in self._files for file in each.files}
        changes = awatch(
            *folders,
            watch_filter=None,
            recursive=False,
            step=QUIET_PERIOD,
            debounce=4 * QUIET_PERIOD,
            rust_timeout=POLL_INTERVAL,
            yield_on_timeout=True,
        )
        try:
            async with aclosing(changes):
                async for _ in changes:
                    self._wake.set()
        except Exception:
            log.exception("watching_failed", now=f"the files are polled every {POLL_INTERVAL} ms")
        while True:
            self._wake.set()
            await asyncio.sleep(POLL_INTERVAL / 1000)

    async def _refresh(self, turns: TurnService, lanes: Lanes) -> None:
        async def apply_models(registry: Registry) -> None:
            await lanes.warm_up(each for each in registry.deployments if not each.missing)
            turns.router.registry.swap(registry)
            turns.router.breakers.keep_only({each.id for each in registry.deployments})
            log_registry(registry)

        async def apply_agent(profile: AgentProfile) -> None:
            if profile.memory.embedding_model != turns.profile.memory.embedding_model:
                log.warning("restart_needed", file="agent.yaml", key="memory.embedding_model")
            turns.use(profile)
            log.info("agent_ready", tools=list(profile.tools))

        async def apply_callers(callers: Callers) -> None:
            turns.callers.current = callers
            log.info("callers_ready", callers=list(callers.by_name))

        while True:
            await self._wake.wait()
            self._wake.clear()
            force, self._force = self._force, False
            await self.models.refresh(apply_models, force=force)
            await self.agent.refresh(apply_agent, force=force)
            if self.callers is not None:
                await self.callers.refresh(apply_callers, force=force)


class ModelsReader:
    """Reads models.yaml with the current environment; the first call leaves `os.environ` unchanged."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._environ: dict[str, str] | None = None

    def __call__(self) -> Registry:
        """Read the file, and add variables that are new in `.env` to `os.environ`. Raises ConfigError."""
        environ = load_environment()
        registry = load_models(self._file, environ)
        if self._environ is not None:
            # LiteLLM reads some variables itself when it sends a request.
            os.environ.update({name: environ[name] for name in environ.keys() - self._environ.keys()})
        self._environ = environ
        return registry


def log_registry(registry: Registry) -> None:
    """Log which models are ready, and how many deployments are left out; `switchboard check` lists these."""
    for warning in registry.warnings:
        log.warning("models_file", problem=warning)
    left_out = sum(bool(each.missing) for each in registry.deployments)
    log.info("models_ready", models=list(registry.names()), default=registry.default_group(), left_out=left_out)


@contextmanager
def _on_sighup(callback: Callable[[], None]) -> Iterator[None]:
    # Only the main thread can handle signals, and Windows has no SIGHUP.
    if not hasattr(signal, "SIGHUP") or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, callback)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


def _without_folder(problem: Problem) -> str:
    return str(problem).removeprefix(f"{problem.file.parent}{os.sep}") if problem.file else str(problem)
