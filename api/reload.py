"""Hot reload: what is saved in models.yaml, agent.yaml or `.env` is in service within a second.

A new reading is swapped in whole, and only if nothing is wrong with it. Turns that run keep what they began with.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from functools import partial
from typing import Final, TypedDict

import structlog
from watchfiles import awatch

from agent.turns import TurnService
from api.watched_file import ModelsReading, WatchedFile, read_agent
from config.errors import Problem
from config.models.deployments import Registry
from config.profile.agent_file import AgentProfile
from config.settings import ENV_FILE, Settings
from router.lanes.selection import Lanes

log = structlog.get_logger(__name__)

SETTLED: Final = 50
"""Milliseconds without a further change after which a file counts as saved."""

LOOK_EVERY: Final = 500
"""Milliseconds between two looks when nothing is heard: network mounts and links to other folders send no word."""


class Status(TypedDict):
    """The reload as `/health` shows it. `at` is the time of the latest reading, in UTC."""

    ok: bool
    problems: list[str]
    at: str


class Reload:
    """Follows both files for a server. `running()` covers the time that it serves."""

    def __init__(self, settings: Settings) -> None:
        self.models = WatchedFile(ModelsReading(settings.models_file), settings.models_file, ENV_FILE)
        self.agent = WatchedFile(partial(read_agent, settings.agent_file), settings.agent_file, ENV_FILE)
        self._wake = asyncio.Event()
        self._again = False

    @property
    def status(self) -> Status:
        """Whether the newest files are in service. It names files without their folders, since anyone may ask."""
        problems = [*self.models.problems, *self.agent.problems]
        at = max(self.models.at, self.agent.at).isoformat(timespec="milliseconds")
        return {"ok": not problems, "problems": [_without_folder(each) for each in problems], "at": at}

    @asynccontextmanager
    async def running(self, turns: TurnService, lanes: Lanes) -> AsyncIterator[None]:
        """Keep `turns` up to date until the block ends. SIGHUP has everything read again at once."""
        tasks = [
            asyncio.create_task(self._watch(), name="reload: watch"),
            asyncio.create_task(self._follow(turns, lanes), name="reload: follow"),
        ]
        try:
            with _on_hang_up(self._read_again):
                yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _read_again(self) -> None:
        self._again = True
        self._wake.set()

    async def _watch(self) -> None:
        # Folders are watched, not files: editors rename on save, and Kubernetes exchanges a link beside the file.
        folders = {file.parent for file in (*self.models.files, *self.agent.files)}
        changes = awatch(
            *folders,
            watch_filter=None,
            recursive=False,
            step=SETTLED,
            debounce=4 * SETTLED,
            rust_timeout=LOOK_EVERY,
            yield_on_timeout=True,
        )
        try:
            async with aclosing(changes):
                async for _ in changes:
                    self._wake.set()
        except Exception:
            log.exception("watching_failed", now=f"the files are looked at every {LOOK_EVERY} ms")
        while True:
            self._wake.set()
            await asyncio.sleep(LOOK_EVERY / 1000)

    async def _follow(self, turns: TurnService, lanes: Lanes) -> None:
        async def use_models(registry: Registry) -> None:
            await lanes.warm_up(each for each in registry.deployments if not each.missing)
            turns.router.registry.swap(registry)
            turns.router.breakers.keep_only({each.id for each in registry.deployments})
            log_registry(registry)

        async def use_agent(profile: AgentProfile) -> None:
            if profile.memory.embedding_model != turns.profile.memory.embedding_model:
                log.warning("restart_needed", file="agent.yaml", key="memory.embedding_model")
            turns.use(profile)
            log.info("agent_ready", tools=list(profile.tools))

        while True:
            await self._wake.wait()
            self._wake.clear()
            again, self._again = self._again, False
            await self.models.follow(use_models, again=again)
            await self.agent.follow(use_agent, again=again)


def log_registry(registry: Registry) -> None:
    """Tell the operator what can be used now, and what is left out."""
    for warning in registry.warnings:
        log.warning("models_file", problem=warning)
    for deployment in registry.deployments:
        if deployment.missing:
            log.info("deployment_left_out", deployment=deployment.id, not_set=", ".join(deployment.missing))
    log.info("models_ready", models=list(registry.names()), default=registry.default_group())


@contextmanager
def _on_hang_up(act: Callable[[], None]) -> Iterator[None]:
    # Only the main thread may handle signals, and Windows has no such signal.
    if not hasattr(signal, "SIGHUP") or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, act)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


def _without_folder(problem: Problem) -> str:
    return str(problem).removeprefix(f"{problem.file.parent}{os.sep}") if problem.file else str(problem)
