"""Whatever bytes a provider sends, the OpenAI lane has a defined outcome: chunks of the documented shape or an error of
`config.errors`, in bounded memory.
"""

from __future__ import annotations

import gzip
import os
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from config.errors import AnswerCut, BadAnswer, SwitchboardError
from config.models.deployments import Deployment
from router.lanes.base import Chunk, LaneRequest
from router.lanes.http_client import HttpClient
from router.lanes.openai_chunks import ChunkReader
from router.lanes.openai_lane import OpenAILane
from router.stream.answer_collector import AnswerCollector
from router.stream.sse_events import MAX_EVENT_BYTES, EventParser
from router.stream.tool_calls import MAX_CALLS
from tests.contract.local_provider import DONE, LocalProvider, Reply, answering, event, local_provider, streaming
from tests.support.scripted_lane import fragment

MB = 1 << 20
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))
"""For each property; set it higher to look for longer."""


# What is sent

oddities = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(2**63), max_value=2**63 - 1),
    st.integers(min_value=-3, max_value=3),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["", "stop", "length", "tool_calls", "error", "[DONE]", "assistant"]),
)
values = st.recursive(
    oddities,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def mostly(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The usual thing, or a value of any other type."""
    return st.one_of(usual, usual, values)


def keys(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with some of these keys, and perhaps one that nobody knows."""
    return st.fixed_dictionaries({}, optional={**fields, "surprise": values})


functions = keys(name=mostly(st.sampled_from(["add", "", "转接"])), arguments=mostly(st.text(max_size=6)))
calls = keys(
    index=mostly(st.integers(min_value=-2, max_value=200)), id=mostly(st.text(max_size=4)), function=mostly(functions)
)
parts = keys(type=mostly(st.sampled_from(["text", "thinking"])), text=mostly(st.text(max_size=4)), thinking=values)
contents = mostly(st.one_of(st.text(max_size=6), st.lists(mostly(parts), max_size=3)))
deltas = keys(
    role=values,
    content=contents,
    reasoning_content=contents,
    reasoning=values,
    refusal=values,
    tool_calls=mostly(st.lists(mostly(calls), max_size=4)),
    function_call=mostly(functions),
)
choices = keys(
    index=mostly(st.just(0)),
    delta=mostly(deltas),
    message=mostly(deltas),
    finish_reason=mostly(st.sampled_from([None, "stop", "length", "tool_calls", "content_filter", "error", "eos"])),
)
errors = mostly(keys(message=values, type=values, code=values, param=values, innererror=values))
bodies = keys(
    id=values,
    created=values,
    model=values,
    usage=mostly(keys(prompt_tokens=values, completion_tokens=values, completion_tokens_details=values)),
    choices=mostly(st.lists(mostly(choices), max_size=3)),
)
broken_bodies = st.fixed_dictionaries({"error": errors})


payloads = st.one_of(
    st.one_of(bodies, bodies, bodies, broken_bodies, values).map(orjson.dumps),
    st.binary(max_size=30),
    st.just(b"[DONE]"),
)
lines = st.one_of(
    payloads.map(lambda data: b"data: " + data + b"\n\n"),
    payloads.map(lambda data: b"data:" + data + b"\r\n\r\n"),
    payloads.map(lambda data: b"event: x\ndata: " + data + b"\n\n"),
    st.binary(max_size=20),
    st.sampled_from([b": ping\n\n", b"\n", b"\r", b"data: ", b"data\n\n", b"\xef\xbb\xbf", DONE]),
)
streams = st.lists(lines, max_size=8).map(b"".join)


def split(data: bytes, places: Iterable[int]) -> list[bytes]:
    ends = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[begin:end] for begin, end in pairwise(ends)]


# What may come out


def check_chunk(chunk: Chunk) -> None:
    """The shape that `router/lanes/base.py` promises."""
    assert isinstance(chunk["choices"], list)
    if not chunk["choices"]:
        check_usage(chunk["usage"])
        return
    [choice] = chunk["choices"]
    assert choice["index"] == 0
    assert choice["finish_reason"] is None or isinstance(choice["finish_reason"], str)
    delta = choice["delta"]
    for name in ("content", "reasoning_content"):
        assert isinstance(delta.get(name), str | None)
    for each in delta.get("tool_calls", ()):
        assert each.keys() == {"index", "id", "type", "function"}
        assert each["index"] is None or type(each["index"]) is int
        assert each["id"] is None or isinstance(each["id"], str)
        assert each["type"] == "function"
        assert each["function"].keys() == {"name", "arguments"}
        for name in ("name", "arguments"):
            assert each["function"][name] is None or isinstance(each["function"][name], str)


def check_usage(usage: dict[str, Any]) -> None:
    for name, value in usage.items():
        if name.endswith("_details"):
            check_usage(value)
        else:
            assert type(value) is int and value >= 0


def outcome(reads: Iterable[bytes]) -> tuple[list[Chunk], str | None]:
    """What the lane makes of these reads, and the code of the error that ends it."""
    parser, reader, chunks = EventParser(), ChunkReader(), []
    try:
        for data in reads:
            chunks += reader.read(parser.feed(data))
            if reader.ended:
                break
        else:
            chunks += reader.read(parser.finish())
        chunks += reader.finish()
    except SwitchboardError as error:
        assert type(error) is not SwitchboardError
        return chunks, error.code
    return chunks, None


def judged(chunks: Iterable[Chunk]) -> tuple[str, list[Chunk], str | None]:
    """The text, the ending and the error that the router's judge makes of them."""
    answer, text = AnswerCollector(), []
    try:
        for chunk in chunks:
            kept = answer.take(chunk)
            if kept is not None:
                text.append(kept["choices"][0]["delta"].get("content") or "")
        return "".join(text), answer.final_chunks(), None
    except SwitchboardError as error:
        return "".join(text), [], error.code


def without_ids(ending: list[Chunk]) -> list[Any]:
    """Ids that the provider left out are made up anew each time."""
    deltas = [chunk["choices"][0]["delta"] if chunk["choices"] else chunk for chunk in ending]
    return [[each["function"] for each in delta.get("tool_calls") or ()] for delta in deltas]


@settings(max_examples=EXAMPLES)
@given(st.binary(max_size=200), st.lists(st.integers(min_value=0), max_size=4))
def test_any_bytes_have_a_defined_outcome(data: bytes, places: list[int]) -> None:
    for chunk in outcome(split(data, places))[0]:
        check_chunk(chunk)


@settings(max_examples=EXAMPLES)
@given(streams, st.lists(st.integers(min_value=0), max_size=6))
@example(b'data: {"choices":[{"delta":{"tool_calls":[{"id":7,"function":{"name":[],"arguments":1}}]}}]}\n\n', [])
@example(b'data: {"choices":null,"error":{"message":[1],"code":{}}}\n\n', [])
@example(b'data: {"choices":[{"delta":{"content":"\\ud800"},"finish_reason":"stop"}]}\n\n', [])
def test_anything_like_a_stream_has_a_defined_outcome(data: bytes, places: list[int]) -> None:
    chunks, error = outcome(split(data, places))
    for chunk in chunks:
        check_chunk(chunk)
    _, ending, refused = judged(chunks)
    assert ending or refused
    for chunk in ending:
        check_chunk(chunk)
        orjson.dumps(chunk)
    finishes = [chunk["choices"][0]["finish_reason"] for chunk in chunks if chunk["choices"]]
    assert sum(reason is not None for reason in finishes) <= 1
    assert error is not None or not any(finishes) or finishes[-1] is not None


@settings(max_examples=EXAMPLES)
@given(streams, st.lists(st.integers(min_value=0), max_size=6))
def test_any_split_of_a_stream_gives_the_same_chunks(data: bytes, places: list[int]) -> None:
    at_once, error = outcome([data])
    in_pieces, other = outcome(split(data, places))
    assert error == other
    if error is None:
        text, ending, refused = judged(at_once)
        other_text, other_ending, other_refused = judged(in_pieces)
        assert (text, refused, without_ids(ending)) == (other_text, other_refused, without_ids(other_ending))


@settings(max_examples=EXAMPLES)
@given(st.one_of(bodies, broken_bodies))
def test_any_whole_answer_has_a_defined_outcome(body: dict[str, Any]) -> None:
    try:
        chunks = ChunkReader().read_whole(body)
    except SwitchboardError:
        return
    for chunk in chunks:
        check_chunk(chunk)
    _, ending, refused = judged(chunks)
    assert ending or refused


# The judge alone, with chunks as the lanes promise them

names = st.one_of(st.none(), st.text(max_size=3))
fragments = st.builds(fragment, st.one_of(st.none(), st.integers()), names, names, names)
documented = st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("assistant"),
        "content": names,
        "reasoning_content": names,
        "tool_calls": st.lists(fragments, max_size=3),
    },
)


