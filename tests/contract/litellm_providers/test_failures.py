"""What each provider's failures become in the tree of `config.errors`."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import httpx
import pytest
import respx
from pydantic import SecretStr

from config.errors import (
    AnswerCut,
    AttemptError,
    ConnectionFailed,
    CredentialsRefused,
    ProviderTimeout,
    RequestError,
    SwitchboardError,
)
from config.models.deployments import Deployment
from router.lanes.base import Chunk, Lane, LaneRequest
from tests.contract.litellm_providers.providers import STREAMS, WIRES
from tests.contract.litellm_providers.wire import (
    PROVIDERS_WORDS,
    Refusal,
    Stream,
    Wire,
    asked,
    heard,
    joined,
    judged,
    reasons,
)

each_wire = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
streamed = pytest.mark.parametrize(("wire", "stream"), STREAMS)
REFUSALS = [
    pytest.param(wire, refusal, id=f"{wire.name} {refusal.name}") for wire in WIRES for refusal in wire.refusals
]
FAULTS = [
    pytest.param(param.values[0], param.values[1], *fault, id=f"{param.id} {name}")
    for param in STREAMS
    for name, fault in param.values[1].faults.items()
]
UNTOLD = pytest.mark.xfail(reason="LiteLLM gives every chunk of Gemini's a finish reason, so its end cannot be missed")


@pytest.mark.parametrize(("wire", "refusal"), REFUSALS)
async def test_a_refusal_means_what_the_provider_documents(
    wire: Wire, refusal: Refusal, lane: Lane, provider: respx.MockRouter
) -> None:
    provider.route().respond(refusal.status, headers=dict(refusal.headers), json=dict(refusal.body))
    with pytest.raises(SwitchboardError) as caught:
        await heard(lane, wire.deployment)
    assert type(caught.value) is refusal.means
    assert PROVIDERS_WORDS not in str(caught.value)
    assert getattr(caught.value, "retry_after", None) == refusal.retry_after
    assert provider.calls.call_count == 1


@pytest.mark.parametrize("said", [False, True], ids=["before text", "after text"])
@pytest.mark.parametrize(("wire", "stream", "fault", "means"), FAULTS)
async def test_an_error_inside_the_stream_is_a_failed_attempt(
    wire: Wire,
    stream: Stream,
    fault: bytes,
    means: type[AttemptError],
    said: bool,
    lane: Lane,
    provider: respx.MockRouter,
) -> None:
    before = [*stream.start, stream.text("Hello ")] if said else []
    provider.route().mock(return_value=stream.answer([*before, fault]))
    chunks: list[Chunk] = []
    with pytest.raises(AttemptError) as caught:
        await heard(lane, wire.deployment, into=chunks)
    assert type(caught.value) is means
    assert PROVIDERS_WORDS not in str(caught.value)
    assert joined(chunks) == ("Hello " if said else "")
    assert reasons(chunks) == []


@streamed
async def test_a_connection_that_breaks_in_the_answer_cuts_it(
    wire: Wire, stream: Stream, lane: Lane, provider: respx.MockRouter
) -> None:
    broken = httpx.RemoteProtocolError("peer closed connection without sending complete message body")
    provider.route().mock(return_value=stream.answer([*stream.start, stream.text("Hello ")], breaks=broken))
    chunks: list[Chunk] = []
    with pytest.raises(AnswerCut):
        await heard(lane, wire.deployment, into=chunks)
    assert (joined(chunks), reasons(chunks)) == ("Hello ", [])


@streamed
async def test_a_connection_that_breaks_before_the_first_word_cuts_the_answer_too(
    wire: Wire, stream: Stream, lane: Lane, provider: respx.MockRouter
) -> None:
    provider.route().mock(return_value=stream.answer(stream.start, breaks=httpx.ReadError("reset by peer")))
    with pytest.raises(AnswerCut):
        await heard(lane, wire.deployment)


@pytest.mark.parametrize(
    ("wire", "stream"),
    [pytest.param(*param.values, id=param.id, marks=[UNTOLD] if param.id == "gemini" else []) for param in STREAMS],
)
async def test_an_answer_without_its_end_is_cut(
    wire: Wire, stream: Stream, lane: Lane, provider: respx.MockRouter
) -> None:
    provider.route().mock(return_value=stream.answer([*stream.start, stream.text("Hello ")]))
    chunks: list[Chunk] = []
    with pytest.raises(AnswerCut):
        await heard(lane, wire.deployment, into=chunks)
    assert (joined(chunks), reasons(chunks)) == ("Hello ", [])


@each_wire
async def test_a_body_without_a_byte_is_no_answer(wire: Wire, lane: Lane, provider: respx.MockRouter) -> None:
    provider.route().mock(return_value=httpx.Response(200, content=b""))
    with pytest.raises(AttemptError):
        judged(await heard(lane, wire.deployment))


@each_wire
@pytest.mark.parametrize("failure", [httpx.ConnectError("refused"), httpx.ReadError("reset by peer")], ids=type)
async def test_a_connection_that_fails_before_the_answer_is_a_failed_connection(
    wire: Wire, failure: Exception, lane: Lane, provider: respx.MockRouter
) -> None:
    provider.route().mock(side_effect=failure)
    with pytest.raises(ConnectionFailed):
        await heard(lane, wire.deployment)


@each_wire
async def test_a_provider_without_a_word_is_silent(wire: Wire, lane: Lane, provider: respx.MockRouter) -> None:
    async def say_nothing(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError("nobody waits for this")

    provider.route().mock(side_effect=say_nothing)
    async with asyncio.timeout(5):
        with pytest.raises(ProviderTimeout):
            await anext(asked(lane, wire.deployment, timeout=0.2))


INPUT = {
    "a local file": {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
    "no image": {"type": "image_url", "image_url": {"url": "data:image/png;base64,@@@"}},
    "an unknown part": {"type": "hologram", "hologram": {}},
    "an image without address": {"type": "image_url"},
    "a number": 7,
}


@each_wire
@pytest.mark.parametrize("part", INPUT.values(), ids=INPUT)
async def test_what_the_callers_own_input_causes_is_no_failure_of_the_provider(
    wire: Wire, part: Any, lane: Lane, provider: respx.MockRouter
) -> None:
    provider.route().mock(side_effect=lambda _: wire.answer())
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, part]}]
    with suppress(RequestError):
        async for _ in lane.stream(LaneRequest(wire.deployment, messages, {}, timeout=5)):
            pass


async def test_a_misspelt_provider_is_the_operators_fault(lane: Lane) -> None:
    with pytest.raises(CredentialsRefused):
        await heard(lane, Deployment(id="d", group="g", model="openia/gpt-4.1-mini", api_key=SecretStr("sk-x")))


@pytest.mark.skipif(find_spec("google") and find_spec("google.auth"), reason="google-auth is installed")
async def test_a_provider_whose_package_is_missing_is_the_operators_fault(lane: Lane) -> None:
    params = {"vertex_project": "p", "vertex_location": "us-central1"}
    with pytest.raises(CredentialsRefused):
        await heard(lane, Deployment(id="d", group="g", model="vertex_ai/gemini-2.5-flash", params=params))
