from __future__ import annotations

import pytest

from agent.events import Event, ReviewRequested, TextDelta, ToolStarted, TurnFailed, TurnFinished, Usage
from agent.sessions.turn_end import TurnEnd
from agent.tools.review import question
from config.errors import AllDeploymentsFailed, SwitchboardError, TurnCancelled, TurnSuperseded

BOOK = question("book_hotel", {"hotel_name": "Ritz"}, "c1", "")
ADD = question("multiply", {"a": 1, "b": 2}, "c2", "")


def ended(*events: Event) -> TurnEnd:
    end = TurnEnd()
    for event in events:
        end.take(event)
    return end


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter", "tool_calls"])
def test_a_turn_that_finished_is_completed(reason: str) -> None:
    end = ended(TextDelta("Hel"), TextDelta("lo."), Usage(3, 2), TurnFinished(reason))  # type: ignore[arg-type]
    assert (end.status, end.message, end.text, end.usage) == ("completed", "", "Hello.", Usage(3, 2))
    assert (end.broke_off, end.interrupts) == (False, [])


def test_a_turn_that_waits_for_reviews_says_for_which() -> None:
    end = ended(ReviewRequested("1", BOOK), ReviewRequested("2", ADD), Usage(), TurnFinished("interrupted"))
    assert end.status == "interrupted"
    assert end.message == "Waiting for a person's decision about book_hotel, multiply."
    assert end.interrupts == [{"interrupt_id": "1", **BOOK}, {"interrupt_id": "2", **ADD}]
    assert not end.broke_off


def test_a_turn_that_failed_is_an_error_in_the_words_for_callers() -> None:
    end = ended(TextDelta("Hel"), TurnFailed(AllDeploymentsFailed("Nobody answers.", retry_after=3)))
    assert (end.status, end.message, end.text, end.broke_off) == ("error", "Nobody answers.", "Hel", True)


@pytest.mark.parametrize("error", [TurnCancelled("Cancelled."), TurnSuperseded("A newer one took over.")])
def test_a_turn_that_somebody_ended_leaves_the_session_idle(error: SwitchboardError) -> None:
    end = ended(TurnFailed(error))
    assert (end.status, end.message, end.broke_off) == ("idle", str(error), True)


def test_a_turn_that_was_hung_up_on_brings_no_last_event() -> None:
    end = ended(TextDelta("Hel"), ToolStarted("1", "multiply", {}))
    assert (end.status, end.broke_off) == ("idle", True)
    assert end.message == "The caller hung up during the turn."
