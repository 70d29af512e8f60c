from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from structlog.testing import capture_logs

from agent.memory.summary import BATCH_CHARS, SUMMARY_CHARS, TIMEOUT, RunningSummary, fit_to_limit, update_summary
from agent.memory.trim import Trim, estimated_tokens
from config.errors import AllDeploymentsFailed
from tests.support.virtual_clock import run_virtually

PROMPT = SystemMessage("Be kind.")
TRIM = Trim(max_messages=8, summarize=True)


def talk(turns: int, filler: str = "") -> list[AnyMessage]:
    return [each for n in range(turns) for each in (HumanMessage(f"q{n}{filler}"), AIMessage(f"a{n}"))]


def said(messages: Sequence[AnyMessage]) -> list[Any]:
    return [each.content for each in messages]


class Model:
    """Answers each request with the next of `answers`, the last one for ever; raises those that are errors."""

    def __init__(self, *answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def __call__(self, messages: Sequence[AnyMessage]) -> str:
        self.asked.append(str(messages[-1].content))
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return str(answer)


async def test_what_falls_out_is_summed_up_and_the_summary_follows_the_system_prompt() -> None:
    messages = [PROMPT, *talk(5)]
    before = fit_to_limit(messages, TRIM, None, estimated_tokens)
    assert said(before.dropped) == ["q0", "a0", "q1", "a1"]
    model = Model("They asked two things.")
    summary = await update_summary(before.summary, before.dropped, model)
    assert summary == RunningSummary("They asked two things.", covered=4)
    assert all(each in model.asked[0] for each in ("User: q0", "Assistant: a0", "User: q1", "Assistant: a1"))
    assert "q2" not in model.asked[0]
    after = fit_to_limit(messages, TRIM, summary, estimated_tokens)
    assert said(after.messages) == [
        "Be kind.",
        "Summary of the conversation so far: They asked two things.",
        *("q2", "a2", "q3", "a3", "q4", "a4"),
    ]
    assert isinstance(after.messages[1], SystemMessage) and after.dropped == []


async def test_only_what_fell_out_since_is_asked_for() -> None:
    known = RunningSummary("Until q1.", covered=4)
    now = fit_to_limit([PROMPT, *talk(7)], TRIM, known, estimated_tokens)
    model = Model("Until q3.")
    assert await update_summary(now.summary, now.dropped, model) == RunningSummary("Until q3.", covered=8)
    assert "Until q1." in model.asked[0] and "q1\n" not in model.asked[0] and "User: q2" in model.asked[0]


async def test_the_model_is_asked_seldom_in_a_long_conversation() -> None:
    known, model = None, Model("So far.")
    trim = Trim(max_messages=40, summarize=True)
    for turns in range(1, 101):
        now = fit_to_limit([PROMPT, *talk(turns)], trim, known, estimated_tokens)
        assert len(now.messages) <= 42
        known = await update_summary(now.summary, now.dropped, model)
    assert 5 <= len(model.asked) <= 200 / (40 / 4)


async def test_nothing_is_asked_when_nothing_fell_out() -> None:
    model = Model("?")
    assert await update_summary(None, [], model) is None
    assert model.asked == []


def test_a_summary_counts_towards_the_limit_of_tokens() -> None:
    messages = [PROMPT, *talk(6)]
    small, large = (
        fit_to_limit(messages, Trim(max_tokens=100), RunningSummary(text, 2), estimated_tokens)
        for text in ("Hi.", "A long one." * 20)
    )
    assert not small.dropped and large.dropped


async def test_a_model_that_fails_leaves_the_conversation_trimmed_and_says_so_in_the_log() -> None:
    known = RunningSummary("Until q1.", covered=4)
    failures: dict[Any, str] = {
        AllDeploymentsFailed("nobody answered"): "summary_failed",
        TimeoutError(): "summary_failed",
        "  ": "summary_failed",
        RuntimeError("a bug"): "summary_crashed",
    }
    for failure, event in failures.items():
        now = fit_to_limit([PROMPT, *talk(7)], TRIM, known, estimated_tokens)
        with capture_logs() as logs:
            assert await update_summary(now.summary, now.dropped, Model(failure)) == known
        assert [each["event"] for each in logs] == [event]
        assert said(now.messages)[1:3] == ["Summary of the conversation so far: Until q1.", "q4"]


def test_a_model_that_hangs_is_waited_for_only_so_long() -> None:
    async def hang(_: Sequence[AnyMessage]) -> str:
        await asyncio.Event().wait()
        raise AssertionError

    async def waited() -> float:
        assert await update_summary(None, talk(1), hang) is None
        return asyncio.get_running_loop().time()

    assert run_virtually(waited()) == TIMEOUT


async def test_a_turn_that_is_cancelled_cancels_the_summary() -> None:
    begun = asyncio.Event()

    async def hang(_: Sequence[AnyMessage]) -> str:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    task = asyncio.create_task(update_summary(None, talk(1), hang))
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_great_deal_is_summed_up_in_parts_and_what_was_done_before_a_failure_counts() -> None:
    messages = talk(60, filler="x" * 1000)
    model = Model("One.", "Two.", AllDeploymentsFailed("nobody answered"))
    summary = await update_summary(None, messages, model)
    assert summary is not None and summary.text == "Two." and 0 < summary.covered < len(messages)
    assert "One." in model.asked[1]
    assert all(len(each) < BATCH_CHARS + 1000 for each in model.asked)
    assert model.asked[1].split("New messages:\n")[1].startswith("User: ")
    # The next time goes on from there, and covers the rest.
    now = fit_to_limit(messages, Trim(max_messages=2, summarize=True), summary, estimated_tokens)
    assert len(now.dropped) == len(messages) - 2 - summary.covered
    again = await update_summary(now.summary, now.dropped, Model("All."))
    assert again == RunningSummary("All.", covered=len(messages) - 2)


async def test_every_part_of_a_great_deal_is_told_once_and_in_order() -> None:
    messages = talk(60, filler="x" * 1000)
    model = Model("So far.")
    summary = await update_summary(None, messages, model)
    assert summary == RunningSummary("So far.", covered=len(messages)) and len(model.asked) > 2
    told = [line[:12] for each in model.asked for line in each.splitlines() if line.startswith("User: ")]
    assert told == [f"User: q{n}xxxxx"[:12] for n in range(60)]


async def test_one_huge_message_and_an_endless_summary_are_cut() -> None:
    huge = [HumanMessage("x" * 1_000_000), AIMessage("Hm.")]
    model = Model("y" * 100_000)
    summary = await update_summary(None, huge, model)
    assert len(model.asked[0]) < BATCH_CHARS + 1000 and "Assistant: Hm." in model.asked[0]
    assert summary is not None and len(summary.text) == SUMMARY_CHARS


async def test_the_model_is_told_which_tools_were_called_and_what_came_of_it() -> None:
    call = AIMessage("One moment.", tool_calls=[{"name": "book_hotel", "args": {"hotel_name": "Ritz"}, "id": "1"}])
    model = Model("Booked.")
    await update_summary(None, [HumanMessage("Book it."), call, ToolMessage("Done.", tool_call_id="1")], model)
    assert "book_hotel({'hotel_name': 'Ritz'})" in model.asked[0] and "Tool result: Done." in model.asked[0]


def test_a_summary_of_a_conversation_that_was_cut_back_since_is_left_aside() -> None:
    messages = [PROMPT, *talk(3)]
    for covered in (3, 6, 100, -2):
        now = fit_to_limit(messages, TRIM, RunningSummary("Old.", covered), estimated_tokens)
        assert now.messages == messages and now.summary is None


def test_a_summary_survives_being_stored() -> None:
    summary = RunningSummary("Sie heißt Ann.", covered=12)
    assert RunningSummary.from_dict(json.loads(json.dumps(summary.to_dict()))) == summary


@given(st.lists(st.integers(0, 3), min_size=1, max_size=25), st.integers(2, 12))
async def test_each_message_is_sent_or_summed_up_exactly_once(answers: list[int], limit: int) -> None:
    messages: list[AnyMessage] = [PROMPT]
    known: RunningSummary | None = None
    seen: list[str] = []

    async def ask(request: Sequence[AnyMessage]) -> str:
        seen.extend(line for line in str(request[-1].content).splitlines() if line.startswith(("User", "Assistant")))
        return "So far."

    for turn, number in enumerate(answers):
        messages += [HumanMessage(f"q{turn}"), *(AIMessage(f"a{turn}.{n}") for n in range(number))]
        now = fit_to_limit(messages, Trim(max_messages=limit, summarize=True), known, estimated_tokens)
        known = await update_summary(now.summary, now.dropped, ask)
        covered = known.covered if known else 0
        assert len(seen) == covered
        after = fit_to_limit(messages, Trim(max_messages=limit, summarize=True), known, estimated_tokens)
        assert after.dropped == []
        assert after.messages[1 + (known is not None) :] == messages[1 + covered :]
