"""Providers that speak the OpenAI wire, without an SDK in between: LiteLLM words the request, this carries it.

An SDK costs about a millisecond for every streamed chunk; this costs about that for a whole turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from typing import Any, Final
from urllib.request import getproxies

import aiohttp
import orjson

from config.errors import BadAnswer, SwitchboardError
from config.models.deployments import Deployment
from router.lanes.base import Chunk, Lane, LaneRequest
from router.lanes.decoding import ENCODINGS, body_of
from router.lanes.openai_chunks import ChunkReader
from router.lanes.openai_request import Endpoint, NotOnThisWire, body, endpoint
from router.providers.error_body import without_secrets
from router.providers.provider_errors import from_response, from_transport
from router.stream.sse_events import EventParser

KEEP_ALIVE: Final = 30.0
"""Seconds that an idle connection is kept for the next turn; providers drop theirs after a minute or more."""
LAST_BYTES: Final = 0.05
"""Seconds to wait, after `[DONE]`, for the end of the response that frees the connection for the next turn."""
MAX_ERROR_BYTES: Final = 64 * 1024
MAX_WHOLE_ANSWER_BYTES: Final = 8 * 1024 * 1024
MAX_ENDPOINTS: Final = 1024

_TRANSPORT_ERRORS: Final = (aiohttp.ClientError, OSError)
_log = logging.getLogger(__name__)


def build_http_client() -> aiohttp.ClientSession:
    """The client for all providers of one process, to be made inside a running event loop and closed at its end.

    It has no limit on connections, since one that is held back is a caller who hears silence, and no timeouts: the lane
    and the router keep the time. Proxies are taken from the environment. httpx would cost three times
    what aiohttp does.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": ENCODINGS},
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        auto_decompress=False,
        trust_env=bool(getproxies()),
    )


class OpenAILane:
    """One HTTP exchange in OpenAI's streaming format. What its wire cannot carry goes to the lane `otherwise`."""

    def __init__(self, http: aiohttp.ClientSession, otherwise: Lane | None = None) -> None:
        self._http = http
        self._otherwise = otherwise
        self._endpoints: dict[Deployment, Endpoint] = {}

    async def stream(self, request: LaneRequest) -> AsyncGenerator[Chunk, None]:
        """The answer's chunks; see `Lane.stream`."""
        target = self._endpoint(request.deployment)
        try:
            sent = body(target, request)
        except NotOnThisWire:
            if self._otherwise is None:
                raise BadAnswer("LiteLLM would not stream this request, so it cannot be sent directly") from None
            async with aclosing(self._otherwise.stream(request)) as chunks:
                async for chunk in chunks:
                    yield chunk
            return
        response = await self._send(target, sent, request.timeout)
        try:
            if response.status != 200:
                raise await _refusal(response)
            async with aclosing(_answer(response, request.deployment.id)) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            response.release()  # closes the connection, unless the answer was read to its end

    async def warm_up(self, deployments: Sequence[Deployment]) -> None:
        """Work out where the deployments' requests go, and have LiteLLM load what it words requests with."""
        for deployment in deployments:
            ping = LaneRequest(deployment, [{"role": "user", "content": "ping"}], {}, timeout=0)
            with suppress(NotOnThisWire, SwitchboardError):  # who asks will be told
                body(self._endpoint(deployment), ping)
            await asyncio.sleep(0)  # turns may be running

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.close()

    async def _send(self, target: Endpoint, sent: bytes, timeout: float) -> aiohttp.ClientResponse:
        try:
            async with asyncio.timeout(timeout):
                return await self._http.post(target.url, headers=target.headers, data=sent, allow_redirects=False)
        except (*_TRANSPORT_ERRORS, TimeoutError) as exc:
            raise from_transport(exc, answering=False) from exc

    def _endpoint(self, deployment: Deployment) -> Endpoint:
        found = self._endpoints.get(deployment)
        if found is None:
            if len(self._endpoints) >= MAX_ENDPOINTS:  # deployments of an older models.yaml, or filled-in wildcards
                self._endpoints.clear()
            found = self._endpoints[deployment] = endpoint(deployment)
        return found


async def _answer(response: aiohttp.ClientResponse, deployment_id: str) -> AsyncGenerator[Chunk, None]:
    """The chunks of a response with status 200, whatever the provider made of it."""
    content_type = response.headers.get("content-type", "")
    if "html" in content_type:
        raise BadAnswer("the provider answered with a web page", provider_text=content_type, status=200)
    reader, parser = ChunkReader(), EventParser()
    sniff = "event-stream" not in content_type
    async with aclosing(_reads(response, reader)) as reads:
        async for data in reads:
            if sniff and (data := data.lstrip()):
                sniff = False
                if data.startswith((b"{", b"<")):
                    for chunk in reader.read_whole(await _whole(data, reads)):
                        yield chunk
                    return
            for chunk in reader.read(parser.feed(data)):
                yield chunk
            if reader.ended:
                if not response.content.is_eof():
                    await _drain(reads)
                break
    if not reader.ended:
        for chunk in reader.read(parser.finish()):
            yield chunk
    if reader.malformed:
        _log.warning("deployment %s: skipped %d malformed events in an answer", deployment_id, reader.malformed)
    for chunk in reader.finish():
        yield chunk


async def _reads(response: aiohttp.ClientResponse, reader: ChunkReader) -> AsyncGenerator[bytes, None]:
    """What comes off the network, as it comes. A connection that breaks after the finish reason has merely ended."""
    try:
        async with aclosing(body_of(response)) as reads:
            async for data in reads:
                yield data
    except _TRANSPORT_ERRORS as exc:
        if not reader.finished:
            raise from_transport(exc, answering=True) from exc


async def _drain(reads: AsyncIterator[bytes]) -> None:
    """Read to the end of the response, so that its connection can serve the next turn, but do not wait long for it."""
    with suppress(TimeoutError, SwitchboardError):
        async with asyncio.timeout(LAST_BYTES):
            async for _ in reads:
                pass


async def _whole(data: bytes, reads: AsyncIterator[bytes]) -> dict[str, Any]:
    """The JSON object of a provider that answers in one piece."""
    whole = bytearray(data)
    async for more in reads:
        whole += more
        if len(whole) > MAX_WHOLE_ANSWER_BYTES:
            raise BadAnswer(f"the provider's answer is longer than {MAX_WHOLE_ANSWER_BYTES} bytes", status=200)
    try:
        parsed = orjson.loads(whole)
    except orjson.JSONDecodeError as exc:
        text = without_secrets(whole[:1000].decode("utf-8", "replace"))
        raise BadAnswer("the provider's answer is neither a stream nor JSON", provider_text=text, status=200) from exc
    return parsed if isinstance(parsed, dict) else {}


async def _refusal(response: aiohttp.ClientResponse) -> SwitchboardError:
    """What a status other than 200 means; only the beginning of a long body is read."""
    said = bytearray()
    try:
        async with aclosing(body_of(response)) as reads:
            async for data in reads:
                said += data
                if len(said) >= MAX_ERROR_BYTES:
                    break
    except (*_TRANSPORT_ERRORS, BadAnswer) as exc:
        _log.debug("the body of a refusal broke off: %s", type(exc).__name__)
    return from_response(response.status, response.headers, bytes(said[:MAX_ERROR_BYTES]))
