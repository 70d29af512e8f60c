"""Logs the standard error of MCP servers that this process started, if log lines may quote content.

What a server writes there is up to it: often the calls that it gets.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import TextIO

import structlog

from config.log_content import logs_content

log = structlog.get_logger(__name__)

MAX_LINE = 2_000
"""Characters of a line that are logged."""

MIN_SECRET = 8
"""Values of the environment with fewer characters are not redacted: they may be ordinary words."""


@asynccontextmanager
async def stderr_log(server: str, secrets: Collection[str]) -> AsyncIterator[TextIO]:
    """The file for the program's standard error. Its lines are logged until the block ends, with `secrets` redacted."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as source, os.fdopen(writing, "w") as sink:
        lines = _LineLogger(server, [each for each in secrets if len(each) >= MIN_SECRET])
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: lines, source)
        try:
            yield sink
        finally:
            transport.close()


class _LineLogger(asyncio.Protocol):
    def __init__(self, server: str, secrets: Collection[str]) -> None:
        self._server = server
        self._secrets = secrets
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[: 4 * MAX_LINE]  # bounds the memory when a program never ends its line
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            for secret in self._secrets:
                text = text.replace(secret, "***")
            if text and logs_content():
                log.info("mcp_server_stderr", server=self._server, line=text[:MAX_LINE])
