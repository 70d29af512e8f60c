"""Runs `switchboard chat` and `switchboard call` in a pseudo-terminal, as a person would use them."""

from __future__ import annotations

import os
import re
import signal
import sys
import termios
from pathlib import Path

import pexpect
from pexpect.fdpexpect import fdspawn

from tests.support.forked_process import fork_server
from tests.support.serving import TOKEN

CHAT = str(Path(sys.executable).with_name("switchboard"))
ROOT = Path(__file__).parents[2]
TIMEOUT = 60
"""Seconds until an expected text must have come, on a busy machine."""

ESCAPE = r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07|[()][A-Z0-9]|[=>])"
ESCAPES = re.compile(ESCAPE)
CTRL_D = "\x04"


class Terminal:
    """A terminal with `switchboard COMMAND` in it. `state` is the user's state folder."""

    def __init__(
        self,
        state: Path,
        *arguments: str,
        size: tuple[int, int] = (40, 100),
        command: str = "chat",
        **environ: str,
    ) -> None:
        ours, theirs = os.openpty()
        termios.tcsetwinsize(theirs, size)
        started = [command, *arguments]
        self._process = fork_server().start(started, environment(state, **environ), ROOT, terminal=os.ttyname(theirs))
        os.close(theirs)
        self.child = fdspawn(ours, encoding="utf-8", timeout=TIMEOUT)

    def expect(self, text: str) -> str:
        """Wait for `text`; returns what came before it, without escape codes."""
        self.child.expect(f"(?:{ESCAPE})*".join(map(re.escape, text)))
        return ESCAPES.sub("", self.child.before)

    def send(self, line: str) -> None:
        """Type a line and Enter, in place of what stands there."""
        self.child.send(f"\x01\x0b{line}\r")

    def type(self, line: str) -> None:
        """Type a line and Enter, after what stands there."""
        self.child.send(f"{line}\r")

    def say(self, line: str, expected: str, prompt: str) -> None:
        """Type a line, and wait for the text and then for the prompt."""
        self.send(line)
        self.expect(expected)
        self.expect(prompt)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.child.send("\x03")

    def kill(self) -> None:
        """End the program at once, if it runs."""
        if self._process.returncode is None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.end.result(TIMEOUT)

    def exit_code(self) -> int:
        """Wait for the end of the program."""
        self.child.expect(pexpect.EOF)
        return self._process.end.result(TIMEOUT)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.child.close()


def environment(state: Path, **more: str) -> dict[str, str]:
    """The environment of a person's shell."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {
        **inherited,
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "PROMPT_TOOLKIT_NO_CPR": "1",  # nobody here answers a question for the cursor's place
        "PYTHONPATH": str(ROOT),
        "SWITCHBOARD_API_TOKENS": TOKEN,
        "XDG_STATE_HOME": str(state),
        **more,
    }
