from __future__ import annotations

import asyncio
from math import fsum

import orjson
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from config.errors import AllDeploymentsFailed, ContextWindowExceeded, ModelUnavailable
from config.models.deployments import Deployment, Timeouts
from router.embedding import BATCH, Embedder
from tests.contract.local_provider import LocalProvider, Reply, answering, local_provider, stalling
from tests.support.virtual_clock import run_virtually

KEY = "sk-proj-4mZr8Qb2Lw7Xt9Kc3Vn6Hd1Fs5Gy0Pj"


def embedder(*models: str, **fields: object) -> Embedder:
    deployments = [Deployment(id=f"vectors/{each}", group="vectors", model=each, **fields) for each in models]  # type: ignore[arg-type]
    return Embedder("vectors", lambda: deployments)


def nearness(one: list[float], other: list[float]) -> float:
    return fsum(a * b for a, b in zip(one, other, strict=True))


# The fake one


async def test_texts_with_the_same_words_are_similar_and_others_are_not() -> None:
    window, near, far = await embedder("fake/embedding").embed(
        ["She likes a table by the window.", "a window TABLE", "He is allergic to nuts."]
    )
    assert nearness(window, near) > 0.5 > 0.3 > nearness(window, far)


async def test_chinese_is_compared_by_its_characters() -> None:
    window, near, far = await embedder("fake/embedding").embed(["她喜欢靠窗的座位", "靠窗座位", "他对坚果过敏"])
    assert nearness(window, near) > 0.5 > nearness(window, far)


async def test_vectors_are_deterministic_and_a_text_without_words_has_a_zero_vector() -> None:
    first, second, empty = await embedder("fake/embedding").embed(["Nuts!", "nuts", "…"])
    assert first == second != empty and not any(empty)
    # Stored vectors outlive the process, so its hashes must not depend on it.
    assert [at for at, each in enumerate(first) if each] == [3]


# Failing over


async def test_the_next_deployment_is_tried_when_one_fails() -> None:
    with capture_logs() as logs:
        vectors = await embedder("fake/503", "fake/401", "fake/embedding").embed(["Hi"])
    assert len(vectors) == 1
    assert [(each["deployment"], each["status"]) for each in logs] == [
        ("vectors/fake/503", 503),
        ("vectors/fake/401", 401),
    ]


async def test_when_all_fail_the_error_names_the_group() -> None:
    with pytest.raises(AllDeploymentsFailed, match="'vectors'"):
        await embedder("fake/503", "fake/typo").embed(["Hi"])


async def test_an_invalid_request_is_tried_once() -> None:
    with capture_logs() as logs, pytest.raises(ContextWindowExceeded):
        await embedder("fake/context", "fake/embedding").embed(["Hi"])
    assert logs == []


async def test_a_deployment_without_a_key_is_skipped() -> None:
    deployments = [
        Deployment(id="a", group="vectors", model="fake/503", missing=("KEY",)),
        Deployment(id="b", group="vectors", model="fake/embedding"),
    ]
    assert len(await Embedder("vectors", lambda: deployments).embed(["Hi"])) == 1
    with pytest.raises(ModelUnavailable, match="'vectors' cannot be used: KEY not set"):
        await Embedder("vectors", lambda: deployments[:1]).embed(["Hi"])
    with pytest.raises(ModelUnavailable, match="no such group"):
        await Embedder("vectors", list).embed(["Hi"])


def test_a_deployment_times_out_after_its_first_token_timeout() -> None:
    async def seconds() -> float:
        timeouts = Timeouts(first_token_timeout=3.0)
        with capture_logs() as logs:
            await embedder("fake/silent", "fake/embedding?first=2s", timeouts=timeouts).embed(["Hi"])
        assert [each["error"] for each in logs] == ["provider_timeout"]
        return asyncio.get_running_loop().time()

    assert run_virtually(seconds()) == 5.0


def test_vectors_of_another_model_have_another_space() -> None:
    assert embedder("openai/small").space == embedder("openai/small", "azure/small").space
    spaces = {
        embedder("openai/small").space,
        embedder("openai/large").space,
        embedder("openai/large", params={"dimensions": 256}).space,
        embedder().space,
    }
    assert len(spaces) == 4


# Over the wire


def vectors_of(count: int) -> Reply:
    """`count` vectors in the wrong order; the nth begins with n."""
    rows = [{"object": "embedding", "index": n, "embedding": [float(n), 0.5]} for n in reversed(range(count))]
    return rows_of(*rows)


def rows_of(*rows: object) -> Reply:
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return answering("200 OK", orjson.dumps({"object": "list", "data": rows, "model": "small", "usage": usage}))


def over(provider: LocalProvider, **fields: object) -> Embedder:
    return embedder("openai/text-embedding-3-small", api_base=provider.url, api_key=SecretStr(KEY), **fields)


async def test_a_request_has_the_deployments_key_and_parameters() -> None:
    async with local_provider(vectors_of(2)) as provider:
        assert await over(provider, params={"dimensions": 2}).embed(["a", "b"]) == [[0.0, 0.5], [1.0, 0.5]]
    (request,) = provider.requests
    assert request.path == "/v1/embeddings" and request.headers["authorization"] == f"Bearer {KEY}"
    asked = {name: request.body[name] for name in ("input", "model", "dimensions")}
    assert asked == {"input": ["a", "b"], "model": "text-embedding-3-small", "dimensions": 2}


async def test_many_texts_are_sent_in_batches_and_return_in_order() -> None:
    async with local_provider(vectors_of(BATCH)) as provider:
        vectors = await over(provider).embed([f"text {n}" for n in range(2 * BATCH)])
    assert [each[0] for each in vectors] == [*range(BATCH), *range(BATCH)]
    assert [text for each in provider.requests for text in each.body["input"]] == [
        f"text {n}" for n in range(2 * BATCH)
    ]


@pytest.mark.parametrize(
    "reply",
    [
        vectors_of(1),
        vectors_of(3),
        rows_of(*({"index": n, "embedding": [0.5] * (n + 1)} for n in range(2))),
        rows_of(*({"index": n, "embedding": []} for n in range(2))),
        rows_of(*({"index": n, "embedding": ["x"]} for n in range(2))),
        rows_of(*({"index": n} for n in range(2))),
        answering("200 OK", b"<html>Bad gateway</html>", "text/html"),
        answering("200 OK", b"{}"),
        answering("429 Too Many Requests", b'{"error": {"message": "slow down"}}'),
    ],
)
async def test_an_invalid_answer_is_a_failure(reply: Reply) -> None:
    async with local_provider(reply) as provider:
        with pytest.raises(AllDeploymentsFailed):
            await over(provider).embed(["a", "b"])
    assert len(provider.requests) == 1  # nobody but us decides on retries


async def test_no_key_gets_into_the_log() -> None:
    reply = answering("401 Unauthorized", orjson.dumps({"error": {"message": f"Incorrect API key: {KEY}"}}))
    async with local_provider(reply) as provider:
        with capture_logs() as logs, pytest.raises(AllDeploymentsFailed):
            await over(provider).embed(["a"])
    assert logs and KEY not in str(logs)


async def test_cancelling_hangs_up() -> None:
    async with local_provider(stalling()) as provider:
        asking = asyncio.create_task(over(provider).embed(["a"]))
        await provider.asked.wait()
        asking.cancel()
        await asyncio.wait([asking])
        assert asking.cancelled()
        await asyncio.wait_for(provider.hung_up.wait(), 10)
