from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import BadAnswer
from router.stream.tool_calls import ToolCallCollector
from tests.support.scripted_lane import fragment


def whole(*deltas: list[dict[str, Any]]) -> list[tuple[str, str]]:
    collector = ToolCallCollector()
    for fragments in deltas:
        collector.add(fragments)
    return [(call["function"]["name"], call["function"]["arguments"]) for call in collector.complete_calls()]


def test_fragments_of_several_calls_may_be_interleaved() -> None:
    assert whole(
        [fragment(0, "x", "add", None)],
        [fragment(1, "y", "sub", '{"a"')],
        [fragment(0, None, None, '{"b":1}'), fragment(1, None, None, ":2}")],
    ) == [("add", '{"b":1}'), ("sub", '{"a":2}')]


def test_indexes_are_renumbered_from_zero() -> None:
    collector = ToolCallCollector()
    collector.add([fragment(-3, "x", "add", "{}"), fragment(900, "y", "add", "{}")])
    assert [call["index"] for call in collector.complete_calls()] == [0, 1]


def test_complete_calls_that_all_have_index_zero_stay_separate() -> None:
    assert whole([fragment(0, "x", "add", "{}")], [fragment(0, "y", "sub", "{}")]) == [
        ("add", "{}"),
        ("sub", "{}"),
    ]


def test_pieces_belong_to_the_newest_of_the_calls_with_their_index() -> None:
    assert whole(
        [fragment(0, "x", "now", "")],
        [fragment(0, "y", "sub", ""), fragment(1, "z", "add", "{")],
        [fragment(0, None, None, '{"a"')],
        [fragment(0, "y", None, ":2}"), fragment(1, None, None, "}")],
    ) == [("now", "{}"), ("sub", '{"a":2}'), ("add", "{}")]


def test_a_call_without_arguments_gets_an_empty_object() -> None:
    assert whole([fragment(0, None, "now", "")]) == [("now", "{}")]


@pytest.mark.parametrize("id", [None, "x", "call_0", "g" * 500])
def test_the_ids_are_ours_and_fit_every_provider(id: str | None) -> None:
    ids = set()
    for _ in range(2):
        collector = ToolCallCollector()
        collector.add([fragment(0, id, "add", "{}"), fragment(1, id and f"{id}2", "sub", "{}")])
        ids.update(call["id"] for call in collector.complete_calls())
    assert len(ids) == 4
    assert all(re.fullmatch("call_[0-9a-f]{24}", each) for each in ids)


def test_an_id_that_carries_more_than_a_name_is_kept() -> None:
    collector = ToolCallCollector()
    signed = f"call_1__thought__{'g' * 500}"
    collector.add([fragment(0, signed, "add", "{}"), fragment(1, "call_2", "sub", "{}")])
    [first, _] = collector.complete_calls()
    assert collector.original_ids == {first["id"]: signed}


@pytest.mark.parametrize("arguments", ['{"a": ', "[1]", "7", "none", '{"a": 1}}'])
def test_arguments_that_are_no_object_make_a_bad_answer(arguments: str) -> None:
    with pytest.raises(BadAnswer):
        whole([fragment(0, "x", "add", arguments)])


def test_a_call_without_a_name_makes_a_bad_answer() -> None:
    with pytest.raises(BadAnswer):
        whole([fragment(0, "x", None, "{}")])


def test_too_many_calls_or_arguments_are_an_error() -> None:
    with pytest.raises(BadAnswer):
        whole([fragment(number, f"call_{number}", "add", "{}") for number in range(1000)])
    with pytest.raises(BadAnswer):
        whole(*[[fragment(0, "x", "add", "1" * 100_000)] for _ in range(20)])


@given(arguments=st.dictionaries(st.text(), st.text() | st.integers(-(2**53), 2**53)), data=st.data())
def test_any_split_of_the_arguments_gives_the_same_call(arguments: dict[str, Any], data: st.DataObject) -> None:
    sent = orjson.dumps(arguments).decode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=5)))
    pieces = [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    [(_, joined)] = whole([fragment(0, "x", "add", "")], *[[fragment(0, None, None, piece)] for piece in pieces])
    assert orjson.loads(joined) == arguments


def test_a_call_without_an_index_is_identified_by_its_id() -> None:
    assert whole(
        [fragment(None, "x", "add", '{"a"')],
        [fragment(None, "y", "sub", '{"b"')],
        [fragment(None, "x", None, ":1}"), fragment(None, "y", None, ":2}")],
    ) == [("add", '{"a":1}'), ("sub", '{"b":2}')]


def test_calls_that_share_an_id_get_new_ids() -> None:
    collector = ToolCallCollector()
    shared = "g" * 500
    collector.add([fragment(0, shared, "add", "{}"), fragment(1, shared, "sub", "{}")])
    calls = collector.complete_calls()
    assert [call["function"]["name"] for call in calls] == ["add", "sub"]
    assert len({call["id"] for call in calls}) == 2
    assert collector.original_ids == {}


@pytest.mark.parametrize(
    "arguments",
    [
        '{"a": 18446744073709551616}',
        '{"a": -9223372036854775809}',
        '{"a": ' + "[" * 600 + "]" * 600 + "}",
        '{"a": "\\ud800"}',
    ],
    ids=["a long integer", "a long negative integer", "600 levels", "half of a surrogate pair"],
)
def test_arguments_that_cannot_be_sent_again_make_a_bad_answer(arguments: str) -> None:
    with pytest.raises(BadAnswer):
        whole([fragment(0, "x", "add", arguments)])


@pytest.mark.parametrize("arguments", ['{"a": 18446744073709551615}', '{"a": ' + "[" * 200 + "]" * 200 + "}"])
def test_long_and_deep_arguments_are_taken_as_far_as_they_can_be_sent_again(arguments: str) -> None:
    assert whole([fragment(0, "x", "add", arguments)]) == [("add", arguments)]


def test_a_name_that_is_no_text_makes_a_bad_answer() -> None:
    with pytest.raises(BadAnswer):
        whole([fragment(0, "x", "add\ud800", "{}")])


def test_an_id_that_is_no_text_is_not_kept() -> None:
    collector = ToolCallCollector()
    collector.add([fragment(0, "\ud800", "add", "{}")])
    collector.complete_calls()
    assert collector.original_ids == {}
