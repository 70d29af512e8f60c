"""A body sets nothing of LiteLLM's own: not where a request goes, with which key, or with which headers."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import litellm
import orjson
import pytest
from litellm.constants import OPENAI_CHAT_COMPLETION_PARAMS
from litellm.types.router import GenericLiteLLMParams
from litellm.types.utils import all_litellm_params

from api.chat.wire import ChatBody
from api.openai.embeddings import EmbeddingRequest
from api.openai.wire import ChatCompletionRequest
from api.personas.wire import ChatAgentBody, CreateAgentBody, CreateConversationBody, UpdateAgentBody
from api.sessions.wire import InvokeBody, ResumeBody
from api.tasks.wire import InvokeTaskBody
from tests.support.serving import Served, direct, serving, through_litellm

LANES = ("direct", "litellm")
SECRET = "elsewhere.example"
ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
VECTOR = {"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}
VECTORS = {"object": "list", "model": "m", "data": [VECTOR], "usage": {"prompt_tokens": 1, "total_tokens": 1}}
CHUNKS = (
    {"delta": {"role": "assistant", "content": "Hello."}, "finish_reason": None},
    {"delta": {}, "finish_reason": "stop"},
)


def litellm_names() -> Iterator[str]:
    """The parameters of LiteLLM and of its providers."""
    yield from inspect.signature(litellm.acompletion).parameters
    yield from inspect.signature(litellm.completion).parameters
    yield from GenericLiteLLMParams.model_fields
    yield from all_litellm_params
    yield from OPENAI_CHAT_COMPLETION_PARAMS
    yield from (
        "headers",
        "extra_body",
        "extra_query",
        "httpx_client",
        "default_headers",
        "allowed_openai_params",
        "drop_params",
    )


NAMES = sorted({*litellm_names()} - {*ChatCompletionRequest.model_fields} - {"kwargs"})
"""All but those that a body may say, each of which has a meaning of its own here."""


class Recorder:
    """An OpenAI provider that keeps what it receives, byte by byte, and counts its connections."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.connections = 0
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: *(\d+)", head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                self.received.append(head + body)
                embeds = b"/embeddings" in head.partition(b"\r\n")[0]
                streams = b'"stream":true' in body.replace(b" ", b"")
                writer.write(_response(VECTORS if embeds else ANSWER, streams=streams))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def _response(answer: dict[str, Any], *, streams: bool) -> bytes:
    kind, body = "application/json", orjson.dumps(answer)
    if streams:
        base = {**ANSWER, "object": "chat.completion.chunk"}
        chunks = [orjson.dumps({**base, "choices": [{"index": 0, **each}]}) for each in CHUNKS]
        kind, body = "text/event-stream", b"".join(b"data: " + each + b"\n\n" for each in [*chunks, b"[DONE]"])
    return f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def recorder() -> AsyncIterator[Recorder]:
    found = Recorder()
    server = await asyncio.start_server(found.answer, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield found


@pytest.fixture
async def provider() -> AsyncIterator[Recorder]:
    async with recorder() as provider:
        yield provider


@pytest.fixture
async def server(tmp_path: Path, provider: Recorder) -> AsyncIterator[Served]:
    base = f"{provider.url}/v1"
    vectors = {**direct("vectors", base, "m"), "model_info": {"mode": "embedding"}}
    models = direct("direct", base, "m"), through_litellm("litellm", base, "m"), vectors
    # LiteLLM loads certificates at its first request.
    async with serving(tmp_path, *models, finds_blocking=False) as served:
        yield served


async def asked(server: Served, provider: Recorder, path: str = "chat/completions", **body: Any) -> bytes:
    """What the provider received for a request with this body."""
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=30) as http:
        response = await http.post(f"/v1/{path}", json=body)
    assert response.status_code == 200, response.text
    return provider.received[-1]


def test_the_names_are_those_of_the_installed_litellm() -> None:
    known = {"api_base", "api_key", "base_url", "headers", "extra_headers", "extra_body", "organization", "model_list"}
    assert known | {"custom_llm_provider", "mock_response", "aws_secret_access_key"} <= {*NAMES}
    assert len(NAMES) > 80


@pytest.mark.parametrize("lane", LANES)
async def test_no_parameter_of_litellm_reaches_it_from_a_body(server: Served, provider: Recorder, lane: str) -> None:
    body = {"model": lane, "messages": [{"role": "user", "content": "Hi"}]}
    alone = await asked(server, provider, **body)
    for value in (SECRET, {"x-secret": SECRET}, [SECRET], True):
        fields = dict.fromkeys(NAMES, value)
        assert await asked(server, provider, **fields, **body) == alone
    assert b"Bearer sk-provider" in alone and SECRET.encode() not in b"".join(provider.received)


async def test_none_reaches_it_from_a_body_of_embeddings(server: Served, provider: Recorder) -> None:
    body = {"model": "vectors", "input": "Hi"}
    alone = await asked(server, provider, "embeddings", **body)
    fields = dict.fromkeys({*NAMES} - {*EmbeddingRequest.model_fields}, SECRET)
    assert await asked(server, provider, "embeddings", **fields, **body) == alone
    assert b"Bearer sk-provider" in alone


NATIVE = {
    "/chat": ({"message": "Hi"}, [ChatBody]),
    "/agent/invoke": ({"user_id": "ann", "query": "Hi"}, [InvokeBody, ResumeBody]),
    "/agent/invoke/async": ({"user_id": "ann", "query": "Hi"}, [InvokeTaskBody]),
    "/agents/create-agent": (
        {"context": "Be kind.", "first_message": "Hi"},
        [CreateAgentBody, UpdateAgentBody, CreateConversationBody, ChatAgentBody],
    ),
}
"""The calls of our own APIs, with a valid body each, and their bodies."""


async def test_our_own_apis_refuse_them_all(server: Served, provider: Recorder) -> None:
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=30) as http:
        for path, (body, models) in NATIVE.items():
            assert (await http.post(path, json=body | {"api_base": SECRET})).status_code == 422, path
            for model in models:
                assert model.model_config.get("extra") == "forbid" and not {*model.model_fields} & {*NAMES} - {"ttl"}
    assert not provider.received


@pytest.mark.parametrize("lane", LANES)
async def test_the_url_of_an_image_is_passed_on_and_not_fetched(server: Served, provider: Recorder, lane: str) -> None:
    async with recorder() as images:
        url = f"{images.url}/cat.png"
        content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
        sent = await asked(server, provider, model=lane, messages=[{"role": "user", "content": content}])
        assert url.encode() in sent and images.connections == 0
