from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage

from agent.memory.summary import HEADING, RunningSummary
from agent.memory.turn_memories import TurnMemories
from agent.sessions.thread_prompt import ThreadPrompt
from config.profile.memory import Trim

TALK: list[AnyMessage] = [
    HumanMessage("One"),
    AIMessage("1"),
    HumanMessage("Two"),
    AIMessage("2"),
    HumanMessage("Three"),
]


class FixedMemories:
    """Knows `text` about the user."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def text(self, messages: Sequence[AnyMessage]) -> str:
        return self._text


def thread_prompt(
    trim: Trim | None = None, known: str | None = None, summary: RunningSummary | None = None
) -> ThreadPrompt:
    memories: Any = None if known is None else FixedMemories(known)
    return ThreadPrompt("Be kind.", cast(TurnMemories | None, memories), trim, summary)


async def test_the_prompt_comes_first_and_the_thread_as_it_is() -> None:
    before = list(TALK)
    assert await thread_prompt()(TALK) == [SystemMessage("Be kind."), *TALK]
    assert before == TALK


@pytest.mark.parametrize(("known", "prompt"), [("Likes tea.", "Be kind.\n\nLikes tea."), ("", "Be kind.")])
async def test_what_is_known_of_the_user_follows_the_prompt(known: str, prompt: str) -> None:
    assert (await thread_prompt(known=known)(TALK))[0] == SystemMessage(prompt)


async def test_what_falls_out_is_kept_for_the_summary() -> None:
    prompt = thread_prompt(Trim(max_messages=4, summarize=True))
    assert await prompt(TALK) == [SystemMessage("Be kind."), *TALK[2:]]
    assert prompt.dropped == TALK[:2]
    assert prompt.summary_is_due


async def test_without_a_wish_for_summaries_none_is_due() -> None:
    prompt = thread_prompt(Trim(max_messages=4))
    await prompt(TALK)
    assert prompt.dropped == TALK[:2]
    assert not prompt.summary_is_due


async def test_nothing_is_due_while_all_fits() -> None:
    prompt = thread_prompt(Trim(max_messages=5, summarize=True))
    assert await prompt(TALK) == [SystemMessage("Be kind."), *TALK]
    assert not prompt.summary_is_due


async def test_the_summary_stands_for_what_it_covers() -> None:
    prompt = thread_prompt(Trim(max_messages=4, summarize=True), summary=RunningSummary("They counted.", 2))
    assert await prompt(TALK) == [SystemMessage("Be kind."), SystemMessage(f"{HEADING} They counted."), *TALK[2:]]
    assert not prompt.summary_is_due


async def test_only_the_last_call_counts_for_what_fell_out() -> None:
    prompt = thread_prompt(Trim(max_messages=4, summarize=True))
    await prompt(TALK)
    await prompt(TALK[2:])
    assert prompt.dropped == []
