from __future__ import annotations

import json
import time
from typing import Any

import pytest

from router.fake.fake_answer import answer
from router.fake.fake_assistant import assistant_answer
from router.fake.fake_script import Call, Say

ALL = ("book_hotel", "multiply", "get_weather", "remember")


def offering(*names: str) -> dict[str, Any]:
    return {"tools": [{"type": "function", "function": {"name": name}} for name in names]}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def played(*messages: dict[str, Any], tools: tuple[str, ...] = ALL) -> Any:
    """The text of a step, or the name and arguments of its call."""
    [action] = assistant_answer(messages, offering(*tools))
    if isinstance(action, Say):
        return action.text
    assert isinstance(action, Call) and action.arguments is not None
    return action.name, json.loads(action.arguments)


def after(tool: str, result: str, said: str = "Hi") -> Any:
    call = {"id": "c1", "function": {"name": tool, "arguments": "{}"}}
    return played(
        user(said),
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": result},
    )


@pytest.mark.parametrize(
    ("said", "call"),
    [
        ("如家", ("book_hotel", {"hotel_name": "如家"})),
        ("帮我预订一个如家酒店", ("book_hotel", {"hotel_name": "如家酒店"})),
        ("请预定桔子水晶酒店。", ("book_hotel", {"hotel_name": "桔子水晶酒店"})),
        ("订全季吧", ("book_hotel", {"hotel_name": "全季"})),
        ("Book a room at the Ritz, please.", ("book_hotel", {"hotel_name": "Ritz"})),
        ("Can you book Home Inn please?", ("book_hotel", {"hotel_name": "Home Inn"})),
        ("上海天气如何？", ("get_weather", {"city": "上海"})),
        ("请问今天北京的天气怎么样", ("get_weather", {"city": "北京"})),
        ("Do you know what the weather is like in New York?", ("get_weather", {"city": "New York"})),
        ("What is 6 x 7?", ("multiply", {"a": 6, "b": 7})),
        ("What is six times seven?", ("multiply", {"a": 6, "b": 7})),
        ("1.5乘以-2等于多少", ("multiply", {"a": 1.5, "b": -2})),
        ("Please remember that I like tea.", ("remember", {"content": "I like tea."})),
        ("记住：我喜欢喝茶", ("remember", {"content": "我喜欢喝茶"})),
        ("Hi, my name is Ada.", ("remember", {"content": "my name is Ada"})),
    ],
)
def test_a_tool_is_called_where_it_is_offered(said: str, call: Any) -> None:
    assert played(user(said)) == call
    others = tuple(each for each in ALL if each != call[0])
    assert isinstance(played(user(said), tools=others), str)


@pytest.mark.parametrize(
    ("said", "asks"),
    [
        ("帮我预订一个酒店", "您想预订哪家酒店？"),
        ("Please book a hotel.", "Which hotel shall I book?"),
        ("天气如何？", "您想知道哪个城市的天气？"),
        ("How is the weather?", "Which city?"),
    ],
)
def test_what_is_missing_is_asked_for(said: str, asks: str) -> None:
    assert played(user(said)) == asks


@pytest.mark.parametrize("said", ["Hello", "取消订单", "I read a book about Rome.", "你好"])
def test_everything_else_is_echoed(said: str) -> None:
    assert played(user(said)) == f"You said: {said}"


@pytest.mark.parametrize(
    ("tool", "result", "said", "told"),
    [
        ("book_hotel", "Booked a room at 如家.", "如家", "已为您预订：如家。"),
        ("book_hotel", "Booked a room at Ritz.", "Book Ritz", "I booked a room at Ritz."),
        (
            "book_hotel",
            '(The reviewer changed the arguments to {"hotel_name":"全季酒店"}.)\nBooked a room at 全季酒店.',
            "全季",
            "已为您预订：全季酒店。",
        ),
        (
            "book_hotel",
            "A person declined this call: it was not made.",
            "桔子",
            "好的，没有预订。",
        ),
        ("get_weather", "上海：晴，20 °C", "上海天气如何？", "上海：晴，20 °C"),
        ("multiply", "42", "6 x 7", "The result is 42."),
        ("remember", "Remembered.", "记住我", "好的，我记住了。"),
        ("other", "Something.", "Hi", "Something."),
    ],
)
def test_a_result_is_told_in_the_users_language(tool: str, result: str, said: str, told: str) -> None:
    assert after(tool, result, said) == told


@pytest.mark.parametrize("words", ["把酒店名称换为：汉庭酒店(软件园店)", "Change the hotel to 汉庭酒店(软件园店)"])
def test_a_reviewer_who_wants_another_hotel_gets_another_booking_to_review(words: str) -> None:
    assert after("book_hotel", words, "汉庭") == ("book_hotel", {"hotel_name": "汉庭酒店(软件园店)"})


def test_what_was_said_of_the_user_is_recalled() -> None:
    assert played(user("Who am I?")) == "I do not know anything about you yet."
    assert played(user("My name is Ada"), user("What is my name?")) == "I remember: My name is Ada"
    prompt = "Be kind.\n\nWhat you know about this user from earlier conversations. Facts:\n- 我叫小明\n- Likes tea."
    assert played({"role": "system", "content": prompt}, user("你记得我吗？")) == "我记得：我叫小明；Likes tea."


def test_a_script_and_a_tool_choice_are_followed_as_by_the_echo() -> None:
    for said, params in (
        ("/say Hello\n/call multiply", offering(*ALL)),
        ("Book Ritz", {**offering(*ALL), "tool_choice": "none"}),
        ("Book Ritz", {**offering(*ALL), "tool_choice": "required"}),
    ):
        assert assistant_answer([user(said)], params) == answer([user(said)], params)


def test_an_answer_goes_on_after_a_prefill() -> None:
    begun = {"role": "assistant", "content": "Which hotel"}
    assert played(user("Please book a hotel."), begun) == " shall I book?"


def test_a_long_message_is_echoed_because_the_patterns_would_hold_up_the_server() -> None:
    said = f"What is the weather in Rome? {'x' * 500}"
    assert played(user(said)) == answer([user(said)], {})[0].text  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "piece", ["a", "1", "今天", "weather ", "change ", "book ", "预订", "记住", "1 x ", "remember "]
)
def test_no_message_takes_long_to_understand(piece: str) -> None:
    began = time.process_time()
    played(user(piece * (500 // len(piece))))
    assert time.process_time() - began < 0.2


@pytest.mark.parametrize("number", ["9" * 16, "9" * 400, "1." + "9" * 400])
def test_a_number_that_no_one_multiplies_is_echoed(number: str) -> None:
    assert played(user(f"{number} x 2")) == f"You said: {number} x 2"
