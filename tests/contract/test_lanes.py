"""One suite for both HTTP lanes, against a provider on a real socket. Both must send the same requests."""

from __future__ import annotations

import asyncio
import copy
import gzip
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import orjson
import pytest
from aiohttp.base_protocol import BaseProtocol
from pydantic import SecretStr

import router.lanes.openai_lane
from config.errors import (
    AnswerCut,
    AttemptError,
    BadAnswer,
    ConnectionFailed,
    ContentPolicyViolation,
    ContextWindowExceeded,
    CredentialsRefused,
    ProviderOverloaded,
    ProviderTimeout,
    RateLimited,
    RequestRejected,
    SwitchboardError,
)
from config.models.deployments import Deployment
from router.lanes.base import Chunk, Lane, LaneRequest
from router.lanes.http_client import HttpClient
from router.lanes.litellm_lane import LiteLLMLane
from router.lanes.openai_lane import MAX_ERROR_BYTES, OpenAILane
from router.lanes.openai_request import VIA_HANDLER, VIA_SDK, is_openai_compatible
from tests.contract.local_provider import (
    DONE,
    EVENT_STREAM,
    LAST_CHUNK,
    LocalProvider,
    Received,
    Reply,
    answering,
    chunked,
    event,
    local_provider,
    stalling,
    streaming,
)

KEY = "sk-abcdefghijklmnopqrstuvwxyz012345"
ROLE = event({"role": "assistant", "content": ""})
END = event(finish="stop")
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
USAGE_EVENT = event(usage=USAGE).replace(b'"choices":[{"index":0,"delta":{},"finish_reason":null}]', b'"choices":[]')
HELLO = streaming(ROLE, event({"content": "Hel"}), event({"content": "lo"}), END, USAGE_EVENT, DONE)


@pytest.fixture
async def openai_lane() -> AsyncIterator[Lane]:
    litellm = LiteLLMLane()
    lane = OpenAILane(HttpClient(), litellm=litellm)
    yield lane
    await lane.aclose()
    await litellm.aclose()


@pytest.fixture
async def litellm_lane() -> AsyncIterator[Lane]:
    lane = LiteLLMLane()
    yield lane
    await lane.aclose()


@pytest.fixture(params=["openai_lane", "litellm_lane"])
async def lane(request: pytest.FixtureRequest, openai_lane: Lane, litellm_lane: Lane) -> Lane:
    return {"openai_lane": openai_lane, "litellm_lane": litellm_lane}[request.param]


def request_to(
    provider: LocalProvider, model: str = "openai/gpt-4o-mini", timeout: float = 30.0, **params: Any
) -> LaneRequest:
    deployment = Deployment(id="d1", group="g", model=model, api_key=SecretStr(KEY), api_base=provider.url)
    return LaneRequest(deployment, [{"role": "user", "content": "hi"}], params, timeout)


async def heard(lane: Lane, reply: Reply, **options: Any) -> list[Chunk]:
    async with local_provider(reply) as provider, aclosing(lane.stream(request_to(provider, **options))) as chunks:
        return [chunk async for chunk in chunks]


def joined(chunks: list[Chunk], name: str = "content") -> str:
    return "".join(chunk["choices"][0]["delta"].get(name) or "" for chunk in chunks if chunk["choices"])


def reasons(chunks: list[Chunk]) -> list[str]:
    return [each for chunk in chunks if chunk["choices"] for each in [chunk["choices"][0]["finish_reason"]] if each]


# What an answer becomes


async def test_text_is_complete_with_one_finish_reason_and_the_usage_last(lane: Lane) -> None:
    chunks = await heard(lane, HELLO)
    assert joined(chunks) == "Hello"
    assert reasons(chunks) == ["stop"]
    assert chunks[-1]["choices"] == []
    assert {name: chunks[-1]["usage"][name] for name in USAGE} == USAGE
    assert all(type(chunk) is dict and chunk["object"] == "chat.completion.chunk" for chunk in chunks)


