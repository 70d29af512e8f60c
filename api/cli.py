"""The command line: `switchboard init`, `serve`, `worker`, `check` and `fake-provider`.

`chat`, `call` and `rehearse` are in `client_commands.py`, `token` is in `token_commands.py`.

Slow imports are inside the commands that need them, so that `check` and `--help` start fast.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.client_commands import call, chat, rehearse
from api.command_problems import exit_with
from api.token_commands import token_commands
from config.errors import ConfigError, Problem
from config.litellm_environment import prepare_litellm

if TYPE_CHECKING:
    from config.settings import Settings

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

ModelsOption = Annotated[Path | None, typer.Option("--models", help="models.yaml; default: SWITCHBOARD_MODELS_FILE.")]
AgentOption = Annotated[
    Path | None,
    typer.Option("--agent", help="agent.yaml, or `assistant`, the shipped demo; default: SWITCHBOARD_AGENT_FILE."),
]


app.add_typer(token_commands, name="token")
for client in (chat, call, rehearse):
    app.command()(client)


def main() -> None:
    """Run the command line."""
    prepare_litellm()
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"switchboard {version('switchboard')}")
        raise typer.Exit


@app.callback()
def switchboard(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """An OpenAI-compatible agent gateway."""


@app.command()
def init(
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that exist; the old ones become *.bak.")
    ] = False,
) -> None:
    """Write models.yaml, agent.yaml and .env with a new API token into the current folder."""
    from config.starter_files import write_starter_files

    try:
        for line in write_starter_files(Path(), force=force):
            typer.echo(line)
    except OSError as exc:
        exit_with((Problem(f"cannot write {exc.filename}: {exc.strerror}"),))
    typer.echo("Your API token is the value of SWITCHBOARD_API_TOKENS in .env. Next: switchboard serve")


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on. Default: 8000.")] = None,
    models: ModelsOption = None,
    agent: AgentOption = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes. Default: 1.")] = None,
) -> None:
    """Serve the API."""
    from api import garbage_collection
    from api.file_checks import require_valid_files
    from api.listening import bind, port_of
    from config.settings import load_environment, load_settings, require_queue, require_tokens

    garbage_collection.pause()  # a single process resumes it once the app is built
    try:
        settings = load_settings(host=host, port=port, models_file=models, agent_file=agent, workers=workers)
        require_tokens(settings)
        require_queue(settings)
        sockets = bind(settings.host, settings.port)
        registry = require_valid_files(settings)
        # LiteLLM reads some variables itself when it sends a request, and workers read the settings again.
        os.environ.update(load_environment())
    except ConfigError as exc:
        exit_with(exc.problems)
    os.environ.update(_to_environment(settings))
    database = _wait_for_database(settings)

    if settings.workers > 1:
        garbage_collection.resume()  # the workers are separate processes
    from api import server
    from api.start_summary import announce, start_summary

    summary = start_summary(settings, registry, port_of(sockets), database)
    server.serve(settings, sockets, announce(summary, as_json=settings.log_json))


@app.command()
def worker(
    models: ModelsOption = None,
    agent: AgentOption = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Tasks at the same time. Default: SWITCHBOARD_TASK_CONCURRENCY.")
    ] = None,
) -> None:
    """Run background tasks from Celery's queue on Redis."""
    import asyncio

    from api import garbage_collection
    from api.file_checks import require_valid_files
    from config.settings import load_environment, load_settings, queue_url, require_worker_queue

    garbage_collection.pause()  # the worker resumes it once its components are built
    try:
        settings = load_settings(models_file=models, agent_file=agent, task_concurrency=concurrency)
        require_worker_queue(settings)
        require_valid_files(settings)
        os.environ.update(load_environment())
    except ConfigError as exc:
        exit_with(exc.problems)
    _wait_for_database(settings)
    from agent.tasks.celery_queue import wait_for_broker

    try:
        asyncio.run(wait_for_broker(queue_url(settings), settings.startup_wait))
    except ConfigError as exc:
        exit_with(exc.problems)
    from api.worker_process import serve_tasks

    raise typer.Exit(serve_tasks(settings))


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="models.yaml; default: SWITCHBOARD_MODELS_FILE.")] = None,
    agent: AgentOption = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of models.yaml instead.")] = False,
) -> None:
    """Check models.yaml, agent.yaml and callers.yaml; exit with code 1 if they have problems."""
    if schema:
        from config.models.schema import schema_text

        typer.echo(schema_text(), nl=False)
        return
    from api.check_report import print_report
    from config.settings import load_environment, load_settings

    try:
        print_report(load_settings(models_file=file, agent_file=agent), load_environment())
    except ConfigError as exc:
        exit_with(exc.problems)


@app.command("fake-provider")
def fake_provider(
    port: Annotated[int, typer.Option(help="Port to listen on.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve a fake OpenAI endpoint for load and failure tests; the model name selects its faults."""
    import asyncio

    from router.fake.server.fake_provider import serve as serve_fake

    try:
        asyncio.run(serve_fake(host, port, lambda url: typer.echo(f"fake provider: {url}")))
    except KeyboardInterrupt:
        typer.echo("stopped")


def _wait_for_database(settings: Settings) -> str:
    """The database's name, once it can be used.

    Runs before the workers: uvicorn restarts failing workers forever, and only one process may create the tables.
    """
    import asyncio

    from api.database import wait_for_database
    from api.log import configure_logging

    configure_logging(settings.log_level, as_json=settings.log_json, log_content=settings.log_content)
    try:
        return asyncio.run(wait_for_database(settings))
    except ConfigError as exc:
        exit_with(exc.problems)


def _to_environment(settings: Settings) -> dict[str, str]:
    """The settings that command-line options can change, as variables for the workers."""
    return {
        "SWITCHBOARD_MODELS_FILE": str(settings.models_file.absolute()),
        "SWITCHBOARD_AGENT_FILE": str(settings.agent_file.absolute()),
        **({"SWITCHBOARD_CALLERS_FILE": str(settings.callers_file.absolute())} if settings.callers_file else {}),
        "SWITCHBOARD_HOST": settings.host,
        "SWITCHBOARD_PORT": str(settings.port),
        "SWITCHBOARD_WORKERS": str(settings.workers),
    }
