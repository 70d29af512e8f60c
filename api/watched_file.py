"""A value that is read from files, and read again when they change."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from config.errors import ConfigError, Problem
from config.models.deployments import Registry
from config.models.models_file import load_models
from config.profile.agent_file import AgentProfile, load_agent
from config.settings import load_environment

log = structlog.get_logger(__name__)

T = TypeVar("T")


class WatchedFile(Generic[T]):
    """A value that is read from `files`, and read again when their bytes change. `read` runs in a thread."""

    def __init__(self, read: Callable[[], T], *files: Path) -> None:
        self.files = tuple(file.absolute() for file in files)
        self.problems: tuple[Problem, ...] = ()
        self.at = datetime.now(UTC)
        self._read = read
        self._contents: list[bytes | str] = []

    def begin(self) -> T:
        """Read it for the first time, before anything is served. Raises ConfigError."""
        self._contents = self._load()  # before the value is made, so that a change between the two is seen later
        return self._read()

    async def follow(self, use: Callable[[T], Awaitable[None]], *, again: bool = False) -> None:
        """Hand a new value to `use` if the files have changed, or in any case `again`.

        Raises nothing: what is wrong stands in `problems`, and `use` is not called.
        """
        contents = await asyncio.to_thread(self._load)
        if contents == self._contents and not again:
            return
        self._contents, self.at = contents, datetime.now(UTC)
        try:
            await use(await asyncio.to_thread(self._read))
        except ConfigError as exc:
            self._refuse(exc.problems)
        except Exception:
            log.exception("reload_crashed", file=str(self.files[0]))
            self._refuse([Problem("cannot be put into service; the log tells why", file=self.files[0])])
        else:
            self.problems = ()

    def _refuse(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        for each in self.problems:
            file = str(each.file) if each.file else None
            log.error("reload_refused", file=file, line=each.line, key=each.key, problem=each.message)

    def _load(self) -> list[bytes | str]:
        return [_bytes_of(file) for file in self.files]


class ModelsReading:
    """Reads models.yaml, each time with the environment as it is by then."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._environ: dict[str, str] | None = None

    def __call__(self) -> Registry:
        """The Registry. Raises ConfigError for models.yaml and for `.env`."""
        environ = load_environment()
        registry = load_models(self._file, environ)
        if self._environ is not None:
            # LiteLLM reads some variables itself when it sends a request.
            os.environ.update({name: environ[name] for name in environ.keys() - self._environ.keys()})
        self._environ = environ
        return registry


def read_agent(file: Path) -> AgentProfile:
    """The agent, with the environment as it is by now. Raises ConfigError for agent.yaml and for `.env`."""
    return load_agent(file, load_environment())


def _bytes_of(file: Path) -> bytes | str:
    try:
        return file.read_bytes()
    except OSError as exc:  # whatever it is, reading the value says it in words
        return str(exc)
