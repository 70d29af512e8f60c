"""The servers that are compared: the provider itself, Switchboard, and its peers."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.load import Target
from bench.processes import BenchFailed, Cores, Running, free_port, running

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".venv-peers"
LITELLM = "litellm[proxy]==1.106.2"
_TOKEN = "sk-" + secrets.token_hex(24)  # LiteLLM Proxy refuses a weak one
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE")


@dataclass(frozen=True, slots=True)
class Server:
    """How to start one of them. `environment` comes on top of the few variables that all get."""

    name: str
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    health: str

    @asynccontextmanager
    async def serving(self, directory: Path, cores: frozenset[int], models: dict[str, str]) -> AsyncIterator[Serving]:
        """Start it on a free port; raises BenchFailed. `models` maps the provider's names to those it serves."""
        port = free_port()
        command = [part.format(port=port, models=directory / "models.yaml") for part in self.command]
        env = {name: os.environ[name] for name in _KEPT if name in os.environ} | dict(self.environment)
        async with running(command, env=env, cwd=directory, cores=cores, port=port, health=self.health) as process:
            yield Serving(Target(self.name, "127.0.0.1", port, _TOKEN, models), process)


@dataclass(frozen=True, slots=True)
class Serving:
    target: Target
    process: Running


PROVIDER = Server(
    "provider", (sys.executable, "-m", "bench.provider", "{port}"), (("PYTHONPATH", str(ROOT)),), "/v1/models"
)
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
    (("SWITCHBOARD_API_TOKENS", _TOKEN), ("SWITCHBOARD_DATA_DIR", "data"), ("SWITCHBOARD_LOG_LEVEL", "WARNING")),
    "/health",
)
FLOOR = Server(
    "floor",
    (sys.executable, "-m", "bench.floor", "{port}", "{models}"),
    (("PYTHONPATH", str(ROOT)),),
    "/health",
)
LITELLM_PROXY = Server(
    "litellm proxy",
    (str(PEERS / "bin" / "litellm"), "--config", "{models}", "--host", "127.0.0.1", "--port", "{port}",
     "--num_workers", "1", "--telemetry", "False"),
    (("LITELLM_MASTER_KEY", _TOKEN), ("LITELLM_LOCAL_MODEL_COST_MAP", "True"), ("LITELLM_MODE", "PRODUCTION"),
     ("LITELLM_LOG", "ERROR")),
    "/health/liveliness",
)  # fmt: skip


def switchboard(workers: int) -> Server:
    """Switchboard with that many workers, named after them."""
    plural = "" if workers == 1 else "s"
    return replace(
        SWITCHBOARD, name=f"{workers} worker{plural}", command=(*SWITCHBOARD.command, "--workers", str(workers))
    )


@asynccontextmanager
async def provider(directory: Path, cores: Cores, models: Sequence[str]) -> AsyncIterator[Serving]:
    """Start the provider, and write the models.yaml through which all others reach it."""
    async with PROVIDER.serving(directory, cores.load, {name: name for name in models}) as serving:
        base = f"http://127.0.0.1:{serving.target.port}/v1"
        entries = [
            f'  - model_name: "{served}"\n'
            f'    litellm_params: {{model: "openai/{name}", api_base: "{base}", api_key: "any"}}\n'
            for name, served in served_names(models).items()
        ]
        (directory / "models.yaml").write_text("model_list:\n" + "".join(entries))
        yield serving


def served_names(models: Sequence[str]) -> dict[str, str]:
    """The plain name under which each of the provider's models is served."""
    return {name: f"bench-{number}" for number, name in enumerate(models)}


async def install_peers() -> None:
    """LiteLLM Proxy in a virtual environment of its own, once. Raises BenchFailed."""
    stamp = PEERS / ".ready"
    if stamp.exists() and stamp.read_text() == LITELLM:
        return
    print(f"installing {LITELLM} into {PEERS.name} (once, a few minutes) ...", flush=True)
    await _run(sys.executable, "-m", "venv", str(PEERS))
    await _run(str(PEERS / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", LITELLM)
    stamp.write_text(LITELLM)


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command)
    if code := await process.wait():
        raise BenchFailed(f"{' '.join(command)} ended with code {code}")
