"""Turns over lost connections: a request is sent again only if the server did not take it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from api.terminal import conversation
from api.terminal.agent_api import ConnectionLost
from api.terminal.conversation import Conversation, Mode
from api.terminal.turn_parts import Outcome, TextPart
from api.terminal.updates import Restarted, Update, Waiting

ANSWER = {
    "status": "completed",
    "message": "",
    "result": {"messages": [{"role": "assistant", "content": "Hello."}], "usage": {}},
    "interrupts": [],
}
COMPLETED = {"type": "completed", "data": ANSWER}
REFUSED = ConnectionLost("The server cannot be reached.", sent=False)
BROKEN = ConnectionLost("The connection to the server broke.", sent=True)
Step = dict[str, Any] | ConnectionLost


class ScriptedApi:
    """A server whose turns and statuses follow a script: `turns` has the events of each request."""

    url = "http://127.0.0.1"

    def __init__(self, turns: list[list[Step]], statuses: list[Step]) -> None:
        self.turns = turns
        self.statuses = statuses
        self.sent: list[dict[str, Any]] = []
        self.after: list[str | None] = []

    def get(self, *path: str) -> dict[str, Any]:
        return _step(self.statuses.pop(0))

    def post(self, *path: str, body: dict[str, Any], wait: bool = False) -> dict[str, Any]:
        return dict(list(self.events("POST", body=body))[-1]["data"])

    def events(
        self, *path: str, body: dict[str, Any] | None = None, after: str | None = None
    ) -> Generator[dict[str, Any], None, None]:
        self.sent.append(body or {})
        self.after.append(after)
        for each in self.turns.pop(0):
            yield _step(each)


def _step(step: Step) -> dict[str, Any]:
    if isinstance(step, ConnectionLost):
        raise step
    return step


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, which the tests do not wait for."""
    pauses: list[float] = []
    monkeypatch.setattr(conversation.time, "sleep", pauses.append)
    return pauses


def chunk(text: str) -> dict[str, Any]:
    return {"type": "text_chunk", "content": text}


def status(status: str, query: str | None = "Hi", **more: Any) -> dict[str, Any]:
    return {"status": status, "message": "", "last_query": query, "last_response": None, "interrupts": [], **more}


def ask(api: ScriptedApi, mode: Mode = "stream") -> list[Update]:
    """The updates of a turn but for those that wait."""
    talk = Conversation(api, "ann", mode)  # type: ignore[arg-type]
    talk.begin_new()
    return [each for each in talk.ask("Hi") if not isinstance(each, Waiting)]


def test_an_undisturbed_turn_is_sent_once() -> None:
    api = ScriptedApi([[chunk("Hel"), chunk("lo."), COMPLETED]], [])
    text, more, outcome = ask(api)
    assert (text, more) == (TextPart("Hel"), TextPart("lo."))
    assert isinstance(outcome, Outcome) and outcome.parts == [TextPart("Hello.")]


@pytest.mark.parametrize("mode", ["stream", "normal"])
def test_a_request_that_reached_nobody_is_sent_again(mode: Mode) -> None:
    api = ScriptedApi([[REFUSED], [COMPLETED]], [REFUSED, REFUSED, status("idle", "Hi")])
    (outcome,) = ask(api, mode)
    assert isinstance(outcome, Outcome) and outcome.status == "completed"
    assert len(api.sent) == 2 and api.sent[0] == api.sent[1]


def test_a_request_that_the_session_does_not_show_is_sent_again() -> None:
    api = ScriptedApi([[BROKEN], [COMPLETED]], [status("not_found", None)])
    (outcome,) = ask(api)
    assert isinstance(outcome, Outcome) and outcome.status == "completed"
    assert len(api.sent) == 2


def test_the_answer_of_a_turn_that_went_on_is_picked_up() -> None:
    done = status("completed", last_response=ANSWER)
    api = ScriptedApi([[chunk("Hel"), BROKEN]], [REFUSED, status("running"), BROKEN, status("running"), done])
    text, outcome = ask(api)
    assert text == TextPart("Hel")
    assert isinstance(outcome, Outcome) and outcome.parts == [TextPart("Hello.")]
    assert len(api.sent) == 1


def test_a_stream_that_ends_without_its_last_event_is_a_lost_connection() -> None:
    api = ScriptedApi([[chunk("Hel")]], [status("error", message="The server stopped during this turn.")])
    assert ask(api)[-1] == Outcome("error", "The server stopped during this turn.", interrupts=[])


