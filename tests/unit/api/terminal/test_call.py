"""`switchboard call` in a pipe, on a server that answers as the test says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from api.cli import app
from tests.support.serving_thread import running_in_thread
from tests.support.small_relay import SmallRelay, serving_relay

Json = dict[str, Any]
Send = Callable[[Json | str], Awaitable[None]]
TRANSFER = "<Response><Dial><Sip>sip:desk@hotel</Sip></Dial></Response>"


def called(relay: SmallRelay, typed: str, *options: str) -> Result:
    with running_in_thread(partial(serving_relay, relay)):
        return CliRunner().invoke(app, ["call", "--url", relay.url, "--token", "secret", *options], input=typed)


def prompts(relay: SmallRelay) -> list[tuple[str, str]]:
    return [(each["voicePrompt"], each["lang"]) for each in relay.frames if each["type"] == "prompt"]


async def answer(send: Send, frame: Json) -> None:
    if frame["type"] == "prompt":
        await send({"type": "play", "source": "https://hotel/bell.mp3"})
        await send({"type": "sendDigits", "digits": "9w1"})
        await send({"type": "language", "ttsLanguage": "de-DE", "transcriptionLanguage": "de-DE"})
        await send({"type": "text", "token": "Guten Tag.", "last": True})
    elif frame["type"] == "dtmf":
        await send({"type": "end"})


def test_everything_that_the_agent_does_is_told() -> None:
    relay = SmallRelay(answer, greeting="Hello!", action=TRANSFER)
    ran = called(relay, "Hi\n你好\nHallo\n/dial 9\n", "--from", "+1415", "--to", "+1888", "--agent", "chef")
    assert ran.exit_code == 0, ran.output
    assert "+1415 calls +1888" in ran.stdout and "agent: Hello!" in ran.stdout and "agent: Guten Tag." in ran.stdout
    assert "The phone plays https://hotel/bell.mp3" in ran.stdout and "The agent dials 9w1" in ran.stdout
    assert "The line speaks de-DE and hears de-DE." in ran.stdout and "you: [dials 9]" in ran.stdout
    assert "The agent transferred the call to sip:desk@hotel after" in ran.stdout
    assert prompts(relay) == [("Hi", "en-US"), ("你好", "zh-CN"), ("Hallo", "de-DE")]
    assert relay.frames[0]["customParameters"] == {"model": "fast", "agent": "chef"}


def test_an_agent_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(send: Send, frame: Json) -> None:
        pass

    monkeypatch.setattr("api.terminal.call_dialogue.ANSWER_TIMEOUT", 0.2)
    ran = called(SmallRelay(silent), "Hi\nAre you there?\n")
    assert ran.exit_code == 1 and "The agent did not answer within" in ran.stdout and "Are you there?" not in ran.stdout


def test_an_agent_that_has_nothing_to_say_lets_the_call_go_on() -> None:
    async def nothing(send: Send, frame: Json) -> None:
        if frame["type"] == "prompt":
            await send({"type": "text", "token": "", "last": True})

    relay = SmallRelay(nothing)
    ran = called(relay, "Hi\nAre you there?\n")
    assert ran.exit_code == 0 and len(prompts(relay)) == 2 and "You hung up after" in ran.stdout


def test_a_line_that_the_server_closes_is_told() -> None:
    async def close(send: Send, frame: Json) -> None:
        if frame["type"] == "prompt":
            await send("close")

    ran = called(SmallRelay(close), "Hi\n")
    assert ran.exit_code == 1 and "The server closed the line: told so" in ran.stdout
