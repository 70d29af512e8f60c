"""Turns with their reviews: what a stop and a refused decision lead to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from api.terminal.agent_api import ApiError
from api.terminal.review_dialogue import ReviewDecision
from api.terminal.turn_parts import Outcome
from api.terminal.turns import DECIDED, Turns
from api.terminal.updates import Update

ASKED = Outcome("interrupted", interrupts=[{"interrupt_id": "r1"}])


class FakeScreen:
    def __init__(self) -> None:
        self.said: list[str] = []

    def follow(self, updates: Iterable[Update]) -> Outcome:
        *_, outcome = updates
        assert isinstance(outcome, Outcome)
        return outcome

    def problem(self, text: str) -> None:
        self.said.append(text)

    note = problem

    def space(self) -> None:
        pass


class FakeTalk:
    """Each turn yields the next of `outcomes`, or raises it."""

    def __init__(self, *outcomes: Outcome | BaseException) -> None:
        self.outcomes = list(outcomes)
        self.decisions: list[tuple[str, Any]] = []
        self.cancelled = 0

    def ask(self, query: str) -> Iterator[Update]:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        yield outcome

    def decide(self, interrupt: Any, decision: str, args: Any) -> Iterator[Update]:
        self.decisions.append((decision, args))
        yield from self.ask("")

    def status(self) -> dict[str, Any]:
        return {"status": "completed", "message": "", "interrupts": []}

    def cancel(self) -> None:
        self.cancelled += 1


class FakeDialogue:
    def __init__(self, *decisions: ReviewDecision) -> None:
        self.decisions = list(decisions)
        self.edited: list[Any] = []

    def decide(self, interrupt: Any, waiting: int) -> ReviewDecision:
        return self.decisions.pop(0)

    def edit(self, interrupt: Any, arguments: Any) -> ReviewDecision:
        self.edited.append(arguments)
        return self.decisions.pop(0)


def turns(talk: FakeTalk, *decisions: ReviewDecision) -> tuple[Turns, FakeScreen, FakeDialogue]:
    screen, dialogue = FakeScreen(), FakeDialogue(*decisions)
    return Turns(screen, talk, dialogue), screen, dialogue  # type: ignore[arg-type]


def refused(status: int, code: str) -> ApiError:
    return ApiError("hotel_name: must be a text", status=status, code=code)


def test_ctrl_c_cancels_the_turn_on_the_server() -> None:
    talk = FakeTalk(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        turns(talk)[0].ask("Hi")
    assert talk.cancelled == 1


def test_several_reviews_are_asked_for_one_after_the_other() -> None:
    talk = FakeTalk(ASKED, ASKED, Outcome("completed"))
    turns(talk, ReviewDecision("accept"), ReviewDecision("reject", "Too dear."))[0].ask("Hi")
    assert talk.decisions == [("accept", None), ("reject", "Too dear.")]


def test_an_edit_that_the_server_refuses_opens_again_with_its_words() -> None:
    talk = FakeTalk(ASKED, refused(400, "invalid_request"), Outcome("completed"))
    first, second = ReviewDecision("edit", {"hotel_name": 5}), ReviewDecision("edit", {"hotel_name": "Ritz"})
    asked, screen, dialogue = turns(talk, first, second)
    asked.ask("Hi")
    assert dialogue.edited == [{"hotel_name": 5}]
    assert "hotel_name" in screen.said[0]
    assert talk.decisions[-1] == ("edit", {"hotel_name": "Ritz"})


def test_a_decision_that_was_made_elsewhere_is_told() -> None:
    talk = FakeTalk(ASKED, refused(409, "not_pending"))
    asked, screen, _ = turns(talk, ReviewDecision("accept"))
    asked.ask("Hi")
    assert screen.said == ["The call has been decided elsewhere."]


def test_a_message_to_a_session_that_waits_asks_for_the_decision_first() -> None:
    talk = FakeTalk(refused(409, "review_pending"))
    asked, screen, _ = turns(talk)
    asked.ask("Hi")
    assert "was not sent" in screen.said[0]


@pytest.mark.parametrize(("outcome", "failed"), [(Outcome("error", "Why."), True), (Outcome("completed"), False)])
def test_a_failed_turn_is_remembered(outcome: Outcome, failed: bool) -> None:
    asked, screen, _ = turns(FakeTalk(outcome))
    asked.ask("Hi")
    assert (asked.failed, screen.said) == (failed, ["Why."] if failed else [])


def test_a_review_of_a_watched_task_that_was_answered_since_is_not_asked_for_again() -> None:
    talk = FakeTalk(ASKED)
    watching, screen, _ = turns(talk)
    watching.watch(talk.ask(""))
    assert (screen.said, talk.decisions) == ([DECIDED], [])
