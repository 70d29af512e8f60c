from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage

from agent.memory.trim import SUMMARIZE_TARGET, estimated_tokens, system_prompt_length, trim_messages, turn_starts
from config.profile.memory import Trim

PROMPT = SystemMessage("Be kind.")


def one_each(_: AnyMessage) -> int:
    return 1


def calls(*ids: str) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": "multiply", "args": {}, "id": each} for each in ids])


def result(call_id: str) -> ToolMessage:
    return ToolMessage("42", tool_call_id=call_id)


def talk(turns: int) -> list[AnyMessage]:
    return [each for n in range(turns) for each in (HumanMessage(f"q{n}"), AIMessage(f"a{n}"))]


def said(messages: list[AnyMessage]) -> list[Any]:
    return [each.content for each in messages]


def test_a_conversation_within_the_limit_is_sent_as_it_is() -> None:
    messages = [PROMPT, AIMessage("Hello, this is the front desk."), *talk(2)]
    assert trim_messages(messages, Trim(max_messages=5), one_each).kept == messages
    assert trim_messages(messages, Trim(max_tokens=6), one_each).kept == messages


def test_the_oldest_turns_fall_out_first() -> None:
    cut = trim_messages([PROMPT, *talk(4)], Trim(max_messages=5), one_each)
    assert said(cut.kept) == ["Be kind.", "q2", "a2", "q3", "a3"]
    assert said(cut.dropped) == ["q0", "a0", "q1", "a1"]


def test_every_leading_system_message_stays_and_later_ones_fall_out_like_others() -> None:
    messages = [PROMPT, SystemMessage("Be brief."), HumanMessage("q0"), SystemMessage("Later."), *talk(1)]
    assert said(trim_messages(messages, Trim(max_messages=2), one_each).kept) == ["Be kind.", "Be brief.", "q0", "a0"]


def test_tokens_are_counted_with_the_system_prompt_and_messages_without() -> None:
    messages = [PROMPT, PROMPT, *talk(3)]
    assert len(trim_messages(messages, Trim(max_tokens=6), one_each).kept) == 6
    assert len(trim_messages(messages, Trim(max_messages=6), one_each).kept) == 8


def test_the_last_turn_stays_however_long_it_is() -> None:
    last = [HumanMessage("Now?"), calls("x", "y"), result("x"), result("y"), calls("z"), result("z")]
    assert trim_messages([PROMPT, *talk(2), *last], Trim(max_tokens=1), one_each).kept == [PROMPT, *last]


def test_parallel_calls_stay_with_all_their_results_also_when_the_user_speaks_in_between() -> None:
    messages = [HumanMessage("q"), calls("x", "y"), result("x"), HumanMessage("Still there?"), result("y"), *talk(1)]
    assert said(trim_messages(messages, Trim(max_messages=4), one_each).kept) == ["q0", "a0"]
    assert trim_messages(messages[:-2], Trim(max_messages=2), one_each).kept == messages[:-2]


def test_providers_that_number_the_calls_of_each_answer_from_0_do_not_confuse_it() -> None:
    turn = [HumanMessage("q"), calls("call_0"), result("call_0"), AIMessage("a")]
    assert trim_messages([*turn, *turn, *turn], Trim(max_messages=4), one_each).kept == turn


def test_a_call_whose_arguments_nobody_could_read_keeps_its_result_too() -> None:
    broken = AIMessage("", invalid_tool_calls=[{"name": "f", "args": "{", "id": "x", "error": None}])
    messages = [HumanMessage("q"), broken, HumanMessage("Hm?"), result("x")]
    assert trim_messages(messages, Trim(max_messages=2), one_each).kept == messages


def test_where_no_user_speaks_it_is_cut_before_an_answer() -> None:
    messages = [AIMessage("a"), calls("x"), result("x"), AIMessage("b")]
    assert trim_messages(messages, Trim(max_messages=2), one_each).kept == messages[3:]
    assert trim_messages(messages, Trim(max_messages=3), one_each).kept == messages[1:]


def test_with_a_summary_more_falls_out_at_once_so_that_it_happens_seldom() -> None:
    messages = talk(11)
    assert len(trim_messages(messages, Trim(max_messages=20, summarize=True), one_each).kept) <= 20 * SUMMARIZE_TARGET
    assert trim_messages(messages, Trim(max_messages=22, summarize=True), one_each).dropped == []


# Properties

texts = st.text(max_size=30)
ids = st.sampled_from(["a", "b", "c"])  # few, so that they come again


@st.composite
def answers(draw: st.DrawFn) -> list[AnyMessage]:
    """An answer, or calls with their results in any order."""
    called = draw(st.lists(ids, max_size=3, unique=True))
    if not called:
        return [AIMessage(draw(texts))]
    return [calls(*called), *(result(each) for each in draw(st.permutations(called)))]


