"""One model name in, one reliable stream out: the attempt loop.

`FailoverRouter` lives as long as the server. Each turn begins a `RoutedTurn`, which stands where langchain-litellm
expects a `litellm.Router`: it is asked for `acompletion()` once per agent step and yields OpenAI chunks as dicts. Text
goes through as it comes; tool calls are held back until they are whole. As long as no text has gone through, a failed
attempt is invisible: it is retried, moved to the next deployment, then along the fallback groups, as `policy.decide`
says.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

import structlog

from config.deployments import Deployment, Registry
from config.errors import (
    AllDeploymentsFailed,
    AnswerInterrupted,
    AttemptError,
    CredentialsRefused,
    ModelNotFound,
    ModelUnavailable,
    RateLimited,
    RequestError,
    SwitchboardError,
    VendorSilent,
)
from router.answer import Answer
from router.balance import order_to_try
from router.lanes.base import Attempt, Chunk, Lane
from router.policy import GiveUp, NextDeployment, NextGroup, RetryHere, decide
from router.registry import LiveRegistry
from router.route import Route
from router.stats import Stats
from router.turn_record import AttemptRecord, TurnRecord

log = structlog.get_logger(__name__)

NOT_FOR_VENDORS = frozenset({"model", "messages", "stream", "stream_options", "metadata"})
"""What langchain-litellm adds for a litellm.Router; the lanes add their own."""


class LaneSource(Protocol):
    """Says which lane reaches a deployment; `router.lanes.selection.Lanes` is the real one."""

    def for_deployment(self, deployment: Deployment) -> Lane: ...


@dataclass(frozen=True, slots=True)
class FailoverRouter:
    """What all turns share. `clock` counts seconds; `sleep` and `random` are here so that tests can decide them."""

    registry: LiveRegistry
    lanes: LaneSource
    stats: Stats = field(default_factory=Stats)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Random = field(default_factory=Random)

    def begin(self, model: str | None, *, turn_deadline: float | None = None) -> RoutedTurn:
        """Begin a turn on the model that the caller named; None or "default" stands for the default group.

        `turn_deadline` (seconds from now) may shorten the configured one.

        Raises:
            ModelNotFound: no group, alias or wildcard has that name.
            ModelUnavailable: the group and its fallbacks have no deployment that can be used.
        """
        registry = self.registry.current
        name = model if model and registry.resolve(model) else None
        if name is None and model in (None, "", "default"):
            name = registry.default_group()
        if name is None:
            raise ModelNotFound(
                f"The model {model!r} does not exist. GET /v1/models lists those that do.", param="model"
            )
        limits = registry.settings.limits
        seconds = limits.turn_deadline if turn_deadline is None else min(turn_deadline, limits.turn_deadline)
        turn = RoutedTurn(self, registry, name, self.clock() + seconds, TurnRecord(asked=name))
        if not Route(registry, name, turn.in_order).has_more:
            raise ModelUnavailable(f"The model {name!r} is configured, but no deployment of it is ready: see /health.")
        return turn


@dataclass(slots=True)
class RoutedTurn:
    """The router as one turn sees it: one registry snapshot, one deadline (on the router's clock), one record."""

    router: FailoverRouter
    registry: Registry
    model: str
    deadline: float
    record: TurnRecord
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def model_list(self) -> list[dict[str, Any]]:
        """The deployments in LiteLLM's form, without keys: langchain-litellm reads it to decide on replaying
        thinking blocks.
        """
        return [
            {"model_name": self.model, "litellm_params": {"model": each.model, "api_base": each.api_base}}
            for each in self.registry.usable(self.registry.resolve(self.model) or "")
        ]

    async def acompletion(
        self, *, messages: list[dict[str, Any]], stream: bool = True, **params: Any
    ) -> AsyncGenerator[Chunk, None]:
        """Stream one model call. Its signature is `litellm.Router.acompletion`'s; it always streams.

        Raises, while the stream is read:
            RequestError: the request is wrong, whichever vendor gets it.
            AllDeploymentsFailed: nothing is left to try.
            AnswerInterrupted: the answer broke after text of it had gone through.
        """
        if not stream:
            raise ValueError("the router only streams: build the chat model with streaming=True")
        sent = {key: value for key, value in params.items() if key not in NOT_FOR_VENDORS}
        chunks = self._chunks(messages, sent)
        # langchain-litellm does not close the stream that it reads; the turn's end does.
        self._open.push_async_callback(chunks.aclose)
        return chunks

    def in_order(self, deployments: Iterable[Deployment]) -> list[Deployment]:
        """`deployments` in the order in which this turn tries them."""
        router = self.router
        return order_to_try(deployments, self.registry.settings.routing_strategy, router.stats, router.random)

    async def aclose(self) -> None:
        """Close every stream that is still open, down to the vendor's connection."""
        await self._open.aclose()

    async def _chunks(self, messages: list[dict[str, Any]], params: Mapping[str, Any]) -> AsyncGenerator[Chunk, None]:
        route = Route(self.registry, self.model, self.in_order)
        spoken = False
        error: SwitchboardError | None = None
        for name, deployment in route:
            retries = 0
            while True:
                try:
                    async with aclosing(self._attempt(name, deployment, messages, params)) as chunks:
                        async for chunk in chunks:
                            spoken = spoken or _has_text(chunk)
                            yield chunk
                    return
                except (AttemptError, RequestError) as exc:
                    error = exc
                    _log_failure(deployment, exc)
                if spoken:
                    raise AnswerInterrupted("The answer broke off and could not be continued.") from error
                decision = decide(
                    error,
                    retries=retries,
                    alternatives=route.has_more,
                    remaining=self.deadline - self.router.clock(),
                    settings=self.registry.settings,
                    random=self.router.random,
                )
                match decision:
                    case RetryHere(delay):
                        retries += 1
                        await self.router.sleep(delay)
                        continue
                    case NextGroup(kind):
                        route.detour(kind)
                    case GiveUp():
                        raise error
                    case NextDeployment():
                        pass
                break
        raise self._exhausted(error)

    def _exhausted(self, error: SwitchboardError | None) -> SwitchboardError:
        if isinstance(error, RequestError):
            return error
        after = error.retry_after if isinstance(error, RateLimited) else None
        failed = AllDeploymentsFailed("No vendor could answer this request. Please try again.", retry_after=after)
        failed.__cause__ = error
        return failed

    async def _attempt(
        self, name: str, deployment: Deployment, messages: list[dict[str, Any]], params: Mapping[str, Any]
    ) -> AsyncGenerator[Chunk, None]:
        """One exchange, judged: yields text as it comes, then the whole tool calls, then the finish and the usage."""
        clock, stats = self.router.clock, self.router.stats[deployment.id]
        record = AttemptRecord(name, deployment.id)
        self.record.attempts.append(record)
        attempt = Attempt(
            deployment=deployment,
            messages=messages,
            params=params,
            timeout=deployment.limits.first_token_timeout,
            drop_params=self.registry.settings.drop_params,
        )
        began = clock()
        stats.in_flight += 1
        try:
            answer = Answer()
            async with aclosing(self.router.lanes.for_deployment(deployment).stream(attempt)) as stream:
                async for chunk in self._watched(stream, deployment, record):
                    if (kept := answer.take(chunk)) is not None:
                        yield kept
            for chunk in answer.ending():
                yield chunk
            record.outcome = "ok"
            stats.answered(record.first_token if record.first_token is not None else clock() - began)
        except SwitchboardError as exc:
            record.outcome = stats.last_error = exc.code
            raise
        finally:
            stats.in_flight -= 1
            record.seconds = clock() - began

    async def _watched(
        self, stream: AsyncIterator[Chunk], deployment: Deployment, record: AttemptRecord
    ) -> AsyncGenerator[Chunk, None]:
        """The lane's chunks, with the first-token and the stall timeout over the waiting for them."""
        clock, limits = self.router.clock, deployment.limits
        began = waiting = clock()
        while True:
            speaking = record.first_token is not None
            patience = limits.stall_timeout if speaking else began + limits.first_token_timeout - waiting
            try:
                async with asyncio.timeout(patience):
                    chunk = await anext(stream, None)
            except TimeoutError as exc:
                raise VendorSilent("the answer stalled" if speaking else "no first token in time") from exc
            finally:
                now = clock()
                self.record.vendor_seconds += now - waiting
            if chunk is None:
                return
            if not speaking and _has_token(chunk):
                record.first_token = now - began
                self.record.served_model, self.record.served_deployment = record.model, deployment.id
            yield chunk
            waiting = clock()


def _has_text(chunk: Chunk) -> bool:
    return any(choice["delta"].get("content") for choice in chunk["choices"])


def _has_token(chunk: Chunk) -> bool:
    # A model that thinks aloud is alive, so its reasoning ends the wait for the first token, though nobody hears it.
    return any(
        choice["delta"].get("content") or choice["delta"].get("tool_calls") or choice["delta"].get("reasoning_content")
        for choice in chunk["choices"]
    )


def _log_failure(deployment: Deployment, error: AttemptError | RequestError) -> None:
    # A refused key is the operator's to mend, so it must not drown among the warnings.
    write = log.error if isinstance(error, CredentialsRefused) else log.warning
    write(
        "attempt_failed",
        deployment=deployment.id,
        error=error.code,
        status=getattr(error, "status", None),
        reason=str(error),
        vendor_text=getattr(error, "vendor_text", "")[:500] or None,
    )