def chunk_of(delta: dict[str, Any], reason: str | None) -> Chunk:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


documented_chunks = st.one_of(
    st.builds(chunk_of, documented, st.sampled_from([None, None, None, "stop", "length", "tool_calls"])),
    st.just({"choices": [], "usage": {"total_tokens": 1}}),
    st.just({"choices": []}),
)


@settings(max_examples=EXAMPLES)
@given(st.lists(documented_chunks, max_size=8))
def test_the_collector_passes_on_all_text_and_only_complete_calls(chunks: list[Chunk]) -> None:
    text, ending, refused = judged(chunks)
    said = [each["choices"][0]["delta"].get("content") or "" for each in chunks if each["choices"]]
    if refused is not None:
        assert "".join(said).startswith(text)
        return
    assert text == "".join(said)
    called = [
        each for chunk in ending if chunk["choices"] for each in chunk["choices"][0]["delta"].get("tool_calls") or ()
    ]
    assert text or called or any(each["choices"] and each["choices"][0]["finish_reason"] == "length" for each in chunks)
    assert [each["index"] for each in called] == list(range(len(called)))
    assert len({each["id"] for each in called}) == len(called)
    assert all(isinstance(orjson.loads(each["function"]["arguments"]), dict) for each in called)
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in ending if chunk["choices"]]
    assert len([reason for reason in reasons if reason]) == 1