async def test_tool_call_fragments_keep_all_their_keys(lane: Lane) -> None:
    first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
    reply = streaming(
        event({"role": "assistant", "content": None, "tool_calls": [first]}),
        event({"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]}),
        event({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}),
        event(finish="tool_calls"),
        DONE,
    )
    chunks = await heard(lane, reply)
    fragments = [
        fragment
        for chunk in chunks
        if chunk["choices"]
        for fragment in chunk["choices"][0]["delta"].get("tool_calls") or []
    ]
    assert all(
        each.keys() == {"index", "id", "type", "function"} and each["function"].keys() == {"name", "arguments"}
        for each in fragments
    )
    assert [each["id"] for each in fragments] == ["call_1", None, None]
    assert [each["function"]["name"] for each in fragments] == ["f", None, None]
    assert "".join(each["function"]["arguments"] or "" for each in fragments) == '{"a":1}'
    assert reasons(chunks) == ["tool_calls"]


async def test_reasoning_is_separate_from_text(lane: Lane) -> None:
    reply = streaming(event({"reasoning_content": "hm"}), event({"content": "yes"}), END, DONE)
    chunks = await heard(lane, reply)
    assert (joined(chunks, "reasoning_content"), joined(chunks)) == ("hm", "yes")


async def test_an_answer_with_a_finish_reason_needs_no_done(lane: Lane) -> None:
    chunks = await heard(lane, streaming(event({"content": "a"}), END))
    assert (joined(chunks), reasons(chunks)) == ("a", ["stop"])


@pytest.mark.parametrize("reply", [streaming(DONE), streaming()], ids=["done", "nothing"])
async def test_an_empty_answer_ends_quietly(lane: Lane, reply: Reply) -> None:
    assert await heard(lane, reply) == []


# What a failure becomes


def refusal(status: str, **headers: str) -> Reply:
    return answering(status, orjson.dumps({"error": {"message": f"secret words and {KEY}"}}), **headers)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (refusal("400 Bad Request"), RequestRejected),
        (refusal("401 Unauthorized"), CredentialsRefused),
        (refusal("404 Not Found"), CredentialsRefused),
        (refusal("408 Request Timeout"), ProviderOverloaded),
        (refusal("409 Conflict"), ProviderOverloaded),
        (refusal("429 Too Many Requests"), RateLimited),
        (refusal("500 Internal Server Error"), ProviderOverloaded),
        (refusal("503 Service Unavailable"), ProviderOverloaded),
        (
            answering("400 Bad Request", b'{"error":{"message":"This model\'s maximum context length is 5 tokens"}}'),
            ContextWindowExceeded,
        ),
        (
            answering("400 Bad Request", b'{"error":{"message":"no","code":"content_policy_violation"}}'),
            ContentPolicyViolation,
        ),
    ],
    ids=lambda value: getattr(value, "__name__", "reply"),
)
async def test_an_error_status_is_mapped_as_in_the_failover_table(
    lane: Lane, reply: Reply, expected: type[SwitchboardError]
) -> None:
    with pytest.raises(expected) as caught:
        await heard(lane, reply)
    assert type(caught.value) is expected
    assert "secret" not in str(caught.value)
    assert KEY not in str(caught.value) + getattr(caught.value, "provider_text", "")


async def test_a_rate_limit_keeps_the_providers_time(lane: Lane) -> None:
    with pytest.raises(RateLimited) as caught:
        await heard(lane, refusal("429 Too Many Requests", retry_after="7"))
    assert caught.value.retry_after == 7.0


async def test_an_error_response_is_not_retried(lane: Lane) -> None:
    async with local_provider(refusal("500 Internal Server Error")) as provider:
        with pytest.raises(ProviderOverloaded):
            await anext(lane.stream(request_to(provider)))
        assert len(provider.requests) == 1


async def test_a_web_page_is_never_an_answer(lane: Lane) -> None:
    page = answering("200 OK", b"<!doctype html><p>hi</p>", "text/html")
    try:
        assert await heard(lane, page) == []
    except BadAnswer:
        pass


@pytest.mark.parametrize("before", [(), (event({"content": "a"}),)], ids=["before text", "after text"])
async def test_an_error_inside_the_stream_is_raised(lane: Lane, before: tuple[bytes, ...]) -> None:
    with pytest.raises(AttemptError) as caught:
        await heard(lane, streaming(*before, b'data: {"error":{"message":"secret","code":503}}\n\n', DONE))
    assert not isinstance(caught.value, AnswerCut)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("end", [True, False], ids=["clean end", "hang-up"])
