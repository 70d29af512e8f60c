"""The servers of the benchmark: the provider, Switchboard, the floor and LiteLLM Proxy."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from bench.load import Target
from bench.processes import BenchError, Cores, RunningProcess, free_port, run_process

ROOT = Path(__file__).resolve().parents[1]
PEERS_VENV = ROOT / ".venv-peers"
LITELLM = "litellm[proxy]==1.106.2"
_TOKEN = "sk-" + secrets.token_hex(24)  # LiteLLM Proxy refuses a weak one
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE")
_THIS_CHECKOUT = ("PYTHONPATH", str(ROOT))


@dataclass(frozen=True, slots=True)
class Server:
    """How to start a server. `environment` comes on top of a few inherited variables."""

    name: str
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    health: str

    @asynccontextmanager
    async def run(self, directory: Path, cores: frozenset[int], models: dict[str, str]) -> AsyncIterator[RunningServer]:
        """Start the server on a free port and stop it at the end of the block. Raises BenchError.

        `models` maps the provider's model names to those of the server.
        """
        port = free_port()
        command = [part.format(port=port, models=directory / "models.yaml") for part in self.command]
        env = {name: os.environ[name] for name in _INHERITED if name in os.environ} | dict(self.environment)
        async with run_process(command, env=env, cwd=directory, cores=cores, port=port, health=self.health) as process:
            yield RunningServer(Target(self.name, "127.0.0.1", port, _TOKEN, models), process)


@dataclass(frozen=True, slots=True)
class RunningServer:
    target: Target
    process: RunningProcess

    def client(self) -> httpx.AsyncClient:
        """Return an HTTP client with the server's address and token, without timeouts or a connection limit."""
        return httpx.AsyncClient(
            base_url=f"http://{self.target.host}:{self.target.port}",
            headers={"Authorization": f"Bearer {self.target.token}"},
            limits=httpx.Limits(max_connections=None),
            timeout=None,
        )


PROVIDER = Server("provider", (sys.executable, "-m", "bench.provider", "{port}"), (_THIS_CHECKOUT,), "/v1/models")
SWITCHBOARD = Server(
    "switchboard",
    (
        str(Path(sys.executable).parent / "switchboard"),
        "serve",
        "--host",
        "127.0.0.1",
        "--port",
        "{port}",
        "--models",
        "{models}",
    ),
    (
        _THIS_CHECKOUT,
        ("SWITCHBOARD_API_TOKENS", _TOKEN),
        ("SWITCHBOARD_DATA_DIR", "data"),
        ("SWITCHBOARD_LOG_LEVEL", "WARNING"),
    ),
    "/health",
)
FLOOR = Server("floor", (sys.executable, "-m", "bench.floor", "{port}", "{models}"), (_THIS_CHECKOUT,), "/health")
LITELLM_PROXY = Server(
    "litellm proxy",
    (str(PEERS_VENV / "bin" / "litellm"), "--config", "{models}", "--host", "127.0.0.1", "--port", "{port}",
     "--num_workers", "1", "--telemetry", "False"),
    (("LITELLM_MASTER_KEY", _TOKEN), ("LITELLM_LOCAL_MODEL_COST_MAP", "True"), ("LITELLM_MODE", "PRODUCTION"),
     ("LITELLM_LOG", "ERROR")),
    "/health/liveliness",
)  # fmt: skip


def switchboard_with_workers(workers: int) -> Server:
    """Return Switchboard with this number of workers, named after it."""
    plural = "" if workers == 1 else "s"
    return replace(
        SWITCHBOARD, name=f"{workers} worker{plural}", command=(*SWITCHBOARD.command, "--workers", str(workers))
    )


@asynccontextmanager
async def run_provider(directory: Path, cores: Cores, models: Sequence[str]) -> AsyncIterator[RunningServer]:
    """Start the provider, and write the models.yaml that the other servers use to reach it."""
    async with PROVIDER.run(directory, cores.load, {name: name for name in models}) as provider:
        base = f"http://127.0.0.1:{provider.target.port}/v1"
        entries = [
            f'  - model_name: "{served}"\n'
            f'    litellm_params: {{model: "openai/{name}", api_base: "{base}", api_key: "any"}}\n'
            for name, served in served_names(models).items()
        ]
        (directory / "models.yaml").write_text("model_list:\n" + "".join(entries))
        yield provider


def served_names(models: Sequence[str]) -> dict[str, str]:
    """Map the provider's model names, which carry a timing, to plain ones."""
    return {name: f"bench-{number}" for number, name in enumerate(models)}


async def install_peers() -> None:
    """Install LiteLLM Proxy into its own virtual environment, unless it is there. Raises BenchError."""
    stamp = PEERS_VENV / ".ready"
    if stamp.exists() and stamp.read_text() == LITELLM:
        return
    print(f"installing {LITELLM} into {PEERS_VENV.name} (once, a few minutes) ...", flush=True)
    await _run(sys.executable, "-m", "venv", str(PEERS_VENV))
    await _run(
        str(PEERS_VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", LITELLM
    )
    stamp.write_text(LITELLM)


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command)
    if status := await process.wait():
        raise BenchError(f"{' '.join(command)} failed with exit status {status}")
