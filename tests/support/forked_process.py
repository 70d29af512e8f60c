"""Processes that `tests.support.fork_server` forks, with the attributes of asyncio's `Process` that tests use."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from functools import cache
from itertools import count
from pathlib import Path

ROOT = Path(__file__).parents[2]


class ForkedProcess:
    """A process with `pid`, and `returncode` once it has ended."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.end: Future[int] = Future()

    @property
    def returncode(self) -> int | None:
        return self.end.result() if self.end.done() else None

    async def wait(self) -> int:
        return await asyncio.shield(asyncio.wrap_future(self.end))


class ForkServer:
    """The fork server of this process, which ends with it."""

    def __init__(self) -> None:
        variables = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fork_server"],
            cwd=ROOT, env={**variables, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self._ids = count()
        self._lock = threading.Lock()
        self._asked: dict[int, Future[ForkedProcess]] = {}
        self._running: dict[int, ForkedProcess] = {}
        threading.Thread(target=self._read, daemon=True, name="fork server").start()

    def start(self, arguments: list[str], environment: Mapping[str, str], folder: Path, **ends: str) -> ForkedProcess:
        """Run `switchboard` with `arguments`. Blocks until it is forked.

        Its output is appended to the file `log`, or it runs in the `terminal` with this path.
        """
        assert self._server.stdin is not None
        with self._lock:
            number = next(self._ids)
            asked = self._asked[number] = Future()
            command = {"id": number, "arguments": arguments, "environment": dict(environment)}
            line = json.dumps({**command, "folder": str(folder), **ends})
            self._server.stdin.write(line.encode() + b"\n")
            self._server.stdin.flush()
        return asked.result(timeout=60)

    def _read(self) -> None:
        assert self._server.stdout is not None
        for line in self._server.stdout:
            answer = json.loads(line)
            if "id" in answer:
                process = self._running[answer["pid"]] = ForkedProcess(answer["pid"])
                self._asked.pop(answer["id"]).set_result(process)
            else:
                self._running.pop(answer["pid"]).end.set_result(answer["code"])


@cache
def fork_server() -> ForkServer:
    """Started with the first server that a test needs."""
    return ForkServer()
