"""The conversation in the terminal: opens a session, then reads lines and shows turns until the user leaves."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from rich.text import Text

from api.http.ids import ID_DESCRIPTION, is_valid_id
from api.terminal import render
from api.terminal.agent_api import AgentApi, ApiError, ClientError, ConnectionLost
from api.terminal.commands import Commands, Leave
from api.terminal.conversation import Conversation, Mode
from api.terminal.input_line import MODES, Command, Unknown, read_line
from api.terminal.keyboard import Keyboard, PipedKeyboard, TerminalKeyboard
from api.terminal.review_dialogue import Postponed, ReviewDialogue
from api.terminal.screen import Screen, is_terminal
from api.terminal.turns import Turns
from api.terminal.vocabulary import Vocabulary

LONGEST_NAME: Final = 16
"""Characters of the user's id in the prompt."""


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """What the command line says. `user` and `mode` None are asked for. `demo` says what the server is."""

    url: str
    token: str
    user: str | None = None
    mode: Mode | None = None
    model: str | None = None
    demo: bool = False


def chat(options: ChatOptions) -> int:
    """Talk until the user leaves. Returns the exit code: 1 if the server cannot be used, or a piped turn failed."""
    screen = Screen(live=is_terminal())
    with closing(AgentApi(options.url, options.token)) as api:
        try:
            return _Chat(screen, api, options).run()
        except (EOFError, KeyboardInterrupt):
            screen.note("Goodbye.")
            return 0
        except ClientError as error:
            screen.problem(_advice(error, options))
            return 1


class _Chat:
    def __init__(self, screen: Screen, api: AgentApi, options: ChatOptions) -> None:
        self._screen = screen
        self._options = options
        self._talk = Conversation(api, user_id="", model=options.model)
        self._words = Vocabulary()
        self._keyboard: Keyboard = (
            TerminalKeyboard(self._words.completions, self._toolbar) if screen.live else PipedKeyboard()
        )
        self._turns = Turns(screen, self._talk, ReviewDialogue(screen, self._keyboard))
        self._commands = Commands(screen, self._talk, self._turns, self._words)

    def run(self) -> int:
        talk = self._talk
        self._commands.load_models()
        talk.user_id = self._user_id()
        talk.mode = self._mode()
        status = talk.open_latest()
        self._welcome(resumed=status is not None)
        with suppress(Leave):
            if status is not None:
                self._attempt(partial(self._turns.restore, status))
            while (line := self._read_line()) is not None:
                self._attempt(partial(self._take, line))
        command = "switchboard chat --demo" if self._options.demo else "switchboard chat"
        self._screen.note(f"Goodbye. The session stays; `{command}` opens it again.")
        return 1 if self._turns.failed and not self._screen.live else 0

    def _read_line(self) -> str | None:
        """The next line; None at the end of the input."""
        while True:
            try:
                return self._keyboard.line(f"{render.shortened(self._talk.user_id, LONGEST_NAME)} › ")
            except KeyboardInterrupt:
                self._screen.note("Ctrl-D leaves.")
            except EOFError:
                return None

    def _attempt(self, action: Callable[[], None]) -> None:
        """Run `action`. What goes wrong is shown, and the conversation goes on. Raises Leave and EOFError."""
        try:
            action()
        except KeyboardInterrupt:
            self._screen.note("Stopped.")
            self._screen.space()
        except Postponed as postponed:
            self._screen.note("The call waits. `status` asks for the decision again.")
            self._screen.space()
            if postponed.command:
                self._attempt(partial(self._run, postponed.command))
        except ClientError as error:
            self._turns.failed = True
            self._screen.problem(str(error))
            self._screen.space()

    def _take(self, line: str) -> None:
        match read_line(line, self._words.models):
            case Command() as command:
                self._run(command)
            case Unknown(word, meant):
                self._screen.problem(
                    f"There is no command {word}. Did you mean {meant}? A line with a space in front is sent as it is."
                )
                self._screen.space()
            case "":
                pass
            case message:
                self._turns.ask(str(message))

    def _run(self, command: Command) -> None:
        self._commands.run(command)
        self._screen.space()

    def _user_id(self) -> str:
        default = _login_name()
        if self._options.user is not None or not self._keyboard.asks:
            return self._options.user or default
        return self._keyboard.answer("user id › ", check=_check_user_id, default=default)

    def _mode(self) -> Mode:
        if self._options.mode is not None or not self._keyboard.asks:
            return self._options.mode or "stream"
        said = self._keyboard.answer("mode (stream or normal) › ", check=_check_mode, default="stream")
        return "normal" if said.strip() == "normal" else "stream"

    def _welcome(self, *, resumed: bool) -> None:
        talk, opened = self._talk, "Opened your latest session" if resumed else "Began a new session"
        where = "demo server with a fake model" if self._options.demo else self._options.url
        self._screen.show(Text.assemble(("Switchboard", "bold"), f" · {render.clean(where)}"))
        self._screen.note(f"{opened}, {talk.session_id}, as {talk.user_id}.")
        self._screen.note("`help` lists the commands. Ctrl-C stops an answer, Ctrl-D leaves.\n")

    def _toolbar(self) -> str:
        talk = self._talk
        model = talk.model or "default model"
        persona = f" · {render.persona_name(talk.persona)}" if talk.persona else ""
        return f" {talk.user_id} · {talk.session_id[:8]} · {model}{persona} · {talk.mode}"


def _check_user_id(said: str) -> str | None:
    return None if is_valid_id(said) else ID_DESCRIPTION


def _check_mode(said: str) -> str | None:
    return None if said.strip() in MODES else "The modes are stream and normal"


def _login_name() -> str:
    with suppress(OSError, KeyError):  # the user may have no name
        if is_valid_id(name := getpass.getuser()):
            return name
    return "user"


def _advice(error: ClientError, options: ChatOptions) -> str:
    if isinstance(error, ConnectionLost):
        return (
            f"No server answers at {options.url}. Start one with `switchboard serve`, name another with --url, "
            "or try `switchboard chat --demo`."
        )
    if isinstance(error, ApiError) and error.status == 401:
        return f"{options.url} does not accept the token. Pass one of its SWITCHBOARD_API_TOKENS with --token."
    return str(error)
