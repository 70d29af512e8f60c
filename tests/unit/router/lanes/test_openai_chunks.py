from typing import Any

import orjson
import pytest

from config.errors import AnswerCut, BadAnswer, RateLimited
from router.lanes.base import Chunk
from router.lanes.openai_chunks import ChunkReader


def event(delta: Any = None, finish: str | None = None, index: Any = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return orjson.dumps({"id": "c", "created": 1, "model": "m", "choices": [choice]} | more)


def deltas(chunks: list[Chunk]) -> list[dict[str, Any]]:
    return [{name: value for name, value in chunk["choices"][0]["delta"].items() if name != "role"} for chunk in chunks]


def reasons(chunks: list[Chunk]) -> list[str]:
    return [each for chunk in chunks if chunk["choices"] for each in [chunk["choices"][0]["finish_reason"]] if each]


def test_text_that_arrives_together_is_one_chunk() -> None:
    chunks = ChunkReader().read(
        [event({"role": "assistant", "content": ""}), event({"content": "a"}), event({"content": "b"})]
    )
    assert deltas(chunks) == [{"content": "ab"}]
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert (chunks[0]["id"], chunks[0]["object"], chunks[0]["model"]) == ("c", "chat.completion.chunk", "m")


def test_the_role_is_named_once() -> None:
    reader = ChunkReader()
    first, second = reader.read([event({"content": "a"})]), reader.read([event({"role": "assistant", "content": "b"})])
    assert ["role" in chunk["choices"][0]["delta"] for chunk in first + second] == [True, False]


def test_reasoning_and_tool_calls_are_never_merged_with_text() -> None:
    call = {"index": 0, "id": "x", "function": {"name": "f", "arguments": ""}}
    chunks = ChunkReader().read(
        [
            event({"reasoning_content": "h"}),
            event({"reasoning_content": "m"}),
            event({"content": "a"}),
            event({"tool_calls": [call]}),
            event({"content": "b"}, finish="stop"),
        ]
    )
    fragment = {"index": 0, "id": "x", "type": "function", "function": {"name": "f", "arguments": ""}}
    assert deltas(chunks) == [
        {"reasoning_content": "hm"},
        {"content": "a"},
        {"tool_calls": [fragment]},
        {"content": "b"},
        {},
    ]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ({"index": 0, "function": {"arguments": "{"}}, {"index": 0, "id": None, "name": None, "arguments": "{"}),
        ({"index": 0, "id": "", "function": {"name": ""}}, {"index": 0, "id": None, "name": None, "arguments": None}),
        ({"id": 7}, {"index": None, "id": "7", "name": None, "arguments": None}),
        ({"id": ["x"]}, {"index": None, "id": None, "name": None, "arguments": None}),
        ({"id": "x"}, {"index": None, "id": "x", "name": None, "arguments": None}),
        ({"index": True, "function": None}, {"index": None, "id": None, "name": None, "arguments": None}),
        (
            {"index": 0, "function": {"arguments": {"a": 1}}},
            {"index": 0, "id": None, "name": None, "arguments": '{"a":1}'},
        ),
    ],
)
def test_a_tool_call_fragment_always_has_all_its_keys(call: dict[str, Any], expected: dict[str, Any]) -> None:
    [chunk] = ChunkReader().read([event({"tool_calls": [call]})])
    [fragment] = chunk["choices"][0]["delta"]["tool_calls"]
    assert fragment["type"] == "function"
    assert {"index": fragment["index"], "id": fragment["id"], **fragment["function"]} == expected


def test_content_parts_are_split_into_text_and_reasoning() -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}]
    assert deltas(ChunkReader().read([event({"content": parts})])) == [{"reasoning": "hm"}, {"content": "a"}]


def test_thoughts_that_a_provider_does_not_take_back_have_another_name() -> None:
    both = {"reasoning_content": "h", "reasoning": "h"}
    assert deltas(ChunkReader().read([event({"reasoning": "h"}), event({"reasoning": "m"})])) == [{"reasoning": "hm"}]
    assert deltas(ChunkReader().read([event(both)])) == [{"reasoning_content": "h"}]


def test_everything_after_the_first_finish_reason_is_ignored() -> None:
    chunks = ChunkReader().read([event({"content": "a"}, "length"), event({"content": "b"}, "stop")])
    assert deltas(chunks) == [{"content": "a"}, {}]
    assert reasons(chunks) == ["length"]


@pytest.mark.parametrize(
    ("theirs", "ours"), [("eos", "stop"), ("model_length", "length"), ("sensitive", "content_filter")]
)
def test_other_finish_reasons_are_mapped_to_openais(theirs: str, ours: str) -> None:
    assert reasons(ChunkReader().read([event({"content": "a"}, theirs)])) == [ours]


def test_the_finish_reason_of_an_answer_with_tool_calls_is_tool_calls() -> None:
    call = {"index": 0, "id": "x", "function": {"name": "f", "arguments": "{}"}}
    assert reasons(ChunkReader().read([event({"tool_calls": [call]}), event(finish="stop")])) == ["tool_calls"]


def test_an_error_after_some_output_is_a_cut_answer() -> None:
    error = orjson.dumps({"error": {"message": "Overloaded", "type": "server_error"}})
    with pytest.raises(BadAnswer):
        ChunkReader().read([event({"role": "assistant", "content": ""}), error])
    reader = ChunkReader()
    reader.read([event({"content": "a"})])
    with pytest.raises(AnswerCut) as cut:
        reader.read([error])
    assert "Overloaded" in cut.value.provider_text


def test_a_finish_reason_of_an_unfinished_answer_is_a_cut_answer() -> None:
    with pytest.raises(AnswerCut):
        ChunkReader().read([event({"content": "a"}, "insufficient_system_resource")])


