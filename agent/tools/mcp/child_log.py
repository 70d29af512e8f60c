"""What an MCP server that was started here writes to its standard error: lines of our log, at debug."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import TextIO

import structlog

log = structlog.get_logger(__name__)

LONGEST = 2_000
"""Characters of a line that are kept."""

SHORTEST_SECRET = 8
"""Characters from which on a value of its environment is blotted out of its lines: shorter ones are words."""


@asynccontextmanager
async def child_log(server: str, secrets: Collection[str]) -> AsyncIterator[TextIO]:
    """The file to give a child for its standard error. Its lines are read until the block ends."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as source, os.fdopen(writing, "w") as sink:
        lines = _Lines(server, [each for each in secrets if len(each) >= SHORTEST_SECRET])
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: lines, source)
        try:
            yield sink
        finally:
            transport.close()


class _Lines(asyncio.Protocol):
    def __init__(self, server: str, secrets: Collection[str]) -> None:
        self._server = server
        self._secrets = secrets
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[: 4 * LONGEST]  # somebody who never ends a line must not fill the memory
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            for secret in self._secrets:
                text = text.replace(secret, "***")
            if text:
                log.debug("mcp_server_says", server=self._server, line=text[:LONGEST])
