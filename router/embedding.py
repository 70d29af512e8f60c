"""Embeds texts with a group of embedding deployments, with failover between them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import structlog

from config.errors import AllDeploymentsFailed, AttemptError, BadAnswer, ModelUnavailable, ProviderTimeout
from config.log_content import quoted
from config.models.deployments import Deployment
from router.fake.fake_embedding import fake_embeddings
from router.lanes.litellm_lane import LITELLM_TIMEOUT
from router.providers.litellm_import import litellm
from router.providers.provider_errors import from_litellm

log = structlog.get_logger(__name__)

BATCH = 10
"""Texts in one request: the lowest limit of any provider (DashScope)."""


@dataclass(frozen=True, slots=True)
class Embedder:
    """Embeds with the deployments of `group`.

    `deployments` returns the group's deployments in the current registry, also those without a key. All must be the
    same model, at different providers or with different keys: vectors of different models are not comparable.
    """

    group: str
    deployments: Callable[[], Sequence[Deployment]]

    @property
    def space(self) -> str:
        """The name of the vector space. Only vectors of the same space are comparable."""
        first = next(iter(self.deployments()), None)
        if first is None:
            return self.group
        dimensions = first.params.get("dimensions")
        return f"{self.group}: {first.model}" + (f" ({dimensions})" if dimensions else "")

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector for each text, all of the same length. Each request has the deployment's `first_token_timeout`.

        Raises:
            ModelUnavailable: no deployment of the group is usable.
            RequestError: the texts are invalid for every provider.
            AllDeploymentsFailed: all deployments failed.
        """
        deployments = self.deployments()
        usable = [each for each in deployments if not each.missing]
        if not usable:
            unset = ", ".join(dict.fromkeys(name for each in deployments for name in each.missing))
            why = f"{unset} not set" if deployments else "models.yaml has no such group with `mode: embedding`"
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
                    provider_text=quoted(error.provider_text[:500]),
                )
        raise AllDeploymentsFailed(f"No provider of the embedding model {self.group!r} answered.") from failure


async def _attempt(deployment: Deployment, texts: Sequence[str]) -> list[list[float]]:
    embed = fake_embeddings if deployment.model.startswith("fake/") else _litellm_embeddings
    try:
        async with asyncio.timeout(deployment.timeouts.first_token_timeout):
            vectors = await embed(deployment, texts)
    except TimeoutError as exc:
        raise ProviderTimeout("the provider did not answer in time") from exc
    if len(vectors) != len(texts) or len({len(each) for each in vectors}) > 1 or not all(map(_is_vector, vectors)):
        raise BadAnswer("the provider's answer does not contain one vector for each text")
    return vectors


class _NoRetries(int):
    """A truthy 0. LiteLLM's embeddings treat a falsy `max_retries` as unset, and retry twice."""

    def __bool__(self) -> bool:
        return True


async def _litellm_embeddings(deployment: Deployment, texts: Sequence[str]) -> list[list[float]]:
    arguments: dict[str, Any] = {**deployment.params, "model": deployment.model, "input": list(texts)}
    if deployment.api_base:
        arguments["api_base"] = deployment.api_base
    if deployment.api_key is not None:
        arguments["api_key"] = deployment.api_key.get_secret_value()
    # As in the lanes: no retries and no timeouts of LiteLLM's own.
    overrides = {"num_retries": 0, "max_retries": _NoRetries(), "timeout": LITELLM_TIMEOUT, "no-log": True}
    try:
        answer = await litellm.aembedding(**arguments, **overrides)
    except Exception as exc:  # any error of LiteLLM is mapped and raised
        raise from_litellm(exc) from exc
    return _vectors(answer)


def _vectors(answer: Any) -> list[list[float]]:
    """The vectors in the order of the texts."""
    try:
        rows = sorted(answer.data, key=lambda row: row["index"])
        return [[float(each) for each in row["embedding"]] for row in rows]
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise BadAnswer("the provider's answer contains no vectors") from exc


def _is_vector(vector: Sequence[float]) -> bool:
    return bool(vector) and all(map(isfinite, vector))
