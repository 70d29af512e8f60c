"""Checks models.yaml, agent.yaml with its tools, and callers.yaml, for `switchboard check` and before a start."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import typer

from config.callers.callers_file import check_callers, unknown_models
from config.errors import ConfigError, Problem
from config.models.deployments import Registry
from config.models.models_file import check_models
from config.profile.agent_file import check_agent
from config.settings import Settings, load_environment, unknown_settings


def require_valid_files(settings: Settings) -> Registry:
    """The models, once all files are valid; prints warnings. Raises ConfigError."""
    if not settings.models_file.exists():
        remedy = "Run `switchboard init`, which writes one, or name yours with --models"
        raise ConfigError([Problem(f"the file does not exist. {remedy}", file=settings.models_file)])
    environ = load_environment()
    registry, problems = check_files(settings, environ)
    if problems:
        raise ConfigError(problems)
    print_warnings(settings, registry, environ, err=True)
    return registry


def check_files(settings: Settings, environ: Mapping[str, str]) -> tuple[Registry, tuple[Problem, ...]]:
    """The models, and the problems of all files. Runs the Python files of the tools."""
    registry, problems = check_models(settings.models_file, environ)
    problems += _check_agent(settings.agent_file, environ)
    return registry, problems + (check_callers(settings.callers_file)[1] if settings.callers_file else ())


def print_warnings(settings: Settings, registry: Registry, environ: Mapping[str, str], *, err: bool = False) -> None:
    for warning in [*unknown_settings(environ), *registry.warnings, *_caller_warnings(settings, registry)]:
        typer.echo(f"warning: {warning}", err=err)


def _caller_warnings(settings: Settings, registry: Registry) -> Iterable[str]:
    callers = check_callers(settings.callers_file)[0] if settings.callers_file else None
    if callers is None:
        return ()
    groups = {each.group for each in (*registry.deployments, *registry.embeddings)}
    known = {*groups, *registry.settings.model_group_alias, *(each.id for each in registry.deployments)}
    return unknown_models(callers, known)


def _check_agent(file: Path, environ: Mapping[str, str]) -> tuple[Problem, ...]:
    profile, problems = check_agent(file, environ)
    if profile is None or not profile.own_tools:
        return problems
    from agent.tools.own.loader import ToolLoader  # takes a second

    os.environ.update(environ)  # Python tools read their keys there
    loader = ToolLoader(file)
    try:
        loader.load(profile)
    except ConfigError as exc:
        return exc.problems
    finally:
        asyncio.run(loader.aclose())
    return ()
