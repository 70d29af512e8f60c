"""How a command of the command line ends when a file or setting has problems."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

import typer

from config.errors import Problem


def exit_with(problems: Iterable[Problem], code: int = 1) -> NoReturn:
    """Print the problems to the error output, and exit."""
    for problem in problems:
        typer.echo(str(problem), err=True)
        if problem.excerpt:
            typer.echo(problem.excerpt, err=True)
    raise typer.Exit(code)
