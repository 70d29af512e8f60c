"""Reads a document as a person does: takes its commands and examples in order, and compares what they print.

Servers and `switchboard` commands are forked, and Python runs in this process, because starting Python takes seconds.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path

import httpx

from tests.support.forked_process import ForkedProcess, fork_server
from tests.support.free_port import free_port

ROOT = Path(__file__).parents[2]
STEP = re.compile(r"^```(sh|python|yaml|text)\n(.*?)^```|^    ((?:\.venv/bin/|make )[^\n]*)$", re.MULTILINE | re.DOTALL)
NOT_RUN = {
    "make test": "runs this test",
    "make docs": "test_site.py builds it",
    "make bench": "takes minutes",
    "make soak": "takes minutes",
    "make fuzz": "takes hours; test_fuzz.py runs its short form",
    ".venv/bin/python -m bench": "takes minutes",
    "curl https://api.vapi.ai": "needs an account",
    ".venv/bin/switchboard chat": "a person types; test_terminal.py runs it",
    ".venv/bin/switchboard call": "a person types; test_terminal_call.py runs it",
    'echo "What is six times seven?" |': "the same",
    'echo "I want to talk to a human." |': "the same",
    "docker run": "needs Docker and a download",
}
CLIENTS = ("OpenAI(", "Anthropic(", "httpx.Client(")
"""Python that runs; without a client, a block is a part of something."""
FAILED_AS_SAID = 22
"""curl's status for an HTTP error with `--fail`."""


def steps(document: Path) -> Iterator[tuple[str, str]]:
    """The kind (sh, python, yaml, text) and text of each step."""
    for kind, block, line in STEP.findall(document.read_text("utf-8")):
        if kind in ("", "sh"):
            yield from (("sh", command) for command in _commands(block or line) if _is_run(command))
        else:
            yield kind, block


def _commands(block: str) -> Iterator[str]:
    """The commands of a shell block; a quotation may go on over several lines."""
    command = ""
    for line in block.replace("\\\n", " ").splitlines():
        command = f"{command}\n{line}" if command else re.sub(r"\s+# .*", "", line.strip())
        with suppress(ValueError):  # the quotation is open
            if shlex.split(command):
                yield command
            command = ""
    assert not command, block


def _is_run(command: str) -> bool:
    return not any(command.startswith(each) for each in NOT_RUN)


