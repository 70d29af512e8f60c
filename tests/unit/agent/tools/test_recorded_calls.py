"""The records of tool calls: how each call ended, and how long it took."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from agent.events import ReviewRequested, ToolStarted
from agent.statistics.statistics import Statistics
from agent.statistics.turn_counts import EndedTurn
from agent.storage.fence import ClaimedThread
from agent.tools.caller_tools import CallerTool
from agent.tools.review import ReviewResponse, resume_value
from agent.tools.tool_set import SERVER_TOOLS
from agent.turn_request import ThreadRequest, TurnRequest
from agent.turns import TurnService
from config.profile.agent_file import AgentProfile
from tests.support.scripted_lane import Script, ScriptedLane, call, deployment, finish, router_over, text

DONE: Script = [text("Done."), finish()]


class Rig:
    """An agent over scripts, one for each model call, and the turns that have ended."""

    def __init__(self, *scripts: Script, **profile: Any) -> None:
        self.ended: list[EndedTurn] = []
        self.turns = TurnService(
            router_over(ScriptedLane({"a": list(scripts)}), deployment("a")),
            AgentProfile("Be kind.", tools=("book_hotel",), **profile),
            checkpointer=InMemorySaver(),
            statistics=Statistics(on_turn=self.ended.append),
        )

    @property
    def records(self) -> list[tuple[str, str, bool]]:
        return [(each.name, each.outcome, each.hands_off) for each in self.ended[-1].tools]


@pytest.fixture
def began(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when the tool runs. It never ends when it is asked to wait."""
    began = asyncio.Event()

    @tool
    async def book_hotel(hotel_name: str) -> str:
        """Book a room."""
        began.set()
        if hotel_name == "wait":
            await asyncio.Event().wait()
        if hotel_name == "fail":
            raise OSError("full")
        return f"Booked {hotel_name}."

    monkeypatch.setitem(SERVER_TOOLS, "book_hotel", book_hotel)
    return began


def booking(hotel: str) -> Script:
    return [call("book_hotel", f'{{"hotel_name": "{hotel}"}}'), finish("tool_calls")]


@pytest.mark.usefixtures("began")
@pytest.mark.parametrize(("hotel", "outcome"), [("Ritz", "ok"), ("fail", "error")])
async def test_a_call_that_ran(hotel: str, outcome: str) -> None:
    rig = Rig(booking(hotel), DONE)
    async with aclosing(rig.turns.begin(TurnRequest("main", [HumanMessage("Hi")])).events()) as events:
        async for _ in events:
            pass
    assert rig.records == [("book_hotel", outcome, False)]


async def test_a_call_that_the_caller_carries_out() -> None:
    rig = Rig([call("look_up", "{}"), finish("tool_calls")])
    turn = rig.turns.begin(TurnRequest("main", [HumanMessage("Hi")], [CallerTool("look_up")]))
    async with aclosing(turn.events()) as events:
        async for _ in events:
            pass
    assert rig.records == [("look_up", "ok", True)]


async def test_a_call_during_which_the_caller_hangs_up(began: asyncio.Event) -> None:
    rig = Rig(booking("wait"), DONE)
    async with aclosing(rig.turns.begin(TurnRequest("main", [HumanMessage("Hi")])).events()) as events:
        assert isinstance(await anext(events), ToolStarted)
        reading = asyncio.ensure_future(anext(events))
        await began.wait()
        reading.cancel()
        await asyncio.wait([reading])
    assert rig.records == [("book_hotel", "cancelled", False)] and rig.ended[-1].outcome == "cancelled"


@pytest.mark.parametrize(("decision", "outcome"), [("accept", "ok"), ("reject", "reviewed"), ("response", "reviewed")])
async def test_a_call_that_is_reviewed(decision: Any, outcome: str, began: asyncio.Event) -> None:
    rig = Rig(booking("Ritz"), DONE, review=("book_hotel",))

    async def run(**request: Any) -> list[Any]:
        async def view(messages: Any) -> Any:
            return list(messages)

        turn = rig.turns.begin_on_thread(ThreadRequest("main", ClaimedThread("t", 1), "ann", view, **request))
        async with aclosing(turn.events()) as events:
            return [event async for event in events]

    (asked,) = [each for each in await run(messages=[HumanMessage("Hi")]) if isinstance(each, ReviewRequested)]
    assert rig.records == [("book_hotel", "review", False)]
    answer = resume_value(ReviewResponse(decision, words="No."))
    await run(answers={asked.interrupt_id: answer}, answered=frozenset([str(asked.question["tool_call_id"])]))
    assert rig.records == [("book_hotel", outcome, False)] and began.is_set() is (decision == "accept")
