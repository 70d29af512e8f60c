"""Background health checks of idle deployments."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest
from structlog.testing import capture_logs

from config.errors import BadAnswer, ProviderOverloaded, ProviderTimeout, RequestRejected
from config.models.deployments import Deployment, Registry, RouterSettings, Timeouts
from router.health.breakers import Breakers
from router.health.health_checks import MAX_CONCURRENT, RECHECK_INTERVAL, HealthChecks, ping
from router.registry import LiveRegistry
from tests.support.scripted_lane import HANG, ScriptedLane, deployment, finish, text
from tests.support.virtual_clock import run_virtually

INTERVAL = 60.0


class Providers:
    """Counts the checks; `failing` maps a deployment's model to what its checks raise."""

    def __init__(self) -> None:
        self.checked: list[str] = []
        self.failing: dict[str, Exception] = {}
        self.running = self.max_running = 0
        self.answer: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(0)

    async def ping(self, deployment: Deployment) -> None:
        self.checked.append(deployment.model)
        self.running += 1
        self.max_running = max(self.max_running, self.running)
        try:
            await self.answer()
        finally:
            self.running -= 1
        if (error := self.failing.get(deployment.model)) is not None:
            raise error


class Rig:
    """Health checks on virtual time. Create it inside a running loop."""

    def __init__(self, *deployments: Deployment, interval: float | None = INTERVAL) -> None:
        self.providers = Providers()
        self.registry = LiveRegistry(Registry(deployments, self.settings(interval)))
        self.breakers = Breakers(lambda: self.registry.current.settings, asyncio.get_running_loop().time)
        self.checks = HealthChecks(self.registry, self.breakers, self.providers.ping, Random(7))

    @staticmethod
    def settings(interval: float | None) -> RouterSettings:
        return RouterSettings(health_check_interval=interval, allowed_fails=1, cooldown_time=5.0)

    def switch(self, interval: float | None) -> None:
        self.registry.swap(Registry(self.registry.current.deployments, self.settings(interval)))


def test_an_idle_deployment_is_checked_once_an_interval() -> None:
    async def scenario() -> list[str]:
        rig = Rig(deployment("a"), deployment("b"))
        async with rig.checks.running():
            await asyncio.sleep(INTERVAL * 3)
        return rig.providers.checked

    assert sorted(run_virtually(scenario())) == ["a", "a", "a", "b", "b", "b"]


def test_a_deployment_in_use_is_not_checked() -> None:
    async def scenario() -> list[str]:
        rig = Rig(deployment("used"), deployment("idle"))
        for _ in range(4):
            await asyncio.sleep(INTERVAL / 2)
            rig.breakers.begin("main/used").succeeded()
        await rig.checks.check()
        return rig.providers.checked

    assert run_virtually(scenario()) == ["idle"]


def test_deployments_without_a_key_or_with_a_wildcard_are_not_checked() -> None:
    async def scenario() -> list[str]:
        rig = Rig(deployment("a", missing=("A_KEY",)), deployment("openai/*"), deployment("b"))
        await rig.checks.check()
        return rig.providers.checked

    assert run_virtually(scenario()) == ["b"]


def test_a_failure_opens_the_breaker_and_a_later_success_closes_it() -> None:
    async def scenario() -> list[str]:
        rig, states = Rig(deployment("a"), interval=1.0), []
        rig.providers.failing["a"] = ProviderOverloaded("503")
        for pause in (0, 2, 4):
            await asyncio.sleep(pause)
            await rig.checks.check()
            states.append(rig.breakers.state("main/a"))
            rig.providers.failing.clear()
        assert len(rig.providers.checked) == 2  # none while the breaker is open
        return states

    with capture_logs() as logs:
        assert run_virtually(scenario()) == ["open", "open", "closed"]
    assert [each["event"] for each in logs] == ["breaker_opened", "health_check_failed", "breaker_closed"]


