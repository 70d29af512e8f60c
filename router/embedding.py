"""Texts to vectors, by the deployments of one embedding group of models.yaml; when one fails, the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import structlog

from config.errors import AllDeploymentsFailed, AttemptError, BadAnswer, ModelUnavailable, ProviderTimeout
from config.models.deployments import Deployment
from router.fake.fake_embedding import fake_embeddings
from router.lanes.litellm_lane import LITELLM_TIMEOUT
from router.providers.litellm_import import litellm
from router.providers.provider_errors import from_litellm

log = structlog.get_logger(__name__)

BATCH = 10
"""Texts in one request: the fewest that a provider takes (DashScope)."""


@dataclass(frozen=True, slots=True)
class Embedder:
    """`deployments` gives those of the group, from the registry that holds now; the ones without a key among them.

    All of them must be the same model, at different providers or with different keys: vectors of two models cannot be
    compared.
    """

    group: str
    deployments: Callable[[], Sequence[Deployment]]

    @property
    def space(self) -> str:
        """A name for what the vectors can be compared with. It changes when the group's first model does."""
        first = next(iter(self.deployments()), None)
        if first is None:
            return self.group
        dimensions = first.params.get("dimensions")
        return f"{self.group}: {first.model}" + (f" ({dimensions})" if dimensions else "")

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector for each text, all of one length. Each request may take the deployment's `first_token_timeout`.

        Raises:
            ModelUnavailable: no deployment of the group can be used.
            RequestError: the texts are wrong, whichever provider gets them.
            AllDeploymentsFailed: none of the providers answered.
        """
        known = self.deployments()
        usable = [each for each in known if not each.missing]
        if not usable:
            unset = ", ".join(dict.fromkeys(name for each in known for name in each.missing))
            why = f"{unset} not set" if known else "models.yaml has no such group with `mode: embedding`"
            raise ModelUnavailable(f"The embedding model {self.group!r} cannot be used: {why}.")
        vectors: list[list[float]] = []
        for start in range(0, len(texts), BATCH):
            vectors += await self._embed_batch(usable, texts[start : start + BATCH])
        return vectors

    async def _embed_batch(self, usable: Sequence[Deployment], texts: Sequence[str]) -> list[list[float]]:
        failure: AttemptError | None = None
        for deployment in usable:
            try:
                return await _attempt(deployment, texts)
            except AttemptError as error:
                failure = error
                log.warning(
                    "embedding_failed",
                    deployment=deployment.id,
                    error=error.code,
                    status=error.status,
                    reason=str(error),
                    provider_text=error.provider_text[:500] or None,
                )
        raise AllDeploymentsFailed(f"No provider of the embedding model {self.group!r} answered.") from failure


async def _attempt(deployment: Deployment, texts: Sequence[str]) -> list[list[float]]:
    ask = fake_embeddings if deployment.model.startswith("fake/") else _over_litellm
    try:
        async with asyncio.timeout(deployment.limits.first_token_timeout):
            vectors = await ask(deployment, texts)
    except TimeoutError as exc:
        raise ProviderTimeout("the provider did not answer in time") from exc
    if len(vectors) != len(texts) or len({len(each) for each in vectors}) > 1 or not all(map(_is_vector, vectors)):
        raise BadAnswer("the provider's answer does not hold one vector for each text")
    return vectors


class _Never(int):
    """No retries. LiteLLM's embeddings take a 0 that is false for "not said", and try three times."""

    def __bool__(self) -> bool:
        return True


async def _over_litellm(deployment: Deployment, texts: Sequence[str]) -> list[list[float]]:
    arguments: dict[str, Any] = {**deployment.params, "model": deployment.model, "input": list(texts)}
    if deployment.api_base:
        arguments["api_base"] = deployment.api_base
    if deployment.api_key is not None:
        arguments["api_key"] = deployment.api_key.get_secret_value()
    # As in the lanes: retries happen in one place, and LiteLLM's clock is never the first to ring.
    steering = {"num_retries": 0, "max_retries": _Never(), "timeout": LITELLM_TIMEOUT, "no-log": True}
    try:
        answer = await litellm.aembedding(**arguments, **steering)
    except Exception as exc:  # whatever comes out of LiteLLM is mapped, and raised
        raise from_litellm(exc) from exc
    return _vectors(answer)


def _vectors(answer: Any) -> list[list[float]]:
    """In the order of the texts, whatever the order of the answer."""
    try:
        rows = sorted(answer.data, key=lambda row: row["index"])
        return [[float(each) for each in row["embedding"]] for row in rows]
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise BadAnswer("the provider's answer holds no vectors") from exc


def _is_vector(vector: Sequence[float]) -> bool:
    return bool(vector) and all(map(isfinite, vector))
