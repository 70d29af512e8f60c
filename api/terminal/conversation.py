"""One user's conversation: its session, and turns that survive a lost connection. Knows no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from uuid import uuid4

from api.terminal.agent_api import AgentApi, ClientError, ConnectionLost
from api.terminal.input_line import NEVER
from api.terminal.turn_parts import Json, outcome_of_answer, outcome_of_status, pending_in
from api.terminal.updates import Update, Waiting, read_events

Mode = Literal["stream", "normal"]

FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 5.0
"""Seconds between two attempts to reach the server; the pause doubles."""

POLL_INTERVAL: Final = 0.3
"""Seconds between two looks at a turn that runs elsewhere."""


@dataclass
class Conversation:
    """`model`, `persona` and `ttl` (seconds, or "never") go with the next message; None leaves them to the server."""

    api: AgentApi
    user_id: str
    mode: Mode = "stream"
    model: str | None = None
    persona: Mapping[str, Any] | None = None
    ttl: int | str | None = None
    session_id: str = field(default="", init=False)
    _asked: str | None = field(default="", init=False)
    """The last message of the session; None if it is not known."""

    def open_latest(self) -> Json | None:
        """Open the user's latest live session and return its status; without one, a new session and None."""
        session_id = str(self.api.get("agent", "active", "sessionid", self.user_id)["active_session_id"])
        if not session_id:
            self.begin_new()
            return None
        self.open(session_id)
        return self.status()

    def open(self, session_id: str) -> None:
        """Go on in this session. It keeps the persona that it began with."""
        self.session_id = session_id
        self._asked = None
        self.persona = None
        self.ttl = None

    def begin_new(self) -> None:
        """Go on in a new session. The server creates it with the first message."""
        self.session_id = uuid4().hex
        self._asked = ""
        self.ttl = None

    def status(self) -> Json:
        """The session's status; `not_found` before its first message."""
        status: Json = self.api.get("agent", "status", self.user_id, self.session_id)
        return status

    def ask(self, query: str) -> Iterator[Update]:
        """Send a message and follow its turn to the end. Raises ApiError."""
        body = {**self._message(query), "on_busy": "enqueue"}
        before = None
        if self._asked in (None, query):  # the same words once more: only the time tells whether they were taken
            before = (yield from self._reachable_status()).get("last_updated")
        self._asked = query

        def taken(status: Json) -> bool:
            return status.get("last_query") == query and (before is None or status.get("last_updated") != before)

        yield from self._turn("invoke", body, taken)
        self.ttl = None

    def submit(self, query: str) -> Json:
        """Send a message as a background task, and return `{task_id, session_id}`. Raises ApiError."""
        task: Json = self.api.post("agent", "invoke", "async", body=self._body(self._message(query)))
        self._asked = None
        self.ttl = None
        return task

    def follow_task(self, task_id: str) -> Iterator[Update]:
        """Follow a background task to its end. A lost connection repeats nothing. Raises ApiError."""
        last: str | None = None
        pauses = _pauses()

        def events() -> Generator[Json, None, None]:
            nonlocal last, pauses
            with closing(self.api.events("GET", "agent", "task", task_id, "events", after=last)) as stream:
                for event in stream:
                    last, pauses = event.get("event_id", last), _pauses()
                    yield event

        while True:
            try:
                with closing(events()) as numbered:
                    yield from read_events(numbered)
                return
            except ConnectionLost as lost:
                yield Waiting(f"{lost} Trying again.")
            time.sleep(next(pauses))

    def decide(self, interrupt: Json, decision: str, args: Any = None) -> Iterator[Update]:
        """Answer a review and follow the rest of its turn. Raises ApiError."""
        interrupt_id = interrupt.get("interrupt_id")
        body = {"interrupt_id": interrupt_id, "response_type": decision}
        if args is not None:
            body["args"] = args

        def taken(status: Json) -> bool:
            return interrupt_id not in [each.get("interrupt_id") for each in pending_in(status)]

        yield from self._turn("resume", body, taken)

    def follow(self) -> Iterator[Update]:
        """Wait for the turn that runs on the session, wherever it was started."""
        status = yield from self._reachable_status()
        yield from self._picked_up(status)

    def cancel(self) -> None:
        """Stop the running turn. Without a connection it is stopped already, or cannot be."""
        with suppress(ClientError):
            self.api.post("agent", "cancel", self.user_id, self.session_id)

    def _turn(
        self, kind: str, fields: Mapping[str, Any], taken: Callable[[Json], bool]
    ) -> Generator[Update, None, None]:
        """Follow one turn over lost connections. The request is sent again unless the session's status shows it."""
        body, pauses = self._body(fields), _pauses()
        while True:
            begun = False
            try:
                with closing(self._request(kind, body)) as updates:
                    for update in updates:
                        begun = True
                        yield update
                return
            except ConnectionLost as lost:
                sent = lost.sent
                yield Waiting(f"{lost} Trying again.")
            status = yield from self._reachable_status()
            if begun or (sent and taken(status)):
                yield from self._picked_up(status)
                return
            time.sleep(next(pauses))  # a proxy may answer the status and refuse the turn

    def _message(self, query: str) -> dict[str, Any]:
        fields: dict[str, Any] = {"query": query}
        if self.persona:
            fields["agent_id"] = str(self.persona["id"])
        if self.ttl is not None:
            fields["ttl"] = None if self.ttl == NEVER else self.ttl
        return fields

    def _body(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        model = {} if self.model is None else {"model": self.model}
        return {"user_id": self.user_id, "session_id": self.session_id, **model, **fields}

    def _request(self, kind: str, body: Mapping[str, Any]) -> Generator[Update, None, None]:
        if self.mode == "normal":
            yield outcome_of_answer(self.api.post("agent", kind, body=body, wait=True))
            return
        with closing(self.api.events("POST", "agent", kind, "stream", body=body)) as events:
            yield from read_events(events)

    def _reachable_status(self) -> Generator[Update, None, Json]:
        """The session's status as soon as the server can be reached."""
        pauses = _pauses()
        while True:
            try:
                return self.status()
            except ConnectionLost as lost:
                pause = next(pauses)
                yield Waiting(f"{lost} Trying again in {pause:.1f} s.")
                time.sleep(pause)

    def _picked_up(self, status: Json) -> Generator[Update, None, None]:
        """The outcome of the session's last turn, once it has ended."""
        while status.get("status") == "running":
            yield Waiting("The turn runs on the server. Waiting for its answer.")
            time.sleep(POLL_INTERVAL)
            status = yield from self._reachable_status()
        yield outcome_of_status(status)


def _pauses() -> Iterator[float]:
    """Seconds to wait between attempts, ever longer."""
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE)
