"""What `switchboard check` prints."""

from __future__ import annotations

from collections.abc import Mapping

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.file_checks import check_files, print_warnings
from api.start_summary import default_model
from config.errors import ConfigError
from config.models.deployments import Deployment, Registry
from config.models.provider_keys import OTHER_BASES
from config.parsing.urls import origin
from config.profile.mcp_servers import MCP_URL, MCP_URL_SERVER
from config.settings import Settings


def print_report(settings: Settings, environ: Mapping[str, str]) -> None:
    """Print the deployments, warnings and a verdict. Raises ConfigError with the problems of the files."""
    registry, problems = check_files(settings, environ)
    _print_deployments(registry)
    _print_addresses(environ)
    print_warnings(settings, registry, environ)
    if problems:
        raise ConfigError(problems)
    default = default_model(registry)
    verdict = f"Default model: {default}" if default else "No model is ready: set a provider's key."
    files = [str(each) for each in (settings.models_file, settings.agent_file, settings.callers_file) if each]
    typer.echo(f"{', '.join(files[:-1])} and {files[-1]} are valid. {verdict}")


def _print_deployments(registry: Registry) -> None:
    if not registry.deployments:
        return
    table = Table("model name", "deployment", "state")
    for each in registry.deployments:
        table.add_row(Text(each.group), Text(each.model), _state(each))
    Console().print(table)


def _print_addresses(environ: Mapping[str, str]) -> None:
    """What comes from variables and is not in the files."""
    for provider, names in OTHER_BASES.items():
        if variable := next((name for name in names if environ.get(name)), None):
            typer.echo(f"{variable}: {provider}/ without an api_base is at {origin(environ[variable])}")
    if url := environ.get(MCP_URL):
        typer.echo(f"{MCP_URL}: MCP server {MCP_URL_SERVER} at {origin(url)}")


def _state(deployment: Deployment) -> str:
    return f"[yellow]left out: needs {', '.join(deployment.missing)}" if deployment.missing else "[green]ready"