def test_a_turn_that_nobody_takes_is_tried_ever_more_slowly(pauses: list[float]) -> None:
    api = ScriptedApi([[BROKEN]] * 8 + [[COMPLETED]], [status("not_found", None)] * 8)
    ask(api)
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


@pytest.mark.parametrize(("pending", "sent"), [("r1", 2), ("r2", 1)])
def test_a_decision_is_sent_again_only_while_its_call_waits(pending: str, sent: int) -> None:
    after = status("interrupted", interrupts=[{"interrupt_id": pending}])
    api = ScriptedApi([[BROKEN], [COMPLETED]], [after])
    list(Conversation(api, "ann").decide({"interrupt_id": "r1"}, "accept"))  # type: ignore[arg-type]
    assert len(api.sent) == sent


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize(("updated", "sent"), [(1.5, 2), (2.5, 1)])
def test_the_same_words_once_more_are_not_taken_for_the_earlier_ones(opened: bool, updated: float, sent: int) -> None:
    after = status("completed", last_response=ANSWER, last_updated=updated)
    turns: list[list[Step]] = [[BROKEN], [COMPLETED]]
    api = ScriptedApi(turns if opened else [[COMPLETED], *turns], [status("completed", last_updated=1.5), after])
    talk = Conversation(api, "ann")  # type: ignore[arg-type]
    if opened:
        talk.open("s")
    else:
        list(talk.ask("Hi"))
        api.sent.clear()
    list(talk.ask("Hi"))
    assert len(api.sent) == sent


def test_model_persona_and_expiry_go_with_the_message() -> None:
    api = ScriptedApi([[COMPLETED], [COMPLETED]], [])
    talk = Conversation(api, "ann", model="fast", persona={"id": "p1"}, ttl=60)  # type: ignore[arg-type]
    list(talk.ask("Hi"))
    list(talk.ask("Ho"))
    assert [api.sent[0].get(name) for name in ("model", "agent_id", "ttl")] == ["fast", "p1", 60]
    assert "ttl" not in api.sent[1]


def test_a_session_that_never_expires_says_so_to_the_server() -> None:
    api = ScriptedApi([[COMPLETED]], [])
    list(Conversation(api, "ann", ttl="never").ask("Hi"))  # type: ignore[arg-type]
    assert api.sent[0]["ttl"] is None


def test_a_background_task_has_the_same_model_persona_and_expiry() -> None:
    api = ScriptedApi([[{"data": {"task_id": "t1"}}]], [])
    talk = Conversation(api, "ann", model="fast", persona={"id": "p1"}, ttl=60)  # type: ignore[arg-type]
    assert talk.submit("Hi") == {"task_id": "t1"}
    session = {"user_id": "ann", "session_id": talk.session_id}
    assert api.sent == [{**session, "model": "fast", "query": "Hi", "agent_id": "p1", "ttl": 60}]
    assert talk.ttl is None


def numbered(*events: Step) -> list[Step]:
    return [each if isinstance(each, Exception) else {**each, "event_id": str(n)} for n, each in enumerate(events, 1)]


def test_a_task_is_followed_from_its_last_event_after_a_lost_connection(pauses: list[float]) -> None:
    first, rest = numbered(chunk("Hel"), chunk("lo"), BROKEN), numbered(chunk(""), chunk(""), chunk("."), COMPLETED)[2:]
    api = ScriptedApi([[REFUSED], first, [REFUSED], [REFUSED], rest], [])
    talk = Conversation(api, "ann")  # type: ignore[arg-type]
    updates = [each for each in talk.follow_task("t1") if not isinstance(each, Waiting)]
    assert updates[:3] == [TextPart("Hel"), TextPart("lo"), TextPart(".")]
    assert isinstance(updates[3], Outcome) and updates[3].status == "completed"
    assert api.after == [None, None, "2", "2", "2"]
    assert pauses == [0.2, 0.2, 0.4, 0.8]


def test_a_worker_that_stopped_is_told() -> None:
    api = ScriptedApi([numbered(chunk("Hel"), {"type": "restarted", "message": "The worker stopped."}, COMPLETED)], [])
    updates = list(Conversation(api, "ann").follow_task("t1"))  # type: ignore[arg-type]
    assert updates[:2] == [TextPart("Hel"), Restarted("The worker stopped.")]