turns = st.builds(
    lambda question, parts: [HumanMessage(question), *(each for part in parts for each in part)],
    texts,
    st.lists(answers(), max_size=3),
)
heads = st.lists(st.builds(SystemMessage, texts), max_size=3)
greetings = st.lists(st.builds(AIMessage, texts), max_size=1)
conversations = st.builds(
    lambda head, greeting, parts: [*head, *greeting, *(each for part in parts for each in part)],
    heads,
    greetings,
    st.lists(turns, max_size=8),
)
any_order = st.lists(
    st.one_of(
        st.builds(HumanMessage, texts),
        st.builds(SystemMessage, texts),
        st.builds(AIMessage, texts),
        st.lists(ids, min_size=1, max_size=3, unique=True).map(lambda each: calls(*each)),
        ids.map(result),
    ),
    max_size=20,
)
trims = st.one_of(
    st.builds(Trim, max_tokens=st.integers(1, 200), summarize=st.booleans()),
    st.builds(Trim, max_messages=st.integers(1, 20), summarize=st.booleans()),
)


def callers(messages: list[AnyMessage]) -> dict[int, int]:
    """For the place of each result that has a call, the place of that call, the latest before it."""
    found = {}
    for at, message in enumerate(messages):
        if isinstance(message, ToolMessage):
            before = [
                place
                for place, each in enumerate(messages[:at])
                if isinstance(each, AIMessage) and message.tool_call_id in {call["id"] for call in each.tool_calls}
            ]
            if before:
                found[at] = before[-1]
    return found


@given(st.one_of(conversations, any_order), trims)
def test_what_is_kept_and_what_falls_out_is_the_conversation_and_the_prompt_stays(messages: Any, trim: Trim) -> None:
    before = deepcopy(messages)
    cut = trim_messages(messages, trim, estimated_tokens)
    start = system_prompt_length(messages)
    assert [*cut.kept[:start], *cut.dropped, *cut.kept[start:]] == messages == before


@given(st.one_of(conversations, any_order), trims)
def test_a_call_and_its_results_stay_or_fall_together(messages: Any, trim: Trim) -> None:
    start = system_prompt_length(messages)
    border = start + len(trim_messages(messages, trim, estimated_tokens).dropped)
    assert all((place < border) == (caller < border) for place, caller in callers(messages).items())


@given(conversations, trims)
def test_the_last_turn_stays_and_what_is_left_begins_with_the_user(messages: Any, trim: Trim) -> None:
    cut = trim_messages(messages, trim, estimated_tokens)
    asked = [at for at, each in enumerate(messages) if isinstance(each, HumanMessage)]
    if asked:
        last = messages[asked[-1] :]
        assert cut.kept[-len(last) :] == last
        if cut.dropped:
            assert isinstance(cut.kept[system_prompt_length(messages)], HumanMessage)


@given(conversations, trims)
def test_no_more_falls_out_than_it_takes_and_what_is_left_is_within_the_limit(messages: Any, trim: Trim) -> None:
    cut = trim_messages(messages, trim, estimated_tokens)
    start = system_prompt_length(messages)

    def size(kept: list[AnyMessage]) -> int:
        return sum(map(estimated_tokens, kept)) if trim.max_tokens else len(kept[start:])

    limit = (trim.max_tokens or trim.max_messages or 0) * (SUMMARIZE_TARGET if trim.summarize else 1)
    last_turn_only = turn_starts(cut.kept[start:])[1:] == []
    if cut.dropped:
        assert size(cut.kept) <= limit or last_turn_only
        previous = turn_starts(cut.dropped)[-1:] or [0]
        assert size([*cut.kept[:start], *cut.dropped[previous[0] :], *cut.kept[start:]]) > limit


# The estimate


@pytest.mark.parametrize(
    ("message", "least", "most"),
    [
        (HumanMessage("Could you book a table for two at seven this evening, please?"), 13, 24),
        (HumanMessage("请帮我预订今天晚上七点的两人桌，靠窗的位置。"), 14, 26),
        (HumanMessage([{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {}}]), 300, 2000),
        (AIMessage("", tool_calls=[{"name": "book_hotel", "args": {"hotel_name": "x" * 400}, "id": "1"}]), 100, 130),
        (HumanMessage("\ud800 half a character"), 5, 12),
        (HumanMessage(""), 1, 6),
    ],
)
def test_the_estimate_is_near_what_providers_count(message: AnyMessage, least: int, most: int) -> None:
    assert least <= estimated_tokens(message) <= most