@pytest.mark.parametrize(
    ("error", "event"),
    [(RequestRejected("no max_tokens here"), "health_check_refused"), (RuntimeError("a bug"), "health_check_crashed")],
)
def test_an_inconclusive_check_counts_nothing_and_ends_no_other_check(error: Any, event: str) -> None:
    async def scenario() -> Rig:
        rig = Rig(deployment("a"), deployment("b"), interval=1.0)
        rig.breakers.begin("main/a").failed(ProviderOverloaded("503"))
        await asyncio.sleep(5)
        rig.providers.failing["a"] = error
        await rig.checks.check()
        assert rig.breakers.state("main/a") == "half-open" and rig.breakers.allows("main/a")
        return rig

    with capture_logs() as logs:
        rig = run_virtually(scenario())
    assert sorted(rig.providers.checked) == ["a", "b"]
    assert [each["event"] for each in logs] == ["breaker_opened", event]


def test_the_number_of_concurrent_checks_is_limited() -> None:
    async def scenario() -> Providers:
        rig = Rig(*[deployment(str(number)) for number in range(20)])
        rig.providers.answer = lambda: asyncio.sleep(1)
        await rig.checks.check()
        return rig.providers

    providers = run_virtually(scenario())
    assert (len(providers.checked), providers.max_running) == (20, MAX_CONCURRENT)


def test_a_deployment_that_is_used_while_its_check_waits_is_not_checked() -> None:
    async def scenario() -> list[str]:
        rig = Rig(*[deployment(str(number)) for number in range(MAX_CONCURRENT + 1)])
        rig.providers.answer = lambda: asyncio.sleep(1)
        check = asyncio.create_task(rig.checks.check())
        await asyncio.sleep(0.5)
        rig.breakers.begin(f"main/{MAX_CONCURRENT}").succeeded()
        await check
        return rig.providers.checked

    assert str(MAX_CONCURRENT) not in run_virtually(scenario())


def test_a_reload_switches_the_checks_on_and_off() -> None:
    async def scenario() -> tuple[int, int, int]:
        rig = Rig(deployment("a"), interval=None)
        async with rig.checks.running():
            await asyncio.sleep(100)
            off = len(rig.providers.checked)
            rig.switch(INTERVAL)
            await asyncio.sleep(RECHECK_INTERVAL + INTERVAL * 3.5)
            on = len(rig.providers.checked)
            rig.switch(None)
            await asyncio.sleep(INTERVAL * 10)
        return off, on, len(rig.providers.checked)

    off, on, after = run_virtually(scenario())
    assert off == 0 and on >= 3 and after == on


def test_stopping_ends_running_checks_and_counts_nothing() -> None:
    async def scenario() -> Rig:
        rig = Rig(deployment("a"))
        rig.providers.answer = lambda: asyncio.sleep(1000)
        async with rig.checks.running():
            await asyncio.sleep(INTERVAL * 2)
            assert rig.providers.running == 1
        assert rig.providers.running == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return rig

    assert run_virtually(scenario()).breakers.snapshots() == {}


async def test_a_ping_asks_for_one_token() -> None:
    lane = ScriptedLane({"a": [[text("p"), finish("length")]]})
    await ping(lane, deployment("a"))
    (attempt,) = lane.attempts
    assert attempt.messages == [{"role": "user", "content": "ping"}]
    assert attempt.params == {"max_tokens": 1}
    assert lane.closed == 1


async def test_a_model_that_spends_its_one_token_on_reasoning_is_healthy() -> None:
    await ping(ScriptedLane({"a": [[finish("length")]]}), deployment("a"))


async def test_an_empty_answer_to_a_ping_is_a_failure() -> None:
    with pytest.raises(BadAnswer):
        await ping(ScriptedLane({"a": [[finish("stop")]]}), deployment("a"))


def test_a_ping_waits_no_longer_than_for_a_first_token() -> None:
    async def scenario() -> float:
        lane = ScriptedLane({"a": [[HANG]]})
        with pytest.raises(ProviderTimeout):
            await ping(lane, deployment("a", timeouts=Timeouts(first_token_timeout=3.0)))
        assert lane.closed == 1
        return asyncio.get_running_loop().time()

    assert run_virtually(scenario()) == pytest.approx(3.0)