class Repository:
    """A folder like the repository, with the server of `make run`. The ports of the documents are free ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {port: str(free_port()) for port in ("8000", "8001", "9000")}
        self.environ = {name: each for name, each in os.environ.items() if not name.startswith("SWITCHBOARD_")}
        self.environ["PYTHONPATH"] = str(ROOT)
        files = {name: ROOT / name for name in ("models.yaml", "config", "docs", ".env.example")}
        files |= {".venv": Path(sys.prefix), "other.yaml": ROOT / "models.yaml"}
        files |= {"other-agent.yaml": ROOT / "config/agent.yaml"}
        files |= {"config.yaml": ROOT / "tests/unit/config/models/litellm_files/04_mutual_fallbacks.yaml"}
        for name, target in files.items():
            (folder / name).symlink_to(target)


class Reader:
    """Somebody who reads one document, with a terminal in the repository."""

    def __init__(self, repository: Repository) -> None:
        self.folder = repository.folder
        self.ports = repository.ports
        self.environ = dict(repository.environ)
        self.servers: dict[str, ForkedProcess | subprocess.Popen[bytes]] = {}
        self.output = ""
        self.failed = False

    def take(self, kind: str, text: str) -> None:
        """Take one step; `output` is what was printed since the last expectation."""
        for port, free in self.ports.items():
            text = re.sub(rf"\b{port}\b", free, text)
        if kind == "text":
            self._expect(text)
            return
        assert not self.failed, f"the command failed, and the document does not say so: {self.output}"
        if kind in ("yaml", "python") and (name := re.match(r"# (\S+\.(?:yaml|py))\n", text)):
            self._write(self.folder / name[1], text)
        elif kind == "python" and any(each in text for each in CLIENTS) and "await " not in text:
            self.output += self._python(text)
        elif kind == "sh":
            self._command(text)

    def _command(self, text: str) -> None:
        if export := re.fullmatch(r"export (\w+)=(\$\(.*\))", text):
            self.environ[export[1]] = self._run(f"echo {export[2]}").strip()
        elif export := re.fullmatch(r'export (\w+)="([^$"]*)"', text):
            self.environ[export[1]] = export[2]
        elif text == "make run":
            assert _is_healthy(int(self.ports["8000"]))
        elif re.search(r"switchboard (serve|fake-provider)|python \w+\.py --port", text):
            self._serve(text)
        elif "switchboard " in text:
            self.output += self._switchboard(text)
        else:
            self.output += self._run(text.replace("curl ", "curl --fail-with-body -sS ", 1))

    def _write(self, file: Path, text: str) -> None:
        """As an editor does: the file is never half-written."""
        new = file.with_suffix(".new")
        new.write_text(text)
        new.replace(file)

    def _expect(self, text: str) -> None:
        """Each line is in the output; `…` stands for anything."""
        for line in text.splitlines():
            pattern = ".*".join(map(re.escape, line.strip().split("…")))
            assert re.search(pattern, self.output), f"{line}\nis not in\n{self.output}"
        self.output, self.failed = "", False

    def _run(self, command: str) -> str:
        ran = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=60
        )
        assert ran.returncode in (0, FAILED_AS_SAID), (command, ran.stdout, ran.stderr)
        self.failed = ran.returncode == FAILED_AS_SAID
        return ran.stdout

    def _python(self, block: str) -> str:
        os.environ.update({name: self.environ[name] for name in ("TOKEN",) if name in self.environ})
        names: dict[str, object] = {}
        with redirect_stdout(StringIO()) as said:
            try:
                exec(compile(block, "<document>", "exec"), names)
            finally:
                for each in names.values():
                    if isinstance(each, httpx.Client) or type(each).__name__ in ("OpenAI", "Anthropic"):
                        each.close()  # type: ignore[union-attr,attr-defined]
        return said.getvalue()

    def _switchboard(self, command: str) -> str:
        log = self.folder / "command.log"
        log.write_bytes(b"")
        code = self._fork(command, log).end.result(60)
        assert code == 0, (command, log.read_text())
        return log.read_text()

    def _fork(self, command: str, log: Path) -> ForkedProcess:
        """Run `NAME=value .venv/bin/switchboard ...` without starting another Python."""
        words = shlex.split(command)
        variables = dict(word.split("=", 1) for word in words if re.match(r"[A-Z_]+=", word))
        arguments = words[words.index(next(each for each in words if each.endswith("switchboard"))) + 1 :]
        return fork_server().start(arguments, {**self.environ, **variables}, self.folder, log=str(log))

    def _serve(self, command: str) -> None:
        (port,) = re.findall(r"--port (\d+)", command)
        if port in self.servers:
            return  # the document repeats the command
        log = self.folder / f"{port}.log"
        if "switchboard" in command:
            self.servers[port] = server = self._fork(command, log)
        else:
            self.servers[port] = server = subprocess.Popen(
                ["bash", "-c", f"exec {command}"], cwd=self.folder, env=self.environ, start_new_session=True
            )
        end = time.monotonic() + 60
        is_up = _is_healthy if "switchboard serve" in command else _listens
        while not is_up(int(port)):
            assert server.returncode is None and time.monotonic() < end, (command, log.read_text())
            time.sleep(0.02)

    def close(self) -> None:
        for server in self.servers.values():
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            if isinstance(server, ForkedProcess):
                server.end.result(30)
            else:
                server.wait(30)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _is_healthy(port: int) -> bool:
    """Whether the server is healthy and its MCP servers are connected, which a busy machine takes a while for."""
    try:
        health = httpx.get(f"http://127.0.0.1:{port}/health", timeout=5).json()
    except httpx.TransportError:
        return False
    return all(each["state"] == "connected" for each in health["mcp_servers"].values())