def test_the_usage_comes_once_and_last() -> None:
    reader = ChunkReader()
    chunks = reader.read(
        [event({"content": "a"}, usage={"total_tokens": 1}), event(finish="stop", usage={"total_tokens": 2})]
    )
    assert all("usage" not in chunk for chunk in chunks)
    [last] = reader.finish()
    assert (last["choices"], last["usage"]) == ([], {"total_tokens": 2})


def test_moonshots_usage_is_in_the_choice() -> None:
    choice = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": {"total_tokens": 2}}
    reader = ChunkReader()
    reader.read([event({"content": "a"}), orjson.dumps({"id": "c", "choices": [choice]})])
    assert [chunk["usage"] for chunk in reader.finish()] == [{"total_tokens": 2}]


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": 3.0, "completion_tokens": "4", "total_tokens": None}, {"prompt_tokens": 3}),
        ({"prompt_tokens": -1, "completion_tokens": True, "total_tokens": 2.5, "cost": 10**18}, None),
        (
            {"total_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": None}, "x": [1]},
            {"total_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}},
        ),
    ],
)
def test_only_whole_numbers_count_as_usage(usage: dict[str, Any], counts: dict[str, Any] | None) -> None:
    reader = ChunkReader()
    reader.read([event({"content": "a"}, "stop", usage=usage)])
    assert [chunk["usage"] for chunk in reader.finish()] == ([counts] if counts else [])


@pytest.mark.parametrize(
    "choices", [None, [], {}, "x", [None], [{"index": 1, "delta": {"content": "b"}}], [{"delta": None}]]
)
def test_an_event_without_the_first_choice_is_ignored(choices: Any) -> None:
    assert ChunkReader().read([orjson.dumps({"choices": choices})]) == []


@pytest.mark.parametrize("index", [-1, 10**18, 1])
def test_other_choices_are_ignored(index: int) -> None:
    assert ChunkReader().read([event({"content": "b"}, index=index)]) == []


def test_malformed_events_are_counted_and_skipped() -> None:
    reader = ChunkReader()
    chunks = reader.read([event({"content": "a"}), b'{"choices": [', b"[]", b"null", event({"content": "b"})])
    assert deltas(chunks) == [{"content": "ab"}]
    assert reader.malformed == 3


def test_empty_text_yields_no_chunk() -> None:
    reader = ChunkReader()
    assert reader.read([event({"content": ""})]) == []
    with pytest.raises(RateLimited):  # not an answer that was cut: nothing of one has come
        reader.read([orjson.dumps({"error": {"message": "slow down", "code": 429}})])


def test_broken_events_are_not_joined() -> None:
    reader = ChunkReader()
    left, right = event({"content": "a, b"}).split(b", ")
    chunks = reader.read([event({"content": "c"}), left, right, event({"content": "d"})])
    assert deltas(chunks) == [{"content": "cd"}]
    assert reader.malformed == 2


def test_one_bad_byte_does_not_lose_the_word_around_it() -> None:
    assert deltas(ChunkReader().read([event({"content": "a?b"}).replace(b"?", b"\xff")])) == [{"content": "a\ufffdb"}]


def test_an_answer_that_started_but_did_not_finish_is_cut() -> None:
    reader = ChunkReader()
    reader.read([event({"role": "assistant"}), b"[DONE]"])
    with pytest.raises(AnswerCut):
        reader.finish()


def test_nothing_after_done_is_read() -> None:
    reader = ChunkReader()
    assert reader.read([b" [DONE] ", event({"content": "a"})]) == []
    assert reader.ended
    assert reader.finish() == []


def test_an_error_inside_the_stream_is_raised() -> None:
    with pytest.raises(BadAnswer):
        ChunkReader().read([b'{"error": {"message": "boom"}}'])


@pytest.mark.parametrize("value", [rb'"half a character: \ud800"', rb"99999999999999999999, " rb'"message": "\ud800"'])
def test_an_error_that_json_can_hold_but_orjson_cannot_write_is_raised(value: bytes) -> None:
    with pytest.raises(BadAnswer):
        ChunkReader().read([b'{"error": {"code": %b}}' % value])


@pytest.mark.parametrize("value", [rb'"\ud800"', rb'[99999999999999999999, "\ud800"]', b"[" * 400 + b"]" * 400])
def test_arguments_that_are_an_object_but_not_json_for_everybody_make_a_bad_answer(value: bytes) -> None:
    call = b'{"index": 0, "id": "x", "function": {"name": "f", "arguments": {"a": %b}}}' % value
    with pytest.raises(BadAnswer):
        ChunkReader().read([b'{"choices": [{"index": 0, "delta": {"tool_calls": [%b]}}]}' % call])


def test_a_whole_completion_becomes_chunks() -> None:
    call = {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": "a", "tool_calls": [call]}
    chunks = ChunkReader().read_whole(
        {"choices": [{"message": message, "finish_reason": ""}], "usage": {"total_tokens": 1}}
    )
    assert deltas(chunks[:1]) == [{"content": "a"}]
    assert chunks[1]["choices"][0]["delta"]["tool_calls"][0]["id"] == "x"
    assert reasons(chunks) == ["tool_calls"]
    assert chunks[-1]["usage"] == {"total_tokens": 1}


def test_a_refusal_is_text_and_keeps_its_name() -> None:
    events = [event({"refusal": "I can"}), event({"refusal": "not."}), event({"content": "Hi"})]
    assert deltas(ChunkReader().read(events)) == [{"content": "I cannot.", "refusal": "I cannot."}, {"content": "Hi"}]
