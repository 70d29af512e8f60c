"""What each provider is sent."""

from __future__ import annotations

import re
from dataclasses import replace

import orjson
import pytest
import respx
from pydantic import SecretStr

from router.lanes.base import Lane
from tests.contract.litellm_providers import bedrock
from tests.contract.litellm_providers.providers import WIRES
from tests.contract.litellm_providers.wire import KEY, PARAMS, Wire, asked, heard


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
async def test_one_request_goes_out_in_the_providers_own_form(
    wire: Wire, lane: Lane, provider: respx.MockRouter
) -> None:
    provider.route().mock(return_value=wire.answer())
    async for _ in asked(lane, wire.deployment, **PARAMS):
        pass
    [call] = provider.calls
    assert (call.request.method, str(call.request.url)) == ("POST", wire.url)
    for name, pattern in wire.key.items():
        assert re.fullmatch(pattern, call.request.headers[name])
    assert orjson.loads(call.request.content) == wire.request


@pytest.mark.parametrize("wire", [wire for wire in WIRES if wire.whole], ids=lambda wire: wire.name)
async def test_a_model_that_does_not_stream_is_asked_for_a_whole_answer(
    wire: Wire, lane: Lane, provider: respx.MockRouter
) -> None:
    assert wire.whole is not None
    provider.route().respond(json=dict(wire.whole.empty))
    await heard(lane, wire.whole.deployment)
    [call] = provider.calls
    assert str(call.request.url) == wire.whole.url
    assert "stream" not in orjson.loads(call.request.content)


async def test_bedrock_takes_an_api_key_instead_of_a_signature(lane: Lane, provider: respx.MockRouter) -> None:
    provider.route().mock(return_value=bedrock.WIRE.answer())
    params = {"aws_region_name": "us-east-1"}
    await heard(lane, replace(bedrock.DEPLOYMENT, api_key=SecretStr(KEY), params=params))
    assert provider.calls.last.request.headers["authorization"] == f"Bearer {KEY}"
