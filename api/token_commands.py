"""The command line's `switchboard token new` and `switchboard token list`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.command_problems import exit_with
from config.errors import ConfigError, Problem

if TYPE_CHECKING:
    from config.callers.caller import Caller

token_commands = typer.Typer(help="Tokens of callers.", no_args_is_help=True)

FileOption = Annotated[Path | None, typer.Option("--file", help="Default: SWITCHBOARD_CALLERS_FILE, or callers.yaml.")]


@token_commands.command("new")
def new_token(
    name: Annotated[str, typer.Argument(help="The caller's name in callers.yaml, /stats and the logs.")],
    write: Annotated[bool, typer.Option("--write", help="Add the entry to callers.yaml.")] = False,
    file: FileOption = None,
) -> None:
    """Make a token for a caller. It is printed once and stored nowhere; callers.yaml has only its hash."""
    from config.callers import new_token as tokens

    try:
        token = tokens.new_token()
        entry = tokens.entry_of(name, token)
        if write:
            file = file or _callers_file()
            tokens.add_entry(file, name, token)
    except ConfigError as exc:
        exit_with(exc.problems)
    except OSError as exc:
        exit_with([Problem(f"cannot write {file}: {exc.strerror}")])
    except ValueError as exc:
        exit_with([Problem(str(exc), key="NAME")])
    typer.echo(f"The token of {name}, shown only now:", err=True)
    typer.echo(token)
    typer.echo(f"Added to {file}." if write else f"Add this to callers.yaml, under `callers:`:\n\n{entry}", err=True)


@token_commands.command("list")
def list_tokens(file: FileOption = None) -> None:
    """List the callers of callers.yaml with what limits them. Tokens are not stored, so none is shown."""
    from config.callers.callers_file import load_callers

    try:
        callers = load_callers(file or _callers_file())
    except ConfigError as exc:
        exit_with(exc.problems)
    for caller in callers.by_name.values():
        typer.echo(f"{caller.name:<32} {_limits_of(caller)}")


def _limits_of(caller: Caller) -> str:
    limits = {
        "models": None if caller.models is None else ", ".join(caller.models) or "none",
        "requests/min": caller.requests_per_minute,
        "tokens/min": caller.tokens_per_minute,
        "parallel": caller.parallel_turns,
        "USD/month": caller.monthly_budget,
        "users": "own" if caller.own_users else None,
    }
    told = [f"{name}: {value}" for name, value in limits.items() if value is not None]
    if caller.expires is not None:
        told.append(f"{'EXPIRED' if caller.has_expired() else 'expires'}: {caller.expires:%Y-%m-%d %H:%M} UTC")
    return "; ".join(told) or "no limits"


def _callers_file() -> Path:
    from config.settings import CALLERS_FILE, load_settings

    return load_settings().callers_file or CALLERS_FILE
