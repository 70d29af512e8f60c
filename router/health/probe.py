"""Background health checks: a deployment that nobody has used for a while is asked for one token.

The probe finds a silent provider before a caller does, and brings one that recovered back into use. Off unless
`health_check_interval` is set, because every check costs money.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from random import Random

import structlog

from config.errors import AttemptError, ProviderTimeout, RequestError
from config.models.deployments import Deployment
from router.health.breakers import Breakers
from router.lanes.base import Lane, LaneRequest
from router.registry import LiveRegistry
from router.stream.answer_collector import AnswerCollector

log = structlog.get_logger(__name__)

AT_ONCE = 4
"""Checks under way at the same time."""

OFF = 5.0
"""Seconds between looks at whether a reload has switched the checks on."""

LOOKS = 4
"""How often within an interval idle deployments are looked for; so much later than due a check may come."""

JITTER = 0.1
"""Share by which the looks come earlier or later, so that the processes of a service drift apart."""


async def ping(lane: Lane, deployment: Deployment) -> None:
    """Ask `deployment` for one token, within its own timeouts.

    Raises:
        AttemptError: the provider failed.
        RequestError: the provider is there, but does not take such a request.
    """
    limits = deployment.limits
    request = LaneRequest(
        deployment=deployment,
        messages=[{"role": "user", "content": "ping"}],
        params={"max_tokens": 1},
        timeout=limits.first_token_timeout,
        drop_params=True,
    )
    answer = AnswerCollector()
    try:
        async with asyncio.timeout(limits.first_token_timeout), aclosing(lane.stream(request)) as chunks:
            async for chunk in chunks:
                answer.take(chunk)
    except TimeoutError as exc:
        raise ProviderTimeout("no answer to a health check in time") from exc
    answer.final_chunks()


@dataclass(frozen=True, slots=True)
class HealthProbe:
    """Checks the deployments of the current registry until its task is cancelled.

    `probe` makes one exchange and raises what `ping` raises; what comes of it goes to `breakers`. Deployments with a
    wildcard for a model are left out: nobody knows which model to ask.
    """

    registry: LiveRegistry
    breakers: Breakers
    probe: Callable[[Deployment], Awaitable[None]]
    random: Random = field(default_factory=Random)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Check in the background while this is entered."""
        checks = asyncio.create_task(self.run(), name="health checks")
        checks.add_done_callback(_report_crash)
        try:
            yield
        finally:
            checks.cancel()
            await asyncio.wait([checks])

    async def run(self) -> None:
        """Check for ever. A reload of models.yaml may change the interval, or switch the checks on and off."""
        while True:
            interval = self.registry.current.settings.health_check_interval
            pause = interval / LOOKS * self.random.uniform(1 - JITTER, 1 + JITTER) if interval else OFF
            await asyncio.sleep(pause)
            await self.check()

    async def check(self) -> None:
        """Check every deployment that is idle now, and wait for all the answers. Does nothing while switched off."""
        interval = self.registry.current.settings.health_check_interval
        if not interval:
            return
        free = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as checks:
            for deployment in self._idle(interval):
                checks.create_task(self._check(deployment, free, interval), name=f"health check of {deployment.id}")

    def _idle(self, interval: float) -> list[Deployment]:
        known = self.registry.current.deployments
        return [each for each in known if not each.missing and "*" not in each.model and self._is_idle(each, interval)]

    def _is_idle(self, deployment: Deployment, interval: float) -> bool:
        tried = self.breakers.last_attempt(deployment.id)
        idle = tried is None or self.breakers.clock() - tried >= interval
        return idle and self.breakers.allows(deployment.id)

    async def _check(self, deployment: Deployment, free: asyncio.Semaphore, interval: float) -> None:
        async with free:
            if not self._is_idle(deployment, interval):
                return  # a caller came first
            trial = self.breakers.begin(deployment.id)
            try:
                await self.probe(deployment)
                trial.succeeded()
            except AttemptError as exc:
                trial.failed(exc)
                log.warning("health_check_failed", deployment=deployment.id, error=exc.code, reason=str(exc))
            except RequestError as exc:
                log.info("health_check_refused", deployment=deployment.id, error=exc.code, reason=str(exc))
            except Exception:
                # One check that crashes must not end those of the other deployments.
                log.exception("health_check_crashed", deployment=deployment.id)
            finally:
                trial.cancelled()


def _report_crash(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("health_checks_stopped", exc_info=error)