async def test_an_answer_without_a_finish_reason_is_cut(lane: Lane, end: bool) -> None:
    said = []
    async with local_provider(streaming(event({"content": "a"}), end=end)) as provider:
        with pytest.raises(AnswerCut):
            async for chunk in lane.stream(request_to(provider)):
                said.append(chunk)
    assert joined(said) == "a"
    assert reasons(said) == []


async def test_an_unreachable_provider_is_a_failed_connection(lane: Lane) -> None:
    async with local_provider(HELLO) as provider:
        pass
    with pytest.raises(ConnectionFailed):
        await anext(lane.stream(request_to(provider)))


@pytest.mark.parametrize(
    "given",
    [
        {"api_key": SecretStr("two\nlines")},
        {"params": {"extra_headers": {"X-A": "a\nb"}}},
        {"api_base": "http://me:word@127.0.0.1:9"},
    ],
    ids=lambda given: next(iter(given)),
)
async def test_a_request_that_cannot_be_sent_is_the_deployments_failure(openai_lane: Lane, given: Any) -> None:
    async with local_provider(HELLO) as provider:
        request = request_to(provider)
        broken = replace(request, deployment=replace(request.deployment, **given))
        with pytest.raises(CredentialsRefused, match="cannot be sent"):
            await anext(openai_lane.stream(broken))


async def test_a_provider_that_disconnects_before_it_answers_is_a_failed_connection(lane: Lane) -> None:
    async def hang_up(writer: asyncio.StreamWriter) -> None:
        writer.close()

    with pytest.raises(ConnectionFailed):
        await heard(lane, hang_up)


async def test_a_provider_that_never_answers_is_a_timeout(lane: Lane) -> None:
    async with local_provider(stalling()) as provider:
        with pytest.raises(ProviderTimeout):
            await anext(lane.stream(request_to(provider, timeout=0.2)))
        async with asyncio.timeout(1):
            await provider.hung_up.wait()


# Hanging up


async def test_closing_the_stream_in_the_middle_closes_the_providers_connection(lane: Lane) -> None:
    async with local_provider(stalling(event({"content": "a"}))) as provider:
        chunks = lane.stream(request_to(provider))
        assert joined([await anext(chunks)]) == "a"
        await chunks.aclose()
        async with asyncio.timeout(1):
            await provider.hung_up.wait()


@pytest.mark.parametrize("said", [(), (event({"content": "a"}),)], ids=["before the head", "in the middle"])
async def test_cancelling_the_turn_closes_the_providers_connection(lane: Lane, said: tuple[bytes, ...]) -> None:
    spoken = asyncio.Event()

    async def turn() -> None:
        async with aclosing(lane.stream(request_to(provider))) as chunks:
            async for _ in chunks:
                spoken.set()

    async with local_provider(stalling(*said)) as provider:
        task = asyncio.create_task(turn())
        await (spoken if said else provider.asked).wait()
        task.cancel()
        async with asyncio.timeout(1):
            await provider.hung_up.wait()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_nothing_is_left_running_after_streams_were_closed(lane: Lane) -> None:
    before = asyncio.all_tasks()
    async with local_provider(stalling(event({"content": "a"}))) as provider:
        for _ in range(3):
            async with aclosing(lane.stream(request_to(provider))) as chunks:
                await anext(chunks)
    await lane.aclose()
    left = asyncio.all_tasks() - before
    async with asyncio.timeout(1):
        await asyncio.gather(*left)


# What only the direct lane must cope with itself


async def test_text_that_arrives_together_is_one_chunk(openai_lane: Lane) -> None:
    words = [event({"content": f"{number} "}) for number in range(20)]
    chunks = await heard(openai_lane, streaming(b"".join([ROLE, *words, END, DONE])))
    assert [joined([chunk]) for chunk in chunks] == ["".join(f"{number} " for number in range(20)), ""]


