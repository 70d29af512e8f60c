"""`/v1/embeddings` as OpenAI's client uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from math import isclose
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, BadRequestError, InternalServerError, NotFoundError

from tests.support.serving import TOKEN, Served, fake, serving

EMBEDDING = {"mode": "embedding"}
VECTORS = {**fake("vectors", "fake/embedding"), "model_info": EMBEDDING}
SPARE = [
    {**fake("spare", "fake/503"), "model_info": EMBEDDING},
    {**fake("spare", "fake/embedding"), "model_info": EMBEDDING},
]
BROKEN = {**fake("broken", "fake/503"), "model_info": EMBEDDING}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    alias = {"model_group_alias": {"text-embedding-3-small": "vectors"}}
    async with serving(tmp_path, fake(), VECTORS, *SPARE, BROKEN, router=alias) as served:
        yield served


@pytest.fixture
async def openai(server: Served) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key=TOKEN, max_retries=0) as client:
        yield client


async def test_openais_client_reads_the_same_vectors_in_both_encodings(openai: AsyncOpenAI) -> None:
    default = await openai.embeddings.create(model="vectors", input=["a cat", "a dog"])  # the client asks for base64
    floats = await openai.embeddings.create(model="vectors", input=["a cat", "a dog"], encoding_format="float")
    assert [each.index for each in default.data] == [0, 1]
    assert len(default.data[0].embedding) == 256
    for one, other in zip(default.data, floats.data, strict=True):
        assert all(isclose(a, b, abs_tol=1e-6) for a, b in zip(one.embedding, other.embedding, strict=True))
    assert floats.usage.total_tokens > 0


@pytest.mark.parametrize("model", ["text-embedding-3-small", "spare"])
async def test_an_alias_and_a_second_deployment_serve(openai: AsyncOpenAI, model: str) -> None:
    answer = await openai.embeddings.create(model=model, input="a cat")
    assert (answer.model, len(answer.data)) == (model, 1)


async def test_when_all_deployments_fail_it_says_so(openai: AsyncOpenAI) -> None:
    with pytest.raises(InternalServerError) as failed:
        await openai.embeddings.create(model="broken", input="a cat")
    assert (failed.value.status_code, failed.value.code) == (503, "all_deployments_failed")


@pytest.mark.parametrize(
    "body",
    [{"input": []}, {"input": ""}, {"input": [1, 2]}, {"input": [[1, 2]]}, {}, {"input": "a", "dimensions": 3}],
)
async def test_what_cannot_be_embedded_is_named(openai: AsyncOpenAI, body: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError) as refused:
        await openai.post("/embeddings", cast_to=object, body={"model": "vectors", **body})
    assert refused.value.param == ("dimensions" if "dimensions" in body else "input")


async def test_a_model_that_does_not_embed_is_named_with_those_that_do(openai: AsyncOpenAI) -> None:
    with pytest.raises(NotFoundError, match="vectors, spare"):
        await openai.embeddings.create(model="fake", input="a cat")


async def test_it_needs_a_token_and_says_what_is_missing_without_an_embedding_group(tmp_path: Path) -> None:
    async with serving(tmp_path, fake()) as served, httpx.AsyncClient(base_url=served.url) as http:
        refused = await http.post("/v1/embeddings", json={"input": "a"})
        missing = await http.post("/v1/embeddings", json={"input": "a"}, headers=served.headers)
    assert refused.status_code == 401
    assert (missing.status_code, "mode: embedding" in missing.json()["error"]["message"]) == (404, True)
