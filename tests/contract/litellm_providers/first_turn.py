"""A program: the first turns of every provider in a new process, with all outside addresses blackholed.

Prints whom else it tried to reach: `python -m tests.contract.litellm_providers.first_turn`.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any

import respx
from pydantic import SecretStr
from yarl import URL

from config.errors import SwitchboardError
from config.models.deployments import Deployment
from router.lanes.base import Lane, LaneRequest
from router.lanes.http_client import HttpClient
from router.lanes.litellm_lane import LiteLLMLane
from router.lanes.openai_lane import OpenAILane
from router.lanes.openai_request import VIA_HANDLER, VIA_SDK
from router.providers.litellm_import import litellm
from tests.contract.litellm_providers.providers import WIRES
from tests.contract.litellm_providers.wire import KEY, MESSAGES, PARAMS
from tests.contract.local_provider import DONE, event, local_provider, streaming

SCHEMA = {"type": "object", "properties": {"rain": {"type": "boolean"}}, "required": ["rain"]}
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "weather", "schema": SCHEMA}}


async def main() -> None:
    others = _blackhole()
    for provider_name in sorted(VIA_SDK | VIA_HANDLER):
        await _direct(provider_name)
    litellm.disable_aiohttp_transport = True
    for wire in WIRES:
        with respx.mock(assert_all_called=False) as provider:
            provider.route().mock(side_effect=lambda _, wire=wire: wire.answer())
            await _turns(LiteLLMLane(), wire.deployment)
            assert len(provider.calls) >= 2
            others += [call.request.url.host for call in provider.calls if call.request.url.host != URL(wire.url).host]
    print(*others)


def _blackhole() -> list[str]:
    """Refuse every connection beyond the loopback. Returns the list in which the attempts are recorded."""
    others: list[str] = []
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def refusing_connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1"):
            others.append(str(address[0]))
            raise OSError("blackholed")
        connect(self, address)

    def refusing_resolve(host: Any, *rest: Any, **more: Any) -> Any:
        if host not in ("127.0.0.1", "::1", "localhost", None):
            others.append(str(host))
            raise OSError("blackholed")
        return resolve(host, *rest, **more)

    socket.socket.connect, socket.getaddrinfo = refusing_connect, refusing_resolve  # type: ignore[method-assign,assignment]
    return others


async def _direct(provider: str) -> None:
    async with local_provider(streaming(event({"content": "Yes."}), event(finish="stop"), DONE)) as local:
        deployment = Deployment(
            id="d", group="g", model=f"{provider}/some-model", api_base=local.url, api_key=SecretStr(KEY)
        )
        await _turns(OpenAILane(HttpClient(), litellm=LiteLLMLane()), deployment)
        assert len(local.requests) == 2


async def _turns(lane: Lane, deployment: Deployment) -> None:
    """A turn with tools, and one with a JSON schema."""
    for params in (PARAMS, {"response_format": JSON_SCHEMA}):
        request = LaneRequest(replace(deployment), MESSAGES, params, timeout=30.0, drop_params=True)
        with suppress(SwitchboardError):  # whether the answer is a good one does not matter here
            async with aclosing(lane.stream(request)) as chunks:
                async for _ in chunks:
                    pass
    await lane.aclose()


if __name__ == "__main__":
    asyncio.run(main())