async def test_reading_pauses_while_the_answer_is_not_consumed(
    openai_lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = asyncio.Event()
    pause = BaseProtocol.pause_reading
    monkeypatch.setattr(BaseProtocol, "pause_reading", lambda protocol: (stopped.set(), pause(protocol))[1])
    words = [event({"content": "x" * 1000}) for _ in range(2000)]
    lengths = []
    async with local_provider(streaming(ROLE, *words, END, DONE)) as provider, asyncio.timeout(20):
        async for chunk in openai_lane.stream(request_to(provider)):
            await stopped.wait()
            lengths.append(len(joined([chunk])))
    assert sum(lengths) == 2_000_000
    assert max(lengths) < 1_000_000


async def test_a_compressed_stream_is_read(openai_lane: Lane) -> None:
    packed = gzip.compress(event({"content": "a"}) + END + DONE)
    reply = answering("200 OK", packed, "text/event-stream", content_encoding="gzip")
    assert joined(await heard(openai_lane, reply)) == "a"


async def test_a_stream_with_a_wrong_content_encoding_is_a_bad_answer(openai_lane: Lane) -> None:
    with pytest.raises(BadAnswer):
        await heard(openai_lane, answering("200 OK", b"data: x\n\n", "text/event-stream", content_encoding="gzip"))


async def test_a_provider_that_does_not_stream_is_understood(openai_lane: Lane) -> None:
    message = {"role": "assistant", "content": "whole"}
    whole = orjson.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": USAGE})
    chunks = await heard(openai_lane, answering("200 OK", whole))
    assert (joined(chunks), reasons(chunks), chunks[-1]["usage"]) == ("whole", ["stop"], USAGE)


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", "application/octet-stream"])
async def test_a_stream_with_a_wrong_content_type_is_still_read(openai_lane: Lane, content_type: str) -> None:
    body = b"\n" + event({"content": "a"}) + END + DONE
    assert joined(await heard(openai_lane, answering("200 OK", body, content_type))) == "a"


@pytest.mark.parametrize("body", [b"<html>", b'{"half', b'{"error":{"message":"boom"}}'])
async def test_a_body_that_is_not_an_answer_is_a_bad_answer(openai_lane: Lane, body: bytes) -> None:
    with pytest.raises(BadAnswer):
        await heard(openai_lane, answering("200 OK", body, "text/plain"))


async def test_malformed_events_are_skipped_and_logged(openai_lane: Lane, caplog: pytest.LogCaptureFixture) -> None:
    chunks = await heard(openai_lane, streaming(event({"content": "a"}), b"data: {oops\n\n", END, DONE))
    assert joined(chunks) == "a"
    assert "d1: skipped 1 malformed" in caplog.text


async def test_a_connection_that_breaks_after_the_finish_reason_is_no_error(openai_lane: Lane) -> None:
    assert reasons(await heard(openai_lane, streaming(event({"content": "a"}), END, end=False))) == ["stop"]


async def test_a_provider_that_hangs_after_the_finish_reason_has_answered(
    openai_lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router.lanes.openai_lane, "END_TIMEOUT", 0.2)
    async with local_provider(stalling(event({"content": "a"}), END, USAGE_EVENT)) as provider, asyncio.timeout(5):
        chunks = [chunk async for chunk in openai_lane.stream(request_to(provider))]
    assert (joined(chunks), reasons(chunks), chunks[-1]["usage"]) == ("a", ["stop"], USAGE)


async def test_a_provider_that_only_pings_after_the_finish_reason_has_answered(
    openai_lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router.lanes.openai_lane, "END_TIMEOUT", 0.2)

    async def pinging(writer: asyncio.StreamWriter) -> None:
        writer.write(EVENT_STREAM + b"".join(map(chunked, [event({"content": "a"}), END])))
        while True:
            writer.write(chunked(b": ping\n\n"))
            await writer.drain()
            await asyncio.sleep(0.01)

    async with asyncio.timeout(5):
        assert reasons(await heard(openai_lane, pinging)) == ["stop"]


async def test_an_event_without_end_is_a_bad_answer(openai_lane: Lane) -> None:
    with pytest.raises(BadAnswer):
        await heard(openai_lane, streaming(b"data: ", b"x" * (1 << 20), b"x"))


async def test_only_the_beginning_of_a_long_error_body_is_read(openai_lane: Lane) -> None:
    written = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(chunked(b"x" * 4096))
            written += 4096
            await writer.drain()

    with pytest.raises(ProviderOverloaded):
        await heard(openai_lane, endless)
    assert MAX_ERROR_BYTES <= written < 100 * MAX_ERROR_BYTES


async def test_an_error_whose_body_never_ends_is_known_by_its_status(
    openai_lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router.lanes.openai_lane, "ERROR_BODY_TIMEOUT", 0.1)

    async def hangs(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 429 Slow down\r\nRetry-After: 7\r\nContent-Length: 100\r\n\r\n{")
        await asyncio.Event().wait()

    with pytest.raises(RateLimited) as caught:
        async with asyncio.timeout(5):
            await heard(openai_lane, hangs)
    assert caught.value.retry_after == 7


async def test_a_connection_is_reused_by_the_next_turn(openai_lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.lanes.openai_lane.DRAIN_TIMEOUT", 5.0)  # a busy machine may take longer than usual

    async def in_two_packets(writer: asyncio.StreamWriter) -> None:
        writer.write(EVENT_STREAM + b"".join(map(chunked, [event({"content": "a"}), END, DONE])))
        await writer.drain()
        await asyncio.sleep(0.01)  # so that the end of the response is not there yet when [DONE] is read
        writer.write(LAST_CHUNK)

    async with local_provider(in_two_packets) as provider:
        for _ in range(3):
            assert joined([chunk async for chunk in openai_lane.stream(request_to(provider))]) == "a"
        assert len(provider.connections) == 1


async def test_a_provider_that_never_closes_after_done_does_not_hold_up_the_turn(openai_lane: Lane) -> None:
    async with local_provider(stalling(event({"content": "a"}), END, DONE)) as provider, asyncio.timeout(5):
        assert joined([chunk async for chunk in openai_lane.stream(request_to(provider))]) == "a"


async def test_connections_are_not_limited(openai_lane: Lane) -> None:
    calls = 150
    all_here = asyncio.Event()

    async def together(writer: asyncio.StreamWriter) -> None:
        if len(provider.requests) == calls:
            all_here.set()
        await all_here.wait()
        await HELLO(writer)

    async def turn() -> str:
        return joined([chunk async for chunk in openai_lane.stream(request_to(provider))])

    async with local_provider(together) as provider, asyncio.timeout(20):
        assert set(await asyncio.gather(*(turn() for _ in range(calls)))) == {"Hello"}


async def test_a_request_that_litellm_would_not_stream_uses_its_lane(openai_lane: Lane) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object", "properties": {}}}}
    call = {"id": "c", "type": "function", "function": {"name": "json_tool_call", "arguments": '{"a":1}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choices = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
    whole = orjson.dumps(
        {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "service_tier": "x"}
    )
    options = {"model": "groq/llama-3.3-70b-versatile", "response_format": schema}
    chunks = await heard(openai_lane, answering("200 OK", whole), **options)
    assert joined(chunks) == '{"a":1}'


# The same request in both lanes

TOOL = {
    "type": "function",
    "function": {
        "name": "f",
        "description": "d",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "string"}},
            "required": ["a"],
            "additionalProperties": False,
        },
    },
}
USER = [{"role": "user", "content": "hi"}]
PICTURES = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "image_url", "image_url": "https://example.com/a.png"},
        ],
    }
]
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":"b"}'}}
HISTORY = [
    {"role": "system", "content": "s"},
    {"role": "user", "content": "u"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "r"},
    {"role": "developer", "content": "d"},
    {"role": "user", "content": "again", "name": "bob"},
]
SCHEMA = {"name": "n", "strict": True, "schema": {"type": "object", "properties": {"a": {"type": "string"}}}}

