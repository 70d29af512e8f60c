"""What a caller hears while a tool runs."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from structlog.testing import capture_logs

from agent.events import Event, Filler, HandOff, ReviewRequested, TextDelta, ToolFinished, ToolStarted
from agent.statistics.statistics import Statistics
from agent.statistics.turn_counts import EndedTurn
from agent.storage.fence import ClaimedThread
from agent.tools.caller_tools import CallerTool
from agent.tools.filler import CONVERSATIONS, SentenceTurns, StepFiller
from agent.tools.review import ReviewResponse, resume_value
from agent.tools.tool_set import SERVER_TOOLS
from agent.turn import Turn
from agent.turn_request import ThreadRequest, TurnRequest
from agent.turns import TurnService
from config.log_content import allow_content
from config.profile.agent_file import AgentProfile
from config.profile.filler import FillerSettings
from tests.support.scripted_lane import Script, ScriptedLane, call, deployment, finish, router_over, text
from tests.support.virtual_clock import run_virtually

# One tool


class Step:
    """Tools of one step with a filler after a second, on a clock that jumps. `spoken` has what came when."""

    def __init__(self) -> None:
        self.spoken: list[tuple[str, str, float]] = []
        self.filler = StepFiller(1.0, lambda: f"Sentence {len(self.spoken) + 1}.")

    def write(self, filler: Filler) -> None:
        self.spoken.append((filler.text, filler.call_id, asyncio.get_running_loop().time()))

    async def run(self, seconds: float, call_id: str = "call_1", step: int = 1) -> None:
        with self.filler.while_running(call_id, step, self.write):
            await asyncio.sleep(seconds)


def test_a_tool_that_takes_longer_is_bridged_once() -> None:
    step = Step()
    run_virtually(step.run(30))
    assert step.spoken == [("Sentence 1.", "call_1", 1.0)]


def test_a_tool_that_is_fast_enough_leaves_no_timer() -> None:
    step = Step()

    async def fast() -> None:
        await step.run(0.9)
        await asyncio.sleep(10)

    run_virtually(fast())
    assert step.spoken == []


def test_of_tools_side_by_side_the_first_slow_one_is_bridged() -> None:
    step = Step()

    async def side_by_side() -> None:
        await asyncio.gather(step.run(0.5, "a"), step.run(3, "b"), step.run(5, "c"))
        await step.run(2, "d", step=2)

    run_virtually(side_by_side())
    assert step.spoken == [("Sentence 1.", "b", 1.0), ("Sentence 2.", "d", 6.0)]


@pytest.mark.parametrize(("seconds", "fillers"), [(0.5, 0), (2.0, 1)])
def test_a_tool_that_is_cancelled_ends_at_once_and_leaves_no_timer(seconds: float, fillers: int) -> None:
    step = Step()

    async def cancelled() -> float:
        running = asyncio.ensure_future(step.run(30))
        await asyncio.sleep(seconds)
        running.cancel()
        await asyncio.wait([running])
        ended = asyncio.get_running_loop().time()
        assert running.cancelled()
        await asyncio.sleep(60)
        return ended

    assert run_virtually(cancelled()) == seconds
    assert len(step.spoken) == fillers


def test_sentences_take_turns_in_each_conversation_and_old_ones_are_forgotten() -> None:
    turns = SentenceTurns()
    assert [turns.next("call-0", ["a", "b"]) for _ in range(3)] == ["a", "b", "a"]
    for number in range(1, CONVERSATIONS + 1):
        assert turns.next(f"call-{number}", ["a", "b"]) == "a"
    assert turns.next("call-0", ["a", "b"]) == "a"
    assert turns.next(f"call-{CONVERSATIONS}", ["a", "b"]) == "b"


# Whole turns. A tool that sleeps longer than `AFTER` is always overtaken by the timer: both are in the same loop.

AFTER = 0.005
FILLER = FillerSettings({"en": ("One moment.", "Still on it."), "zh": ("请稍等。",)}, after=AFTER)
DONE: Script = [text("Done."), finish()]


@pytest.fixture(autouse=True)
def book_hotel(monkeypatch: pytest.MonkeyPatch) -> None:
    @tool
    async def book_hotel(hotel_name: str) -> str:
        """Book a room: at once, slowly, never, or with an error."""
        if hotel_name == "never":
            await asyncio.Event().wait()
        if hotel_name == "slow":
            await asyncio.sleep(3 * AFTER)
        if hotel_name == "full":
            raise OSError("full")
        return "Booked."

    monkeypatch.setitem(SERVER_TOOLS, "book_hotel", book_hotel)


def booking(*hotels: str, before: str = "") -> Script:
    """A step that calls the tool for each hotel, side by side."""
    said = [text(before)] if before else []
    calls = [call("book_hotel", f'{{"hotel_name": "{each}"}}', f"call_{n}", n) for n, each in enumerate(hotels)]
    return [*said, *calls, finish("tool_calls")]


class Rig:
    """An agent over scripts, one for each model call. `turn` is its last one, `ended` are those that have ended."""

    turn: Turn

    def __init__(self, *scripts: Script, filler: FillerSettings | None = FILLER, **profile: Any) -> None:
        self.ended: list[EndedTurn] = []
        self.threads = InMemorySaver()
        self.turns = TurnService(
            router_over(ScriptedLane({"a": list(scripts)}), deployment("a")),
            AgentProfile("Be kind.", tools=("book_hotel", "endCall"), filler=filler, **profile),
            checkpointer=self.threads,
            statistics=Statistics(on_turn=self.ended.append),
        )

    async def run(self, filler: str | None = "en", **request: Any) -> list[Event]:
        self.turn = self.turns.begin(TurnRequest("main", [HumanMessage("Hi")], filler=filler, **request))
        return await self._read()

    async def run_on_thread(self, filler: str | None = "en", **request: Any) -> list[Event]:
        async def view(messages: Any) -> Any:
            return list(messages)

        thread = ClaimedThread("t", 1)
        self.turn = self.turns.begin_on_thread(ThreadRequest("main", thread, "ann", view, filler=filler, **request))
        return await self._read()

    async def _read(self) -> list[Event]:
        async with aclosing(self.turn.events()) as events:
            return [event async for event in events]


def fillers(events: list[Event]) -> list[str]:
    return [each.text.strip() for each in events if isinstance(each, Filler)]


async def test_a_filler_comes_between_a_call_and_its_result() -> None:
    events = await Rig(booking("slow"), DONE).run()
    assert [type(each) for each in events[:4]] == [ToolStarted, Filler, ToolFinished, TextDelta]
    started, filler = events[:2]
    assert isinstance(started, ToolStarted) and filler == Filler("One moment. ", started.call_id)


@pytest.mark.parametrize(("settings", "asked"), [(FILLER, None), (None, "en"), (None, None)])
async def test_there_is_silence_unless_it_is_asked_for_and_set(
    settings: FillerSettings | None, asked: str | None
) -> None:
    assert fillers(await Rig(booking("slow"), DONE, filler=settings).run(filler=asked)) == []
    thread = await Rig(booking("slow"), DONE, filler=settings).run_on_thread(asked, messages=[HumanMessage("Hi")])
    assert fillers(thread) == []


async def test_a_fast_tool_is_not_bridged() -> None:
    patient = FillerSettings(FILLER.sentences, after=60.0)
    assert fillers(await Rig(booking("full"), booking("slow"), DONE, filler=patient).run()) == []


async def test_tools_side_by_side_do_not_talk_over_each_other() -> None:
    rig = Rig(booking("slow", "slow", "slow"), DONE)
    (filler,) = [each for each in await rig.run() if isinstance(each, Filler)]
    calls = [each.tool_call_id for each in rig.turn.produced if isinstance(each, ToolMessage)]
    assert filler.call_id in calls


async def test_the_sentences_take_turns_in_a_conversation() -> None:
    rig = Rig(booking("slow"), booking("slow"), DONE, booking("slow"), DONE, booking("slow"), DONE)
    assert fillers(await rig.run(session_id="call-1")) == ["One moment.", "Still on it."]
    assert fillers(await rig.run(session_id="call-1")) == ["One moment."]
    assert fillers(await rig.run(session_id="call-2")) == ["One moment."]


async def test_the_language_is_the_nearest() -> None:
    rig = Rig(booking("slow"), DONE, booking("slow"), DONE)
    assert fillers(await rig.run(filler="zh-CN")) == ["请稍等。"]
    assert fillers(await rig.run(filler="fr")) == ["Still on it."]


@pytest.mark.parametrize(
    ("before", "after", "language", "heard"),
    [
        ("", "Done.", "en", "One moment. Done."),
        ("Sure.", "Done.", "en", "Sure. One moment. Done."),
        ("Sure. ", "Done.", "en", "Sure. One moment. Done."),
        ("好。", "好了。", "zh", "好。请稍等。好了。"),
        ("好。", "Done.", "zh", "好。请稍等。Done."),
    ],
)
async def test_what_is_said_around_it_does_not_run_together(before: str, after: str, language: str, heard: str) -> None:
    events = await Rig(booking("slow", before=before), [text(after), finish()]).run(filler=language)
    assert "".join(each.text for each in events if isinstance(each, TextDelta | Filler)) == heard


async def test_it_is_not_part_of_what_the_agent_said() -> None:
    rig = Rig(booking("slow"), DONE)
    allow_content(True)
    try:
        with capture_logs() as lines:
            events = await rig.run_on_thread(messages=[HumanMessage("Hi")])
    finally:
        allow_content(False)
    assert fillers(events) == ["One moment."]
    stored = [each async for each in rig.threads.alist(ClaimedThread("t", 1).config())]
    for kept in (rig.turn.produced, stored, lines):
        assert "Booked." in str(kept) and "moment" not in str(kept)


async def test_while_it_is_heard_nothing_of_the_agents_words_is_unfinished_and_no_token_has_come() -> None:
    rig = Rig(booking("never"))
    turn = rig.turns.begin(TurnRequest("main", [HumanMessage("Hi")], filler="en"))
    async with aclosing(turn.events()) as events, asyncio.timeout(10):
        while not isinstance(await anext(events), Filler):
            pass
        assert (turn.unfinished, turn.first_token) == ("", None)
        reading = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
    (ended,) = rig.ended
    assert (ended.outcome, ended.first_token) == ("cancelled", None)
    assert [each.outcome for each in ended.tools] == ["cancelled"]


async def test_a_hand_off_beside_it_ends_the_turn_as_ever() -> None:
    rig = Rig([call("look_up", "{}", "call_9", 9), *booking("slow")])
    events = await rig.run(caller_tools=[CallerTool("look_up")])
    assert [type(each) for each in events if isinstance(each, Filler | HandOff)] == [Filler, HandOff]


async def test_a_tool_that_waits_for_a_review_is_bridged_when_it_runs() -> None:
    rig = Rig(booking("slow"), DONE, review=("book_hotel",))
    events = await rig.run_on_thread(messages=[HumanMessage("Hi")])
    (asked,) = [each for each in events if isinstance(each, ReviewRequested)]
    assert fillers(events) == []
    answers = {asked.interrupt_id: resume_value(ReviewResponse("accept"))}
    answered = frozenset([str(asked.question["tool_call_id"])])
    assert fillers(await rig.run_on_thread(answers=answers, answered=answered)) == ["One moment."]
