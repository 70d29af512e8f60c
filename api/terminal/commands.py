"""What the commands do. Each reads its argument, calls the API and shows the answer."""

from __future__ import annotations

from typing import Final

from agent.personas.persona import MODEL_PREFIX
from api.terminal import render
from api.terminal.agent_api import ApiError, NotServed
from api.terminal.conversation import Conversation
from api.terminal.input_line import COMMANDS, MODES, NEVER, Command, read_ttl
from api.terminal.memory_commands import MemoryCommands
from api.terminal.persona_commands import PersonaCommands
from api.terminal.screen import Screen
from api.terminal.task_commands import TaskCommands
from api.terminal.turn_parts import Json
from api.terminal.turns import Turns
from api.terminal.vocabulary import Vocabulary, whole_number

HISTORY: Final = 20
MOST_SESSIONS: Final = 20
SHORT_ID: Final = 12
LONGEST_QUOTE: Final = 60
"""Characters of an id and of a message in a list."""


class Leave(Exception):
    """The user leaves."""


class Commands:
    """Runs commands. Raises ApiError, ConnectionLost and Leave."""

    def __init__(self, screen: Screen, talk: Conversation, turns: Turns, vocabulary: Vocabulary) -> None:
        self._screen = screen
        self._talk = talk
        self._turns = turns
        self._vocabulary = vocabulary
        self._memories = MemoryCommands(screen, talk, vocabulary)
        self._tasks = TaskCommands(screen, talk, turns, vocabulary)
        self._personas = PersonaCommands(screen, talk, vocabulary)

    def run(self, command: Command) -> None:
        """Run one command. A server without that API is told in words."""
        actions = {
            "status": self._status,
            "new": self._new,
            "sessions": self._sessions,
            "history": self._history,
            "model": self._model,
            "mode": self._mode,
            "ttl": self._ttl,
            "memory": self._memories.run,
            "task": self._tasks.run,
            "persona": self._personas.run,
            "help": self._help,
            "exit": self._exit,
        }
        try:
            actions[command.name](command.argument)
        except NotServed:
            self._screen.problem(f"This server does not serve `{command.name}`: its version has no such API.")

    def load_models(self) -> None:
        """Learn the names of the server's models. Also finds out whether the server knows the token."""
        names = [str(each["id"]) for each in self._talk.api.get("v1", "models")["data"]]
        self._vocabulary.models = [each for each in names if not each.startswith(MODEL_PREFIX)]

    def _status(self, _: str) -> None:
        talk, status = self._talk, self._talk.status()
        rows = [
            ("user", talk.user_id),
            ("session", talk.session_id),
            ("status", _described(status)),
            ("last message", _quote(status.get("last_query"))),
            ("updated", render.moment(status.get("last_updated"))),
            ("expires", render.moment(status.get("expires_at")) or "never"),
            ("model", talk.model or "the server's default"),
            ("persona", render.persona_name(talk.persona) if talk.persona else "none"),
            ("mode", talk.mode),
            ("server", talk.api.url),
        ]
        self._screen.show(render.fields(rows))
        self._turns.review(status)

    def _new(self, _: str) -> None:
        self._talk.begin_new()
        self._screen.note(f"Began a new session, {self._talk.session_id}.")

    def _sessions(self, argument: str) -> None:
        if argument:
            self._open(argument)
            return
        talk = self._talk
        ids = talk.api.get("agent", "sessionids", talk.user_id)["session_ids"]
        self._vocabulary.listed["sessions"] = ids
        rows = []
        for number, session_id in enumerate(ids[:MOST_SESSIONS], 1):
            status = talk.api.get("agent", "status", talk.user_id, session_id)
            mark = "*" if session_id == talk.session_id else ""
            rows.append(
                (
                    f"{number}{mark}",
                    render.shortened(session_id, SHORT_ID),
                    status["status"],
                    _quote(status["last_query"]),
                    render.moment(status["last_updated"]),
                )
            )
        if not rows:
            self._screen.note("You have no sessions yet.")
            return
        self._screen.show(render.table("", "session", "status", "last message", "updated", rows=rows))
        if more := len(ids) - len(rows):
            self._screen.note(f"and {more} older ones")
        self._screen.note("`sessions N` opens one.")

    def _open(self, name: str) -> None:
        talk = self._talk
        session_id = self._vocabulary.pick("sessions", name) or name
        status = talk.api.get("agent", "status", talk.user_id, session_id)
        if status["status"] == "not_found":
            self._screen.problem(f"You have no session {name}. `sessions` lists them.")
            return
        talk.open(session_id)
        self._screen.note(f"Opened {session_id}.")
        self._turns.restore(status)

    def _history(self, argument: str) -> None:
        count = whole_number(argument or str(HISTORY))
        if not count:
            self._screen.problem("`history` takes a number of messages, such as `history 5`.")
            return
        path = ("agent", "history", self._talk.user_id, self._talk.session_id)
        try:
            total = self._talk.api.get(*path, limit=1)["total"]
            page = self._talk.api.get(*path, limit=min(count, 1000), offset=max(0, total - count))
        except ApiError as error:
            if error.code != "session_not_found":
                raise
            self._screen.note("The session has no messages yet.")
            return
        for message in page["messages"]:
            self._screen.show(render.message(message))
        self._screen.note(f"{len(page['messages'])} of {total} messages")

    def _model(self, name: str) -> None:
        talk = self._talk
        if not name:
            self.load_models()
            rows = [("*" if each == talk.model else "", each) for each in self._vocabulary.models]
            self._screen.show(render.table("", "model", rows=rows))
            self._screen.note(f"In use: {talk.model or 'the default of the server'}. `model NAME` chooses.")
            return
        if name.startswith(MODEL_PREFIX):
            persona = name.removeprefix(MODEL_PREFIX)
            self._screen.problem(f"{name} is a persona, not a model. `persona {persona}` begins a session with it.")
            return
        if name == "default":
            talk.model = None
        else:
            talk.api.get("v1", "models", name)
            talk.model = name
        self._screen.note(f"Model: {talk.model or 'the default of the server'}.")

    def _mode(self, argument: str) -> None:
        if argument and argument not in MODES:
            self._screen.problem(f"There is no mode {argument}. The modes are stream and normal.")
            return
        self._talk.mode = "normal" if (argument or self._talk.mode) == "normal" else "stream"
        self._screen.note(f"Mode: {self._talk.mode}.")

    def _ttl(self, argument: str) -> None:
        talk = self._talk
        if not argument:
            expires = render.moment(talk.status().get("expires_at"))
            self._screen.note(f"The session expires {expires or 'never'}.")
            return
        try:
            ttl = read_ttl(argument)
        except ValueError as error:
            self._screen.problem(str(error))
            return
        try:
            status = talk.api.patch("agent", "session", talk.user_id, talk.session_id, body={"ttl": ttl})
        except ApiError as error:
            if error.code != "session_not_found":
                raise
            talk.ttl = NEVER if ttl is None else ttl
            expiry = "never expires" if ttl is None else "expires that long after it"
            self._screen.note(f"The session begins with your next message, and {expiry}.")
            return
        self._screen.note(f"The session expires {render.moment(status.get('expires_at')) or 'never'}.")

    def _help(self, _: str) -> None:
        rows = [(form.usage, form.meaning) for form in COMMANDS.values()]
        self._screen.show(render.fields(rows))
        self._screen.note("With or without a slash. A line with a space in front is sent as it is.")
        self._screen.note("Alt-Enter begins a new line, Tab completes, Ctrl-C stops an answer, Ctrl-D leaves.")

    def _exit(self, _: str) -> None:
        raise Leave


def _described(status: Json) -> str:
    words = status.get("message")
    said = "no message yet" if status["status"] == "not_found" else str(status["status"])
    return f"{said}: {words}" if words and status["status"] == "error" else said


def _quote(query: object) -> str:
    return render.shortened(" ".join(str(query or "").split()), LONGEST_QUOTE)