REQUESTS: dict[str, tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]] = {
    "plain": (USER, {"temperature": 0.3, "top_p": 0.9, "max_tokens": 50}, {}),
    "tools": (USER, {"tools": [TOOL], "tool_choice": "auto"}, {}),
    "one tool": (
        USER,
        {
            "tools": [TOOL],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "parallel_tool_calls": False,
        },
        {},
    ),
    "pictures": (PICTURES, {}, {}),
    "reasoning": (USER, {"max_tokens": 50, "reasoning_effort": "low"}, {}),
    "reasoning and temperature": (USER, {"max_tokens": 50, "temperature": 0.2}, {}),
    "json schema": (USER, {"response_format": {"type": "json_schema", "json_schema": SCHEMA}}, {}),
    "json object": (USER, {"response_format": {"type": "json_object"}}, {}),
    "others": (
        USER,
        {"stop": ["a", "b"], "seed": 3, "user": "bob", "presence_penalty": 0.1, "logit_bias": {"1": 2}},
        {},
    ),
    "unusual": (USER, {"logprobs": True, "top_logprobs": 2, "service_tier": "auto", "n": 1, "verbosity": "low"}, {}),
    "deployment": (
        USER,
        {},
        {
            "extra_body": {"enable_thinking": False},
            "top_k": 5,
            "organization": "org-1",
            "extra_headers": {"X-A": "b"},
            "temperature": 0.7,
        },
    ),
    "steering": (USER, {"max_completion_tokens": 9}, {"max_tokens": 100, "timeout": 3, "input_cost_per_token": 1e-6}),
    "history": (HISTORY, {"tools": [TOOL]}, {}),
}
MODELS = [
    "openai/gpt-4o-mini",
    "openai/gpt-5",
    "openai/o3-mini",
    "openai/some-local-model",
    "dashscope/qwen-plus",
    "deepseek/deepseek-chat",
    "deepseek/deepseek-reasoner",
    "groq/llama-3.3-70b-versatile",
    "groq/openai/gpt-oss-120b",
    "mistral/mistral-small-latest",
    "mistral/magistral-medium-latest",
    "openrouter/openai/gpt-4o-mini",
    "openrouter/anthropic/claude-sonnet-4",
    "hosted_vllm/qwen",
    "xai/grok-4",
    "together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo",
    "fireworks_ai/accounts/fireworks/models/llama-v3p1-8b-instruct",
    "moonshot/kimi-k2",
    "zai/glm-4.6",
    "nvidia_nim/meta/llama3-70b",
    "cerebras/llama3.1-70b",
]
OF_THE_TRANSPORT = {"user-agent", "accept", "accept-encoding", "connection", "content-length"}


