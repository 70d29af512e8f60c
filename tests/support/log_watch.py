"""Fails a test whose log lines contain a secret or a sentence that the tests of its module used.

The watch learns them from the requests that the tests send with httpx, which is nearly all: tokens and keys from the
headers, and every text with a space in it from JSON bodies. It sees each line that the test's process logs, in the
format of the product, and the log files of the servers that tests start.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import structlog

from api.log import configure_logging

SECRETS = frozenset({"test-token", "sk-provider", "hunter2", "s3cret"})
"""Those that tests put into files and variables."""

MIN_SECRET, MIN_SENTENCE = 8, 10
"""Characters. A shorter text may be a word of a log line."""

_CREDENTIALS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")


class LogWatch(io.TextIOBase):
    """The stream of all log lines of this process; `follow` adds the file of another one."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._files: dict[Path, int] = {}
        self._known = set(SECRETS)

    def install(self) -> None:
        """Send the log lines of this process here."""
        configure_logging("DEBUG", as_json=False, stream=self)  # type: ignore[arg-type]
        self._handler = logging.getLogger().handlers[0]
        self._configuration = structlog.get_config()

    def reinstall(self) -> None:
        """The same again, after a test has configured logging by itself."""
        structlog.configure(**self._configuration)
        root = logging.getLogger()
        if self._handler not in root.handlers:
            root.addHandler(self._handler)

    def write(self, text: str) -> int:
        self._lines += text.splitlines()
        return len(text)

    def follow(self, file: Path) -> None:
        self._files.setdefault(file, 0)

    def learn(self, request: httpx.Request) -> None:
        """Remember the secrets and the sentences of a request."""
        for name in _CREDENTIALS:
            secret = request.headers.get(name, "").removeprefix("Bearer ")
            self._known |= {secret} if len(secret) >= MIN_SECRET else set()
        if "json" in request.headers.get("content-type", ""):
            try:
                self._known.update(_sentences(orjson.loads(request.content)))
            except (httpx.RequestNotRead, orjson.JSONDecodeError):
                pass

    def leaks(self) -> list[str]:
        """What is wrong with the lines since the last time."""
        for file in [*self._files]:
            self._lines += self._new_lines(file)
        lines, self._lines = self._lines, []
        text = "\n".join(lines)
        return [
            f"A log line contains {known!r}: {line}"
            for known in sorted(self._known)
            if known in text
            for line in lines
            if known in line
        ]

    def forget(self) -> None:
        """Forget what was learned, and the files."""
        self._known = set(SECRETS)
        self._files.clear()

    @contextmanager
    def learning(self) -> Iterator[None]:
        """Learn from all requests of httpx."""
        with pytest.MonkeyPatch.context() as patch:
            send, send_async = httpx.Client.send, httpx.AsyncClient.send

            def learn_and_send(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
                self.learn(request)
                return send(client, request, **options)

            async def learn_and_send_async(
                client: httpx.AsyncClient, request: httpx.Request, **options: Any
            ) -> httpx.Response:
                self.learn(request)
                return await send_async(client, request, **options)

            patch.setattr(httpx.Client, "send", learn_and_send)
            patch.setattr(httpx.AsyncClient, "send", learn_and_send_async)
            yield

    def _new_lines(self, file: Path) -> list[str]:
        try:
            with file.open("rb") as log:
                log.seek(self._files[file])
                new = log.read()
        except FileNotFoundError:
            return []
        whole = new[: new.rfind(b"\n") + 1]
        self._files[file] += len(whole)
        return whole.decode(errors="replace").splitlines()


WATCH = LogWatch()


def _sentences(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if len(value) >= MIN_SENTENCE and re.search(r"\S\s+\S", value):
            yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _sentences(each)
