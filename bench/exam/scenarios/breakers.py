"""The circuit breaker opens for a failing deployment, and a probe closes it again."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from time import perf_counter, time

from bench.exam.scenario import FakeDeployment, Scenario
from bench.exam.scenario_run import ScenarioRun

OK = FakeDeployment("fake-ok")
OUTAGE = 1.05
"""Duration of `fake-outage` in seconds."""


async def stays_open(run: ScenarioRun) -> None:
    """After `allowed_fails` failures the deployment gets no request during the cooldown."""
    end = None
    turns = 0
    while end is None or perf_counter() < end:
        answer = await run.ask()
        run.check_whole(answer)
        turns += 1
        if end is None and len(run.requests("main1")) >= run.profile.settings.allowed_fails:
            end = perf_counter() + run.profile.cooldown / 2
        if turns > 20 and end is None:
            break
        await asyncio.sleep(run.profile.cooldown / 20)
    run.check_requests("main1", run.profile.settings.allowed_fails)
    run.check_attempts(run.answers[-1], 1)
    run.require(end is not None, "the failing deployment was not tried first")


async def recovers(run: ScenarioRun) -> None:
    """The deployment gets its next request after the cooldown, not before, and serves from then on."""
    start = perf_counter()
    while not run.answers or run.answers[-1].model != run.model:
        answer = await run.ask()
        run.check_whole(answer, group="main" if answer.model == run.model else "spare")
        if perf_counter() - start > 3 * run.profile.cooldown + run.profile.slack:
            break
        await asyncio.sleep(run.profile.cooldown / 20)
    run.require(run.answers[-1].model == run.model, "the deployment works again, but gets no request")
    times = [each.time for each in run.requests("main1")]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    run.require(
        max(gaps, default=0) >= 0.9 * run.profile.cooldown, f"there was no cooldown: gaps of {gaps} s between requests"
    )
    run.check_whole(await run.ask())


async def single_probe(run: ScenarioRun) -> None:
    """After the cooldown only one of several concurrent turns probes the deployment; all are served."""
    run.check_whole(await run.ask(), group="spare")
    failed = len(run.requests("main1"))
    await asyncio.sleep(run.profile.cooldown * 1.1)
    answers = await asyncio.gather(*(run.ask() for _ in range(5)))
    for each in answers:
        run.check_whole(each, group="spare")
    run.check_requests("main1", failed + 1)


async def last_chance(run: ScenarioRun) -> None:
    """With all breakers open, the router tries a deployment rather than refusing the turn."""
    run.check_error(await run.ask(), 503, "all_deployments_failed")
    await asyncio.sleep(max(0.0, run.requests("main1")[0].time + OUTAGE - time()))
    run.check_whole(await run.ask())


BREAKERS = (
    Scenario(
        "breaker",
        "a provider that keeps failing is asked no more",
        {"main": (FakeDeployment("fake-503"), OK)},
        stays_open,
    ),
    Scenario(
        "recovery",
        "after its rest it is asked again and serves",
        {"main": (FakeDeployment("fake-outage"),), "spare": (OK,)},
        recovers,
    ),
    Scenario(
        "probe",
        "after its rest one caller tries it, not five",
        {"main": (FakeDeployment("fake-503"),), "spare": (OK,)},
        single_probe,
    ),
    Scenario(
        "all-resting",
        "all rest: one is tried rather than refusing",
        {"main": (FakeDeployment("fake-outage"),)},
        last_chance,
    ),
)
