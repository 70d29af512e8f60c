"""Every command of README and docs/*.md, in order, as a reader runs it: servers stay up, the others must succeed."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
STEP = re.compile(r"^```(sh|python|yaml)\n(.*?)^```|^    ((?:\.venv/bin/|make )[^\n]*)$", re.MULTILINE | re.DOTALL)
NOT_RUN = {
    "make test": "runs this test",
    "make bench": "takes minutes",
    ".venv/bin/python -m bench": "takes minutes",
    "curl https://api.vapi.ai": "needs an account",
    ".venv/bin/switchboard chat": "a person types; test_terminal.py runs it",
    'echo "What is six times seven?" |': "the same",
    "docker run": "needs Docker and a download",
}
FIRST_RUN = ".venv/bin/python -m config.first_run"
RUN_BY_MAKE = {"make run": f"{FIRST_RUN} && .venv/bin/switchboard serve --port 8000"}
"""What `make run` does after the installation."""
TOKEN = "export TOKEN=$(sed -n 's/^SWITCHBOARD_API_TOKENS=//p' .env)"


def steps(document: Path) -> Iterator[tuple[str, str]]:
    """The kind (sh, python, yaml) and text of each step."""
    for kind, block, line in STEP.findall(document.read_text("utf-8")):
        if kind in ("", "sh"):
            for command in (block or line).replace("\\\n", " ").splitlines():
                if command.strip():
                    yield "sh", re.sub(r"\s+# .*", "", command.strip())
        else:
            yield kind, block


def is_run(command: str) -> bool:
    return not any(command.startswith(each) for each in NOT_RUN)


class Reader:
    """A terminal in a folder like the repository. The ports of the documents are replaced by free ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {port: str(_free_port()) for port in ("8000", "8001", "9000")}
        self.servers: dict[str, subprocess.Popen[bytes]] = {}
        self.environ = {name: each for name, each in os.environ.items() if not name.startswith("SWITCHBOARD_")}
        self.environ["PYTHONPATH"] = str(ROOT)
        files = {name: ROOT / name for name in ("models.yaml", "config", ".env.example")}
        files |= {".venv": Path(sys.prefix), "other.yaml": ROOT / "models.yaml"}
        files |= {"other-agent.yaml": ROOT / "config/agent.yaml"}
        files |= {"config.yaml": ROOT / "tests/unit/config/models/litellm_files/04_mutual_fallbacks.yaml"}
        for name, target in files.items():
            (folder / name).symlink_to(target)

    def take(self, kind: str, text: str) -> str:
        """Take one step; returns the output of a command that ends."""
        for port, free in self.ports.items():
            text = re.sub(rf"\b{port}\b", free, text)
        if kind in ("yaml", "python") and (name := re.match(r"# (\S+\.(?:yaml|py))\n", text)):
            (self.folder / name[1]).write_text(text)
        elif kind == "yaml":
            return ""
        elif kind == "python":
            return self._run([".venv/bin/python", "-c", text]) if "OpenAI(" in text else ""
        elif export := re.fullmatch(r"export (\w+)=(\$\(.*\))", text):
            self.environ[export[1]] = self._run(["bash", "-c", f"echo {export[2]}"]).strip()
        elif export := re.fullmatch(r'export (\w+)="([^$"]*)"', text):
            self.environ[export[1]] = export[2]
        elif re.search(r"switchboard (serve|fake-provider)|python \w+\.py --port", text):
            self._serve(text)
        else:
            return self._run(["bash", "-c", text.replace("curl ", "curl -fsS ", 1)])
        return ""

    def _run(self, command: list[str]) -> str:
        ran = subprocess.run(command, cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
        return ran.stdout

    def _serve(self, command: str) -> None:
        (port,) = re.findall(r"--port (\d+)", command)
        if port in self.servers:
            return  # the document repeats the command
        server = subprocess.Popen(["bash", "-c", command], cwd=self.folder, env=self.environ, start_new_session=True)
        self.servers[port] = server
        end = time.monotonic() + 60
        while not (_is_healthy(int(port)) if "switchboard serve" in command else _listens(int(port))):
            assert server.poll() is None and time.monotonic() < end, command
            time.sleep(0.05)

    def close(self) -> None:
        for server in self.servers.values():
            os.killpg(server.pid, signal.SIGTERM)
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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    try:
        yield reader
    finally:
        reader.close()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_the_commands_of_a_document_work_in_order(reader: Reader, document: Path) -> None:
    todo = [(kind, RUN_BY_MAKE.get(text, text)) for kind, text in steps(document) if kind != "sh" or is_run(text)]
    if document.name != "README.md" and any("localhost:8000" in text for kind, text in todo if kind == "sh"):
        todo = [("sh", RUN_BY_MAKE["make run"]), ("sh", TOKEN), *todo]  # the reader has read README first
    elif document.name != "README.md" and any("$TOKEN" in text for _, text in todo):
        todo = [("sh", FIRST_RUN), ("sh", TOKEN), *todo]
    output = [said for kind, text in todo if (said := reader.take(kind, text))]
    if document.name == "README.md":
        assert "transferCall" in output[0] and "You said: Hello, who is there?" in output[1]
        assert output[-1].count('"role":"user"') == 2 and "What is my name?" in output[-1]
    if document.name == "tools.md":
        assert "shop.yaml are valid" in output[-5]
        answers = [json.loads(each)["choices"][0]["message"]["content"] for each in output[-4:]]
        assert [each.removeprefix("The tool answered: ") for each in answers] == [
            "packed",
            "ada",
            '{"cancelled": "/orders/7", "reason": "too late", "for": "ada"}',
            "Sunny in Rome.",
        ]
    if document.name == "fake-model.md":
        assert '"ended_by"' in output[-1] and "[DONE]" in output[-2]


def test_make_run_serves() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    assert "run: $(READY) .env\n\t@$(BIN)/switchboard serve\n" in text and "config.first_run" in text
