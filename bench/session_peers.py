"""The servers with stored conversations that `bench.sessions --peers` compares: aegra and `langgraph dev`.

Both run the same small agent on the same provider, each in a virtual environment of its own.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from bench.processes import BenchError
from bench.servers import PEERS_VENV, Server

AEGRA = ("aegra-api==0.6.0", "greenlet", "langchain-openai")
LANGGRAPH_DEV = ("langgraph-cli[inmem]==0.4.40", "langchain-openai")
PROMPT = "You answer the phone of a restaurant."

AGENT = """
from langchain_openai import ChatOpenAI
from langgraph.prebuilt import create_react_agent

model = ChatOpenAI(model={model!r}, base_url={base_url!r}, api_key="any", streaming=True)
graph = create_react_agent(model, [], prompt={prompt!r})
"""


def write_agent(directory: Path, base_url: str, model: str) -> None:
    """Write the peers' agent, which asks `model` at `base_url`, and their configuration."""
    (directory / "peer_agent.py").write_text(AGENT.format(model=model, base_url=base_url, prompt=PROMPT))
    graphs = {"graphs": {"agent": "./peer_agent.py:graph"}, "dependencies": ["."]}
    for name in ("aegra.json", "langgraph.json"):
        (directory / name).write_text(json.dumps(graphs))


def aegra(database_url: str) -> Server:
    """aegra on the PostgreSQL at `database_url`."""
    command = (str(_bin("aegra") / "uvicorn"), "aegra_api.main:app", "--host", "127.0.0.1", "--port", "{port}")
    environment = (("DATABASE_URL", database_url), ("LOG_LEVEL", "ERROR"), ("AUTH_TYPE", "noop"))
    return Server("aegra", (*command, "--log-level", "warning"), environment, "/health")


def langgraph_dev() -> Server:
    """LangGraph's development server, which keeps conversations in memory."""
    command = (str(_bin("langgraph-dev") / "langgraph"), "dev", "--no-browser", "--no-reload", "--host", "127.0.0.1")
    environment = (("LANGSMITH_TRACING", "false"), ("LANGGRAPH_CLI_NO_ANALYTICS", "1"), ("LOG_LEVEL", "ERROR"))
    return Server("langgraph dev", (*command, "--port", "{port}", "--n-jobs-per-worker", "8"), environment, "/ok")


async def install(name: str, packages: tuple[str, ...]) -> str | None:
    """Install a peer, unless it is there; returns why it cannot be had, None if it can."""
    folder, wanted = PEERS_VENV / name, "\n".join(packages)
    stamp = folder / ".ready"
    if stamp.exists() and stamp.read_text() == wanted:
        return None
    print(f"installing {packages[0]} into {PEERS_VENV.name}/{name} (once, a few minutes) ...", flush=True)
    pip = (str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
    try:
        for command in ((sys.executable, "-m", "venv", str(folder)), pip):
            await _run(*command)
    except (BenchError, OSError) as exc:
        return str(exc)
    stamp.write_text(wanted)
    return None


def _bin(name: str) -> Path:
    return PEERS_VENV / name / "bin"


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, stderr = await process.communicate()
    if process.returncode:
        raise BenchError(f"{' '.join(command[:4])} ...: {stderr.decode(errors='replace').strip()[-300:]}")
