"""A provider that keeps failing is left alone for a while, and then tried again with care."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from time import perf_counter, time

from bench.exam.scenario import Provider, Scenario
from bench.exam.sitting import Sitting

OK = Provider("fake-ok")
OUTAGE = 1.05
"""Seconds after which `fake-outage` is over."""


async def rests(at: Sitting) -> None:
    """Once it has failed as often as it may, it is not asked for the whole of its rest."""
    until = None
    turns = 0
    while until is None or perf_counter() < until:
        heard = await at.ask()
        at.whole(heard)
        turns += 1
        if until is None and len(at.log("main1")) >= at.profile.settings.allowed_fails:
            until = perf_counter() + at.profile.rest / 2
        if turns > 20 and until is None:
            break
        await asyncio.sleep(at.profile.rest / 20)
    at.asked("main1", at.profile.settings.allowed_fails)
    at.attempts(at.heard[-1], 1)
    at.require(until is not None, "the provider that fails was not the first to be asked")


async def recovers(at: Sitting) -> None:
    """It is asked again after its rest, not before, and serves from then on."""
    began = perf_counter()
    while not at.heard or at.heard[-1].model != at.model:
        heard = await at.ask()
        at.whole(heard, by="main" if heard.model == at.model else "spare")
        if perf_counter() - began > 3 * at.profile.rest + at.profile.slack:
            break
        await asyncio.sleep(at.profile.rest / 20)
    at.require(at.heard[-1].model == at.model, "the provider is well again, but nobody asks it")
    times = [each.time for each in at.log("main1")]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    at.require(max(gaps, default=0) >= 0.9 * at.profile.rest, f"it was never left alone: gaps of {gaps} s")
    at.whole(await at.ask())


async def probed_once(at: Sitting) -> None:
    """When the rest is over, one of many callers tries it; all of them are served."""
    at.whole(await at.ask(), by="spare")
    failed = len(at.log("main1"))
    await asyncio.sleep(at.profile.rest * 1.1)
    heard = await asyncio.gather(*(at.ask() for _ in range(5)))
    for each in heard:
        at.whole(each, by="spare")
    at.asked("main1", failed + 1)


async def last_chance(at: Sitting) -> None:
    """Nobody else is left: a provider that rests is tried rather than the caller refused."""
    at.refused(await at.ask(), 503, "all_deployments_failed")
    await asyncio.sleep(max(0.0, at.log("main1")[0].time + OUTAGE - time()))
    at.whole(await at.ask())


BREAKERS = (
    Scenario(
        "breaker",
        "a provider that keeps failing is asked no more",
        {"main": (Provider("fake-503"), OK)},
        rests,
    ),
    Scenario(
        "recovery",
        "after its rest it is asked again and serves",
        {"main": (Provider("fake-outage"),), "spare": (OK,)},
        recovers,
    ),
    Scenario(
        "probe",
        "after its rest one caller tries it, not five",
        {"main": (Provider("fake-503"),), "spare": (OK,)},
        probed_once,
    ),
    Scenario(
        "all-resting",
        "all rest: one is tried rather than refusing",
        {"main": (Provider("fake-outage"),)},
        last_chance,
    ),
)
