"""Background health checks: requests one token from each idle deployment.

They detect a failing provider before a caller does, and close the breaker of one that has recovered. They run only when
`health_check_interval` is set, because every check costs money.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from random import Random

import structlog

from config.errors import AttemptError, ProviderTimeout, RequestError
from config.models.deployments import Deployment
from router.background_loop import background_loop
from router.health.breakers import Breakers
from router.lanes.base import Lane, LaneRequest
from router.registry import LiveRegistry
from router.stream.answer_collector import AnswerCollector

log = structlog.get_logger(__name__)

MAX_CONCURRENT = 4

RECHECK_INTERVAL = 5.0
"""Seconds between two looks at the settings while health checks are off."""

ROUNDS_PER_INTERVAL = 4
"""How often per interval to look for idle deployments. A check is at most one round late."""

JITTER = 0.1
"""Share by which rounds come earlier or later, so that the processes of a service spread out."""


async def ping(lane: Lane, deployment: Deployment) -> None:
    """Request one token from `deployment`, within its `first_token_timeout`.

    Raises:
        AttemptError: the provider failed.
        RequestError: the provider answered, but rejects this request.
    """
    timeouts = deployment.timeouts
    request = LaneRequest(
        deployment=deployment,
        messages=[{"role": "user", "content": "ping"}],
        params={"max_tokens": 1},
        timeout=timeouts.first_token_timeout,
        drop_params=True,
    )
    answer = AnswerCollector()
    try:
        async with asyncio.timeout(timeouts.first_token_timeout), aclosing(lane.stream(request)) as chunks:
            async for chunk in chunks:
                answer.take(chunk)
    except TimeoutError as exc:
        raise ProviderTimeout("no answer to a health check in time") from exc
    answer.final_chunks()


@dataclass(frozen=True, slots=True)
class HealthChecks:
    """Checks the deployments of the current registry inside `running()`.

    `ping` sends one request and raises what the function `ping` raises; the outcome goes to `breakers`. Deployments
    with a wildcard model are skipped, since there is no model to ask for.
    """

    registry: LiveRegistry
    breakers: Breakers
    ping: Callable[[Deployment], Awaitable[None]]
    random: Random = field(default_factory=Random)

    def running(self) -> AbstractAsyncContextManager[None]:
        """Run the checks in the background inside this context.

        A reload of models.yaml can change the interval and switch the checks on and off.
        """
        return background_loop("health checks", self.check, pause=self._pause)

    async def check(self) -> None:
        """Check every idle deployment and wait for the results. Does nothing while the checks are off."""
        interval = self.registry.current.settings.health_check_interval
        if not interval:
            return
        slots = asyncio.Semaphore(MAX_CONCURRENT)
        async with asyncio.TaskGroup() as checks:
            for deployment in self._idle(interval):
                checks.create_task(self._check(deployment, slots, interval), name=f"health check of {deployment.id}")

    def _pause(self) -> float:
        interval = self.registry.current.settings.health_check_interval
        if not interval:
            return RECHECK_INTERVAL
        return interval / ROUNDS_PER_INTERVAL * self.random.uniform(1 - JITTER, 1 + JITTER)

    def _idle(self, interval: float) -> list[Deployment]:
        deployments = self.registry.current.deployments
        return [
            each for each in deployments if not each.missing and "*" not in each.model and self._is_idle(each, interval)
        ]

    def _is_idle(self, deployment: Deployment, interval: float) -> bool:
        last = self.breakers.last_attempt(deployment.id)
        idle = last is None or self.breakers.clock() - last >= interval
        return idle and self.breakers.allows(deployment.id)

    async def _check(self, deployment: Deployment, slots: asyncio.Semaphore, interval: float) -> None:
        async with slots:
            if not self._is_idle(deployment, interval):
                return  # a caller used it in the meantime
            trial = self.breakers.begin(deployment.id)
            try:
                await self.ping(deployment)
                trial.succeeded()
            except AttemptError as exc:
                trial.failed(exc)
                log.warning("health_check_failed", deployment=deployment.id, error=exc.code, reason=str(exc))
            except RequestError as exc:
                log.info("health_check_refused", deployment=deployment.id, error=exc.code, reason=str(exc))
            except Exception:
                # A crash must not end the checks of other deployments.
                log.exception("health_check_crashed", deployment=deployment.id)
            finally:
                trial.cancelled()
