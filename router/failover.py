"""One model name in, one reliable stream out.

`FailoverRouter` lives as long as the server. Each turn begins a `RoutedTurn`, which stands where langchain-litellm
expects a `litellm.Router`: it is asked for `acompletion()` once per agent step and yields OpenAI chunks as dicts. What
one such call goes through is `router.model_call`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Protocol

from config.errors import ModelNotFound, ModelUnavailable, RequestError
from config.models.deployments import Deployment, Registry
from router.attempt import Exchange
from router.attempt_plan import Route
from router.balance import order_to_try
from router.health.breakers import Breakers
from router.health.rate_limits import RateLimits
from router.health.stats import Stats
from router.hedge import HedgeBudget
from router.lanes.base import Chunk, Lane
from router.model_call import ModelCall
from router.providers.model_facts import exceeds_context
from router.registry import LiveRegistry
from router.turn_record import TurnRecord

NOT_FOR_PROVIDERS = frozenset({"model", "messages", "stream", "stream_options", "metadata"})
"""What langchain-litellm adds for a litellm.Router; the lanes add their own."""


class LaneSource(Protocol):
    """Says which lane reaches a deployment; `router.lanes.selection.Lanes` is the real one."""

    def for_deployment(self, deployment: Deployment) -> Lane: ...


@dataclass(frozen=True, slots=True)
class RoutingOverrides:
    """What one request may ask of the routing; None leaves it as models.yaml has it.

    `turn_deadline` (seconds) may shorten the configured one. `fallbacks` are the model names that stand in, () for
    none.
    """

    turn_deadline: float | None = None
    num_retries: int | None = None
    fallbacks: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class FailoverRouter:
    """What all turns share. `clock` counts seconds; `sleep` and `random` are here so that tests can decide them."""

    registry: LiveRegistry
    lanes: LaneSource
    breakers: Breakers
    rate_limits: RateLimits = field(default_factory=RateLimits)
    stats: Stats = field(default_factory=Stats)
    hedges: HedgeBudget = field(default_factory=HedgeBudget)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Random = field(default_factory=Random)

    def begin(self, model: str | None, overrides: RoutingOverrides | None = None) -> RoutedTurn:
        """Begin a turn on the model that the caller named; None or "default" stands for the default group.

        Raises:
            ModelNotFound: no group, alias or wildcard has that name.
            ModelUnavailable: the group and its fallbacks have no deployment that can be used.
            RequestError: a fallback that the request names does not exist.
        """
        overrides = overrides or RoutingOverrides()
        registry, name = self.check(model, overrides)
        limit = registry.settings.limits.turn_deadline
        seconds = limit if overrides.turn_deadline is None else min(overrides.turn_deadline, limit)
        self.hedges.turns += 1
        return RoutedTurn(self, registry, name, self.clock() + seconds, TurnRecord(asked=name))

    def check(self, model: str | None, overrides: RoutingOverrides | None = None) -> tuple[Registry, str]:
        """What a turn on `model` would run on: the models as they are now and as is wished, and the model's name.

        Raises as `begin` does.
        """
        registry = self.registry.current
        name = model if model and registry.resolve(model) else None
        if name is None and model in (None, "", "default"):
            name = registry.default_group()
        if name is None:
            raise ModelNotFound(
                f"The model {model!r} does not exist. GET /v1/models lists those that do.", param="model"
            )
        registry = _with_overrides(registry, name, overrides or RoutingOverrides())
        if not any(registry.usable(registry.resolve(each) or "") for each in _reachable(registry, name)):
            raise ModelUnavailable(f"The model {name!r} is configured, but no deployment of it is ready: see /health.")
        return registry, name


@dataclass(slots=True)
class RoutedTurn:
    """The router as one turn sees it: one registry snapshot, one deadline (on the router's clock), one record."""

    router: FailoverRouter
    registry: Registry
    model: str
    deadline: float
    record: TurnRecord
    _hedged: bool = False

    async def acompletion(self, *, messages: Sequence[dict[str, Any]], **params: Any) -> AsyncGenerator[Chunk, None]:
        """Stream one model call. Its signature is `litellm.Router.acompletion`'s; it always streams, whatever `stream`
        says. Closing the stream closes everything down to the provider's connection.

        Raises, while the stream is read:
            RequestError: the request is wrong, whichever provider gets it.
            AllDeploymentsFailed: nothing is left to try.
            AnswerInterrupted: the answer broke after text of it had gone through, and nothing could go on with it.
        """
        sent = {key: value for key, value in params.items() if key not in NOT_FOR_PROVIDERS}
        return ModelCall(self, [_without_blank(message) for message in messages], sent).chunks()

    def again(self) -> RoutedTurn:
        """Another turn on the same model, with a deadline of its own."""
        return self.router.begin(self.record.asked)

    def route(self, prompt_chars: int) -> Route:
        """The way of one model call with a prompt of that many characters."""
        return Route(self.registry, self.model, _Guide(self, prompt_chars))

    def exchange(self, name: str, deployment: Deployment) -> Exchange:
        """One attempt at `deployment`, which the model's name `name` led to."""
        return Exchange(self.router, self.record, name, deployment)

    def may_try(self, deployment: Deployment) -> bool:
        """Whether the deployment's breaker and its limits let one more attempt through now."""
        return self.router.breakers.allows(deployment.id) and self.router.rate_limits.admits(deployment)

    def may_hedge(self) -> bool:
        """Take this turn's one hedge, when the budget has it."""
        if self._hedged or not self.router.hedges.spend(self.registry.settings.hedge_budget):
            return False
        self._hedged = True
        return True


@dataclass(frozen=True, slots=True)
class _Guide:
    """What a route asks; see `router.attempt_plan.Guide`."""

    turn: RoutedTurn
    prompt_chars: int

    def in_order(self, deployments: Iterable[Deployment]) -> list[Deployment]:
        router = self.turn.router
        return order_to_try(deployments, self.turn.registry.settings.routing_strategy, router.stats, router.random)

    def may_try(self, deployment: Deployment) -> bool:
        return self.turn.may_try(deployment)

    def too_long_for(self, deployment: Deployment) -> bool:
        return exceeds_context(deployment, self.prompt_chars)

    def last_resort(self, deployments: list[Deployment]) -> Deployment:
        by_id = {each.id: each for each in reversed(deployments)}
        return by_id[self.turn.router.breakers.least_recently_failed(each.id for each in deployments)]


def _without_blank(message: dict[str, Any]) -> dict[str, Any]:
    """A tool call without words has none at all, as OpenAI says it. For Anthropic, which refuses an empty text, LiteLLM
    would make up words, which the model may take for its own and say.
    """
    if not message.get("tool_calls"):
        return message
    content = message.get("content")
    return {**message, "content": None} if isinstance(content, str) and not content.strip() else message


def _reachable(registry: Registry, name: str) -> list[str]:
    """`name` and every name that its fallbacks lead to."""
    names = [name]
    for each in names:
        names += [more for more in registry.fallbacks(registry.resolve(each) or each) if more not in names]
    return names


def _with_overrides(registry: Registry, name: str, overrides: RoutingOverrides) -> Registry:
    """`registry` with what the request wants otherwise."""
    settings = registry.settings
    if overrides.num_retries is not None:
        settings = replace(settings, num_retries=overrides.num_retries)
    if overrides.fallbacks == ():
        settings = replace(
            settings, fallbacks={}, default_fallbacks=(), context_window_fallbacks={}, content_policy_fallbacks={}
        )
    elif overrides.fallbacks is not None:
        if unknown := [each for each in overrides.fallbacks if registry.resolve(each) is None]:
            raise RequestError(f"fallbacks names {unknown[0]!r}, which is no model here.", param="fallbacks")
        settings = replace(settings, fallbacks={registry.resolve(name) or name: overrides.fallbacks})
    return registry if settings is registry.settings else replace(registry, settings=settings)
