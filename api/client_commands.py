"""The commands that are clients of a server: `switchboard chat`, `call` and `rehearse`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from api.command_problems import exit_with
from config.errors import ConfigError, Problem
from config.parsing.urls import http_url

if TYPE_CHECKING:
    from api.terminal.demo import DemoServer

LOCAL = "http://127.0.0.1:8000"


def _sendable(token: str | None) -> str | None:
    if token and not (token.isascii() and token.isprintable()):
        raise typer.BadParameter("contains a character that HTTP headers cannot carry")
    return token


def _complete(url: str) -> str:
    try:
        return http_url(url, LOCAL)
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from exc


UrlOption = Annotated[str, typer.Option(help="The server's address.", callback=_complete)]
TokenOption = Annotated[
    str | None, typer.Option(help="Default: the first of SWITCHBOARD_API_TOKENS.", callback=_sendable)
]


def chat(
    user: Annotated[str | None, typer.Option(help="Your user id; asked for if not given.")] = None,
    url: UrlOption = LOCAL,
    token: TokenOption = None,
    model: Annotated[str | None, typer.Option(help="A model name of models.yaml. Default: the server's.")] = None,
    mode: Annotated[
        Literal["stream", "normal"] | None, typer.Option(help="Show answers as they come, or when they are whole.")
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Start a server with a fake model, and talk with it.")] = False,
) -> None:
    """Talk with an agent in the terminal."""
    from api.http.ids import ID_DESCRIPTION, is_valid_id
    from api.terminal.chat import ChatOptions
    from api.terminal.chat import chat as talk

    if user is not None and not is_valid_id(user):
        raise typer.BadParameter(f"must have {ID_DESCRIPTION}", param_hint="--user")
    if not demo:
        raise typer.Exit(talk(ChatOptions(url, token or _first_token(), user, mode, model)))
    with _demo(phone=False) as server:
        code = talk(ChatOptions(server.url, server.token, user, mode, model, demo=True))
    raise typer.Exit(code)


def call(
    to: Annotated[
        str | None, typer.Option(help="The number to call; `phone.numbers` of agent.yaml may have it.")
    ] = None,
    number: Annotated[str | None, typer.Option("--from", help="Your number.")] = None,
    language: Annotated[str | None, typer.Option(help="What you speak, such as zh-CN. Default: the server's.")] = None,
    model: Annotated[str | None, typer.Option(help="A model name of models.yaml. Default: the number's.")] = None,
    agent: Annotated[str | None, typer.Option(help="A persona's id or name. Default: the number's.")] = None,
    pace: Annotated[
        float | None, typer.Option(min=0, help="Letters per second at which the agent speaks; 0: at once. Default: 15.")
    ] = None,
    url: UrlOption = LOCAL,
    token: TokenOption = None,
    demo: Annotated[bool, typer.Option("--demo", help="Start a server with a fake model, and call it.")] = False,
) -> None:
    """Call an agent as on a phone: it speaks at the pace of speech, and you may interrupt it."""
    from api.rehearsal.carrier import CALLED, CALLER, PhoneCall
    from api.terminal.call import CallOptions
    from api.terminal.call import call as talk

    parameters = {name: each for name, each in (("model", model), ("agent", agent)) if each}
    phone_call = PhoneCall(number or CALLER, to or CALLED, language, parameters)
    if not demo:
        raise typer.Exit(talk(CallOptions(url, token or _first_token(), phone_call, pace)))
    with _demo(phone=True) as server:
        code = talk(CallOptions(server.url, server.token, phone_call, pace, demo=True))
    raise typer.Exit(code)


def rehearse(
    script: Annotated[Path, typer.Argument(help="The calls, as YAML.")],
    calls: Annotated[int, typer.Option(min=1, help="Callers at the same time; each plays all calls.")] = 1,
    url: UrlOption = LOCAL,
    token: TokenOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Play scripted phone calls against a server; exit with 1 if one fails, with 2 if the script is invalid."""
    from api.rehearsal.command import INVALID, RehearseOptions, run
    from api.rehearsal.script_file import load_script

    try:
        loaded = load_script(script)
    except ConfigError as exc:
        exit_with(exc.problems, INVALID)
    raise typer.Exit(run(loaded, RehearseOptions(url, token or _first_token(), calls, json)))


@contextmanager
def _demo(*, phone: bool) -> Iterator[DemoServer]:
    """A demo server of a chat or of a phone line. Exits if it does not start."""
    from api.terminal.demo import CHAT_AGENT_FILE, PHONE_AGENT_FILE, demo_server

    typer.echo("Starting the demo server ...", err=True)
    try:
        with demo_server(PHONE_AGENT_FILE if phone else CHAT_AGENT_FILE) as server:
            yield server
    except ConfigError as exc:
        exit_with(exc.problems)


def _first_token() -> str:
    from config.settings import load_settings

    try:
        tokens = load_settings().api_tokens
    except ConfigError as exc:
        exit_with(exc.problems)
    if not tokens:
        exit_with([Problem("no API token: pass --token, or set SWITCHBOARD_API_TOKENS in .env")])
    return tokens[0].get_secret_value()
