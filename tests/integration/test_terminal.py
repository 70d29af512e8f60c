"""`switchboard chat` in a real terminal, against a real server."""

from __future__ import annotations

import asyncio
import re
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from config.profile.agent_file import DEFAULT_AGENT_FILE
from tests.support.log_watch import WATCH
from tests.support.server_process import ServerProcess, server_in
from tests.support.serving import TOKEN, fake
from tests.support.terminal import CHAT, CTRL_D, Terminal, environment

AGENT = yaml.safe_load(DEFAULT_AGENT_FILE.with_name("assistant.yaml").read_text("utf-8"))
CHOICES = "yes / no / edit / response › "


@dataclass(frozen=True, slots=True)
class Running:
    """A server that a test may kill and start again."""

    process: ServerProcess
    runner: asyncio.Runner

    def kill(self) -> None:
        self.runner.run(self.process.kill())

    def start(self) -> None:
        self.runner.run(self.process.start())

    def chat(self, state: Path, user: str, *more: str, **environ: str) -> Terminal:
        return Terminal(state, "--url", self.process.url, "--user", user, "--mode", "stream", *more, **environ)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    models = fake("fast", "fake/assistant"), fake("slow", "fake/assistant?gap=100ms")
    agent = {**AGENT, "tools": [*AGENT["tools"], "transferCall"]}
    process = server_in(tmp_path_factory.mktemp("server"), *models, agent=agent)
    with asyncio.Runner() as runner:
        running = Running(process, runner)
        try:
            running.start()
            yield running
        finally:
            running.kill()


def test_a_booking_is_answered_in_all_four_ways(server: Running, tmp_path: Path) -> None:
    with server.chat(tmp_path, "test1") as terminal:
        terminal.expect("Began a new session")
        terminal.expect("test1 › ")
        terminal.send("如家")
        card = terminal.expect(CHOICES)
        assert "Review: book_hotel" in card and "如家" in card
        terminal.say("yes", "已为您预订：如家。", "test1 › ")
        terminal.send("桔子")
        terminal.expect(CHOICES)
        terminal.say("no", "好的，没有预订。", "test1 › ")
        terminal.send("全季")
        terminal.expect(CHOICES)
        terminal.send("edit")
        terminal.expect('arguments › {"hotel_name": "全季"}')
        terminal.type('{"hotel_name": "全季酒店(软件园店)"}')  # pasted behind what stands there, it takes its place
        terminal.expect("已为您预订：全季酒店(软件园店)。")
        terminal.expect("test1 › ")
        terminal.send("汉庭")
        terminal.expect(CHOICES)
        terminal.send("response")
        terminal.expect("response › ")
        terminal.send("把酒店名称换为：汉庭酒店(软件园店)")
        terminal.expect("Review: book_hotel")
        assert "汉庭酒店(软件园店)" in terminal.expect(CHOICES)
        terminal.say("yes", "已为您预订：汉庭酒店(软件园店)。", "test1 › ")
        terminal.child.send(CTRL_D)
        terminal.expect("Goodbye")
        assert terminal.exit_code() == 0


def test_a_killed_client_comes_back_to_its_answer(server: Running, tmp_path: Path) -> None:
    with server.chat(tmp_path, "test2") as terminal:
        terminal.expect("test2 › ")
        terminal.send("上海天气如何？")
        terminal.expect("✓ get_weather")
        weather = terminal.expect("fast · first token")
        assert "上海" in weather
        terminal.kill()
    with server.chat(tmp_path, "test2") as terminal:
        terminal.expect("Opened your latest session")
        terminal.expect("上海天气如何？")
        terminal.expect("✓ get_weather")
        assert weather.split()[-1] in terminal.expect("test2 › ")


def test_a_killed_client_comes_back_to_its_review(server: Running, tmp_path: Path) -> None:
    with server.chat(tmp_path, "test3") as terminal:
        terminal.expect("test3 › ")
        terminal.send("如家")
        terminal.expect(CHOICES)
        terminal.kill()
    with server.chat(tmp_path, "test3") as terminal:
        terminal.expect("Review: book_hotel")
        terminal.expect(CHOICES)
        terminal.say("mode normal", "The call waits.", "Mode: normal.")
        terminal.expect("test3 › ")
        terminal.send("another message")
        terminal.expect("Your message was not sent.")
        terminal.expect(CHOICES)
        terminal.say("status", "interrupted", CHOICES)
        terminal.send("yes")
        terminal.expect("已为您预订：如家。")
        assert "The call waits" not in terminal.expect("test3 › ")
    with server.chat(tmp_path, "test3b") as terminal:
        terminal.expect("test3b › ")
        terminal.send("如家")
        terminal.expect(CHOICES)
        terminal.kill()
    with server.chat(tmp_path, "test3b") as terminal:
        terminal.expect(CHOICES)
        terminal.send("exit")
        terminal.expect("Goodbye")
        assert terminal.exit_code() == 0