# Through a real socket


@pytest.fixture
async def lane() -> AsyncIterator[OpenAILane]:
    lane = OpenAILane(HttpClient())
    yield lane
    await lane.aclose()


async def heard(lane: OpenAILane, provider: LocalProvider) -> tuple[list[Chunk], SwitchboardError | None]:
    deployment = Deployment("d", "g", "openai/m", api_key=SecretStr("k"), api_base=provider.url)
    attempt = LaneRequest(deployment, [{"role": "user", "content": "Hi"}], {}, timeout=5)
    chunks: list[Chunk] = []
    try:
        async with aclosing(lane.stream(attempt)) as stream:
            async for chunk in stream:
                check_chunk(chunk)
                chunks.append(chunk)
    except SwitchboardError as error:
        return chunks, error
    return chunks, None


def said(chunks: Iterable[Chunk]) -> str:
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])


def raw(*parts: bytes, head: str = "", close: bool = True) -> Reply:
    """An answer without a length, in these bytes, which the end of the connection ends."""

    async def reply(writer: Any) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n{head}\r\n".encode())
        for part in parts:
            writer.write(part)
            await writer.drain()
        if close:
            writer.close()

    return reply


TEN_MB = b"data: " + b"x" * (10 * MB)
WORD = event({"content": "Hi"})
END = event(finish="stop") + DONE


def ten_thousand_calls(step: int) -> bytes:
    return b"".join(event({"tool_calls": [{"index": step * each, "id": f"c{each}"}]}) for each in range(10_000))


