"""The lane for OpenAI-compatible providers: LiteLLM builds the request, aiohttp sends it, without an SDK.

An SDK costs about a millisecond per streamed chunk; this lane costs about that per turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from typing import Any, Final

import aiohttp
import orjson

from config.errors import BadAnswer, CredentialsRefused, StaleConnection, SwitchboardError
from config.models.deployments import Deployment
from router.lanes.base import Chunk, Lane, LaneRequest
from router.lanes.decompression import iter_decompressed
from router.lanes.http_client import TRANSPORT_ERRORS, HttpClient, KeptConnectionBroke
from router.lanes.openai_chunks import ChunkReader
from router.lanes.openai_request import NeedsLiteLLM, ProviderEndpoint, prepared_params, provider_endpoint, request_body
from router.providers.error_body import redacted
from router.providers.provider_errors import from_response, from_transport
from router.stream.sse_events import EventParser

END_TIMEOUT: Final = 0.5
"""Seconds to wait after the finish reason for the usage and `[DONE]`, which some providers never send."""
DRAIN_TIMEOUT: Final = 0.05
"""Seconds to wait after `[DONE]` for the end of the response, so that the connection can be reused."""
ERROR_BODY_TIMEOUT: Final = 1.0
"""Seconds to wait for the body of an error, whose status alone says what to do next."""
MAX_ERROR_BYTES: Final = 64 * 1024
MAX_WHOLE_ANSWER_BYTES: Final = 8 * 1024 * 1024
MAX_ENDPOINTS: Final = 1024

_log = logging.getLogger(__name__)


class OpenAILane:
    """Sends attempts in OpenAI's streaming format. Requests that need LiteLLM's client go to the lane `litellm`."""

    def __init__(self, http: HttpClient, litellm: Lane | None = None) -> None:
        self._http = http
        self._litellm = litellm
        self._endpoints: dict[Deployment, ProviderEndpoint] = {}
        self._prepared = prepared_params()

    async def stream(self, request: LaneRequest) -> AsyncGenerator[Chunk, None]:
        """Yields the answer's chunks; see `Lane.stream`."""
        endpoint = self._endpoint(request.deployment)
        try:
            body = request_body(endpoint, request)
        except NeedsLiteLLM:
            if self._litellm is None:
                raise BadAnswer("this request needs the LiteLLM lane, which is not available") from None
            async with aclosing(self._litellm.stream(request)) as chunks:
                async for chunk in chunks:
                    yield chunk
            return
        response = await self._send(endpoint, body, request.timeout)
        try:
            if response.status != 200:
                raise await _error(response)
            async with aclosing(_answer(response, request.deployment.id)) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            response.release()  # closes the connection, unless the response was read to its end

    async def warm_up(self, deployments: Sequence[Deployment]) -> None:
        """Resolve the deployments' endpoints, and make LiteLLM load what it builds requests with."""
        for deployment in deployments:
            ping = LaneRequest(deployment, [{"role": "user", "content": "ping"}], {}, timeout=0)
            with suppress(NeedsLiteLLM, SwitchboardError):  # the first real request reports it
                request_body(self._endpoint(deployment), ping)
            await asyncio.sleep(0)  # let running turns proceed

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _send(self, endpoint: ProviderEndpoint, body: bytes, timeout: float) -> aiohttp.ClientResponse:
        try:
            async with asyncio.timeout(timeout):
                return await self._http.post(endpoint.url, endpoint.headers, body)
        except KeptConnectionBroke as exc:
            raise StaleConnection("an idle connection to the provider broke", provider_text=redacted(str(exc))) from exc
        except (*TRANSPORT_ERRORS, TimeoutError) as exc:
            raise from_transport(exc, response_started=False) from exc
        except ValueError as exc:
            problem = "a line break in the key or in a header, or a user in the address beside a key"
            raise CredentialsRefused(f"the request cannot be sent: {problem}") from exc

    def _endpoint(self, deployment: Deployment) -> ProviderEndpoint:
        endpoint = self._endpoints.get(deployment)
        if endpoint is None:
            if len(self._endpoints) >= MAX_ENDPOINTS:  # deployments of an older models.yaml, or of wildcards
                self._endpoints.clear()
            endpoint = self._endpoints[deployment] = provider_endpoint(deployment, self._prepared)
        return endpoint


async def _answer(response: aiohttp.ClientResponse, deployment_id: str) -> AsyncGenerator[Chunk, None]:
    """Yields the chunks of a response with status 200, whether streamed or not."""
    content_type = response.headers.get("content-type", "")
    if "html" in content_type:
        raise BadAnswer("the provider answered with a web page", provider_text=content_type, status=200)
    reader, parser = ChunkReader(), EventParser()
    sniff = "event-stream" not in content_type
    async with aclosing(_body(response, reader)) as reads:
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


async def _body(response: aiohttp.ClientResponse, reader: ChunkReader) -> AsyncGenerator[bytes, None]:
    """Yields the response body as it arrives. Ignores a connection that breaks or hangs after the finish reason."""
    try:
        async with aclosing(iter_decompressed(response)) as reads:
            async for data in reads:
                yield data
                if reader.finished:
                    break
            until = asyncio.get_running_loop().time() + END_TIMEOUT
            while reader.finished:
                async with asyncio.timeout_at(until):
                    rest = await anext(reads, None)
                if rest is None:
                    break
                yield rest
    except TRANSPORT_ERRORS as exc:  # TimeoutError is one of them
        if not reader.finished:
            raise from_transport(exc, response_started=True) from exc


async def _drain(reads: AsyncIterator[bytes]) -> None:
    """Read the rest of the response, within DRAIN_TIMEOUT, so that the connection can be reused."""
    with suppress(TimeoutError, SwitchboardError):
        async with asyncio.timeout(DRAIN_TIMEOUT):
            async for _ in reads:
                pass


async def _whole(data: bytes, reads: AsyncIterator[bytes]) -> dict[str, Any]:
    """The JSON object of a provider that does not stream."""
    whole = bytearray(data)
    async for more in reads:
        whole += more
        if len(whole) > MAX_WHOLE_ANSWER_BYTES:
            raise BadAnswer(f"the provider's answer is longer than {MAX_WHOLE_ANSWER_BYTES} bytes", status=200)
    try:
        parsed = orjson.loads(whole)
    except orjson.JSONDecodeError as exc:
        text = redacted(whole[:1000].decode("utf-8", "replace"))
        raise BadAnswer("the provider's answer is neither a stream nor JSON", provider_text=text, status=200) from exc
    return parsed if isinstance(parsed, dict) else {}


async def _error(response: aiohttp.ClientResponse) -> SwitchboardError:
    """The error for a status other than 200. Reads at most MAX_ERROR_BYTES of the body, within ERROR_BODY_TIMEOUT."""
    body = bytearray()
    try:
        async with asyncio.timeout(ERROR_BODY_TIMEOUT), aclosing(iter_decompressed(response)) as reads:
            async for data in reads:
                body += data
                if len(body) >= MAX_ERROR_BYTES:
                    break
    except (*TRANSPORT_ERRORS, BadAnswer) as exc:
        _log.debug("could not read the body of an error response: %s", type(exc).__name__)
    return from_response(response.status, response.headers, bytes(body[:MAX_ERROR_BYTES]))