def test_open_clients_outlive_their_server(server: Running, tmp_path: Path) -> None:
    """One waits with a review, one is in the middle of an answer."""
    with server.chat(tmp_path, "test4") as waiting, server.chat(tmp_path, "test5", "--model", "slow") as answering:
        waiting.expect("test4 › ")
        waiting.send("如家")
        waiting.expect(CHOICES)
        answering.expect("test5 › ")
        answering.send("/tokens 500")
        answering.expect("first token")
        server.kill()
        answering.expect("Trying again")
        waiting.send("yes")
        waiting.expect("The server cannot be reached")
        server.start()
        waiting.expect("已为您预订：如家。")
        waiting.expect("test4 › ")
        waiting.say("history 1", "1 of 4 messages", "test4 › ")
        answering.expect("The server stopped during this turn")
        answering.expect("test5 › ")
        answering.say("again", "You said: again", "test5 › ")


def test_ctrl_c_stops_the_answer_and_not_the_program(server: Running, tmp_path: Path) -> None:
    with server.chat(tmp_path, "test6", "--model", "slow") as terminal:
        terminal.expect("test6 › ")
        terminal.send("/tokens 500")
        terminal.expect("first token")
        terminal.interrupt()
        terminal.expect("Stopped.")
        terminal.expect("test6 › ")
        terminal.say("status", "idle", "test6 › ")
        terminal.say("on", "You said: on", "test6 › ")
        terminal.interrupt()
        terminal.expect("Ctrl-D leaves.")
        terminal.say("exit", "Goodbye", "")
        assert terminal.exit_code() == 0


def test_an_edit_that_does_not_fit_opens_again(server: Running, tmp_path: Path) -> None:
    with server.chat(tmp_path, "test7") as terminal:
        terminal.expect("test7 › ")
        terminal.send("全季")
        terminal.expect(CHOICES)
        terminal.send("maybe")
        terminal.expect("The call waits for one of: yes, no, edit, response.")
        terminal.expect(CHOICES)
        terminal.send('edit {"hotel": "Ritz"}')
        terminal.expect("hotel: there is no such argument; known are hotel_name")
        terminal.expect('arguments › {"hotel": "Ritz"}')
        terminal.send('{"hotel_name": ')
        terminal.expect("Not valid JSON")
        terminal.say('{"hotel_name": "Ritz"}', "已为您预订：Ritz。", "test7 › ")


def test_the_user_and_the_mode_are_asked_for(server: Running, tmp_path: Path) -> None:
    with Terminal(tmp_path, "--url", server.process.url) as terminal:
        terminal.expect("user id › ")
        terminal.type("a/b")
        terminal.expect("without a slash")
        terminal.send("test8")
        terminal.expect("mode (stream or normal) › ")
        terminal.type("normal")
        terminal.expect("as test8.")
        terminal.expect("test8 › ")
        terminal.say("Hello", "You said: Hello", "test8 › ")
        terminal.say("如家", CHOICES, "")
        terminal.say("yes", "已为您预订：如家。", "test8 › ")
    history = tmp_path / "switchboard" / "chat_history"
    assert "Hello" in history.read_text("utf-8")
    assert stat.S_IMODE(history.stat().st_mode) == 0o600


def test_enter_takes_the_user_and_the_mode_that_are_suggested(server: Running, tmp_path: Path) -> None:
    with Terminal(tmp_path, "--url", server.process.url, LOGNAME="test8b") as terminal:
        terminal.expect("user id › ")
        terminal.expect("test8b")
        terminal.type("")
        terminal.expect("mode (stream or normal) › ")
        terminal.type("")
        terminal.expect("as test8b.")
        terminal.say("mode stream", "Mode: stream.", "test8b › ")


