"""Forks server processes: `python -m tests.support.fork_server`. It has imported what a server needs.

Importing takes 2.5 s of CPU, and the tests start dozens of servers. Each line of its input is a command as JSON:
`{"id", "arguments", "environment", "folder"}` with the file `log` for the output, or the `terminal` for both input and
output. It answers `{"id", "pid"}`, and `{"pid", "code"}` when a process has ended.
"""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import selectors
import signal
import sys
import termios
from collections.abc import Callable
from typing import Any

import uvicorn._subprocess

from config.litellm_environment import prepare_litellm

prepare_litellm()  # as api.cli.main does before LiteLLM is imported

import api.app  # noqa: E402
import api.app_factory  # noqa: E402
import api.cli  # noqa: E402
import api.rehearsal.command  # noqa: E402
import api.server  # noqa: E402
import api.terminal.call  # noqa: E402
import api.terminal.chat  # noqa: E402
import api.terminal.demo  # noqa: E402

Child = Callable[[], None]

# The workers of a server would import everything anew, too. `tests/integration/test_statistics.py` has real ones.
uvicorn._subprocess.spawn = multiprocessing.get_context("fork")  # type: ignore[assignment]


def main() -> None:
    """Fork until the input ends. In a forked process, return into the command line of the server."""
    ended, woken = os.pipe2(os.O_NONBLOCK)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    if (child := _serve(ended)) is not None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (ended, woken):
            os.close(each)
        child()


def _serve(ended: int) -> Child | None:
    with selectors.DefaultSelector() as ready:
        ready.register(sys.stdin.fileno(), selectors.EVENT_READ)
        ready.register(ended, selectors.EVENT_READ)
        waiting = b""
        while True:
            for key, _ in ready.select():
                data = os.read(key.fd, 65536)
                if key.fd == ended:
                    _report_ended()
                    continue
                if not data:
                    return None
                *lines, waiting = (waiting + data).split(b"\n")
                for line in lines:
                    command = json.loads(line)
                    streams = _streams(command)
                    if (pid := os.fork()) == 0:
                        return lambda command=command, streams=streams: _run(command, streams)
                    for each in {*streams}:
                        os.close(each)
                    _answer(id=command["id"], pid=pid)


def _report_ended() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _answer(pid=pid, code=os.waitstatus_to_exitcode(status))


def _streams(command: dict[str, Any]) -> tuple[int, int, int]:
    """Descriptors for the input, the output and the errors of a process."""
    if path := command.get("terminal"):
        terminal = os.open(path, os.O_RDWR | os.O_NOCTTY)
        return terminal, terminal, terminal
    log = os.open(command["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    return os.open(os.devnull, os.O_RDONLY), log, log


def _run(command: dict[str, Any], streams: tuple[int, int, int]) -> None:
    os.setsid()
    os.chdir(command["folder"])
    os.environ.clear()
    os.environ.update(command["environment"])
    for target, source in enumerate(streams):
        os.dup2(source, target)
    if "terminal" in command:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # Ctrl-C reaches this process
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background ignores it
    sys.argv = ["switchboard", *command["arguments"]]
    api.cli.main()


def _answer(**fields: Any) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
