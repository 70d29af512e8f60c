from __future__ import annotations

from contextlib import aclosing
from typing import Any

import pytest
from langchain_core.messages import AnyMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from agent.events import Event, HandOff, ReviewRequested, ToolFinished, TurnFinished
from agent.storage.fence import ClaimedThread
from agent.tools.review import DECLINED, ReviewResponse, resume_value
from agent.tools.tool_set import SERVER_TOOLS
from agent.turn_request import ThreadRequest
from agent.turns import TurnService
from config.profile.agent_file import AgentProfile
from tests.support.scripted_lane import Script, ScriptedLane, call, deployment, finish, router_over, text

TOOLS = ("transferCall", "multiply", "book_hotel")
REVIEWED = AgentProfile("Be kind.", tools=TOOLS, review=("book_hotel",))
UNREVIEWED = AgentProfile("Be kind.", tools=TOOLS)
BOOK = call("book_hotel", '{"hotel_name": "Ritz"}')
DONE = [text("Done."), finish()]


class Rig:
    """One thread of an agent over scripts, one script for each model call; `booked` is what its tool did."""

    def __init__(self, *scripts: Script) -> None:
        self.lane = ScriptedLane({"a": list(scripts)})
        self.turns = TurnService(router_over(self.lane, deployment("a")), REVIEWED, checkpointer=InMemorySaver())
        self.booked: list[str] = []

    async def asked(self) -> list[ReviewRequested]:
        return [each for each in await self._events(messages=[HumanMessage("Hi")]) if isinstance(each, ReviewRequested)]

    async def answered(self, *reviews: ReviewRequested, **answer: Any) -> list[Event]:
        value = resume_value(ReviewResponse(**answer))
        call_ids = frozenset(str(each.question["tool_call_id"]) for each in reviews)
        return await self._events(answers={each.interrupt_id: value for each in reviews}, answered=call_ids)

    async def results(self) -> list[tuple[str, str]]:
        """Text and status of what the model reads of the tools."""
        _, graph = self.turns.graphs.for_thread()
        messages: list[AnyMessage] = (await graph.aget_state({"configurable": {"thread_id": "t"}})).values["messages"]
        return [(str(each.text), each.status) for each in messages if isinstance(each, ToolMessage)]

    async def _events(self, **request: Any) -> list[Event]:
        async def view(messages: Any) -> list[AnyMessage]:
            return list(messages)

        turn = self.turns.begin_on_thread(ThreadRequest("main", ClaimedThread("t", 1), "ann", view, **request))
        async with aclosing(turn.events()) as events:
            return [event async for event in events]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Any:
    def rig(*scripts: Script) -> Rig:
        made = Rig(*scripts)

        @tool
        async def book_hotel(hotel_name: str) -> str:
            """Book a room."""
            made.booked.append(hotel_name)
            return f"Booked {hotel_name}."

        monkeypatch.setitem(SERVER_TOOLS, "book_hotel", book_hotel)
        return made

    return rig


async def test_the_graph_stops_before_the_tool_with_the_question_of_the_agent_inbox(make: Any) -> None:
    rig = make([BOOK, finish("tool_calls")], DONE)
    [review] = await rig.asked()
    assert str(review.question["tool_call_id"]).startswith("call_")
    assert {**review.question, "tool_call_id": "call_1"} == {
        "action_request": {"action": "book_hotel", "args": {"hotel_name": "Ritz"}},
        "config": {"allow_accept": True, "allow_edit": True, "allow_respond": True, "allow_ignore": True},
        "description": "Book a room.",
        "tool_call_id": "call_1",
        "args_schema": {
            "title": "book_hotel",
            "description": "Book a room.",
            "type": "object",
            "properties": {"hotel_name": {"title": "Hotel Name", "type": "string"}},
            "required": ["hotel_name"],
        },
    }
    assert rig.booked == []


@pytest.mark.parametrize(
    ("answer", "booked", "result"),
    [
        ({"decision": "accept"}, ["Ritz"], ("Booked Ritz.", "success")),
        (
            {"decision": "edit", "arguments": {"hotel_name": "Savoy"}},
            ["Savoy"],
            ('(The reviewer changed the arguments to {"hotel_name":"Savoy"}.)\nBooked Savoy.', "success"),
        ),
        ({"decision": "edit", "arguments": {"hotel_name": "Ritz"}}, ["Ritz"], ("Booked Ritz.", "success")),
        ({"decision": "response", "words": "Ask first."}, [], ("Ask first.", "success")),
        ({"decision": "reject"}, [], (DECLINED, "error")),
        ({"decision": "reject", "words": "Too dear."}, [], (f"{DECLINED} Too dear.", "error")),
    ],
)
async def test_the_tool_does_what_was_decided(
    make: Any, answer: dict[str, Any], booked: list[str], result: tuple[str, str]
) -> None:
    rig = make([BOOK, finish("tool_calls")], DONE)
    [review] = await rig.asked()
    events = await rig.answered(review, **answer)
    [finished] = [each for each in events if isinstance(each, ToolFinished)]
    assert (finished.name, finished.content, finished.ok) == ("book_hotel", result[0], result[1] == "success")
    assert events[-1] == TurnFinished("stop")
    assert (rig.booked, await rig.results()) == (booked, [result])


async def test_a_call_that_waits_is_answered_although_its_tool_is_not_reviewed_any_more(make: Any) -> None:
    rig = make([BOOK, finish("tool_calls")], DONE)
    [review] = await rig.asked()
    rig.turns.use(UNREVIEWED)
    await rig.answered(review, decision="reject")
    assert (rig.booked, await rig.results()) == ([], [(DECLINED, "error")])


async def test_a_call_of_a_later_step_needs_no_review_because_it_has_the_same_id(make: Any) -> None:
    """Some providers count the calls of each answer from the same number."""
    again = call("multiply", '{"a": 6, "b": 7}')
    rig = make([BOOK, finish("tool_calls")], [again, finish("tool_calls")], DONE)
    [review] = await rig.asked()
    events = await rig.answered(review, decision="accept")
    assert events[-1] == TurnFinished("stop")
    assert await rig.results() == [("Booked Ritz.", "success"), ("42", "success")]


async def test_a_later_call_of_a_reviewed_tool_is_asked_about_again(make: Any) -> None:
    rig = make([BOOK, finish("tool_calls")], [BOOK, finish("tool_calls")], DONE)
    [review] = await rig.asked()
    events = await rig.answered(review, decision="accept")
    assert events[-1] == TurnFinished("interrupted")
    [second] = [each for each in events if isinstance(each, ReviewRequested)]
    assert (second.interrupt_id != review.interrupt_id, rig.booked) == (True, ["Ritz"])


async def test_a_hand_off_beside_a_review_is_told_once_and_after_it(make: Any) -> None:
    transfer = call("transferCall", "{}", "call_2", index=1)
    rig = make([BOOK, transfer, finish("tool_calls")], DONE)
    [review] = await rig.asked()
    events = await rig.answered(review, decision="accept")
    [handed] = [each for each in events if isinstance(each, HandOff)]
    assert (handed.name, handed.arguments) == ("transferCall", {"destination": "+1234567890"})
    assert events[-1] == TurnFinished("tool_calls")
    assert len(rig.lane.attempts) == 1


def test_an_answer_is_stored_as_plain_values_and_read_again() -> None:
    answer = ReviewResponse("edit", {"a": [1, None]}, "Why not.", action="multiply")
    assert ReviewResponse(**resume_value(answer)) == answer
