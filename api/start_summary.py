"""What a person reads once the server is ready: where it is, and what it serves."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Final

import structlog
import typer
from dotenv import dotenv_values

from config.models.deployments import Registry
from config.profile.agent_file import SHIPPED
from config.settings import ENV_FILE, Settings

log = structlog.get_logger(__name__)

TOKENS: Final = "SWITCHBOARD_API_TOKENS"
ANY_ADDRESS: Final = ("0.0.0.0", "::")  # noqa: S104  (names the addresses, and listens on none)


@dataclass(frozen=True, slots=True)
class StartSummary:
    """`url` leads to this machine. `left_out` counts the deployments that lack a key or a package."""

    url: str
    token: str
    models: tuple[str, ...]
    default_model: str | None
    left_out: int
    agent: str
    database: str

    def __str__(self) -> str:
        left_out = f"; {self.left_out} left out, see `switchboard check`" if self.left_out else ""
        rows = {
            "Console": f"{self.url}/",
            "API": f"{self.url}/v1",
            "Docs": f"{self.url}/docs",
            "Token": self.token,
            "Models": f"{len(self.models)} ready{left_out}",
            "Default": self.default_model or "none: set a provider's key",
            "Agent": self.agent,
            "Database": self.database,
        }
        lines = [f"  {name:<9} {value}" for name, value in rows.items()]
        return "\n".join([f"Switchboard {version('switchboard')} is ready. Ctrl-C stops it.", *lines])


def start_summary(settings: Settings, registry: Registry, port: int, database: str) -> StartSummary:
    """The summary of a server on `port`; `database` is the name of its database."""
    return StartSummary(
        url=_url(settings.host, port),
        token=_token_place(settings),
        models=registry.names(),
        default_model=default_model(registry),
        left_out=sum(bool(each.missing) for each in registry.deployments),
        agent=f"{settings.agent_file.name} (shipped)"
        if settings.agent_file.parent == SHIPPED
        else str(settings.agent_file),
        database=database,
    )


def announce(summary: StartSummary, *, as_json: bool) -> Callable[[], None]:
    """A function that prints the summary, or logs it where the log is JSON."""
    if as_json:
        return lambda: log.info("ready", **asdict(summary))
    return lambda: typer.echo(str(summary))


def default_model(registry: Registry) -> str | None:
    """The group behind the model name `default` with its usable models, as text; None if no model is ready."""
    group = registry.default_group()
    if group is None:
        return None
    models = ", ".join(each.model for each in registry.usable(group))
    return f"{group} ({models or 'not ready: see what its deployments need'})"


def _url(host: str, port: int) -> str:
    if host in ANY_ADDRESS:
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _token_place(settings: Settings) -> str:
    if not settings.api_tokens:
        return f"of a caller in {settings.callers_file}"
    in_file = dotenv_values(ENV_FILE).get(TOKENS) == os.environ.get(TOKENS)
    return f"{TOKENS} in {ENV_FILE.absolute() if in_file else 'the environment'}"
