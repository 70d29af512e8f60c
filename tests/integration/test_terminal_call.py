"""`switchboard call` in a real terminal and in a pipe, against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.cli import app
from tests.support.log_watch import WATCH
from tests.support.server_process import ServerProcess, server_in
from tests.support.serving import TOKEN, fake
from tests.support.terminal import Terminal

GREETING = {"en": "Grand Hotel, good morning.", "zh": "您好。"}
PROMPT = "you  › "


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    numbers = {"+18885550199": {"model": "long", "greeting": "This is the long line."}}
    agent = {"phone": {"greeting": GREETING, "numbers": numbers}, "transfer_destinations": ["+14155550123"]}
    models = fake("fast", "fake/echo"), fake("long", "fake/echo?tokens=400")
    process = server_in(tmp_path_factory.mktemp("server"), *models, agent=agent)
    with asyncio.Runner() as runner:
        try:
            runner.run(process.start())
            yield process
        finally:
            runner.run(process.kill())


def calling(server: ServerProcess, state: Path, *more: str, **environ: str) -> Terminal:
    return Terminal(state, "--url", server.url, *more, command="call", **environ)


def test_a_call_is_interrupted_and_transferred(server: ServerProcess, tmp_path: Path) -> None:
    with calling(server, tmp_path, "--to", "+18885550199", "--pace", "200") as terminal:
        terminal.expect("+14155550100 calls +18885550199")
        terminal.expect("This is the long line.")
        terminal.expect(PROMPT)
        terminal.send("Tell me everything.")
        terminal.expect("k")  # of "Good morning and thank you"; longer texts may come in pieces
        terminal.send("Stop. A human, please.")
        terminal.expect(" — ")
        terminal.expect("interrupted after")
        terminal.expect("Stop. A human, please.")
        terminal.expect("Connecting you now.")
        terminal.expect("Transfer")
        terminal.expect("+14155550123")
        terminal.expect("The agent transferred the call to +14155550123 after")
        assert terminal.exit_code() == 0


def test_keys_are_dialled_and_ctrl_c_hangs_up(server: ServerProcess, tmp_path: Path) -> None:
    with calling(server, tmp_path, "--pace", "0") as terminal:
        terminal.expect("Grand Hotel, good morning.")
        terminal.expect(PROMPT)
        terminal.say("/dail 7", "Did you mean /dial?", PROMPT)
        terminal.say("/dial 7", "[dials 7]", "first word")
        terminal.say("你好", "你好", "You said: 你好")
        terminal.say("/help", "/hangup", PROMPT)
        terminal.interrupt()
        terminal.expect("You hung up after")
        assert terminal.exit_code() == 0


def test_the_agent_hangs_up_in_a_narrow_terminal(server: ServerProcess, tmp_path: Path) -> None:
    with calling(server, tmp_path, "--pace", "0", size=(12, 30), NO_COLOR="1") as terminal:
        terminal.expect(PROMPT)
        terminal.send("Goodbye.")
        terminal.expect("The agent hung up after")
        assert terminal.exit_code() == 0


def piped(url: str, text: str, *more: str, token: str = TOKEN) -> Result:
    return CliRunner().invoke(app, ["call", "--url", url, "--token", token, *more], input=text)


def test_a_pipe_gets_plain_text(server: ServerProcess) -> None:
    ran = piped(server.url, "Hello\n转人工\n")
    assert ran.exit_code == 0, ran.output
    _, _, _, *said = ran.stdout.splitlines()
    assert [each for each in said if not each.startswith("first word")][:5] == [
        "agent: Grand Hotel, good morning.",
        "you: Hello",
        "agent: You said: Hello",
        "you: 转人工",
        "agent: Connecting you now.",
    ]
    assert "transferred the call to +14155550123" in said[-1] and "\x1b" not in ran.stdout


def test_a_server_that_cannot_be_called_is_told_in_words(server: ServerProcess) -> None:
    refused = piped(server.url, "", token="wrong")
    assert refused.exit_code == 1 and "does not accept the token" in refused.stdout
    absent = piped("http://127.0.0.1:9", "")
    assert absent.exit_code == 1 and "switchboard call --demo" in absent.stdout


def test_the_demo_is_called_with_one_command(tmp_path: Path) -> None:
    WATCH.follow(tmp_path / "switchboard" / "demo" / "server.log")
    with Terminal(tmp_path, "--demo", "--pace", "0", command="call") as terminal:
        terminal.expect("demo server")
        terminal.expect("Grand Hotel, good morning.")
        terminal.expect(PROMPT)
        terminal.say("A human, please.", "transferred the call to +14155550123", "")
        assert terminal.exit_code() == 0
