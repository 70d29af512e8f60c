"""Whatever a person or a model writes: in the terminal, to the fake model, as a telephone number."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.tools import ToolException

from agent.events import Usage
from agent.sessions.record import SessionRecord
from agent.sessions.state_json import decode, encode
from agent.sessions.turn_response import TurnResponse
from agent.tools.phone_lines import with_allowed_lines
from api.terminal.input_line import Command, Unknown, read_line, read_ttl
from api.terminal.vocabulary import Vocabulary
from config.errors import RequestRejected
from config.profile.agent_file import Destination
from router.fake.fake_assistant import assistant_answer
from router.fake.fake_script import DIRECTIVES, read_script
from tests.support.properties import TEXT, few, json_values

ALLOWED = (Destination("+15550001111", "Sales"), Destination("sip:help@pbx.example", "Support"))
LINES = st.builds("/{} {}".format, st.sampled_from([*DIRECTIVES, "x", ""]), TEXT) | TEXT
TOOLS = [
    {"type": "function", "function": {"name": name}} for name in ("multiply", "book_hotel", "remember", "get_weather")
]


@few
@given(TEXT | st.builds("/{} {}".format, st.sampled_from(["history", "model", "exit", "ttl"]), TEXT))
def test_any_line_is_a_command_or_a_message(line: str) -> None:
    assert isinstance(read_line(line), Command | Unknown | str)


@few
@given(TEXT | st.builds("{}{}".format, st.integers(), st.sampled_from("smhdx")))
def test_any_time_is_seconds_or_refused(text: str) -> None:
    try:
        assert (read_ttl(text) or 1) > 0
    except ValueError as error:
        assert "from 1" in str(error)


@few
@given(TEXT | st.integers(-3, 5).map(str))
def test_any_number_picks_a_row_or_none(number: str) -> None:
    assert Vocabulary(listed={"sessions": ["s1", "s2"]}).pick("sessions", number) in ("s1", "s2", None)


@few
@given(st.lists(LINES, max_size=4).map("\n".join))
def test_the_fake_model_answers_or_refuses_any_message(said: str) -> None:
    try:
        read_script(said)
        assistant_answer([{"role": "user", "content": said}], {"tools": TOOLS})
    except RequestRejected as error:
        assert error.status == 400


@few
@given(
    st.lists(
        st.sampled_from(["+", "1", "5550001111", " ", "-", "(", ")", "tel:", "sip:", "%2B", "@evil", "９"]), max_size=6
    ).map("".join)
)
def test_no_number_but_those_allowed_is_dialled(value: str) -> None:
    try:
        [found] = with_allowed_lines({"destination": value}, ALLOWED).values()
    except ToolException:
        return
    digits = sum(each.isdigit() for each in unquote(found))
    assert found in {each.number for each in ALLOWED} or (found == value and digits < 3)


@few
@given(json_values("destination number to note"))
def test_any_arguments_are_passed_on_or_refused(arguments: Any) -> None:
    try:
        with_allowed_lines({"a": arguments}, ALLOWED)
    except ToolException as error:
        assert "Refused" in str(error)


MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda each: each.replace(tzinfo=UTC))


@few
@given(TEXT, st.none() | TEXT, MOMENTS, st.none() | MOMENTS, st.lists(st.dictionaries(TEXT, json_values()), max_size=2))
def test_the_state_of_a_session_comes_back_as_it_was_stored(
    text: str, query: str | None, updated: datetime, expires: datetime | None, messages: list[dict[str, Any]]
) -> None:
    response = TurnResponse("completed", 1.5, text, tuple(messages), Usage(), tuple(messages))
    record = SessionRecord(
        text,
        text,
        "t",
        "completed",
        text,
        query,
        response,
        None,
        None,
        tuple(messages),
        None,
        updated,
        updated,
        expires,
    )
    assert decode(encode(record)) == record


@pytest.mark.parametrize("number", ["9" * 5000, "²", "٣" * 5000])
def test_a_number_that_is_none_is_no_crash(number: str) -> None:
    assert Vocabulary(listed={"sessions": ["s1"]}).pick("sessions", number) is None
    with pytest.raises(ValueError, match="from 1"):
        read_ttl(number)