@pytest.mark.parametrize(
    ("reply", "code", "text"),
    [
        (raw(TEN_MB + b"\n\n" + END), BadAnswer.code, ""),
        (raw(TEN_MB, close=False), BadAnswer.code, ""),
        (raw(WORD, TEN_MB), BadAnswer.code, "Hi"),
        (raw(b": " + b"\n: ".join([b"x" * 100] * 20_000)), BadAnswer.code, ""),
        (raw(gzip.compress(WORD + END)), None, ""),
        (raw(gzip.compress(WORD + END), head="Content-Encoding: gzip\r\n"), None, "Hi"),
        (raw(WORD + END, head="Content-Encoding: gzip\r\n"), BadAnswer.code, ""),
        (raw(WORD + END, head="Content-Encoding: br\r\n"), BadAnswer.code, ""),
        (raw(WORD.replace(b"Hi", b"H\xff\xfei") + END), None, "H\ufffd\ufffdi"),
        (raw(b'data: {"choices":null}\n\n' + WORD + END), None, "Hi"),
        (raw(WORD + event(finish="length") + event(finish="stop") + DONE), None, "Hi"),
        (raw(WORD + event(finish="stop") + event({"content": " again"}) + DONE), None, "Hi"),
        (raw(WORD), AnswerCut.code, "Hi"),
        (raw(b""), None, ""),
        (answering("200 OK", b"[" * 100_000), None, ""),
        (answering("200 OK", b'{"choices":' + b"[" * 5000), BadAnswer.code, ""),
        (answering("200 OK", b"{" + b'"a":1,' * (2 * MB)), BadAnswer.code, ""),
    ],
    ids=[
        "10 MB in one event", "never ends a line", "10 MB after a word", "comments without end",
        "gzip without its name", "gzip unasked", "no gzip but called so", "brotli", "invalid UTF-8", "choices null",
        "two finish reasons", "chunks after the finish", "no finish", "nothing", "a deep array", "a deep object",
        "12 MB of JSON",
    ],
)  # fmt: skip
async def test_what_providers_really_send_has_a_defined_outcome(
    lane: OpenAILane, reply: Reply, code: str | None, text: str
) -> None:
    async with local_provider(reply) as provider:
        chunks, error = await heard(lane, provider)
        assert said(chunks) == text
        assert (error and error.code) == code


@pytest.mark.parametrize("part", [b"x" * 8000, b"data: x\n" * 1000], ids=["one line", "one event of many lines"])
async def test_an_event_without_end_takes_bounded_memory_and_closes_the_connection(
    lane: OpenAILane, part: bytes
) -> None:
    async with local_provider(raw(b"data: ", *[part] * 5000, close=False)) as provider:
        await heard(lane, provider)  # what is loaded once does not count
        provider.hung_up.clear()
        tracemalloc.start()
        try:
            _, error = await heard(lane, provider)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert isinstance(error, BadAnswer)
        assert peak < 8 * MAX_EVENT_BYTES
        await provider.hung_up.wait()


async def test_a_gzip_bomb_takes_bounded_memory(lane: OpenAILane) -> None:
    packed = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packed.compress(b"x" * MB) for _ in range(200)) + packed.flush()
    async with local_provider(raw(bomb, head="Content-Encoding: gzip\r\n")) as provider:
        tracemalloc.start()
        try:
            _, error = await heard(lane, provider)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert isinstance(error, BadAnswer)
    assert peak < 16 * MB


@pytest.mark.parametrize("step", [1, -1, 10**15])
async def test_a_huge_number_of_tool_calls_is_refused(lane: OpenAILane, step: int) -> None:
    async with local_provider(streaming(ten_thousand_calls(step), END)) as provider:
        chunks, error = await heard(lane, provider)
    assert error is None
    answer = AnswerCollector()
    with pytest.raises(BadAnswer):
        for number, chunk in enumerate(chunks):
            answer.take(chunk)
            assert number <= MAX_CALLS + 1


@settings(max_examples=EXAMPLES // 10)
@given(streams, st.lists(st.integers(min_value=0), max_size=3))
async def test_any_stream_comes_through_a_socket_with_a_defined_outcome(data: bytes, places: list[int]) -> None:
    lane = OpenAILane(HttpClient())
    async with local_provider(raw(*split(data, places))) as provider:
        try:
            await heard(lane, provider)
        finally:
            await lane.aclose()