def test_the_commands(server: Running, tmp_path: Path) -> None:
    persona = {"name": "chef", "context": "You are a chef.", "first_message": "What shall we cook?"}
    persona |= {"response_shape": "", "instructions": ""}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    httpx.post(f"{server.process.url}/agents/create-agent", json=persona, headers=headers).raise_for_status()
    with server.chat(tmp_path, "test9") as terminal:
        prompt = "test9 › "
        terminal.expect(prompt)
        terminal.say("history", "no messages yet", prompt)
        terminal.say("history is fun", "You said: history is fun", prompt)
        terminal.say(" status", "You said: status", prompt)
        terminal.say("/history 2", "2 of 4 messages", prompt)
        terminal.say("sessions", "completed", prompt)
        terminal.say("new", "Began a new session", prompt)
        terminal.say("sessions 1", "Opened", prompt)
        terminal.send("model")
        assert "agent:chef" not in terminal.expect("chooses.")
        terminal.expect(prompt)
        terminal.say("model slow", "Model: slow", prompt)
        terminal.say("/model none", "does not exist", prompt)
        terminal.say("/model agent:chef", "`persona chef` begins a session", prompt)
        terminal.say("mode normal", "Mode: normal", prompt)
        terminal.say("ttl 1h", "The session expires 2", prompt)
        terminal.say("ttl 0", "from 1", prompt)
        terminal.say("ttl never", "The session expires never", prompt)
        terminal.say("/memroy", "Did you mean /memory?", prompt)
        terminal.say("memory add I like tea", "Remembered.", prompt)
        terminal.say("memory", "I like tea", prompt)
        terminal.say("memory forget 1", "Forgotten.", prompt)
        terminal.say("memory", "Nothing is remembered", prompt)
        terminal.say("persona", "chef", prompt)
        terminal.say("persona 1", "What shall we cook?", prompt)
        terminal.say("soup", "You said: soup", prompt)
        terminal.say("sessions 1", "Opened", prompt)
        terminal.say("back", "You said: back", prompt)
        terminal.say("help", "Alt-Enter", prompt)
        terminal.say("I want a human", "Hand-off: transferCall", prompt)


def test_a_task_is_followed_reviewed_and_cancelled(server: Running, tmp_path: Path) -> None:
    with server.chat(tmp_path, "test11", "--model", "slow") as terminal:
        prompt = "test11 › "
        terminal.expect(prompt)
        terminal.say("task", "You have no tasks.", prompt)
        terminal.say("task run 如家", "`task show 1` follows it.", prompt)
        terminal.send("task show 1")
        terminal.expect("Review: book_hotel")
        terminal.expect(CHOICES)
        terminal.say("yes", "已为您预订：如家。", prompt)
        terminal.say("task show 1", "The call has been decided since.", prompt)
        terminal.say("task run /tokens 500", "runs in the background", prompt)
        terminal.say("task cancel 1", "cancelled.", prompt)
        terminal.send("task")
        assert "cancelled" in terminal.expect("interrupted")


def piped(server: Running, state: Path, text: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = [CHAT, "chat", "--url", server.process.url, "--user", "pipe", *more]
    return subprocess.run(command, input=text, env=environment(state), capture_output=True, text=True, timeout=60)


def test_a_pipe_gets_plain_text(server: Running, tmp_path: Path) -> None:
    ran = piped(server, tmp_path, "你好\n如家\nyes\nstatus\n")
    assert ran.returncode == 0, ran.stderr
    assert "You said: 你好" in ran.stdout and "已为您预订：如家。" in ran.stdout
    assert "\x1b" not in ran.stdout and "│" not in ran.stdout and not ran.stderr


def test_a_failed_turn_of_a_pipe_is_its_exit_code(server: Running, tmp_path: Path) -> None:
    ran = piped(server, tmp_path, "/fail 400\n")
    assert ran.returncode == 1 and "! " in ran.stdout


def test_problems_of_the_start_are_told_in_words(server: Running, tmp_path: Path) -> None:
    refused = piped(server, tmp_path, "", "--token", "wrong")
    assert refused.returncode == 1 and "does not accept the token" in refused.stdout
    absent = piped(server, tmp_path, "", "--url", "http://127.0.0.1:9")
    assert absent.returncode == 1 and "switchboard chat --demo" in absent.stdout


def test_a_narrow_terminal_without_colours(server: Running, tmp_path: Path) -> None:
    with server.chat(tmp_path, "test10", size=(20, 30), NO_COLOR="1") as terminal:
        terminal.expect("test10 › ")
        terminal.send("订全季酒店(软件园店)全季酒店(软件园店)")
        terminal.expect("Review")
        terminal.expect("response › ")
        terminal.send("yes")
        terminal.expect("tokens in")
        assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", terminal.child.before)


def test_the_demo_shows_everything_with_one_command(tmp_path: Path) -> None:
    WATCH.follow(tmp_path / "switchboard" / "demo" / "server.log")
    with Terminal(tmp_path, "--demo", "--user", "demo", "--mode", "stream") as terminal:
        terminal.expect("demo server")
        terminal.expect("demo › ")
        terminal.send("Book a room at the Ritz")
        terminal.expect(CHOICES)
        terminal.say("yes", "I booked a room at Ritz.", "demo › ")
        terminal.say("exit", "`switchboard chat --demo` opens it again", "")
        assert terminal.exit_code() == 0
    assert "Ritz" not in (tmp_path / "switchboard" / "demo" / "server.log").read_text("utf-8")
