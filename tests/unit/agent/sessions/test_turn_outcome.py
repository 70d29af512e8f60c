from __future__ import annotations

import time

import pytest
from langchain_core.messages import AIMessage, ToolMessage

from agent.events import Event, ReviewRequested, TextDelta, ToolStarted, TurnFailed, TurnFinished, Usage
from agent.sessions.turn_outcome import TurnOutcome
from agent.tools.review import review_question
from config.errors import AllDeploymentsFailed, SwitchboardError, TurnCancelled, TurnSuperseded

BOOK = review_question("book_hotel", {"hotel_name": "Ritz"}, "c1", "")
ADD = review_question("multiply", {"a": 1, "b": 2}, "c2", "")


def ended(*events: Event) -> TurnOutcome:
    outcome = TurnOutcome()
    for event in events:
        outcome.add(event)
    return outcome


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter", "tool_calls"])
def test_a_turn_that_finished_is_completed(reason: str) -> None:
    outcome = ended(TextDelta("Hello."), Usage(3, 2), TurnFinished(reason))  # type: ignore[arg-type]
    assert (outcome.status, outcome.message, outcome.usage) == ("completed", "", Usage(3, 2))
    assert (outcome.is_incomplete, outcome.interrupts) == (False, [])
    response = outcome.response([AIMessage("Hello.", id="m")])
    assert (response.status, response.message, response.usage) == ("completed", "", Usage(3, 2))
    assert [(each["id"], each["content"]) for each in response.messages] == [("m", "Hello.")]
    assert abs(response.timestamp - time.time()) < 60


def test_a_turn_that_waits_for_reviews_lists_them() -> None:
    outcome = ended(ReviewRequested("1", BOOK), ReviewRequested("2", ADD), Usage(), TurnFinished("interrupted"))
    assert outcome.status == "interrupted"
    assert outcome.message == ""
    response = outcome.response([])
    assert (response.status, response.interrupts) == ("interrupted", tuple(outcome.interrupts))
    assert outcome.interrupts == [{"interrupt_id": "1", **BOOK}, {"interrupt_id": "2", **ADD}]
    assert not outcome.is_incomplete


def test_a_turn_that_failed_is_an_error_in_the_words_for_callers() -> None:
    outcome = ended(TextDelta("Hel"), TurnFailed(AllDeploymentsFailed("Nobody answers.", retry_after=3)))
    assert (outcome.status, outcome.message, outcome.is_incomplete) == ("error", "Nobody answers.", True)
    response = outcome.response([])
    assert (response.status, response.message, response.error_code) == (
        "error",
        "Nobody answers.",
        "all_deployments_failed",
    )


@pytest.mark.parametrize("error", [TurnCancelled("Cancelled."), TurnSuperseded("A newer one took over.")])
def test_a_turn_that_somebody_ended_leaves_the_session_idle(error: SwitchboardError) -> None:
    outcome = ended(TurnFailed(error))
    assert (outcome.status, outcome.message, outcome.is_incomplete) == ("idle", str(error), True)


def test_a_turn_that_was_hung_up_on_brings_no_last_event() -> None:
    outcome = ended(TextDelta("Hel"), ToolStarted("1", "multiply", {}))
    assert (outcome.status, outcome.is_incomplete) == ("idle", True)
    assert outcome.message == "The caller hung up during the turn."
    response = outcome.response([])
    assert (response.status, response.message, response.error_code) == ("error", outcome.message, "cancelled")


def test_a_turn_that_goes_on_after_a_crash_has_its_messages_and_tokens_from_before() -> None:
    counted = {"input_tokens": 10, "output_tokens": 4, "total_tokens": 14}
    outcome = TurnOutcome([AIMessage("Let me see.", usage_metadata=counted), ToolMessage("42", tool_call_id="c")])
    outcome.add(Usage(3, 2, cost=0.5))
    outcome.add(TurnFinished("stop"))
    response = outcome.response([AIMessage("Forty-two.")])
    assert [each["content"] for each in response.messages] == ["Let me see.", "42", "Forty-two."]
    assert response.usage == Usage(13, 6)