def test_every_provider_of_the_openai_lane_is_compared() -> None:
    assert {model.split("/")[0] for model in MODELS} == VIA_SDK | VIA_HANDLER


async def sent(lane: Lane, wanted: LaneRequest, provider: LocalProvider) -> Received | type[SwitchboardError]:
    """The request that the lane sends, or the class of the error with which it does not."""
    provider.requests.clear()
    try:
        async with aclosing(lane.stream(wanted)) as chunks:
            async for _ in chunks:
                pass
    except SwitchboardError as error:
        return type(error)
    [request] = provider.requests
    kept = {
        name: value
        for name, value in request.headers.items()
        if name not in OF_THE_TRANSPORT and not name.startswith("x-stainless-")
    }
    return replace(request, headers=kept)


@pytest.mark.parametrize("model", MODELS)
async def test_both_lanes_send_the_same_request(model: str, openai_lane: Lane, litellm_lane: Lane) -> None:
    async with local_provider(streaming(event({"content": "x"}), END, DONE)) as provider:
        bare = request_to(provider, model).deployment
        assert is_openai_compatible(bare)
        for name, (messages, params, configured) in REQUESTS.items():
            wanted = LaneRequest(replace(bare, params=configured), messages, params, 30.0)
            before = copy.deepcopy((messages, params, configured))
            direct = await sent(openai_lane, wanted, provider)
            assert direct == await sent(litellm_lane, wanted, provider), name
            if direct is RequestRejected:  # a parameter that this model does not take
                wanted = replace(wanted, drop_params=True)
                direct = await sent(openai_lane, wanted, provider)
                assert isinstance(direct, Received), name
                assert direct == await sent(litellm_lane, wanted, provider), f"{name}, with drop_params"
            again = replace(wanted, messages=HISTORY)  # with what the lane keeps of the first time
            assert await sent(openai_lane, again, provider) == await sent(litellm_lane, again, provider), (
                f"{name}, again"
            )
            assert (messages, params, configured) == before, f"{name}: the request was changed"


@pytest.mark.parametrize(
    ("model", "variable"), [("openai/gpt-4o-mini", "OPENAI_API_KEY"), ("hosted_vllm/qwen", "HOSTED_VLLM_API_KEY")]
)
async def test_both_lanes_find_the_same_key_when_none_is_given(
    model: str, variable: str, openai_lane: Lane, litellm_lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, variable, "sk-from-the-environment-0123456789")
    async with local_provider(HELLO) as provider:
        wanted = replace(
            request_to(provider, model), deployment=replace(request_to(provider, model).deployment, api_key=None)
        )
        direct = await sent(openai_lane, wanted, provider)
        assert isinstance(direct, Received)
        assert direct == await sent(litellm_lane, wanted, provider)
        assert direct.headers["authorization"] == "Bearer sk-from-the-environment-0123456789"
