from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langgraph.graph.message import add_messages

from agent.sessions.thread_repair import missing_results, not_stored, take_back, truncate_to_heard
from agent.tools.review import NOT_REVIEWED, OUTCOME_UNKNOWN


def calling(*ids: str, text: str = "") -> AIMessage:
    return AIMessage(
        text, id=f"ai-{'-'.join(ids)}", tool_calls=[{"name": f"tool_{id}", "args": {}, "id": id} for id in ids]
    )


def result(call_id: str) -> ToolMessage:
    return ToolMessage("Done.", tool_call_id=call_id, id=f"result-{call_id}")


def bare(text: str) -> str:
    return "".join(text.split())


# Messages that were not stored


def test_messages_of_a_step_that_was_not_stored_are_told_apart() -> None:
    called, done, said = calling("a"), result("a"), AIMessage("It is done.", id="ai-2")
    assert not_stored([called, done], [called, done, said]) == [said]
    assert not_stored([called], [called, done]) == [done]
    # A result that LangGraph kept beside its step gets another id when it is read.
    assert not_stored([called, done.model_copy(update={"id": "other"})], [called, done]) == []


# Results that are missing


def test_a_conversation_that_is_whole_lacks_nothing() -> None:
    for whole in ([], [HumanMessage("Hi")], [HumanMessage("Hi"), AIMessage("Hi")], [calling("a"), result("a")]):
        assert missing_results(whole) == []


def test_a_call_without_a_result_gets_one_that_says_so() -> None:
    [made] = missing_results([HumanMessage("Hi"), calling("a")])
    assert isinstance(made, ToolMessage)
    assert (made.content, made.tool_call_id, made.name, made.status) == (OUTCOME_UNKNOWN, "a", "tool_a", "error")


def test_what_waited_for_a_review_did_not_run_and_the_rest_is_not_known() -> None:
    made = missing_results([calling("a", "b", "c"), result("b")], frozenset({"c"}))
    assert [(each.tool_call_id, each.content) for each in made if isinstance(each, ToolMessage)] == [
        ("a", OUTCOME_UNKNOWN),
        ("c", NOT_REVIEWED),
    ]


def test_an_earlier_step_that_used_the_same_id_is_no_answer() -> None:
    messages = [calling("call_0"), result("call_0"), calling("call_0")]
    assert [each.tool_call_id for each in missing_results(messages) if isinstance(each, ToolMessage)] == ["call_0"]


@given(st.lists(st.sampled_from("abcdef"), unique=True), st.data())
def test_afterwards_every_call_has_exactly_one_result(ids: list[str], data: st.DataObject) -> None:
    there = data.draw(st.lists(st.sampled_from(ids), unique=True) if ids else st.just([]))
    messages: list[AnyMessage] = [HumanMessage("Hi"), calling(*ids), *map(result, there)]
    whole = [*messages, *missing_results(messages)]
    assert sorted(each.tool_call_id for each in whole if isinstance(each, ToolMessage)) == sorted(ids)


# What the user had not finished


def without_last_query(messages: list[AnyMessage]) -> list[AnyMessage]:
    left: Any = add_messages(list(messages), list(take_back(messages)))  # type: ignore[arg-type]
    return left


def test_a_message_is_taken_back_with_its_answer() -> None:
    earlier = [HumanMessage("Earlier.", id="h1"), AIMessage("Earlier answer.", id="a1")]
    unfinished = HumanMessage("My name is", id="h2")
    assert without_last_query([*earlier, unfinished]) == earlier
    assert without_last_query([*earlier, unfinished, AIMessage("Hello, Is", id="a2")]) == earlier
    assert without_last_query([unfinished]) == []


def test_a_message_for_which_a_tool_ran_is_not_taken_back() -> None:
    assert take_back([HumanMessage("Book it.", id="h1"), calling("a"), result("a")]) == []
    assert take_back([HumanMessage("Book it.", id="h1"), calling("a")]) == []


def test_without_a_message_there_is_nothing_to_take_back() -> None:
    assert take_back([]) == []
    assert take_back([AIMessage("Hello!", id="a1")]) == []


# What was heard

