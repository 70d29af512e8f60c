"""A value that is read from files and reloaded when they change."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from config.errors import ConfigError, Problem

log = structlog.get_logger(__name__)

T = TypeVar("T")


class WatchedFile(Generic[T]):
    """A value that `read` builds from `files`, and from those that `more_files` returns after each reading.

    `problems` are those of the last load; `loaded_at` is its time in UTC, whether it succeeded or not.
    """

    def __init__(self, read: Callable[[], T], *files: Path, more_files: Callable[[], Iterable[Path]] = tuple) -> None:
        self.files = tuple(file.absolute() for file in files)
        self.problems: tuple[Problem, ...] = ()
        self.loaded_at = datetime.now(UTC)
        self._read = read
        self._more_files = more_files
        self._contents: dict[Path, bytes | str] = {}

    def load(self) -> T:
        """Read the value for the first time. Raises ConfigError."""
        self._contents = self._read_contents()  # before the value, so that a change in between is noticed later
        try:
            return self._read()
        finally:
            self._add_new_files()

    async def refresh(self, apply: Callable[[T], Awaitable[None]], *, force: bool = False) -> None:
        """Read the value again, in a thread, and pass it to `apply` if the contents of the files changed.

        `force` reloads without a change. An error does not raise: it goes into `problems` and the log.
        """
        contents = await asyncio.to_thread(self._read_contents)
        if contents == self._contents and not force:
            return
        self._contents, self.loaded_at = contents, datetime.now(UTC)
        try:
            try:
                value = await asyncio.to_thread(self._read)
            finally:
                await asyncio.to_thread(self._add_new_files)
            await apply(value)
        except ConfigError as exc:
            self._reject(exc.problems)
        except Exception:
            log.exception("reload_crashed", file=str(self.files[0]))
            self._reject([Problem("the file could not be applied; see the log", file=self.files[0])])
        else:
            self.problems = ()

    def _reject(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        for each in self.problems:
            file = str(each.file) if each.file else None
            log.error("reload_refused", file=file, line=each.line, key=each.key, problem=each.message)

    def _read_contents(self) -> dict[Path, bytes | str]:
        return {file: _contents_of(file) for file in (*self.files, *self._more_files())}

    def _add_new_files(self) -> None:
        """Remember the contents of the files that the value turned out to depend on."""
        now = self._read_contents()
        self._contents = {file: self._contents.get(file, content) for file, content in now.items()}


def _contents_of(file: Path) -> bytes | str:
    try:
        return file.read_bytes()
    except OSError as exc:  # reading the value reports the same error as a Problem
        return str(exc)