TURN: list[AnyMessage] = [
    HumanMessage("Earlier.", id="h1"),
    AIMessage("Earlier answer.", id="a1"),
    HumanMessage("Now.", id="h2"),
    calling("x", text="Let me look."),
    result("x"),
    AIMessage("It is forty-two, I think.", id="a3"),
]


def after(messages: list[AnyMessage], heard: str) -> list[AnyMessage]:
    left: Any = add_messages(list(messages), list(truncate_to_heard(messages, heard)))  # type: ignore[arg-type]
    return left


def calls_of(messages: list[AnyMessage]) -> list[Any]:
    return [call for each in messages if isinstance(each, AIMessage) for call in each.tool_calls]


def spoken(messages: list[AnyMessage]) -> list[str]:
    return [str(each.text) for each in messages if isinstance(each, AIMessage)]


def test_an_answer_that_was_heard_whole_stays_as_it_is() -> None:
    assert truncate_to_heard(TURN, "Let me  look.\nIt is forty-two, I think. ") == []


def test_an_answer_is_cut_where_the_user_broke_in() -> None:
    assert spoken(after(TURN, "Let me look. It is forty")) == ["Earlier answer.", "Let me look.", "It is forty"]


def test_what_was_not_heard_at_all_goes_and_a_call_stays_with_its_result() -> None:
    messages = after(TURN, "Let me")
    assert spoken(messages) == ["Earlier answer.", "Let me"]
    assert [each.id for each in messages] == ["h1", "a1", "h2", "ai-x", "result-x"]
    messages = after(TURN, "  ")
    assert spoken(messages) == ["Earlier answer.", ""]
    [called] = [each for each in messages if isinstance(each, AIMessage) and each.tool_calls]
    assert called.id == "ai-x"


def test_nothing_of_an_earlier_turn_is_touched() -> None:
    messages: list[AnyMessage] = [*TURN, HumanMessage("And?", id="h3")]
    assert truncate_to_heard(messages, "") == []


def test_texts_without_spaces_are_told_apart() -> None:
    turn = [
        HumanMessage("你好", id="h"),
        calling("x", text="请稍等。"),
        result("x"),
        AIMessage("答案是四十二。", id="a"),
    ]
    assert truncate_to_heard(turn, "请稍等。答案是四十二。") == []
    assert spoken(after(turn, "请稍等。答案")) == ["请稍等。", "答案"]


def test_more_than_was_said_was_not_heard_from_the_agent() -> None:
    assert after(TURN, "Let me look. It is forty-two, I think. Goodbye!") == TURN


TEXTS = st.lists(st.text(st.sampled_from("ab c\n你。"), max_size=8), min_size=1, max_size=4)


@given(TEXTS, st.integers(min_value=0), st.sampled_from(["", " ", "\n "]))
def test_exactly_what_was_heard_stays_and_no_call_is_lost(texts: list[str], cut: int, between: str) -> None:
    """Whatever the turn is made of, and wherever the user breaks in."""
    turn: list[AnyMessage] = [HumanMessage("Hi", id="h0"), AIMessage("Before.", id="a0"), HumanMessage("Hi", id="h")]
    for at, text in enumerate(texts):
        calls = at < len(texts) - 1
        turn += [calling(str(at), text=text), result(str(at))] if calls else [AIMessage(text, id="last")]
    said = between.join(texts)
    heard = said[: cut % (len(said) + 1)]
    messages = after(turn, heard)
    assert bare("".join(spoken(messages)[1:])) == bare(heard)
    assert messages[:3] == turn[:3]
    assert [each for each in messages if isinstance(each, ToolMessage)] == [
        each for each in turn if isinstance(each, ToolMessage)
    ]
    assert calls_of(messages) == calls_of(turn)


@given(TEXTS, st.text(max_size=20))
def test_telling_what_was_heard_twice_changes_nothing_more(texts: list[str], heard: str) -> None:
    turn: list[AnyMessage] = [
        HumanMessage("Hi", id="h"),
        *(AIMessage(text, id=str(at)) for at, text in enumerate(texts)),
    ]
    once = after(turn, heard)
    assert after(once, heard) == once
